"""Reconciling a RepositoryMirror: one step at a time, each ending in at most one status write."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.conditions import Reason
from ..api.errors import ClusterRefused, Retry, SyncError
from ..api.mirror import PLURAL, MirrorStatus, RepositoryMirror
from ..api.refs import BRANCHES
from ..api.report import Outcome
from ..decide import ending
from ..decide import status as say
from ..decide.compare import waits_for_a_person
from ..decide.run import Run, result
from ..decide.schedule import after_restart, next_interval
from ..decide.server import RECHECK
from ..decide.step import Collect, Discard, Follow, Look, Lost, Rest, SayNothingYet, Step, attempted, next_step
from ..observability.logs import event
from ..observability.metrics import Metrics
from .launch import Launcher, NoSlot
from .look import Looker, Sight, find_server, is_unchecked, waits_in_vain
from .ports import Clock, Cluster
from .queue import Priority
from .recorder import Recorder
from .removal import Remover
from .store import Store, server_of

log = logging.getLogger(__name__)

# A run is told by its pod; this is for a pod that nobody tells of.
_FOLLOW = timedelta(seconds=60)
_TOO_LATE = timedelta(seconds=1)


class TooLate(Exception):
    """Somebody changed the resource meanwhile: nothing was written, and nothing that builds on it may be done."""


@dataclass
class MirrorReconciler:
    clock: Clock
    store: Store
    cluster: Cluster
    looker: Looker
    launcher: Launcher
    remover: Remover
    recorder: Recorder
    metrics: Metrics
    _due: dict[str, datetime | None] = field(default_factory=dict)
    _confirmed: dict[str, datetime] = field(default_factory=dict)
    _alive: dict[str, datetime] = field(default_factory=dict)

    async def reconcile(self, key: str) -> datetime | None:
        """Does the step that is due; returns when to come back, or None to wait for a change."""
        mirror = self.store.mirrors.get(key)
        with self.launcher.slots.turn(key):
            if mirror is None:
                for kept in (self._due, self._confirmed, self._alive):
                    kept.pop(key, None)
                return None
            if mirror.metadata.deletion_timestamp is not None:
                return await self._remove(mirror)
            now = self.clock.now()
            step = next_step(mirror, self.store.run_of(mirror), self._due_of(mirror, now), now)
            try:
                return await self._take(mirror, step, now)
            except TooLate:
                return await self._catch_up(mirror, now)

    async def _catch_up(self, mirror: RepositoryMirror, now: datetime) -> datetime | None:
        """Watches can miss an end: after a gap they list what is there, and do not tell what is not."""
        body = await self.cluster.read_resource(PLURAL, mirror.key)
        if body is None or body["metadata"]["uid"] != mirror.metadata.uid:
            self.store.drop_mirror(mirror)
            self._due.pop(mirror.key, None)
        if body is None:
            return None
        self.store.put_mirror(RepositoryMirror.read(body))
        self._due[mirror.key] = now
        return now + _TOO_LATE

    async def _remove(self, mirror: RepositoryMirror) -> datetime | None:
        """A run that goes on must not write into a project that is being removed."""
        run = self.store.run_of(mirror)
        if run is not None and not run.ended:
            await self.launcher.discard(mirror, run)
        return await self.remover.remove(mirror)

    def _due_of(self, mirror: RepositoryMirror, now: datetime) -> datetime | None:
        """What this process planned; at first sight, what passed while nobody watched is spread over a while."""
        if waits_in_vain(mirror, self.store.servers.get(server_of(mirror))):
            return now
        if mirror.key not in self._due:
            planned = mirror.status.next_sync_time
            passed = planned is not None and planned < now
            self._due[mirror.key] = after_restart(mirror.metadata.uid, mirror.spec.interval, now) if passed else None
        return self._due[mirror.key]

    async def _take(self, mirror: RepositoryMirror, step: Step, now: datetime) -> datetime | None:
        match step:
            case Rest(until):
                return until
            case SayNothingYet():
                return await self._write(mirror, say.suspended_before_first(mirror, now), None)
            case Follow(run):
                return await self._follow(mirror, run, now)
            case Collect(run):
                return await self._collect(mirror, run, now)
            case Discard(run):
                await self.launcher.discard(mirror, run)
                return now
            case Lost(job):
                return await self._lost(mirror, job, now)
            case Look(asked):
                return await self._look(mirror, asked, now)

    async def _look(self, mirror: RepositoryMirror, asked: str | None, now: datetime) -> datetime | None:
        server = await find_server(self.store, self.cluster, server_of(mirror))
        if server is not None and server.spec.suspend:
            return await self._rest_with_server(mirror, now)
        if is_unchecked(server):
            return now + _FOLLOW
        priority = _priority(mirror, asked)
        if mirror.status.last_sync_time is None and self.launcher.full(mirror):
            return await self._wait_for_slot(mirror, priority, now)
        try:
            thorough = asked is not None or not attempted(mirror) or mirror.status.failures > 0
            sight = await self.looker.look(mirror, server, thorough)
            if not sight.fresh and not sight.comparison.equal:
                sight = await self.looker.look(mirror, server, thorough=True)
            if asked is None and waits_for_a_person(mirror, sight.comparison):
                return self._next(mirror, now)
            if sight.settled:
                return await self._equal(mirror, sight, asked, now)
            return await self._launch(mirror, sight, asked, priority, now)
        except NoSlot:
            return await self._wait_for_slot(mirror, priority, now)
        except SyncError as error:
            return await self._failed(mirror, error, now, None, asked)

    async def _rest_with_server(self, mirror: RepositoryMirror, now: datetime) -> datetime | None:
        """A pause of the whole server is a planned one: what its mirrors say stays."""
        if mirror.status.conditions:
            return now + RECHECK
        return await self._write(mirror, say.suspended_before_first(mirror, now, "its OneDevServer's"), now + RECHECK)

    async def _launch(
        self, mirror: RepositoryMirror, sight: Sight, asked: str | None, priority: Priority, now: datetime
    ) -> datetime | None:
        body = await self.cluster.read_resource(PLURAL, mirror.key)
        if body is None or body["metadata"]["uid"] != mirror.metadata.uid:
            raise TooLate
        try:
            started = await self.launcher.launch(mirror, sight)
        except ClusterRefused as error:
            raise Retry(Reason.POD_NOT_STARTED, f"The cluster refused the run: {error}") from error
        event(
            log,
            "reconcile",
            mirror=mirror.key,
            run=started.run,
            reason=asked or priority.name.lower(),
            decision="StartJob",
            job=started.job,
            slots=self.launcher.slots.shown,
        )
        after = say.started(mirror, now, started.job, sight.repository, started.target, asked)
        return await self._write(mirror, after, now + _FOLLOW)

    async def _equal(self, mirror: RepositoryMirror, sight: Sight, asked: str | None, now: datetime) -> datetime | None:
        """No ref to move: at most a project to make for an empty repository, or OneDev's HEAD to set."""
        project = await self.launcher.provision(mirror, sight)
        if sight.comparison.head_differs and sight.comparison.source.head is not None:
            await sight.target.api.set_default_branch(project, sight.comparison.source.head.removeprefix(BRANCHES))
        repository = sight.repository if sight.fresh else None
        after = say.equal(mirror, sight.comparison, now, asked, repository, sight.target_status(project))
        return await self._write(mirror, after, self._next(mirror, now))

    def _next(self, mirror: RepositoryMirror, now: datetime) -> datetime:
        due = self._due[mirror.key] = next_interval(mirror.metadata.uid, mirror.spec.interval, now)
        return due

    async def _wait_for_slot(self, mirror: RepositoryMirror, priority: Priority, now: datetime) -> datetime | None:
        event(log, "reconcile", level=logging.DEBUG, mirror=mirror.key, decision="WaitForSlot")
        due = await self._write(mirror, say.waiting_for_slot(mirror, now), now + _FOLLOW)
        self.launcher.slots.park(mirror.key, priority)  # last, so that nobody stands in line who is gone meanwhile
        return due

    async def _follow(self, mirror: RepositoryMirror, run: Run, now: datetime) -> datetime | None:
        if now - self._confirmed.get(mirror.key, run.started_at) >= _FOLLOW:
            self._confirmed[mirror.key] = now
            await self._confirm(mirror, run)
            return now
        if run.started:
            self._alive[mirror.key] = now
        # The pod of a drained node is replaced late in a run: its successor has the whole limit, too.
        since = max(run.started_at, self._alive.get(mirror.key, run.started_at))
        limit = since + run.start_limit(self.launcher.worker.start_limit)
        if not run.started and now >= limit:
            error = Retry(Reason.POD_NOT_STARTED, f"The worker's pod did not start: {run.no_start}")
            due = await self._failed(mirror, error, now, run, None)
            await self.launcher.discard(mirror, run)
            return due
        again = now + _FOLLOW if run.started else min(limit, now + _FOLLOW)
        return await self._write(mirror, say.following(mirror, run, now), again)

    async def _confirm(self, mirror: RepositoryMirror, run: Run) -> None:
        """Asks for a run that no watch tells of: a gap in a watch swallows the end of a Job or a pod."""
        job = await self.cluster.read_job(run.namespace, run.job)
        if job is None:
            self.store.forget_job(run.job, mirror.metadata.uid)
            return
        self.store.put_job(job)
        for pod in await self.cluster.list_pods(run.namespace, run.uid):
            self.store.put_pod(pod)

    async def _collect(self, mirror: RepositoryMirror, run: Run, now: datetime) -> datetime | None:
        if run.report is None:  # the Job can be told of before its pod
            await self._confirm(mirror, run)
            run = self.store.run_of(mirror) or run
            if not run.ended:
                return now
        self._confirmed.pop(mirror.key, None)
        outcome = result(run, mirror.key, mirror.spec.timeout)
        if isinstance(outcome, SyncError):
            return await self._failed(mirror, outcome, now, run, None)
        event(log, "reconcile", mirror=mirror.key, run=run.run, decision="Collect", outcome=outcome.outcome)
        after = ending.collected(mirror, run, outcome, now)
        due = await self._write(mirror, after, after.next_sync_time)
        self._due[mirror.key] = None
        self.metrics.run_ended(outcome.outcome, outcome.reason, outcome.seconds, outcome.bytes)
        if outcome.outcome in (Outcome.SYNCED, Outcome.UNCHANGED):
            await self.launcher.discard(mirror, run)
        return due

    async def _lost(self, mirror: RepositoryMirror, job: str, now: datetime) -> datetime | None:
        found = await self.cluster.read_job(mirror.metadata.namespace, job)
        if found is not None:
            self.store.put_job(found)
            return now if self.store.run_of(mirror) else now + _FOLLOW  # one that is going is told of when it is gone
        error = Retry(
            Reason.RUN_LOST, f"Job {job} was deleted before it could report. Nothing is lost: it is run again"
        )
        return await self._failed(mirror, error, now, None, None)

    async def _failed(
        self, mirror: RepositoryMirror, error: SyncError, now: datetime, run: Run | None, asked: str | None
    ) -> datetime | None:
        if run is None and asked is None and ending.says_so_already(mirror, error):
            self._due[mirror.key] = ending.due_after(mirror, error, mirror.status.failures, now)
            return self._due[mirror.key]
        after = ending.failed(mirror, error, now, run, asked)
        event(
            log,
            "reconcile",
            level=logging.WARNING,
            mirror=mirror.key,
            run=run.run if run else None,
            decision=type(error).__name__,
            reason=error.reason,
            message=error.message,
        )
        if run is not None and mirror.status.last_sync_time is None:
            after = await self.remover.withdraw(mirror, after)
        due = await self._write(mirror, after, after.next_sync_time)
        self._due[mirror.key] = None
        if run is not None:
            self.metrics.run_ended(Outcome.FAILED, error.reason, (now - run.started_at).total_seconds(), 0)
        return due

    async def _write(self, mirror: RepositoryMirror, after: MirrorStatus, due: datetime | None) -> datetime | None:
        """Writes what differs, if anything does, tells of a transition, and passes `due` on; raises TooLate."""
        written = await self.recorder.write(PLURAL, mirror, after)
        if written is None:
            raise TooLate
        if written:
            self.store.put_mirror(RepositoryMirror.read(written))
        return due


def _priority(mirror: RepositoryMirror, asked: str | None) -> Priority:
    if asked is not None:
        return Priority.ASKED
    return Priority.FIRST if mirror.status.last_sync_time is None else Priority.CHANGED
