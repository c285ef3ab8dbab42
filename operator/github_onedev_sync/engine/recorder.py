"""Writing a status and telling of its transitions, with no write where nothing changed."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..api import names
from ..api.errors import ClusterRefused, ClusterUnavailable
from ..api.model import ConditionedStatus, Metadata, show_time
from ..decide.events import Transition, transition
from ..observability.logs import event
from .patch import merge_patch
from .ports import Clock, Cluster

log = logging.getLogger(__name__)

COMPONENT = "github-onedev-sync"


class Resource(Protocol):
    """What all our views have in common."""

    @property
    def metadata(self) -> Metadata: ...

    @property
    def status(self) -> ConditionedStatus: ...


@dataclass
class Recorder:
    clock: Clock
    cluster: Cluster
    kinds: Mapping[str, str]

    async def write(self, plural: str, resource: Resource, after: ConditionedStatus) -> Mapping[str, Any] | None:
        """The new body; empty where there was nothing to write; None where the write came too late."""
        patch = merge_patch(resource.status, after)
        if not patch:
            return {}
        metadata = resource.metadata
        body = await self.cluster.patch_status(plural, metadata.key, metadata.resource_version, patch)
        if body is None:
            return None
        told = transition(resource.status, after)
        if told is not None:
            await self.tell(plural, metadata, told)
        return body

    async def tell(self, plural: str, metadata: Metadata, told: Transition) -> None:
        """Tells an Event. Where it cannot be told, the status still says it, and nothing else waits for it."""
        try:
            await self.cluster.record_event(self.build_event(plural, metadata, told))
        except (ClusterUnavailable, ClusterRefused) as error:
            event(log, "event not told", level=logging.WARNING, resource=metadata.key, message=str(error))

    def build_event(self, plural: str, metadata: Metadata, told: Transition) -> dict[str, Any]:
        """A core/v1 Event; messages are cut at Kubernetes' limit of 1024 bytes."""
        now = show_time(self.clock.now())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"generateName": f"{metadata.name}.", "namespace": metadata.namespace},
            "involvedObject": {
                "apiVersion": names.API_VERSION,
                "kind": self.kinds[plural],
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
            },
            "type": told.type,
            "reason": told.reason,
            "message": told.message.encode()[:1024].decode(errors="ignore"),
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "reportingInstance": COMPONENT,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
