"""What happens in OneDev when a mirror goes, or when its first sync failed."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.identity import Mark, mark_in_description
from ..api.mirror import PLURAL, DeletionPolicy, MirrorStatus, RepositoryMirror
from ..api.observed import TargetProject
from ..api.refs import MARKS, Listing
from ..api.server import OneDevServer
from ..decide.events import Transition
from ..observability.logs import event
from .look import find_server, git_url
from .ports import Clock, Cluster, Connections, RefReader, TargetConnection
from .recorder import Recorder
from .store import Store, server_of

log = logging.getLogger(__name__)

ARCHIVED = "archived"
# A OneDev that is gone for good must not hold a resource for ever.
ATTEMPTS = 10
_PAUSE = timedelta(seconds=15)


class NotRemovable(Exception):
    """The project stays as it is; the text says why."""


@dataclass
class Remover:
    clock: Clock
    store: Store
    cluster: Cluster
    connections: Connections
    refs: RefReader
    recorder: Recorder
    _removed: dict[str, asyncio.Event] = field(default_factory=dict)
    _attempts: dict[str, int] = field(default_factory=dict)

    def removed(self, uid: str) -> asyncio.Event:
        """Set once the deletion policy was carried out; the finalizer may go then."""
        return self._removed.setdefault(uid, asyncio.Event())

    def forget(self, uid: str) -> None:
        self._removed.pop(uid, None)
        self._attempts.pop(uid, None)

    async def remove(self, mirror: RepositoryMirror) -> datetime | None:
        """Carries out `spec.deletionPolicy`; asked again it finds nothing left to do."""
        uid, done = mirror.metadata.uid, self.removed(mirror.metadata.uid)
        if done.is_set() or mirror.spec.deletion_policy is DeletionPolicy.RETAIN:
            done.set()
            return None
        try:
            message = await self._carry_out(mirror)
            told = Transition("Normal", "Deleted", message)
        except NotRemovable as why:
            told = Transition("Warning", Reason.DELETION_FAILED, f"{why}. The OneDev project was left as it is")
        except SyncError as error:
            attempts = self._attempts[uid] = self._attempts.get(uid, 0) + 1
            if attempts < ATTEMPTS:
                return self.clock.now() + _PAUSE
            told = Transition(
                "Warning",
                Reason.DELETION_FAILED,
                f"Gave up after {attempts} attempts: {error.message}. The OneDev project was left as it is",
            )
        event(log, "removal", mirror=mirror.key, policy=mirror.spec.deletion_policy, message=told.message)
        done.set()
        await self.recorder.tell(PLURAL, mirror.metadata, told)
        return None

    async def _carry_out(self, mirror: RepositoryMirror) -> str:
        owned = await self._owned(mirror)
        if owned is None:
            return "There was no OneDev project to remove"
        api, project = owned.target.api, owned.project
        if await api.has_children(project):
            raise NotRemovable(f"OneDev project {project.path} holds other projects")
        if mirror.spec.deletion_policy is DeletionPolicy.DELETE:
            await api.delete_project(project)
            return f"OneDev project {project.path} was deleted"
        return await self._archive(owned)

    async def _archive(self, owned: "_Owned") -> str:
        """Moves the project below `<rootProject>/archived`, under a name that is free there."""
        root, api, project = owned.server.spec.root_project, owned.target.api, owned.project
        *owner, name = project.path.removeprefix(f"{root}/").split("/")
        folder = "/".join((root, ARCHIVED, *owner))
        parent = await api.ensure_project(folder, None)
        free = name
        if await api.find_project(f"{folder}/{name}") is not None:
            free = f"{name}-{self.clock.now():%Y%m%dT%H%M%SZ}"
        await api.move_project(project, parent, free)
        return f"OneDev project {project.path} was moved to {folder}/{free}"

    async def withdraw(self, mirror: RepositoryMirror, after: MirrorStatus) -> MirrorStatus:
        """After a failed first sync: deletes the project that was made for it, unless it holds data."""
        if after.target is None:
            return after
        try:
            owned = await self._owned(mirror)
            if owned is not None:
                if holds_data(owned.listing) or await owned.target.api.has_children(owned.project):
                    return after
                await owned.target.api.delete_project(owned.project)
        except (SyncError, NotRemovable) as error:
            event(log, "withdraw", level=logging.WARNING, mirror=mirror.key, message=str(error))
            return after
        return after.changed(target=None)

    async def _owned(self, mirror: RepositoryMirror) -> "_Owned | None":
        """The project that this mirror made, None where there is none; raises NotRemovable where it is not ours."""
        known, source = mirror.status.target, mirror.status.source
        if known is None or source is None:
            return None
        server = await find_server(self.store, self.cluster, f"{mirror.metadata.namespace}/{known.server}")
        if server is None:
            raise NotRemovable(f'OneDevServer "{known.server}" is gone ({server_of(mirror)})')
        target = await self.connections.target(server)
        project = await target.api.find_project(known.path)
        if project is None:
            return None
        mark = Mark.of(mirror.spec.source.api_url, source.id, mirror.key)
        listing = await self.refs.target_refs(git_url(server, known.path), target.token, target.ca)
        described = mark_in_description(project.description)
        if described != mark and (described is not None or mark.ref not in listing.refs):
            raise NotRemovable(f"OneDev project {known.path} does not carry this mirror's mark")
        return _Owned(server, target, replace(project, path=known.path), listing)


@dataclass(frozen=True)
class _Owned:
    """A project proven to be a mirror's own, with its refs."""

    server: OneDevServer
    target: TargetConnection
    project: TargetProject
    listing: Listing


def holds_data(listing: Listing) -> bool:
    return any(not name.startswith(MARKS) for name in listing.refs)
