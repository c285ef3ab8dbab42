"""`/~api/repositories`: default branch, branches and tags; and what clone-url says."""

import json
import re
from collections.abc import Callable
from typing import Any

from ..processes import GitFailed, Processes
from . import binding
from .binding import bind
from .model import Privilege, Project
from .projects import Projects
from .refusals import Refused, server_error
from .resources import Call, Raw, Route, integer
from .store import Store

HEADS, TAGS = "refs/heads/", "refs/tags/"
RANGE = re.compile(r"until commit\(([0-9a-f]{40})\) since commit\(([0-9a-f]{40})\)")


class Repositories:
    """server_url: the URL that OneDev is configured with, which need not be the one a client uses."""

    def __init__(self, store: Store, projects: Projects, processes: Processes, server_url: Callable[[], str]) -> None:
        self._store = store
        self._projects = projects
        self._processes = processes
        self._server_url = server_url

    def routes(self) -> list[Route]:
        one = r"/repositories/([^/]+)"
        return [
            Route("GET", one + "/default-branch", self.default_branch),
            Route("POST", one + "/default-branch", self.set_default_branch),
            Route("GET", one + "/branches", self.branches),
            Route("POST", one + "/branches", self.create_branch),
            Route("GET", one + "/branches/(.+)", self.branch),
            Route("DELETE", one + "/branches/(.+)", self.delete_branch),
            Route("GET", one + "/tags", self.tags),
            Route("POST", one + "/tags", self.create_tag),
            Route("GET", one + "/tags/(.+)", self.tag),
            Route("DELETE", one + "/tags/(.+)", self.delete_tag),
            Route("GET", one + "/commits", self.commits, frozenset(("count",)), frozenset(("query", "field"))),
            Route("GET", r"/projects/([^/]+)/clone-url", self.clone_url),
        ]

    async def clone_url(self, call: Call) -> dict[str, str]:
        path = self._projects.demand(call.principal, call.number(), Privilege.ACCESS).path
        base = self._server_url()
        return {"http": f"{base}/{path}.git", "ssh": f"ssh://{base.partition('://')[2].split(':')[0]}/{path}.git"}

    def _project(self, call: Call, privilege: Privilege) -> Project:
        return self._projects.demand(call.principal, call.number(), privilege)

    async def _git(self, project: Project, *arguments: str) -> str:
        return await self._processes.git(self._store.repository(project), *arguments)

    async def _commit(self, project: Project, revision: str) -> str | None:
        try:
            return await self._git(project, "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}")
        except GitFailed:
            return None

    async def _head(self, project: Project) -> str | None:
        """The branch that HEAD names, None while it is unborn."""
        ref = await self._git(project, "symbolic-ref", "HEAD")
        return ref.removeprefix(HEADS) if await self._commit(project, ref) else None

    async def default_branch(self, call: Call) -> Raw | None:
        branch = await self._head(self._project(call, Privilege.READ))
        return None if branch is None else Raw(branch)

    async def set_default_branch(self, call: Call) -> str:
        try:
            branch = json.loads(call.body)
        except ValueError as error:
            raise server_error() from error
        if not isinstance(branch, str) or not branch.strip():
            raise server_error()
        project = self._project(call, Privilege.MANAGE)
        ref = HEADS + branch.removeprefix(HEADS)
        if await self._commit(project, ref) is None:
            raise server_error(f"Branch not exist: {branch}")
        await self._git(project, "symbolic-ref", "HEAD", ref)
        return ""

    async def _names(self, project: Project, space: str) -> list[str]:
        """Newest commit first, only what leads to a commit."""
        columns = "--format=%(refname)%00%(objecttype)%00%(*objecttype)"
        lines = await self._git(project, "for-each-ref", "--sort=-creatordate", columns, space.rstrip("/"))
        rows = (line.split("\0") for line in lines.splitlines())
        return [ref.removeprefix(space) for ref, kind, peeled in rows if "commit" in (kind, peeled)]

    async def branches(self, call: Call) -> list[str]:
        project = self._project(call, Privilege.READ)
        names, head = await self._names(project, HEADS), await self._head(project)
        return sorted(names, key=lambda name: name != head)

    async def tags(self, call: Call) -> list[str]:
        return await self._names(self._project(call, Privilege.READ), TAGS)

    async def _facade(self, project: Project, ref: str, missing: str) -> dict[str, Any]:
        commit = await self._commit(project, ref)
        if commit is None:
            raise Refused(404, missing)
        return {"refName": ref, "commitHash": commit}

    async def branch(self, call: Call) -> dict[str, Any]:
        project, name = self._project(call, Privilege.READ), call.path[1]
        return await self._facade(project, HEADS + name, f"Branch not found: {name}")

    async def tag(self, call: Call) -> dict[str, Any]:
        project, name = self._project(call, Privilege.READ), call.path[1]
        return await self._facade(project, TAGS + name, f"Tag not found: {name}")

    async def commits(self, call: Call) -> list[dict[str, Any]]:
        """Of the query language as much as tells a fast-forward: `until commit(A) since commit(B)`."""
        project, count = self._project(call, Privilege.READ), integer(call, "count")
        asked = RANGE.fullmatch(call.query.get("query", ""))
        if count > 10_000:
            raise Refused(406, "Count should not be greater than 10000")
        if asked is None:
            raise Refused(406, "Invalid query")
        if None in [await self._commit(project, revision) for revision in asked.groups()]:
            raise server_error("Unable to find revision")
        until, since = asked.groups()
        lines = await self._git(project, "log", f"--max-count={count}", "--format=%H%x00%s", until, f"^{since}")
        fields = ("subject", "body", "commitDate", "committer", "author", "parentHashes", "fileChanges")
        found = [line.partition("\0") for line in lines.splitlines()]
        return [{"hash": oid, **dict.fromkeys(fields), "subject": subject} for oid, _, subject in found]

    async def create_branch(self, call: Call) -> str:
        data = bind(call.body, binding.BRANCH, "createBranch")
        project, name = self._project(call, Privilege.WRITE), data.get("branchName") or ""
        if await self._commit(project, HEADS + name):
            raise Refused(406, f"Branch already exists: {name}")
        commit = await self._commit(project, data.get("revision") or "")
        if commit is None:
            raise server_error(f"Unable to find revision: {data.get('revision')}")
        await self._git(project, "update-ref", HEADS + name, commit)
        return ""

    async def create_tag(self, call: Call) -> str:
        data = bind(call.body, binding.TAG, "createTag")
        project, name = self._project(call, Privilege.WRITE), data.get("tagName") or ""
        if await self._commit(project, TAGS + name):
            raise Refused(406, f"Tag already exists: {name}")
        words = data.get("tagMessage") or name
        await self._git(project, "tag", "--annotate", "--message", words, name, data.get("revision") or "HEAD")
        return ""

    async def delete_branch(self, call: Call) -> str:
        project, name = self._project(call, Privilege.WRITE), call.path[1]
        if await self._commit(project, HEADS + name) is None or await self._head(project) == name:
            raise server_error()
        await self._git(project, "update-ref", "-d", HEADS + name)
        return ""

    async def delete_tag(self, call: Call) -> str:
        project, name = self._project(call, Privilege.WRITE), call.path[1]
        if await self._commit(project, TAGS + name) is None:
            raise server_error()
        await self._git(project, "update-ref", "-d", TAGS + name)
        return ""
