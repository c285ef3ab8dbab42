"""Acting on what a look saw: making the project, and starting the Job. Every step can be repeated without harm."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ..api import assignment, names, retention
from ..api.assignment import Assignment, Remote, Task
from ..api.errors import ClusterRefused, ClusterUnavailable, SyncError
from ..api.identity import describe, mark_in_description
from ..api.mirror import PLURAL, RepositoryMirror, TargetStatus
from ..api.observed import SourceRepository, TargetProject
from ..api.refs import BRANCHES
from ..decide.job import WorkerSettings, build_job, build_token_secret, worker_timeout
from ..decide.ownership import check_ownership
from ..decide.run import Run, members_of
from ..observability.logs import event
from .line import Prepared
from .look import Sight
from .ports import Body, Clock, Cluster
from .slots import Slots
from .store import Store

log = logging.getLogger(__name__)


class NoSlot(Exception):
    """All slots are taken."""


@dataclass(frozen=True)
class Launched:
    """A run that has begun: its Job, its correlation id, where it writes, and how many mirrors it works for."""

    job: str
    run: str
    target: TargetStatus
    mirrors: int


@dataclass(frozen=True)
class Aboard:
    """What a mirror that was taken along still has to be told of, for its own reconcile writes it down."""

    job: str
    repository: SourceRepository
    target: TargetStatus
    asked: str | None


@dataclass(frozen=True)
class _Passenger:
    mirror: RepositoryMirror
    task: Task
    aboard: tuple[SourceRepository, TargetStatus, str | None]


@dataclass
class Launcher:
    clock: Clock
    store: Store
    cluster: Cluster
    slots: Slots
    worker: WorkerSettings
    _aboard: dict[str, Aboard] = field(default_factory=dict)

    async def launch(self, mirror: RepositoryMirror, sight: Sight, kb: int | None) -> Launched:
        """Makes the project where it is missing and starts the run; raises NoSlot and SyncError.

        Where `kb`, what the run is expected to move, is told, others in line who fit may go along.
        """
        if not self.slots.reserve(mirror, sight.server):
            raise NoSlot
        boarding: list[Prepared] = []
        try:
            project = await self.provision(mirror, sight)
            task = self._task(mirror, sight, project)
            if kb is not None:
                boarding = self.slots.board(mirror, kb)
            found = await asyncio.gather(*(self._passenger(one, sight) for one in boarding))
            passengers = [one for one in found if one is not None]
            job = await self._start(mirror, sight, task, passengers)
        finally:
            for one in boarding:
                self.slots.line.left_behind(one.mirror.key)
            self.slots.release(mirror)
        name, run = job["metadata"]["name"], job["metadata"]["labels"][names.RUN]
        return Launched(name, run, sight.target_status(project), len(members_of(job)))

    async def _passenger(self, one: Prepared, leader: Sight) -> _Passenger | None:
        """One that goes along, with its project; None where it cannot: its own look tells why."""
        if one.sight.server.metadata.generation != leader.server.metadata.generation:
            return None  # Seen at another address, or below another root.
        # Its own connections may have been closed since.
        mirror, sight = one.mirror, replace(one.sight, source=leader.source, target=leader.target)
        try:
            body = await self.cluster.read_resource(PLURAL, mirror.key)
            if body is None or body["metadata"]["uid"] != mirror.metadata.uid:
                return None
            project = await self.provision(mirror, sight)
        except (SyncError, ClusterUnavailable, ClusterRefused) as error:
            event(log, "left behind", mirror=mirror.key, message=str(error))
            return None
        aboard = (sight.repository, sight.target_status(project), one.asked)
        return _Passenger(mirror, self._task(mirror, sight, project), aboard)

    async def _start(
        self, mirror: RepositoryMirror, sight: Sight, task: Task, passengers: Sequence[_Passenger]
    ) -> Body:
        run = names.run_id(
            mirror.metadata.uid,
            mirror.metadata.generation,
            mirror.requested or "",
            mirror.status.last_run.job if mirror.status.last_run else "",
            mirror.status.failures,
        )
        mirrors = [mirror, *(one.mirror for one in passengers)]
        tasks = (task, *(one.task for one in passengers))
        work = Assignment(run, worker_timeout(mirror.spec.timeout), tasks)
        minted = bool(sight.token) and sight.source.api.mints_tokens
        name = names.job_name(mirror.metadata.name, run)
        source = mirror.spec.source.secret_ref.name if mirror.spec.source.secret_ref else None
        token_secret = None if sight.source.api.anonymous else name if minted else source
        manifest = build_job(mirrors, sight.server, work, self.worker, token_secret)
        try:
            job = await self.cluster.create_job(manifest)
        except ClusterUnavailable:
            self.slots.unsure(one.mirror for one in passengers)
            raise
        self.store.put_job(job)
        # One that was there already, made before a crash or an answer that was lost, may have others aboard.
        uids = {member.uid for member in members_of(job)}
        for one in passengers:
            if one.mirror.metadata.uid in uids:
                self._aboard[one.mirror.metadata.uid] = Aboard(name, *one.aboard)
                self.slots.line.boarded(one.mirror.key)
        if minted and sight.token is not None:
            await self.cluster.create_secret(build_token_secret(job, sight.token))
        return job

    def aboard(self, mirror: RepositoryMirror, run: Run) -> Aboard | None:
        """What a mirror that was taken along has not been told of this run."""
        found = self._aboard.get(mirror.metadata.uid)
        return found if found is not None and found.job == run.job else None

    def forget(self, uid: str) -> None:
        self._aboard.pop(uid, None)

    async def provision(self, mirror: RepositoryMirror, sight: Sight) -> TargetProject:
        """The mirror's project, made or marked anew where that is needed."""
        words = describe(sight.mark, sight.repository.full_name, sight.repository.description)
        project = sight.project or await sight.target.api.ensure_project(sight.path, words)
        if sight.project is None:
            # Somebody may have made it since the look.
            refs = sight.comparison.target
            check_ownership(project, refs, sight.mark, mirror.approved)
        described = mark_in_description(project.description)
        if described is not None and described != sight.mark:
            await sight.target.api.describe_project(project, words)
        return project

    def _task(self, mirror: RepositoryMirror, sight: Sight, project: TargetProject) -> Task:
        spec, default = mirror.spec, sight.comparison.source.head
        return Task(
            key=mirror.key,
            source=Remote(sight.repository.clone_url, assignment.SOURCE_CREDENTIALS if spec.source.secret_ref else ""),
            target=Remote(sight.git_url, assignment.TARGET_CREDENTIALS),
            api_url=f"{sight.server.spec.url.rstrip('/')}/~api",
            project_id=project.id,
            mark_ref=sight.mark.ref,
            mark=sight.mark.line,
            archive_time=retention.stamp(self.clock.now()),
            default_branch=default.removeprefix(BRANCHES) if default else None,
            include=spec.refs.include,
            exclude=spec.refs.exclude,
            on_rewrite=spec.on_rewrite,
            approved=mirror.approved,
            engine=spec.engine,
            lfs=spec.lfs,
            keep_for=spec.archive.keep_for.total_seconds(),
            keep_last=spec.archive.keep_last,
            size_kb=sight.repository.size_kb,
        )

    async def discard(self, run: Run) -> None:
        await self.cluster.delete_job(run.namespace, run.job)
        self.store.forget_job(f"{run.namespace}/{run.job}")
