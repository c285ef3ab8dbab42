"""The archived tips of one OneDev project, and branches and tags made from them: by ref commands, without a clone."""

import json
from dataclasses import dataclass, field

import aiohttp

from ..api.errors import SyncError
from ..api.refs import ARCHIVE, BRANCHES, TAGS, Listing
from ..api.retention import read_name
from ..transfer.chunks import breaks_pushes, conflicts
from ..transfer.engine import Endpoint, Unfit
from ..transfer.listing import RefReader
from ..transfer.onedev import Repository
from ..transfer.relay_fetch import Timings
from ..transfer.relay_push import Pusher
from ..transfer.side import BROKEN, proxy_for, trust
from ..transfer.steps import Command
from ..transfer.wire import build_pack
from .errors import CommandError, not_made, unreadable

_LIST = "take --list in place of --archived to see what there is"
_ID_LIMIT = 64


@dataclass(frozen=True)
class Project:
    """`server` is OneDev's front page and `path` the project's whole path there."""

    server: str
    path: str
    token: str = field(repr=False)
    ca: str | None = None

    @property
    def url(self) -> str:
        return f"{self.server}/{self.path}"


class Archive:
    """Every method raises `CommandError`."""

    def __init__(self, session: aiohttp.ClientSession, project: Project) -> None:
        self._session = session
        self._project = project

    async def refs(self) -> Listing:
        project = self._project
        try:
            return await RefReader(self._session).target_refs(project.url, project.token, project.ca)
        except SyncError as error:
            raise unreadable(project.path, error) from error

    async def restore(self, archived: str, ref: str, *, force: bool) -> str:
        """Makes `ref` from the tip `archived`, both full names; returns what was done, in a sentence."""
        listing = await self.refs()
        tip = listing.refs.get(archived)
        if tip is None:
            raise CommandError(
                f"{archived!r} is no archived tip", f"{self._project.path} has no ref of that name", _LIST
            )
        if ref.startswith(BRANCHES):
            tip = listing.peeled.get(archived, tip)  # a branch is at a commit, also where the tip was a tag's
        old = listing.refs.get(ref)
        if old == tip:
            return f"{ref} is at {tip} already"
        if old is not None and not force:
            raise CommandError(
                f"{ref} is taken", f"it is at {old}, which might be let go", "choose another name, or add --force"
            )
        for obstacle in conflicts([ref], listing.refs).get(ref, ()):
            raise CommandError(f"{ref} cannot be made", f"{obstacle} stands in its way", "choose another name")
        try:
            await self._move(Command(ref, old, tip))
        except SyncError as error:
            raise not_made(ref, error) from error
        return f"{ref} is now at {tip}, which was kept as {archived}"

    async def _move(self, command: Command) -> None:
        if breaks_pushes(command.name):
            await self._move_by_rest(command)
            return
        endpoint = Endpoint(self._project.url, self._project.token, ca=self._project.ca)
        try:
            result = await Pusher(self._session, endpoint, Timings()).push([command], build_pack())
        except Unfit as error:
            raise CommandError(
                f"{command.name} was not made", str(error), "check that --server is a OneDev server"
            ) from error
        if result.error is not None:
            raise result.error

    async def _move_by_rest(self, command: Command) -> None:
        """A branch whose name breaks every push; OneDev's API cannot move one."""
        project = self._project
        api, number = f"{project.server}/~api", await self._project_id()
        repository = Repository(self._session, api, number, project.token, project.ca)
        if command.old is not None:
            await repository.delete_branch(command.name)
        await repository.create_branch(command.name, command.new or "")

    async def _project_id(self) -> int:
        project = self._project
        try:
            async with self._session.get(
                f"{project.server}/~api/projects/ids/{project.path}",
                headers={"Authorization": f"Bearer {project.token}", "Accept-Encoding": "identity"},
                ssl=trust(project.ca),
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=60, connect=10),
                proxy=proxy_for(project.server),
            ) as response:
                text = (await response.content.read(_ID_LIMIT)).decode(errors="replace")
                found = json.loads(text) if response.status == 200 else None
        except (*BROKEN, ValueError):
            found = None
        if type(found) is not int:
            raise CommandError(
                f"the id of {project.path} is not known",
                "OneDev did not tell it, and a name with + is made through its REST API",
                "choose a name without + and without a bare %, which can be pushed",
            )
        return found


def table(listing: Listing) -> str:
    """The archived tips, the newest first, then those whose names tell no time; empty where there are none."""
    names = [name for name in listing.refs if name.startswith(ARCHIVE)]
    told = sorted(filter(None, map(read_name, names)), reverse=True)
    untold = sorted(set(names) - {tip.name for tip in told})
    rows = [(f"{tip.time:%Y-%m-%d %H:%M:%SZ}", tip.name) for tip in told] + [("-", name) for name in untold]
    if not rows:
        return ""
    width = max(len(name) for _, name in rows)
    lines = [f"{'TIME':20}  {'REF':{width}}  TIP"]
    lines += [f"{time:20}  {name:{width}}  {listing.refs[name]}" for time, name in rows]
    return "".join(f"{line}\n" for line in lines)


def target_ref(branch: str | None, tag: str | None) -> str:
    """Where the mirror leaves it alone: below restored/."""
    return f"{BRANCHES}restored/{branch}" if branch is not None else f"{TAGS}restored/{tag}"
