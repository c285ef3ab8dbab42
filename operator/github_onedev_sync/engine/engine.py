"""The engine: watches feed it keys, a few workers take them off the queue, reconcilers do the rest."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime

from ..api import names
from ..api.children import covers
from ..api.errors import ClusterRefused, ClusterUnavailable
from ..api.mirror import Access, RepositoryMirror
from ..api.model import Condition, Metadata
from ..api.server import OneDevServer
from ..api.sync import ReposSync
from ..observability.logs import event
from ..observability.metrics import Metrics
from .mirrors import MirrorReconciler
from .ports import Body, Clock
from .queue import DelayQueue, Priority
from .removal import Remover
from .repair import Repairer
from .servers import ServerReconciler
from .slots import Slots
from .store import Store, server_of
from .sweep import Sweeper
from .syncs import SyncReconciler

log = logging.getLogger(__name__)

MIRROR, SERVER, SYNC, SWEEP, REPAIR = "mirror", "server", "sync", "sweep", "repair"

_RETRY = 5.0
# Many mirrors change together; their server's counts are written once for all of them.
_COUNT_DELAY = 2.0


@dataclass
class Engine:
    """`workers` reconciles go on at once; a key is never in two of them."""

    clock: Clock
    store: Store
    queue: DelayQueue
    slots: Slots
    remover: Remover
    mirrors: MirrorReconciler
    servers: ServerReconciler
    syncs: SyncReconciler
    repairer: Repairer
    metrics: Metrics
    workers: int = 8
    progress: float = field(default=0.0)

    async def run(self) -> None:
        """Works until it is cancelled."""
        self.progress = self.clock.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(self.workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            async with self.queue.next() as item:
                kind, _, key = item.partition(":")
                due = await self._reconcile(kind, key)
                self.progress = self.clock.monotonic()
            if due is not None:
                self.queue.add(item, (due - self.clock.now()).total_seconds())
            self._call()

    def _call(self) -> None:
        """Brings back those that wait for something else than a time."""
        line, sweeper = self.slots.line, self.mirrors.sweeper
        for key, priority in (*self.slots.next_in_line(), *line.call_ahead(), *sweeper.told()):
            self.queue.add(f"{MIRROR}:{key}", priority=priority)
        for credential, delay in sweeper.gathered():
            self.queue.add(f"{SWEEP}:{credential}", delay)

    def _reconciler(self, kind: str) -> MirrorReconciler | ServerReconciler | SyncReconciler | Sweeper | Repairer:
        if kind == MIRROR:
            return self.mirrors
        if kind == SWEEP:
            return self.mirrors.sweeper
        if kind == REPAIR:
            return self.repairer
        return self.servers if kind == SERVER else self.syncs

    async def _reconcile(self, kind: str, key: str) -> datetime | None:
        """One reconcile; no failure of it may end the process."""
        before = self._conditions(kind, key)
        with self.metrics.reconcile(kind) as outcome:
            try:
                due = await self._reconciler(kind).reconcile(key)
                if self._conditions(kind, key) != before:
                    self._told(kind, key)
                return due
            except ClusterUnavailable as error:
                outcome("cluster_unavailable")
                event(log, "cluster unavailable", level=logging.WARNING, kind=kind, key=key, message=str(error))
            except ClusterRefused as error:
                outcome("cluster_refused")
                event(log, "cluster refused", level=logging.ERROR, kind=kind, key=key, message=str(error))
            except Exception:
                outcome("bug")
                log.exception("reconcile failed by a bug", extra={"fields": {"kind": kind, "key": key}})
        self.queue.add(f"{kind}:{key}", _RETRY)
        return None

    def _conditions(self, kind: str, key: str) -> tuple[Condition, ...]:
        known = self.store.servers.get(key) if kind == SERVER else self.store.mirrors.get(key)
        return known.status.conditions if known is not None and kind != SYNC else ()

    def _told(self, kind: str, key: str) -> None:
        """Our own write is in the store before the watch tells of it, so nobody else would pass it on."""
        if kind == SERVER:
            self._wake_mirrors(key)
        elif key in self.store.mirrors:
            self.queue.add(f"{SERVER}:{server_of(self.store.mirrors[key])}", _COUNT_DELAY)

    # What the watches tell.

    def mirror_seen(self, mirror: RepositoryMirror) -> None:
        known = self.store.mirrors.get(mirror.key)
        self.store.put_mirror(mirror)
        self._meet(mirror.spec.source, mirror.metadata.namespace)
        asked = mirror.requested is not None
        if known is None or known.status.conditions != mirror.status.conditions:
            self.queue.add(f"{SERVER}:{server_of(mirror)}", _COUNT_DELAY)
        if known is None or _moved(known.metadata, mirror.metadata):
            first = Priority.FIRST if mirror.status.last_sync_time is None else Priority.ROUTINE
            self.queue.add(f"{MIRROR}:{mirror.key}", priority=Priority.ASKED if asked else first)

    def mirror_gone(self, mirror: RepositoryMirror) -> None:
        self.remover.forget(mirror.metadata.uid)
        self.mirrors.launcher.forget(mirror.metadata.uid)
        self.mirrors.sweeper.forget(mirror.metadata.uid)
        if not self.store.drop_mirror(mirror):
            return
        for sync in self.store.syncs.values():
            if covers(sync, mirror):
                self.queue.add(f"{SYNC}:{sync.ref}", _COUNT_DELAY)
        self.slots.line.leave(mirror.key)
        self.queue.add(f"{MIRROR}:{mirror.key}")
        self.queue.add(f"{SERVER}:{server_of(mirror)}", _COUNT_DELAY)

    def server_seen(self, server: OneDevServer) -> None:
        known = self.store.servers.get(server.key)
        self.store.put_server(server)
        if known is None or known.metadata.generation != server.metadata.generation or _asked(known, server):
            self.queue.add(f"{SERVER}:{server.key}")
        if known is None or known.status.conditions != server.status.conditions or known.spec != server.spec:
            self._wake_mirrors(server.key)

    def server_gone(self, server: OneDevServer) -> None:
        if self.store.drop_server(server):
            self.queue.add(f"{SERVER}:{server.key}")
            self._wake_mirrors(server.key)

    def _wake_mirrors(self, server_key: str) -> None:
        """Those that wait for their server, or shall learn that it is gone, look again."""
        for mirror in self.store.mirrors_on(server_key):
            self.queue.add(f"{MIRROR}:{mirror.key}", priority=Priority.CHANGED)

    def sync_seen(self, sync: ReposSync) -> None:
        known = self.store.syncs.get(sync.ref)
        self.store.put_sync(sync)
        self._meet(sync.settings.source, sync.metadata.namespace)
        if known is None or _moved(known.metadata, sync.metadata):
            priority = Priority.ASKED if sync.requested is not None else Priority.FIRST
            self.queue.add(f"{SYNC}:{sync.ref}", priority=priority)

    def sync_gone(self, sync: ReposSync) -> None:
        if self.store.drop_sync(sync):
            self.queue.add(f"{SYNC}:{sync.ref}")

    def _meet(self, access: Access, namespace: str) -> None:
        for credential, delay in self.repairer.met(access, namespace):
            self.queue.add(f"{REPAIR}:{credential}", delay)

    def job_seen(self, job: Body, gone: bool) -> None:
        (self.store.drop_job if gone else self.store.put_job)(job)
        self._run_changed(job)

    def pod_seen(self, pod: Body, gone: bool) -> None:
        (self.store.drop_pod if gone else self.store.put_pod)(pod)
        self._run_changed(pod)

    def _run_changed(self, body: Body) -> None:
        for key in self.store.mirrors_of_run(body):
            self.queue.add(f"{MIRROR}:{key}", priority=Priority.CHANGED)


def _moved(before: Metadata, after: Metadata) -> bool:
    """Anything but what we write ourselves: a status, or a sync's words on its mirror."""
    return _asking(before) != _asking(after)


def _asking(metadata: Metadata) -> tuple[object, ...]:
    words = (metadata.annotations.get(names.REQUESTED_AT), metadata.annotations.get(names.APPROVE))
    return metadata.uid, metadata.generation, metadata.deletion_timestamp, words


def _asked(known: OneDevServer, server: OneDevServer) -> bool:
    return known.metadata.annotations != server.metadata.annotations
