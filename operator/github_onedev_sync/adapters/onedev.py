"""OneDev's REST API (12.0.10 to 16.5): projects, their descriptions and places, and the default branch.

Updating a project replaces it: a member that is left out is reset, and without `parentId` it moves to the root. So
every update echoes what the server has just shown. Names are not checked by the server; they are here.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from itertools import accumulate
from typing import Any
from weakref import WeakValueDictionary

from ..api import names
from ..api.conditions import Reason
from ..api.errors import Retry, Stalled
from ..api.observed import TargetProject
from . import onedev_errors
from .onedev_http import Rest

# `GET projects/ids/<path>` is there since this version.
OLDEST = (12, 0, 10)
# More than 100 is refused unless the account is an administrator.
_PAGE = 100
_READ_ONLY = ("id", "path", "createDate")
_MANAGE = "the permission Manage Project there"

# Two simultaneous creations of one root project both succeed in OneDev, so they queue here, per server.
_creating: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


class OneDev:
    """`ports.Target`. `url` is OneDev's root address, `ca` PEM text. Close it when done."""

    def __init__(self, url: str, token: str, ca: str | None = None) -> None:
        self._rest = Rest(url, token, ca)
        self._creating = _creating.setdefault(str(self._rest.url), asyncio.Lock())

    async def version(self) -> str:
        """Raises `Waiting` while the server starts, `Stalled` where it is too old."""
        if not await self._rest.ready():
            raise onedev_errors.starting()
        text = (await self._rest.call("GET", "version/server", "read the server's version")).text.strip()
        numbers = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})[ -~]{0,60}", text)
        if numbers is None:
            raise onedev_errors.not_onedev("the question for the server's version")
        if tuple(map(int, numbers.groups())) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise Stalled(Reason.NOT_SUPPORTED, f"OneDev {text[:40]} is too old: at least {oldest} is needed")
        return text

    async def check_account(self) -> None:
        answer = await self._rest.send("GET", "users/me")
        if answer.status_code != 403:  # a token that has its own permissions, not its owner's, is nobody
            await self._rest.accept(answer, "look at the account", "access")

    async def may_manage(self, project: TargetProject) -> bool | None:
        answer = await self._rest.send("GET", f"projects/{project.id}/setting")
        if answer.status_code == 403:  # a role with Create Children alone may not read it either
            return None
        await self._rest.accept(answer, f"read the settings of {project.path}", _MANAGE)
        return True

    async def find_project(self, path: str) -> TargetProject | None:
        _check_path(path)
        found = await self._id_of(path)
        return None if found is None else await self._project(found)

    async def ensure_project(self, path: str, description: str | None) -> TargetProject:
        found = await self.find_project(path)
        if found is not None:
            return found
        async with self._creating:
            return await self._create_path(path, description)

    async def describe_project(self, project: TargetProject, description: str) -> None:
        await self._update(project, {"description": description}, _MANAGE)

    async def move_project(self, project: TargetProject, parent: TargetProject, name: str) -> None:
        """Under `parent` as `name`. The old path leads nowhere from then on."""
        _check_path(f"{parent.path}/{name}")
        needs = f"{_MANAGE} and Create Child Projects on {parent.path}"
        await self._update(project, {"parentId": parent.id, "name": name}, needs)

    async def has_children(self, project: TargetProject) -> bool:
        """Whether there are children that the account may see."""
        async for _ in self.projects(f'children of "{project.path}"', page=1):
            return True
        return False

    async def projects(self, query: str, page: int = _PAGE) -> AsyncIterator[TargetProject]:
        """The projects of a OneDev query without an order clause, by path. Lists carry no total: a short page ends."""
        offset = 0
        while True:
            params: dict[str, str | int] = {"query": f'{query} order by "Path" asc'.strip()}
            params |= {"offset": offset, "count": page}
            answer = await self._rest.call("GET", "projects", "list projects", params=params)
            listed = _json(answer, list, "the list of projects")
            for data in listed:
                yield _project(data)
            if len(listed) < page:
                return
            offset += page

    async def delete_project(self, project: TargetProject) -> None:
        """With its children. One that is gone already is fine."""
        if await self._present(project) is None:
            return
        answer = await self._rest.send("DELETE", f"projects/{project.id}")
        if not onedev_errors.absent(answer):
            await self._rest.accept(answer, f"delete project {project.path}", _MANAGE)

    async def default_branch(self, project: TargetProject) -> str | None:
        """The branch's short name; None where HEAD is unborn."""
        what = f"read the default branch of {project.path}"
        answer = await self._rest.call(
            "GET", f"repositories/{project.id}/default-branch", what, "the permission Read Code there"
        )
        return answer.text.strip() or None

    async def set_default_branch(self, project: TargetProject, branch: str) -> None:
        what = f"make {branch} the default branch of {project.path}"
        await self._rest.call("POST", f"repositories/{project.id}/default-branch", what, _MANAGE, json=branch)

    async def close(self) -> None:
        await self._rest.close()

    async def _create_path(self, path: str, description: str | None) -> TargetProject:
        parent: int | None = None
        *above, _ = accumulate(path.split("/"), "{}/{}".format)
        for container in above:
            parent = await self._id_of(container) or await self._create(container, parent, None, code=False)
        project = await self._id_of(path) or await self._create(path, parent, description, code=True)
        made = await self._project(project)
        if made is None:
            raise _gone(path)
        return made

    async def _create(self, path: str, parent: int | None, description: str | None, *, code: bool) -> int:
        """The project's id. Without `code` it is a container, whose menus would all lead nowhere."""
        above, _, name = path.rpartition("/")
        body: dict[str, Any] = {
            "name": name,
            "parentId": parent,
            "description": description,
            "codeManagement": code,
            "issueManagement": False,
            "packManagement": False,
            "gitPackConfig": {},
            "codeAnalysisSetting": {},
        }
        answer = await self._rest.send("POST", "projects", json=body)
        if onedev_errors.lost_race(answer):
            if (there := await self._id_of(path)) is not None:
                return there
            if (hidden := onedev_errors.hidden(answer, path)) is not None:
                raise hidden
        needs = f"the permission Create Child Projects on {above}" if above else "the right to create root projects"
        await self._rest.accept(answer, f"create project {path}", needs)
        return _number(answer.text, f"the creation of {path}")

    async def _update(self, project: TargetProject, changes: Mapping[str, Any], needs: str) -> None:
        data = await self._present(project)
        if data is None:
            raise _gone(project.path)
        if all((data.get(member) or None) == (value or None) for member, value in changes.items()):
            return  # OneDev reads "" as null, and records every update, even of nothing
        body = {member: value for member, value in data.items() if member not in _READ_ONLY} | dict(changes)
        await self._rest.call("POST", f"projects/{project.id}", f"update project {project.path}", needs, json=body)

    async def _present(self, project: TargetProject) -> dict[str, Any] | None:
        """What the server has under that id now. Ids are reused, so it must still be the project that was seen."""
        data = await self._data(project.id)
        if data is not None and str(data.get("path")).lower() != project.path.lower():
            raise Retry(
                Reason.TARGET_CHANGED,
                f"OneDev's project {project.id} is {data.get('path')} and was {project.path} a moment ago: "
                "nothing was written",
            )
        return data

    async def _project(self, project_id: int) -> TargetProject | None:
        data = await self._data(project_id)
        return None if data is None else _project(data)

    async def _data(self, project_id: int) -> dict[str, Any] | None:
        answer = await self._rest.send("GET", f"projects/{project_id}")
        if onedev_errors.absent(answer):
            return None
        what = f"read project {project_id}"
        data: dict[str, Any] = _json(await self._rest.accept(answer, what, "access to the project"), dict, what)
        return data

    async def _id_of(self, path: str) -> int | None:
        answer = await self._rest.send("GET", f"projects/ids/{path}")
        if onedev_errors.absent(answer):
            return None
        await self._rest.accept(answer, f"look up project {path}", "access to the project")
        return _number(answer.text, f"the look-up of {path}")


