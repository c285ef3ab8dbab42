"""Reconciling a RepositoryMirror: one step at a time, each ending in at most one status write."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.conditions import ConditionType, Reason
from ..api.errors import ClusterRefused, Retry, SyncError, Waiting
from ..api.mirror import PLURAL, DeletionPolicy, RepositoryMirror
from ..api.refs import BRANCHES
from ..api.server import OneDevServer
from ..api.urgency import Urgency
from ..decide import status as say
from ..decide.batch import expected_kb, may_share
from ..decide.compare import waits_for_a_person, wants_lfs
from ..decide.run import Run
from ..decide.schedule import after_restart, is_verification_due
from ..decide.server import RECHECK
from ..decide.step import Collect, Discard, Follow, Look, Lost, Rest, SayNothingYet, Step, attempted, next_step
from ..decide.sweep import Seen, Verdict
from ..observability.logs import event
from ..observability.metrics import Metrics
from .launch import Launcher, NoSlot
from .line import Prepared
from .look import Looker, Sight, find_server, is_unchecked, waits_in_vain
from .ports import Clock, Cluster
from .queue import Priority
from .recorder import Recorder
from .removal import Remover
from .runs import FOLLOW, Runs
from .store import Store, server_of
from .sweep import Sweeper
from .teller import Teller, TooLate

log = logging.getLogger(__name__)

_TOO_LATE = timedelta(seconds=1)
# Who waits in line longer is looked at again.
_SEEN_LASTS = timedelta(minutes=10)


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
    teller: Teller = field(init=False)
    runs: Runs = field(init=False)
    sweeper: Sweeper = field(init=False)
    _verified: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.teller = Teller(self.clock, self.store, self.remover, self.recorder, self.metrics)
        self.runs = Runs(self.clock, self.store, self.cluster, self.launcher, self.teller, self.metrics)
        self.sweeper = Sweeper(self.clock, self.store, self.looker.connections, self.metrics, self.teller.due)

    async def reconcile(self, key: str) -> datetime | None:
        """Does the step that is due; returns when to come back, or None to wait for a change."""
        mirror = self.store.mirrors.get(key)
        with self.launcher.slots.line.turn(key), self.sweeper.turn(key):
            if mirror is None:
                self.teller.due.pop(key, None)
                self._verified.pop(key, None)
                self.runs.forget(key)
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
            self.teller.due.pop(mirror.key, None)
        if body is None:
            return None
        self.store.put_mirror(RepositoryMirror.read(body))
        self.teller.due[mirror.key] = now
        return now + _TOO_LATE

    async def _remove(self, mirror: RepositoryMirror) -> datetime | None:
        """A run must not write into a project that is being removed. One that serves others, too, is waited for."""
        run = self.store.run_of(mirror)
        if run is not None and not run.ended:
            if not self.runs.serves_others(mirror, run):
                await self.launcher.discard(run)
            elif mirror.spec.deletion_policy is not DeletionPolicy.RETAIN:
                await self.runs.confirm(run)
                run = self.store.run_of(mirror)
                if run is not None and not run.ended:
                    return self.clock.now() + FOLLOW
        return await self.remover.remove(mirror)

    def _due_of(self, mirror: RepositoryMirror, now: datetime) -> datetime | None:
        """What this process planned; at first sight, what passed while nobody watched is spread over a while."""
        if waits_in_vain(mirror, self.store.servers.get(server_of(mirror))):
            return now
        due = self.teller.due
        if mirror.key not in due:
            planned = mirror.status.next_sync_time
            passed = planned is not None and planned < now
            due[mirror.key] = after_restart(mirror.metadata.uid, mirror.spec.interval, now) if passed else None
        return due[mirror.key]

    async def _take(self, mirror: RepositoryMirror, step: Step, now: datetime) -> datetime | None:
        match step:
            case Rest(until):
                return until
            case SayNothingYet():
                return await self.teller.write(mirror, say.suspended_before_first(mirror, now), None)
            case Follow(run):
                return await self.runs.follow(mirror, run, now)
            case Collect(run):
                return await self.runs.collect(mirror, run, now)
            case Discard(run):
                return await self._let_go(mirror, run, now)
            case Lost(job):
                return await self.runs.lost(mirror, job, now)
            case Look(asked):
                return await self._look(mirror, asked, now)

    async def _let_go(self, mirror: RepositoryMirror, run: Run, now: datetime) -> datetime | None:
        if await self.runs.let_go(mirror, run):
            return now
        # The Job is kept for its neighbours alone.
        return await self._take(mirror, next_step(mirror, None, self._due_of(mirror, now), now), now)

    async def _look(self, mirror: RepositoryMirror, asked: str | None, now: datetime) -> datetime | None:
        server = await find_server(self.store, self.cluster, server_of(mirror))
        if server is not None and server.spec.suspend:
            return await self._rest_with_server(mirror, now)
        if is_unchecked(server):
            return now + FOLLOW
        priority, slots = _priority(mirror, asked), self.launcher.slots
        verify = is_verification_due(mirror.metadata.uid, self._verified_at(mirror, now), now)
        known = None if verify or slots.line.is_called(mirror.key) else self.sweeper.basis(mirror)
        if known is not None and self.sweeper.verdict(mirror.key) is None:
            self.sweeper.gather(mirror)
            return None
        seen = slots.line.prepared(mirror.key)
        if slots.full(mirror) and not self._is_worth_a_look(mirror, seen, now):
            return await self._wait_for_slot(mirror, priority, now, None)
        try:
            if known is not None and await self._is_spared(mirror, server, known, now):
                return self.teller.next(mirror, now)
            thorough = asked is not None or not attempted(mirror) or mirror.status.failures > 0
            urgency = Urgency.ROUTINE if asked is None else Urgency.ASKED
            # GitHub's REST API could not bear it where each batch of a large sweep fails.
            by_refs = self.sweeper.verdict(mirror.key) is Verdict.FAILED
            sight = await self._see(
                mirror, server, now, thorough=thorough, verify=verify, by_refs=by_refs, urgency=urgency
            )
            if asked is None and not sight.leftovers and waits_for_a_person(mirror, sight.comparison):
                return self.teller.next(mirror, now)
            if sight.settled and not wants_lfs(mirror, sight.comparison, verify=thorough or verify):
                return await self._equal(mirror, sight, asked, now, thorough=thorough or verify)
            return await self._launch(mirror, sight, asked, priority, now)
        except SyncError as error:
            return await self.teller.failed(mirror, error, now, asked=asked)

    async def _is_spared(
        self, mirror: RepositoryMirror, server: OneDevServer | None, known: Seen, now: datetime
    ) -> bool:
        """Whether a look can be done without after the verdict of a sweep. Who had none is well, and stays so."""
        verdict = self.sweeper.verdict(mirror.key)
        if verdict is Verdict.UNCHANGED:
            return await self.looker.is_kept(mirror, server, known, now)
        return verdict is Verdict.LIMITED

    def _is_worth_a_look(self, mirror: RepositoryMirror, seen: Prepared | None, now: datetime) -> bool:
        """Whether one for which there is no slot is looked at: who was synced before may not need one, and some of
        those that come next are seen to be small enough to go along with others."""
        if seen is not None:
            return now - seen.since >= _SEEN_LASTS
        return mirror.status.last_sync_time is not None or self.launcher.slots.line.may_look_ahead(mirror)

    def _verified_at(self, mirror: RepositoryMirror, now: datetime) -> datetime:
        """At first sight one interval ago, so that what fell due while nobody watched is made up for."""
        return self._verified.setdefault(mirror.key, now - mirror.spec.interval)

    async def _see(
        self,
        mirror: RepositoryMirror,
        server: OneDevServer | None,
        now: datetime,
        *,
        thorough: bool,
        verify: bool,
        by_refs: bool,
        urgency: Urgency,
    ) -> Sight:
        """One look, or two where the first saw something to do without GitHub's word of now."""
        try:
            sight = await self.looker.look(
                mirror, server, now, thorough=thorough or verify, by_refs=by_refs, urgency=urgency
            )
        except Waiting as error:
            # What only verifies can wait for the limit of an address, and a mirror that is well stays so.
            well = mirror.status.is_true(ConditionType.READY)
            if thorough or not well or error.reason is not Reason.RATE_LIMITED:
                raise
            verify = False
            sight = await self.looker.look(mirror, server, now, thorough=False, urgency=urgency)
        if not sight.fresh and not (sight.settled and sight.comparison.equal):
            sight = await self.looker.look(mirror, server, now, thorough=True, urgency=urgency)
            verify = True
        if thorough or verify:
            self._verified[mirror.key] = now
        return sight

    async def _rest_with_server(self, mirror: RepositoryMirror, now: datetime) -> datetime | None:
        """A pause of the whole server is a planned one: what its mirrors say stays."""
        if mirror.status.conditions:
            return now + RECHECK
        after = say.suspended_before_first(mirror, now, "its OneDevServer's")
        return await self.teller.write(mirror, after, now + RECHECK)

    async def _launch(
        self, mirror: RepositoryMirror, sight: Sight, asked: str | None, priority: Priority, now: datetime
    ) -> datetime | None:
        body = await self.cluster.read_resource(PLURAL, mirror.key)
        if body is None or body["metadata"]["uid"] != mirror.metadata.uid:
            raise TooLate
        kb = expected_kb(mirror, sight.repository.size_kb)
        small = may_share(mirror, kb)
        try:
            started = await self.launcher.launch(mirror, sight, kb if small else None)
        except NoSlot:
            return await self._wait_for_slot(mirror, priority, now, Prepared(mirror, sight, asked, kb, small, now))
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
            mirrors=started.mirrors,
            slots=self.launcher.slots.shown,
        )
        self.metrics.job_started(started.mirrors)
        after = say.started(mirror, now, started.job, sight.repository, started.target, asked)
        return await self.teller.write(mirror, after, now + FOLLOW)

    async def _equal(
        self, mirror: RepositoryMirror, sight: Sight, asked: str | None, now: datetime, *, thorough: bool
    ) -> datetime | None:
        """No ref to move: at most a project to make for an empty repository, or OneDev's HEAD to set."""
        project = await self.launcher.provision(mirror, sight)
        if sight.comparison.head_differs and sight.comparison.source.head is not None:
            await sight.target.api.set_default_branch(project, sight.comparison.source.head.removeprefix(BRANCHES))
        repository = sight.repository if sight.fresh else None
        after = say.equal(
            mirror, sight.comparison, now, asked, repository, sight.target_status(project), thorough=thorough
        )
        due = await self.teller.write(mirror, after, self.teller.next(mirror, now))
        if repository is not None:
            self.sweeper.remember(mirror, repository, sight.comparison.digest, now)
        return due

    async def _wait_for_slot(
        self, mirror: RepositoryMirror, priority: Priority, now: datetime, seen: Prepared | None
    ) -> datetime | None:
        """`seen` is what a look has just shown, None where there was none."""
        event(log, "reconcile", level=logging.DEBUG, mirror=mirror.key, decision="WaitForSlot")
        due = await self.teller.write(mirror, say.waiting_for_slot(mirror, now), now + FOLLOW)
        # Last, so that nobody stands in line who is gone meanwhile.
        self.launcher.slots.line.park(mirror.key, priority, seen)
        return due


def _priority(mirror: RepositoryMirror, asked: str | None) -> Priority:
    if asked is not None:
        return Priority.ASKED
    return Priority.FIRST if mirror.status.last_sync_time is None else Priority.CHANGED
