"""How Kopf is set: as watch plumbing, finalizer keeper and process shell, and nothing more.

Each value was measured or has its reason; the defaults would store every spec twice, post an Event per log line, and
give up after 54 s without an API server.
"""

from collections.abc import Iterator
from typing import Any

import kopf

from ..api import names


class GenerationDiffBase(kopf.DiffBaseStorage):
    """`status.observedGeneration` is the last handled state; nothing is stored twice."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({"generation": body.metadata.get("generation")})  # type: ignore[typeddict-unknown-key]

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        observed = body.status.get("observedGeneration")
        return None if observed is None else kopf.BodyEssence({"generation": observed})  # type: ignore[typeddict-unknown-key]

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """The reconciler writes `observedGeneration` itself, together with the conditions."""


class EndlessBackoffs:
    """1, 1, 2, 3, then 5 s for ever. Shared by all watches, so each iteration starts anew."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 1, 2, 3)
        while True:
            yield 5


def configure(settings: kopf.OperatorSettings) -> None:
    group = names.GROUP
    sync = f"{names.COMPONENT}={names.COMPONENT_SYNC}"
    settings.scanning.disabled = True  # the CRDs are installed with the chart
    settings.peering.standalone = True  # a Lease elects the leader
    settings.posting.enabled = False  # the recorder tells transitions only
    settings.queueing.worker_limit = 50  # bounds the burst of finalizer patches at start
    settings.queueing.idle_timeout = 0.02  # an idle worker holds its slot, and a whole body with it
    settings.persistence.consistency_timeout = 1.0  # a deletion holds its slot that long
    settings.networking.error_backoffs = EndlessBackoffs()
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.watching.chunk_size = 100  # what was listed waits as whole bodies, and all of a chunk waits at once
    settings.watching.label_selectors["batch", "v1", "jobs"] = sync
    settings.watching.label_selectors["", "v1", "pods"] = sync
    settings.persistence.finalizer = names.FINALIZER
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"kopf.{group}", v1=False)
    settings.persistence.diffbase_storage = GenerationDiffBase()