def _check_path(path: str) -> None:
    """OneDev's own rule for names, which its REST API does not apply: what breaks it cannot be shown or cloned."""
    for segment in path.split("/"):
        reserved = segment.lower() in names.RESERVED_SEGMENTS or segment.lower().endswith(".git")
        if reserved or not re.fullmatch(names.PROJECT_SEGMENT, segment):
            raise Stalled(
                Reason.TARGET_PATH_ILLEGAL,
                f"{segment!r} in the project path {path!r} is no legal OneDev name: it begins with a letter, digit or "
                "_, goes on with these, - and ., and is no reserved word; set spec.target.project to another path",
            )
    if len(path) > names.PROJECT_PATH_LIMIT:
        raise Stalled(
            Reason.TARGET_PATH_ILLEGAL,
            f"The project path {path!r} is longer than {names.PROJECT_PATH_LIMIT} characters; "
            "set spec.target.project to a shorter one",
        )


def _gone(path: str) -> Retry:
    return Retry(Reason.TARGET_CHANGED, f"The OneDev project {path} was deleted a moment ago")


def _json(answer: Any, shape: type, what: str) -> Any:
    try:
        value = answer.json()
    except (ValueError, RecursionError) as error:
        raise onedev_errors.not_onedev(what) from error
    if not isinstance(value, shape):
        raise onedev_errors.not_onedev(what)
    return value


def _project(data: Any) -> TargetProject:
    match data:
        case {"id": int(id_), "path": str(path)} if not isinstance(id_, bool):
            description, parent = data.get("description"), data.get("parentId")
            if isinstance(description, str | None) and isinstance(parent, int | None):
                return TargetProject(id_, path, description, parent)
    raise onedev_errors.not_onedev("read a project")


def _number(text: str, what: str) -> int:
    """OneDev answers with a bare number."""
    if not re.fullmatch(r"\s*[0-9]{1,18}\s*", text):
        raise onedev_errors.not_onedev(what)
    return int(text)
