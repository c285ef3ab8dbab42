"""Making, changing and deleting a sync's mirrors in the cluster, several at a time."""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api import children, names
from ..api.children import Manifest
from ..api.conditions import Reason
from ..api.errors import ClusterRefused
from ..api.mirror import PLURAL, RepositoryMirror
from ..api.sync import ReposSync
from ..decide.children import Change, Family, digest_of, row_of
from ..decide.syncs import Problem
from ..decide.unstar import POLICIES, Missing
from ..observability.logs import event
from .ports import Cluster

log = logging.getLogger(__name__)

# More at once makes the API server no faster.
_AT_ONCE = 8
# A reconcile makes so many, then tells how far it is.
BATCH = 1000
# What was applied shows in the watch a moment later, and what was refused is tried again after a while.
_SHOWS = timedelta(seconds=1)
_SHOWN = timedelta(seconds=60)
_REFUSED = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class _Attempt:
    digest: str
    at: datetime
    problem: Problem | None = None


@dataclass
class Applied:
    """What became of a sync's changes lately, by the mirror's name."""

    _attempts: dict[str, _Attempt] = field(default_factory=dict)

    def note(self, manifest: Manifest, now: datetime, problem: Problem | None) -> None:
        self._attempts[manifest["metadata"]["name"]] = _Attempt(digest_of(manifest), now, problem)

    def is_done(self, change: Change) -> bool:
        tried = self._attempts.get(change.name)
        return tried is not None and tried.problem is None and tried.digest == digest_of(change.manifest())

    def is_fresh(self, change: Change, now: datetime) -> bool:
        """Whether there is no point in trying the same again yet."""
        tried = self._attempts.get(change.name)
        if tried is None or tried.digest != digest_of(change.manifest()):
            return False
        return now - tried.at < (_SHOWN if tried.problem is None else _REFUSED)

    def problems(self, changes: Iterable[Change]) -> Iterator[Problem]:
        for change in changes:
            tried = self._attempts.get(change.name)
            if tried is not None and tried.problem is not None:
                yield tried.problem

    def keep(self, changes: Iterable[Change]) -> None:
        """Those that were wanted once and are not any more have come about."""
        known = self._attempts
        self._attempts = {change.name: known[change.name] for change in changes if change.name in known}


@dataclass
class Children:
    cluster: Cluster

    async def apply(
        self, sync: ReposSync, changes: Sequence[Change], applied: Applied, now: datetime
    ) -> datetime | None:
        """Applies a batch of them; returns when to go on. Raises `ClusterUnavailable`."""
        applied.keep(changes)
        due = [change for change in changes if not applied.is_fresh(change, now)]
        batch = due[:BATCH]
        waiting = iter(batch)
        workers = [asyncio.ensure_future(self._work(sync, waiting, applied, now)) for _ in range(_AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
        if not any(map(applied.is_done, batch)):
            return None  # the cluster refuses them one and all: the next look tries again
        return now if len(due) > len(batch) else now + _SHOWS

    async def _work(self, sync: ReposSync, waiting: Iterable[Change], applied: Applied, now: datetime) -> None:
        for change in waiting:
            problem, manifest = None, change.manifest()
            try:
                await self._apply(sync, manifest, take_over=change.take_over)
            except ClusterRefused as refused:
                problem = Problem(Reason.MIRROR_REFUSED, f"RepositoryMirror {change.name}: {refused}")
            applied.note(manifest, now, problem)

    async def _apply(self, sync: ReposSync, manifest: Manifest, *, take_over: bool = False) -> None:
        """Where another sync has come first, nothing is done: the next look finds its mirror."""
        manager = names.field_manager(sync.short, sync.metadata.name)
        await self.cluster.apply(PLURAL, manifest, manager, take_over=take_over)

    async def remove(self, sync: ReposSync, family: Family, mirror: RepositoryMirror, missing: Missing) -> None:
        """The grace period of an un-starred repository is over. Only what the sync itself made is deleted, and only
        where no other wants it; everything else loses this sync's label and nothing more."""
        policy = POLICIES[sync.settings.on_unstar]
        if children.holder_of(mirror) != sync.item or family.also_covered_by(mirror):
            await self._apply(sync, children.released(sync, mirror))
            event(log, "mirror released", sync=sync.ref, mirror=mirror.key)
            return
        row = row_of(mirror, missing.repository_id)
        last = children.held(sync, row, mirror, gone_since=missing.since, policy=policy)
        await self._apply(sync, last)
        await self.cluster.delete_resource(PLURAL, mirror.key, mirror.metadata.uid)
        event(log, "mirror deleted", sync=sync.ref, mirror=mirror.key, policy=policy.value)
