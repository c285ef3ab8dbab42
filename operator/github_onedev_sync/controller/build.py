"""Putting the engine together."""

import contextlib
from collections.abc import Iterator

import aiohttp
from pydantic import ValidationError

from ..api import mirror, owned, server, starred
from ..api.conditions import ConditionType
from ..api.mirror import RepositoryMirror
from ..engine.children import Children
from ..engine.engine import Engine
from ..engine.launch import Launcher
from ..engine.look import Looker
from ..engine.mirrors import MirrorReconciler
from ..engine.ports import Clock, Cluster, Connections
from ..engine.queue import DelayQueue
from ..engine.recorder import Recorder
from ..engine.removal import Remover
from ..engine.repair import Repairer
from ..engine.servers import ServerReconciler
from ..engine.slots import Slots
from ..engine.store import Store
from ..engine.syncs import SyncReconciler
from ..observability.metrics import Gauges, Metrics
from ..transfer.listing import RefReader
from .settings import Settings

_KINDS = {
    mirror.PLURAL: mirror.KIND,
    server.PLURAL: server.KIND,
    starred.PLURAL: starred.KIND,
    owned.PLURAL: owned.KIND,
}


def build_engine(
    settings: Settings, clock: Clock, cluster: Cluster, connections: Connections, session: aiohttp.ClientSession
) -> Engine:
    store, refs, metrics = Store(), RefReader(session), Metrics()
    slots = Slots(store, settings.max_concurrent_jobs, clock.now, settings.max_concurrent_per_credential)
    recorder = Recorder(clock, cluster, _KINDS)
    remover = Remover(clock, store, cluster, connections, refs, recorder)
    mirrors = MirrorReconciler(
        clock,
        store,
        cluster,
        Looker(connections, refs),
        Launcher(clock, store, cluster, slots, settings.worker),
        remover,
        recorder,
        metrics,
    )
    return Engine(
        clock=clock,
        store=store,
        queue=DelayQueue(clock),
        slots=slots,
        remover=remover,
        mirrors=mirrors,
        servers=ServerReconciler(clock, store, connections, recorder),
        syncs=SyncReconciler(clock, store, connections, Children(cluster), recorder),
        repairer=Repairer(clock, store, connections, recorder, metrics, settings.webhook_url),
        metrics=metrics,
    )


async def prime(engine: Engine, namespaces: tuple[str, ...]) -> None:
    """Tells the engine of the runs that live, pods first, before it decides anything: slots are counted from them, and
    a Job that is seen before its pod would look as if it had ended without a report. And of all mirrors, or a sync
    would make those again that it does not know of yet."""
    for namespace in namespaces or ("",):
        async for body in engine.mirrors.cluster.list_resources(mirror.PLURAL, namespace):
            with contextlib.suppress(ValidationError):  # the watch tells of it
                engine.mirror_seen(RepositoryMirror.read(body))
        for pod in await engine.mirrors.cluster.list_pods(namespace):
            engine.store.put_pod(pod)
        for job in await engine.mirrors.cluster.list_jobs(namespace):
            engine.store.put_job(job)


def gauges(engine: Engine) -> Gauges:
    return Gauges(
        queue_depth=lambda: len(engine.queue),
        queue_oldest=engine.queue.oldest,
        active=lambda: len(engine.slots.in_use()),
        waiting=lambda: len(engine.slots.line),
        resources=lambda: _resources(engine.store),
    )


def _resources(store: Store) -> Iterator[tuple[str, str, str]]:
    """(kind, status of Ready, its reason) of every resource."""
    for kind, status in (
        *((mirror.KIND, one.status) for one in store.mirrors.values()),
        *((server.KIND, one.status) for one in store.servers.values()),
        *((one.kind, one.status) for one in store.syncs.values()),
    ):
        ready = status.condition(ConditionType.READY)
        yield kind, ready.status if ready else "Unknown", ready.reason if ready else ""
