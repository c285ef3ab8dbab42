"""Observing a mirror: all the I/O of one look at source and target, with nothing changed on either side."""

from dataclasses import dataclass, field
from datetime import datetime

from ..api import names
from ..api.conditions import ConditionType, Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from ..api.identity import Mark, marks_in_refs
from ..api.mirror import EngineChoice, RepositoryMirror, SourceStatus, TargetStatus
from ..api.observed import SourceRepository, TargetProject
from ..api.refs import Listing
from ..api.server import PLURAL, OneDevServer
from ..api.urgency import Urgency
from ..decide.compare import Comparison, compare, has_leftovers
from ..decide.ownership import check_identity, check_ownership
from ..decide.server import RECHECK
from ..decide.sweep import Seen, holds
from .ports import Cluster, Connections, RefReader, SourceConnection, TargetConnection
from .store import Store

# What an address says that leads nowhere any more, be it that the repository has another one now.
_NOT_THERE = (Reason.GONE, Reason.PRIVATE_OR_GONE)


@dataclass(frozen=True)
class Sight:
    """What a look saw. `fresh` tells whether `repository` is GitHub's word of now or what status remembers of it.

    `project` is None where there is none yet, and `marked` whether our mark is among its refs. `leftovers` tells of
    refs of ours that a run has to take away: archived tips whose time is over, and what a run left that was cut.
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
    leftovers: bool
    comparison: Comparison

    @property
    def settled(self) -> bool:
        """Whether there is no ref to move, the mark's own included: an empty project has nothing to hang it on yet."""
        unmarked = not self.marked and bool(self.comparison.source.refs)
        return not (self.comparison.differences or unmarked or self.leftovers)

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

    async def look(
        self,
        mirror: RepositoryMirror,
        known_server: OneDevServer | None,
        now: datetime,
        *,
        thorough: bool,
        by_refs: bool = False,
        urgency: Urgency = Urgency.ROUTINE,
    ) -> Sight:
        """Raises `SyncError`. A look that is not `thorough` spares the REST APIs where it can: it trusts our mark, and
        where a source is anonymous, or all shall be told `by_refs`, what status remembers of it, until something
        differs."""
        check_supported(mirror)
        server = usable_server(mirror, known_server)
        source = await self.connections.source(mirror.spec.source, mirror.metadata.namespace, urgency)
        target = await self.connections.target(server)
        known = mirror.status.source
        fresh = thorough or known is None or not known.clone_url or not (by_refs or source.api.anonymous)
        if known is None or fresh:
            repository = await self._repository(mirror, source)
        else:
            repository = remembered(known)
        token = await source.api.git_token()
        try:
            theirs = await self.refs.source_refs(repository.clone_url, token, source.ca)
        except SyncError as error:
            if fresh or error.reason not in _NOT_THERE:
                raise
            return await self.look(mirror, known_server, now, thorough=True, urgency=urgency)
        if not fresh and _moved(theirs, repository):
            return await self.look(mirror, known_server, now, thorough=True, urgency=urgency)
        mark = Mark.of(mirror.spec.source.api_url, repository.id, mirror.key)
        path = target_path(mirror, server)
        project, ours = await self._project(mirror, server, target, mark, path, thorough=thorough)
        return Sight(
            server=server,
            source=source,
            target=target,
            repository=repository,
            fresh=fresh,
            token=token,
            mark=mark,
            path=path,
            project=project,
            marked=mark.ref in ours.refs,
            leftovers=has_leftovers(mirror, ours.refs, now),
            comparison=compare(mirror, theirs, ours),
        )

    async def is_kept(
        self, mirror: RepositoryMirror, known_server: OneDevServer | None, seen: Seen, now: datetime
    ) -> bool:
        """Whether OneDev has all that it had when both sides were seen equal, and a run nothing to do. GitHub is not
        asked. Raises `SyncError`."""
        server = usable_server(mirror, known_server)
        target = await self.connections.target(server)
        mark = Mark.of(mirror.spec.source.api_url, seen.source.id, mirror.key)
        path = target_path(mirror, server)
        _, ours = await self._project(mirror, server, target, mark, path, thorough=False)
        return mark.ref in ours.refs and not has_leftovers(mirror, ours.refs, now) and holds(mirror, seen, ours)

    async def _repository(self, mirror: RepositoryMirror, source: SourceConnection) -> SourceRepository:
        """GitHub's word on the repository, with its identity checked."""
        pinned = mirror.status.source.id if mirror.status.source else None
        try:
            found = await source.api.repository(mirror.spec.source.repository)
        except SyncError as error:
            if pinned is None or error.reason not in _NOT_THERE:
                raise
            found = await self._elsewhere(pinned, source, error)
        check_identity(pinned, found.id, mirror.spec.source.repository, mirror.approved)
        if found.disabled:
            raise Retry(Reason.DISABLED, f"GitHub has disabled {found.full_name}; the mirror is kept as it is")
        return found

    async def _elsewhere(self, pinned: int, source: SourceConnection, error: SyncError) -> SourceRepository:
        """The repository under another name: GitHub forgets a redirect once somebody else took the old name."""
        try:
            return await source.api.repository_by_id(pinned)
        except SyncError as other:
            raise (error if other.reason in _NOT_THERE else other) from None

    async def _project(
        self,
        mirror: RepositoryMirror,
        server: OneDevServer,
        target: TargetConnection,
        mark: Mark,
        path: str,
        *,
        thorough: bool,
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
            if not thorough and mark.ref in marks_in_refs(listing.refs):
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
        node_id=known.node_id,
        full_name=known.full_name,
        clone_url=known.clone_url,
        default_branch=known.default_branch or "",
        private=known.private,
        archived=known.archived,
        admin=known.admin,
        size_kb=known.size_kb,
        pushed_at=known.pushed_at,
    )


def check_supported(mirror: RepositoryMirror) -> None:
    """The CRD refuses the same; one of an older version may be installed."""
    if mirror.spec.lfs and mirror.spec.engine is EngineChoice.RELAY:
        raise Stalled(
            Reason.NOT_SUPPORTED,
            "spec.engine: Relay does not copy LFS objects, and spec.lfs: true asks for them. "
            "Set spec.engine: Auto or Git, or spec.lfs: false",
        )


def _moved(listing: Listing, repository: SourceRepository) -> bool:
    """Whether the source's refs were found at the end of a redirect: it may have another name now."""
    return bool(listing.url) and listing.url != repository.clone_url.rstrip("/")


def target_path(mirror: RepositoryMirror, server: OneDevServer) -> str:
    """Where the project is, or shall be: once made it stays there, also when the repository is renamed."""
    known, wanted = mirror.status.target, mirror.spec.target.project
    if wanted is None and known is not None and known.server == server.metadata.name:
        return known.path
    return f"{server.spec.root_project}/{wanted or names.project_path(mirror.spec.source.repository)}"


def git_url(server: OneDevServer, path: str) -> str:
    return f"{server.spec.url.rstrip('/')}/{path}"
