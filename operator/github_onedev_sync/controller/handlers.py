"""Kopf's handlers: each turns an event into a word to the engine, and decides nothing."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import kopf
from pydantic import ValidationError

from ..api import mirror, names, owned, server, starred
from ..api.mirror import DeletionPolicy, RepositoryMirror
from ..api.owned import OwnedReposSync
from ..api.server import OneDevServer
from ..api.starred import StarredReposSync
from ..engine.engine import MIRROR, Engine
from ..engine.queue import Priority
from ..observability.logs import event as log_event

log = logging.getLogger(__name__)

T = TypeVar("T")

# Kopf holds one of its workers while a deletion waits; the rest goes on in our queue.
_DELETION_WAIT = 8.0
_DELETION_RETRY = 10.0


def register(registry: kopf.OperatorRegistry, engine: Engine) -> None:
    """Adds our handlers to `registry`: closures, so that no state is global."""

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> Any:
        """Kopf would otherwise take whichever client library happens to be installed."""
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    _watch(registry, mirror.PLURAL, RepositoryMirror.read, engine.mirror_seen, engine.mirror_gone)
    _watch(registry, server.PLURAL, OneDevServer.read, engine.server_seen, engine.server_gone)
    _watch(registry, starred.PLURAL, StarredReposSync.read, engine.sync_seen, engine.sync_gone)
    _watch(registry, owned.PLURAL, OwnedReposSync.read, engine.sync_seen, engine.sync_gone)

    @kopf.on.event("batch", "v1", "jobs", registry=registry, id="job")
    async def job(event: Mapping[str, Any], body: kopf.Body, **_: Any) -> None:
        engine.job_seen(dict(body), event["type"] == "DELETED")

    @kopf.on.event("", "v1", "pods", registry=registry, id="pod")
    async def pod(event: Mapping[str, Any], body: kopf.Body, **_: Any) -> None:
        engine.pod_seen(dict(body), event["type"] == "DELETED")

    @kopf.on.delete(names.GROUP, names.VERSION, mirror.PLURAL, registry=registry, id="deletion", when=_has_cleanup)
    async def deletion(body: kopf.Body, **_: Any) -> None:
        going = RepositoryMirror.read(dict(body))
        engine.mirror_seen(going)
        engine.queue.add(f"{MIRROR}:{going.key}", priority=Priority.CHANGED)
        try:
            async with asyncio.timeout(_DELETION_WAIT):
                await engine.remover.removed(going.metadata.uid).wait()
        except TimeoutError:
            raise kopf.TemporaryError("its run, or OneDev, has not finished yet", delay=_DELETION_RETRY) from None


def _watch(
    registry: kopf.OperatorRegistry,
    plural: str,
    read: Callable[[Any], T],
    seen: Callable[[T], None],
    gone: Callable[[T], None],
) -> None:
    @kopf.on.event(names.GROUP, names.VERSION, plural, registry=registry, id=f"watch-{plural}")
    async def watch(event: Mapping[str, Any], body: kopf.Body, **_: Any) -> None:
        try:
            resource = read(dict(body))
        except ValidationError as error:
            # Only possible where the installed CRD is not of this version.
            name = f"{body.metadata.get('namespace')}/{body.metadata.get('name')}"
            log_event(log, "unreadable resource", level=logging.ERROR, kind=plural, key=name, message=str(error))
            return
        (gone if event["type"] == "DELETED" else seen)(resource)


def _has_cleanup(spec: kopf.Spec, **_: Any) -> bool:
    """A finalizer only where deletion has work to do: `kubectl delete` of a Retain mirror needs no operator."""
    return bool(spec.get("deletionPolicy", DeletionPolicy.RETAIN) != DeletionPolicy.RETAIN)
