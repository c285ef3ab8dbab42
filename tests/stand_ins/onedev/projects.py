"""`/~api/projects`: projects, their settings and labels."""

import asyncio
import copy
from typing import Any

from ..processes import Processes
from . import binding
from .binding import bind
from .model import DESCRIPTION_LIMIT, PATH_LIMIT, STRICT_NAME, Privilege, Project
from .query import Parser
from .refusals import CONSTRAINT, Refused, forbidden, invalid, no_row, server_error
from .resources import OFFSET_AND_COUNT, Call, Route, integer
from .security import Principal, Security
from .store import Store

COUNT_LIMIT = 100
OWNER_ROLE = 1
# What OneDev writes into each repository; no `receive.*`, no hidden refs.
GIT_CONFIG = "[diff]\n\talgorithm = histogram\n[uploadpack]\n\tallowAnySHA1InWant = true\n"


class Projects:
    """What other releases or bad luck make of it is set here.

    strict_names: check names as 8.5.1 to 11.11 did. validation_status: 406 as 13.0.7 to 15.0 answered, else 400.
    creation_gap: seconds between the look whether a name is free and the insertion, so that creations can race.
    """

    def __init__(self, store: Store, security: Security, processes: Processes) -> None:
        self._store = store
        self._security = security
        self._processes = processes
        self.strict_names = False
        self.validation_status = 400
        self.creation_gap = 0.0

    def routes(self) -> list[Route]:
        one = r"/projects/([^/]+)"
        return [
            Route("GET", "/projects", self.find, OFFSET_AND_COUNT, frozenset(("query",))),
            Route("POST", "/projects", self.create),
            Route("GET", r"/projects/ids/(.+)", self.find_id),
            Route("GET", one, self.get),
            Route("POST", one, self.update),
            Route("DELETE", one, self.delete),
            Route("GET", one + "/setting", self.get_setting),
            Route("POST", one + "/setting", self.set_setting),
            Route("GET", one + "/labels", self.labels),
            Route("GET", one + "/forks", self.forks),
        ]

    def load(self, number: int) -> Project:
        if number not in self._store.projects:
            raise no_row("Project", number)
        return self._store.projects[number]

    def privilege(self, principal: Principal, project: Project) -> Privilege:
        return self._security.privilege(principal, project)

    def demand(self, principal: Principal, number: int, privilege: Privilege) -> Project:
        """The project, if the caller may do so much with it. Raises Refused: 404, 403."""
        project = self.load(number)
        if self._security.privilege(principal, project) < privilege:
            raise forbidden()
        return project

    async def find_id(self, call: Call) -> int:
        project = self._store.find(call.path[0])
        if project is None or self._security.privilege(call.principal, project) is Privilege.NONE:
            raise Refused(404, f"Project not found or inaccessible: {call.path[0]}")
        return project.id

    async def get(self, call: Call) -> dict[str, Any]:
        return self.demand(call.principal, call.number(), Privilege.ACCESS).as_json()

    async def find(self, call: Call) -> list[dict[str, Any]]:
        offset, count = integer(call, "offset"), integer(call, "count")
        if count > COUNT_LIMIT and not call.principal.administrator:
            raise Refused(406, f"Count should not be greater than {COUNT_LIMIT}")
        found = Parser(self._store, call.query.get("query", "")).run(self._store.projects.values())
        seen = [one for one in found if self._security.privilege(call.principal, one) > Privilege.NONE]
        return [project.as_json() for project in seen[offset : offset + count]]

    async def forks(self, call: Call) -> list[dict[str, Any]]:
        number = self.demand(call.principal, call.number(), Privilege.ACCESS).id
        return [one.as_json() for one in self._store.projects.values() if one.forkedFromId == number]

    async def create(self, call: Call) -> int:
        data = self._validated(call.body, "createProject")
        parent = None if data.get("parentId") is None else self.load(data["parentId"])
        if data.get("forkedFromId") is not None:
            self.load(data["forkedFromId"])
        self._check_creation(call.principal, parent)
        project = Project(self._store.next_id("project"), data["name"])
        self._populate(project, data)
        self._check_free(project)
        await asyncio.sleep(self.creation_gap)
        self._check_constraint(project)
        self._store.put(project)
        self._store.index()
        repository = self._store.repository(project)
        repository.mkdir()
        await self._processes.git(repository, "init", "--quiet", "--bare", "--initial-branch=main", "--template=")
        with (repository / "config").open("a") as config:
            config.write(GIT_CONFIG)
        owner = call.principal.account
        self._store.authorize("user", owner, project.id, OWNER_ROLE)
        return project.id

    async def update(self, call: Call) -> str:
        data = self._validated(call.body, "updateProject")
        project = self.demand(call.principal, call.number(), Privilege.MANAGE)
        parent = None if data.get("parentId") is None else self.load(data["parentId"])
        if parent is not None and project in self._store.ancestry(parent):
            raise server_error("Can not use current or descendant project as parent")
        if data.get("parentId") != project.parentId:
            self._check_creation(call.principal, parent)
        changed = copy.copy(project)
        self._populate(changed, data)
        self._check_free(changed)
        self._store.put(changed)
        self._renew_paths(changed)
        return ""

    async def delete(self, call: Call) -> str:
        project = self.demand(call.principal, call.number(), Privilege.MANAGE)
        self._store.remove(project)
        self._store.save()
        return ""

    def _validated(self, body: bytes, method: str) -> dict[str, Any]:
        data = bind(body, binding.PROJECT, method)
        faults = [] if data.get("name") else [f"{method}.arg0.name: must not be empty"]
        if self.strict_names and data.get("name") and not STRICT_NAME.fullmatch(data["name"]):
            faults.append(f"{method}.arg0.name: should start and end with alphanumeric or underscore")
        required = ("gitPackConfig", "codeAnalysisSetting")
        faults += [f"{method}.arg0.{member}: must not be null" for member in required if data.get(member) is None]
        if faults:
            raise invalid(", ".join(faults), self.validation_status)
        return data

    def _check_creation(self, principal: Principal, parent: Project | None) -> None:
        if parent is None:
            if not self._security.may_create_roots(principal):
                raise forbidden("Not authorized to create root project")
        elif not self._security.may_create_below(principal, parent):
            raise forbidden(f"Not authorized to create project under '{parent.path}'")

    def _populate(self, project: Project, data: dict[str, Any]) -> None:
        """Every member is overwritten: what the body leaves out gets its default."""
        for member in ("parentId", "forkedFromId", "name", "key", "serviceDeskEmailAddress"):
            setattr(project, member, data.get(member))
        for member in ("codeManagement", "packManagement", "issueManagement"):
            setattr(project, member, data.get(member, True))
        project.timeTracking = data.get("timeTracking", False)
        description = data.get("description")
        if description is not None and len(description) > DESCRIPTION_LIMIT:
            description = description[: DESCRIPTION_LIMIT - 3] + "..."
        project.description = description
        project.gitPackConfig = {name: data["gitPackConfig"].get(name) for name in binding.GIT_PACK_CONFIG}
        project.codeAnalysisSetting = {"analysisFiles": data["codeAnalysisSetting"].get("analysisFiles")}
        project.path = self._store.path_of(project.name, project.parentId)

    def _check_free(self, project: Project) -> None:
        """Raises Refused (500): the name is taken beside it, or too long. A failed creation has used up its id."""
        for other in self._store.children(project.parentId):
            if other.id != project.id and other.name.lower() == project.name.lower():
                self._store.orphan(project.id)
                above = self._store.projects[project.parentId].path if project.parentId else None
                place = "another root project" if above is None else f"another project under '{above}'"
                raise server_error(f"Name '{project.name}' is already used by {place}")
        if len(project.name) > PATH_LIMIT or len(project.path) > PATH_LIMIT:
            self._store.orphan(project.id)
            raise server_error()
        for member in ("key", "serviceDeskEmailAddress"):
            value = getattr(project, member)
            others = (one for one in self._store.projects.values() if one.id != project.id)
            if value is not None and any(getattr(one, member) == value for one in others):
                raise server_error(CONSTRAINT)

    def _check_constraint(self, project: Project) -> None:
        """The database's own look: unique names below a parent, but as many roots of one name as are made at once."""
        names = (other.name for other in self._store.children(project.parentId))
        if project.parentId is not None and project.name in names:
            self._store.orphan(project.id)
            raise server_error(CONSTRAINT)

    def _renew_paths(self, project: Project) -> None:
        for child in self._store.children(project.id):
            child.path = self._store.path_of(child.name, child.parentId)
            self._store.put(child)
            self._renew_paths(child)
        self._store.index()

    async def get_setting(self, call: Call) -> dict[str, Any]:
        project = self.demand(call.principal, call.number(), Privilege.MANAGE)
        issues = {"boardSpecs": None, **(project.setting.get("issueSetting") or {})}
        defaults: dict[str, Any] = {name: {} for name in binding.SETTING_OBJECTS}
        return {**{name: [] for name in binding.SETTING_LISTS}, **defaults, **project.setting, "issueSetting": issues}

    async def set_setting(self, call: Call) -> str:
        setting = bind(call.body, binding.SETTING, "updateSetting")
        # OneDev loops over the boards without looking whether there are any, and before it asks who calls.
        if (setting.get("issueSetting") or {}).get("boardSpecs") is None:
            raise server_error()
        project = self.demand(call.principal, call.number(), Privilege.MANAGE)
        project.setting = setting
        self._store.put(project)
        return ""

    async def labels(self, call: Call) -> list[dict[str, Any]]:
        number = self.demand(call.principal, call.number(), Privilege.ACCESS).id
        found = (one for one in self._store.labels.values() if one.projectId == number)
        return [{"id": one.id, "projectId": one.projectId, "specId": one.specId} for one in found]
