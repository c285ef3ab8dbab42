"""Acting on what a look saw: making the project, and starting the Job. Every step can be repeated without harm."""

from dataclasses import dataclass
from datetime import datetime

from ..api import assignment, names
from ..api.assignment import Assignment, Remote, Task
from ..api.identity import describe, mark_in_description
from ..api.mirror import RepositoryMirror, TargetStatus
from ..api.observed import TargetProject
from ..api.refs import BRANCHES
from ..decide.job import WorkerSettings, build_job, build_token_secret, worker_timeout
from ..decide.ownership import check_ownership
from ..decide.run import Run
from .look import Sight
from .ports import Clock, Cluster
from .slots import Slots
from .store import Store, server_of


class NoSlot(Exception):
    """All slots are taken."""


@dataclass(frozen=True)
class Launched:
    """A run that has begun: its Job, its correlation id, and where it writes."""

    job: str
    run: str
    target: TargetStatus


@dataclass
class Launcher:
    clock: Clock
    store: Store
    cluster: Cluster
    slots: Slots
    worker: WorkerSettings

    def full(self, mirror: RepositoryMirror) -> bool:
        """Whether there is no slot now, so that a look would be for nothing."""
        server = self.store.servers.get(server_of(mirror))
        if server is None or self.slots.reserve(mirror, server):
            self.slots.release(mirror)
            return False
        return True

    async def launch(self, mirror: RepositoryMirror, sight: Sight) -> Launched:
        """Makes the project where it is missing and starts the run; raises NoSlot and SyncError."""
        if not self.slots.reserve(mirror, sight.server):
            raise NoSlot
        try:
            project = await self.provision(mirror, sight)
            work = self._assignment(mirror, sight, project)
            minted = bool(sight.token) and sight.source.api.mints_tokens
            name = names.job_name(mirror.metadata.name, work.run)
            source = mirror.spec.source.secret_ref.name if mirror.spec.source.secret_ref else None
            token_secret = None if sight.source.api.anonymous else name if minted else source
            manifest = build_job(mirror, sight.server, work, self.worker, token_secret)
            job = await self.cluster.create_job(manifest)
            self.store.put_job(job)
            if minted and sight.token is not None:
                await self.cluster.create_secret(build_token_secret(job, sight.token))
        finally:
            self.slots.release(mirror)
        return Launched(name, work.run, sight.target_status(project))

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

    def _assignment(self, mirror: RepositoryMirror, sight: Sight, project: TargetProject) -> Assignment:
        now = self.clock.now()
        spec, status = mirror.spec, mirror.status
        run = names.run_id(
            mirror.metadata.uid,
            mirror.metadata.generation,
            mirror.requested or "",
            status.last_run.job if status.last_run else "",
            status.failures,
        )
        default = sight.comparison.source.head
        task = Task(
            key=mirror.key,
            source=Remote(sight.repository.clone_url, assignment.SOURCE_CREDENTIALS if spec.source.secret_ref else ""),
            target=Remote(sight.git_url, assignment.TARGET_CREDENTIALS),
            api_url=f"{sight.server.spec.url.rstrip('/')}/~api",
            project_id=project.id,
            mark_ref=sight.mark.ref,
            mark=sight.mark.line,
            archive_time=_stamp(now),
            default_branch=default.removeprefix(BRANCHES) if default else None,
            include=spec.refs.include,
            exclude=spec.refs.exclude,
            on_rewrite=spec.on_rewrite,
            approved=mirror.approved,
        )
        return Assignment(run, worker_timeout(spec.timeout), (task,))

    async def discard(self, mirror: RepositoryMirror, run: Run) -> None:
        await self.cluster.delete_job(run.namespace, run.job)
        self.store.forget_job(run.job, mirror.metadata.uid)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%SZ")
