"""Asking GitHub for many mirrors at once, whether anything has moved since they were last equal.

A mirror whose time has come waits a moment for others of the same credential; those whose time comes next go along.
Each batch is a key of its own in the queue, so it holds up neither another credential's mirrors nor those that somebody
asks for. Then every mirror comes back with its verdict, and looks itself at what is left to look at.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.mirror import RepositoryMirror
from ..api.observed import SourceRepository
from ..api.urgency import Urgency
from ..decide.batch import credential_of
from ..decide.sweep import Seen, Verdict, basis, judge
from ..observability.logs import event
from ..observability.metrics import Metrics
from .ports import Clock, Connections
from .queue import Priority
from .store import Store

log = logging.getLogger(__name__)

# GitHub's limit for nodes asked for by their ids.
MOST = 100
_GATHER = 2.0
_SOON = timedelta(minutes=1)


@dataclass
class Sweeper:
    """`due` is when this process planned to look at a mirror next, None where status tells."""

    clock: Clock
    store: Store
    connections: Connections
    metrics: Metrics
    due: dict[str, datetime | None]
    _seen: dict[str, Seen] = field(default_factory=dict)
    _waiting: dict[str, dict[str, None]] = field(default_factory=dict)
    _verdicts: dict[str, Verdict] = field(default_factory=dict)
    _gathered: dict[str, float] = field(default_factory=dict)
    _told: list[tuple[str, Priority]] = field(default_factory=list)

    def remember(self, mirror: RepositoryMirror, repository: SourceRepository, digest: str, now: datetime) -> None:
        """Both sides were found equal. It is kept here where status does not tell the same."""
        seen, told = Seen.of(repository, digest, now), basis(mirror, None)
        if told is not None and told.says_the_same_as(seen):
            self.forget(mirror.metadata.uid)
        else:
            self._seen[mirror.metadata.uid] = seen

    def forget(self, uid: str) -> None:
        self._seen.pop(uid, None)

    def basis(self, mirror: RepositoryMirror) -> Seen | None:
        """What a sweep compares with; None where only a look will do."""
        return basis(mirror, self._seen.get(mirror.metadata.uid))

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """A mirror is looked at; a verdict that it came with is worth nothing later."""
        try:
            yield
        finally:
            self._verdicts.pop(key, None)

    def verdict(self, key: str) -> Verdict | None:
        """With what a mirror whose turn it is came back."""
        return self._verdicts.get(key)

    def gather(self, mirror: RepositoryMirror) -> None:
        """It comes back with its verdict, so nothing else has to bring it back."""
        credential = credential_of(mirror)
        waiting = self._waiting.setdefault(credential, {})
        waiting[mirror.key] = None
        self._gathered[credential] = _GATHER if len(waiting) < MOST else 0.0

    def gathered(self) -> list[tuple[str, float]]:
        """The credentials whose mirrors wait since this was last asked, and in how many seconds to reconcile them."""
        gathered, self._gathered = self._gathered, {}
        return list(gathered.items())

    def told(self) -> list[tuple[str, Priority]]:
        """The mirrors that have their verdict since this was last asked."""
        told, self._told = self._told, []
        return told

    async def reconcile(self, credential: str) -> datetime | None:
        """Asks for one batch."""
        waiting = self._waiting.get(credential)
        if not waiting:
            return None
        now = self.clock.now()
        for key in self._next(credential, MOST - len(waiting), now):
            self.due[key] = now
            waiting[key] = None
        batch = list(waiting)[:MOST]
        verdicts = await self._ask(batch)
        for key in batch:
            del waiting[key]
            # One that meanwhile needs a look was not asked for.
            verdict = self._verdicts[key] = verdicts.get(key, Verdict.CHANGED)
            self._told.append((key, Priority.CHANGED if verdict is Verdict.CHANGED else Priority.ROUTINE))
        if waiting:
            return now
        del self._waiting[credential]
        return None

    def _next(self, credential: str, room: int, now: datetime) -> list[str]:
        """Those whose time comes next, though not much before it: times are spread, and a batch costs what it costs."""
        if room <= 0:
            return []
        planned = ((due or self._planned(key), key) for key, due in self.due.items())
        soon = sorted((due, key) for due, key in planned if due is not None and now < due <= now + _SOON)
        found: list[str] = []
        for due, key in soon:
            mirror = self.store.mirrors.get(key)
            if mirror is None or due - now > mirror.spec.interval / 10 or credential_of(mirror) != credential:
                continue
            if self.basis(mirror) is not None:
                found.append(key)
            if len(found) == room:
                break
        return found

    def _planned(self, key: str) -> datetime | None:
        mirror = self.store.mirrors.get(key)
        return mirror.status.next_sync_time if mirror is not None else None

    async def _ask(self, batch: list[str]) -> Mapping[str, Verdict]:
        mirrors = [self.store.mirrors[key] for key in batch if key in self.store.mirrors]
        known = [(mirror, seen) for mirror in mirrors if (seen := self.basis(mirror)) is not None]
        if not known:
            return {}
        verdicts = await self._verdicts_on(known)
        for verdict in verdicts.values():
            self.metrics.mirror_swept(verdict)
        return verdicts

    async def _verdicts_on(self, known: list[tuple[RepositoryMirror, Seen]]) -> Mapping[str, Verdict]:
        some = known[0][0]
        nodes = {mirror.key: seen.node_id for mirror, seen in known}
        try:
            api = (await self.connections.source(some.spec.source, some.metadata.namespace, Urgency.SWEEP)).api
            if api.anonymous:  # A Secret can hold a certificate authority alone.
                return dict.fromkeys(nodes, Verdict.FAILED)
            changes = await api.changes(list(dict.fromkeys(nodes.values())))
        except SyncError as error:
            limited = error.reason is Reason.RATE_LIMITED
            event(
                log,
                "sweep refused",
                namespace=some.metadata.namespace,
                mirrors=len(known),
                reason=error.reason,
                message=error.message,
            )
            return dict.fromkeys(nodes, Verdict.LIMITED if limited else Verdict.FAILED)
        return {mirror.key: judge(seen, changes.get(nodes[mirror.key])) for mirror, seen in known}
