"""A mirror's part of a run: following it, taking what it reports, and letting the Job go when all have."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.conditions import Reason
from ..api.errors import Retry, SyncError
from ..api.mirror import PLURAL, RepositoryMirror
from ..decide import ending
from ..decide import status as say
from ..decide.run import Member, Run, result
from ..decide.step import has_told
from ..observability.logs import event
from ..observability.metrics import Metrics
from .launch import Launcher
from .ports import Clock, Cluster
from .store import Store
from .teller import Teller

log = logging.getLogger(__name__)

# A run is told by its pod; this is for a pod that nobody tells of.
FOLLOW = timedelta(seconds=60)
# How many given up runs are known by their reason; more at once, and the oldest is told of as lost.
_GIVEN_UP = 256


@dataclass
class Runs:
    clock: Clock
    store: Store
    cluster: Cluster
    launcher: Launcher
    teller: Teller
    metrics: Metrics
    _confirmed: dict[str, datetime] = field(default_factory=dict)
    _alive: dict[str, datetime] = field(default_factory=dict)
    _given_up: dict[str, Retry] = field(default_factory=dict)

    def forget(self, key: str) -> None:
        self._alive.pop(key, None)

    async def follow(self, mirror: RepositoryMirror, run: Run, now: datetime) -> datetime | None:
        if now - self._confirmed.get(run.job, run.started_at) >= FOLLOW:
            self._confirmed[run.job] = now
            await self.confirm(run)
            return now
        if run.started:
            self._alive[mirror.key] = now
        # The pod of a drained node is replaced late in a run: its successor has the whole limit, too.
        since = max(run.started_at, self._alive.get(mirror.key, run.started_at))
        limit = since + run.start_limit(self.launcher.worker.start_limit)
        told = self._told(mirror, run)
        if not run.started and now >= limit:
            error = Retry(Reason.POD_NOT_STARTED, f"The worker's pod did not start: {run.no_start}")
            due = await self.teller.failed(mirror, error, now, run=run, told=told)
            self._confirmed.pop(run.job, None)
            self._give_up(run, error)
            await self.launcher.discard(run)
            return due
        again = now + FOLLOW if run.started else min(limit, now + FOLLOW)
        return await self.teller.write(mirror, say.following(told, run, now), again)

    def _told(self, mirror: RepositoryMirror, run: Run) -> RepositoryMirror:
        """The mirror as it would be, had the beginning of its run been told: who is taken along tells it itself."""
        aboard = self.launcher.aboard(mirror, run)
        last = mirror.status.last_run
        if aboard is None or (last is not None and last.job == run.job):
            return mirror
        after = say.started(mirror, run.started_at, run.job, aboard.repository, aboard.target, aboard.asked)
        return mirror.changed(status=after)

    async def confirm(self, run: Run) -> None:
        """Asks for a run that no watch tells of: a gap in a watch swallows the end of a Job or a pod."""
        job = await self.cluster.read_job(run.namespace, run.job)
        if job is None:
            self.store.forget_job(f"{run.namespace}/{run.job}")
            return
        self.store.put_job(job)
        for pod in await self.cluster.list_pods(run.namespace, run.uid):
            self.store.put_pod(pod)

    async def collect(self, mirror: RepositoryMirror, run: Run, now: datetime) -> datetime | None:
        if run.report is None:  # the Job can be told of before its pod
            await self.confirm(run)
            run = self.store.run_of(mirror) or run
            if not run.ended:
                return now
        self._confirmed.pop(run.job, None)
        told = self._told(mirror, run)
        outcome = result(run, mirror.key, mirror.spec.timeout)
        if isinstance(outcome, SyncError):
            due = await self.teller.failed(mirror, outcome, now, run=run, told=told)
            self.launcher.forget(mirror.metadata.uid)
            return due
        event(log, "reconcile", mirror=mirror.key, run=run.run, decision="Collect", outcome=outcome.outcome)
        after = ending.collected(told, run, outcome, now)
        due = await self.teller.write(mirror, after, after.next_sync_time)
        self.teller.due[mirror.key] = None
        self.launcher.forget(mirror.metadata.uid)
        self.metrics.run_ended(outcome.outcome, outcome.reason, outcome.seconds, outcome.bytes)
        if outcome.fallback:
            self.metrics.fell_back()
        if run.succeeded:
            await self.let_go(mirror, run)
        return due

    async def let_go(self, mirror: RepositoryMirror, run: Run) -> bool:
        """Deletes the Job of a run that ended well, unless a neighbour has not taken its part of the report yet."""
        for member in run.mirrors:
            if member.uid != mirror.metadata.uid and not await self._is_through(member, run):
                return False
        await self.launcher.discard(run)
        return True

    async def _is_through(self, member: Member, run: Run) -> bool:
        """Asks for one that no watch has told of: at start a Job is known before its mirrors are."""
        key = f"{run.namespace}/{member.name}"
        known = self.store.mirrors.get(key)
        if known is None or known.metadata.uid != member.uid:
            body = await self.cluster.read_resource(PLURAL, key)
            known = RepositoryMirror.read(body) if body is not None else None
        if known is None or known.metadata.uid != member.uid or known.metadata.deletion_timestamp is not None:
            return True
        return has_told(known, run)

    def serves_others(self, mirror: RepositoryMirror, run: Run) -> bool:
        """Whether a run goes on for somebody else, too, or for one of whom no watch has told yet."""
        others = [member for member in run.mirrors if member.uid != mirror.metadata.uid]
        known = [self.store.mirrors.get(f"{run.namespace}/{member.name}") for member in others]
        return any(other is None or other.metadata.deletion_timestamp is None for other in known)

    def _give_up(self, run: Run, error: Retry) -> None:
        """The neighbours find no Job any more, and shall say why."""
        if not run.shared:
            return
        while len(self._given_up) >= _GIVEN_UP:
            del self._given_up[next(iter(self._given_up))]
        self._given_up[f"{run.namespace}/{run.job}"] = error

    async def lost(self, mirror: RepositoryMirror, job: str, now: datetime) -> datetime | None:
        self._confirmed.pop(job, None)
        given_up = self._given_up.get(f"{mirror.metadata.namespace}/{job}")
        if given_up is not None:
            return await self.teller.failed(mirror, given_up, now)
        found = await self.cluster.read_job(mirror.metadata.namespace, job)
        if found is not None:
            self.store.put_job(found)
            return now if self.store.run_of(mirror) else now + FOLLOW  # one that is going is told of when it is gone
        error = Retry(
            Reason.RUN_LOST, f"Job {job} was deleted before it could report. Nothing is lost: it is run again"
        )
        return await self.teller.failed(mirror, error, now)
