"""Observing a mirror: all the I/O of one look at source and target, with nothing changed on either side."""

from dataclasses import dataclass, field

from ..api import names
from ..api.conditions import ConditionType, Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from ..api.identity import Mark, marks_in_refs
from ..api.mirror import EngineChoice, RepositoryMirror, SourceStatus, TargetStatus
from ..api.observed import SourceRepository, TargetProject
from ..api.refs import Listing
from ..api.server import PLURAL, OneDevServer
from ..decide.compare import Comparison, compare
from ..decide.ownership import check_identity, check_ownership
from ..decide.server import RECHECK
from .ports import Cluster, Connections, RefReader, SourceConnection, TargetConnection
from .store import Store


@dataclass(frozen=True)
class Sight:
    """What a look saw. `fresh` tells whether `repository` is GitHub's word of now or what status remembers of it.

    `project` is None where there is none yet, and `marked` whether our mark is among its refs.
    """

    server: OneDevServer
    source: SourceConnection
    target: TargetConnection
    repository: SourceRepository
    fresh: bool
    token: str | None = field(repr=False)
    mark: Mark
    path: str
    project: TargetProject | None
    marked: bool
    comparison: Comparison

    @property
    def settled(self) -> bool:
        """Whether there is no ref to move, the mark's own included: an empty project has nothing to hang it on yet."""
        return not self.comparison.differences and (self.marked or not self.comparison.source.refs)

    def target_status(self, project: TargetProject) -> TargetStatus:
        return TargetStatus(
            server=self.server.metadata.name, project_id=project.id, path=project.path, web_url=self.git_url
        )

    @property
    def git_url(self) -> str:
        return git_url(self.server, self.path)


@dataclass
class Looker:
    connections: Connections
    refs: RefReader

    async def look(self, mirror: RepositoryMirror, known_server: OneDevServer | None, thorough: bool) -> Sight:
        """Raises `SyncError`. A look that is not `thorough` spares GitHub's REST API where it can."""
        check_supported(mirror)
        server = usable_server(mirror, known_server)
        source = await self.connections.source(mirror)
        target = await self.connections.target(server)
        known = mirror.status.source
        fresh = thorough or known is None or not known.clone_url or not source.api.anonymous
        if known is None or fresh:
            repository = await self._repository(mirror, source)
        else:
            repository = remembered(known)
        token = await source.api.git_token()
        theirs = await self.refs.source_refs(repository.clone_url, token, source.ca)
        mark = Mark.of(mirror.spec.source.api_url, repository.id, mirror.key)
        path = target_path(mirror, server)
        project, ours = await self._project(mirror, server, target, mark, path)
        marked = mark.ref in ours.refs
        seen = compare(mirror, theirs, ours)
        return Sight(server, source, target, repository, fresh, token, mark, path, project, marked, seen)

    async def _repository(self, mirror: RepositoryMirror, source: SourceConnection) -> SourceRepository:
        """GitHub's word on the repository, with its identity checked."""
        found = await source.api.repository(mirror.spec.source.repository)
        pinned = mirror.status.source.id if mirror.status.source else None
        check_identity(pinned, found.id, mirror.spec.source.repository, mirror.approved)
        if found.disabled:
            raise Retry(Reason.DISABLED, f"GitHub has disabled {found.full_name}; the mirror is kept as it is")
        return found

    async def _project(
        self, mirror: RepositoryMirror, server: OneDevServer, target: TargetConnection, mark: Mark, path: str
    ) -> tuple[TargetProject | None, Listing]:
        """The project, proven ours, with its refs; (None, no refs) where it is not there.

        Our mark among the refs is proof enough for a project that we synced before, and costs OneDev no REST call.
        """
        url, known, listing = git_url(server, path), mirror.status.target, None
        if known is not None and known.path == path and known.server == server.metadata.name:
            try:
                listing = await self.refs.target_refs(url, target.token, target.ca)
            except Retry as error:
                if error.reason is not Reason.TARGET_CHANGED:
                    raise
                return None, Listing({})
            if mark.ref in marks_in_refs(listing.refs):
                return TargetProject(known.project_id, path), listing
        project = await target.api.find_project(path)
        if project is None:
            return None, Listing({})
        if listing is None:
            listing = await self.refs.target_refs(url, target.token, target.ca)
        check_ownership(project, listing, mark, mirror.approved)
        return project, listing


async def find_server(store: Store, cluster: Cluster, key: str) -> OneDevServer | None:
    """At start a mirror may be seen before its server: one that no watch has told of yet is asked for."""
    known = store.servers.get(key)
    body = await cluster.read_resource(PLURAL, key) if known is None else None
    return known if body is None else OneDevServer.read(body)


def is_unchecked(server: OneDevServer | None) -> bool:
    """Declared a moment ago: no reason to warn anybody, the server's first check wakes its mirrors."""
    if server is None or server.spec.suspend:
        return False
    return not server.status.conditions or server.status.has_reason(ConditionType.READY, Reason.SUSPENDED)


def usable_server(mirror: RepositoryMirror, server: OneDevServer | None) -> OneDevServer:
    """Raises `SyncError` where there is no such server, or none to work with now."""
    name = mirror.spec.target.server_ref.name
    if server is None:
        raise Stalled(
            Reason.SERVER_NOT_FOUND,
            f'There is no OneDevServer "{name}" in namespace {mirror.metadata.namespace}. '
            "Create it, or change spec.target.serverRef.name",
        )
    ready = server.status.condition(ConditionType.READY)
    if ready is None or ready.status != "True":
        why = ready.message if ready else "it has not been checked yet"
        raise Waiting(Reason.SERVER_NOT_READY, f'OneDevServer "{name}" is not Ready: {why}', RECHECK)
    return server


def waits_in_vain(mirror: RepositoryMirror, server: OneDevServer | None) -> bool:
    """Whether a mirror says of its server what is not so any more."""
    ready = mirror.status.condition(ConditionType.READY)
    if ready is None or ready.reason not in (Reason.SERVER_NOT_READY, Reason.SERVER_NOT_FOUND):
        return False
    try:
        usable_server(mirror, server)
    except SyncError as error:
        return error.message != ready.message
    return True


def remembered(known: SourceStatus) -> SourceRepository:
    return SourceRepository(
        id=known.id,
        full_name=known.full_name,
        clone_url=known.clone_url,
        default_branch=known.default_branch or "",
        private=known.private,
        archived=known.archived,
        size_kb=known.size_kb,
        pushed_at=known.pushed_at,
    )


def check_supported(mirror: RepositoryMirror) -> None:
    """What the API promises and this version does not do is refused aloud, never skipped in silence."""
    if mirror.spec.lfs:
        raise Stalled(
            Reason.NOT_SUPPORTED,
            "spec.lfs: this version does not copy LFS objects. Set spec.lfs: false to mirror the git data without them",
        )
    if mirror.spec.engine is EngineChoice.RELAY:
        raise Stalled(
            Reason.NOT_SUPPORTED, "spec.engine: this version has no Relay engine. Set spec.engine: Auto or Git"
        )


def target_path(mirror: RepositoryMirror, server: OneDevServer) -> str:
    """Where the project is, or shall be: once made it stays there, also when the repository is renamed."""
    known, wanted = mirror.status.target, mirror.spec.target.project
    if wanted is None and known is not None and known.server == server.metadata.name:
        return known.path
    return f"{server.spec.root_project}/{wanted or names.project_path(mirror.spec.source.repository)}"


def git_url(server: OneDevServer, path: str) -> str:
    return f"{server.spec.url.rstrip('/')}/{path}"
