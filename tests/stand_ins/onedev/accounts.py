"""`/~api/users`, tokens, roles, authorizations, labels and the version: what a mirror's set-up needs of them."""

from dataclasses import asdict
from typing import Any

from . import binding
from .binding import bind
from .model import ROLES, LabelSpec, Privilege, ProjectLabel, Token, User
from .projects import Projects
from .refusals import CONSTRAINT, Refused, forbidden, invalid, no_row, server_error
from .resources import OFFSET_AND_COUNT, Call, Raw, Route, integer
from .security import Principal
from .store import Store

VERSION = "16.5.6"


class Accounts:
    def __init__(self, store: Store, projects: Projects) -> None:
        self._store = store
        self._projects = projects
        self.version = VERSION

    def routes(self) -> list[Route]:
        labels = Route("GET", "/label-specs", self.label_specs, OFFSET_AND_COUNT, frozenset(("name",)))
        return [
            Route("GET", "/version/server", self.server_version, typed=False),
            Route("GET", "/users/me", self.me),
            Route("POST", "/users", self.create_user),
            Route("GET", r"/users/(\d+)/access-tokens", self.tokens_of),
            Route("POST", "/access-tokens", self.create_token),
            Route("GET", r"/access-tokens/([^/]+)", self.get_token),
            Route("DELETE", r"/access-tokens/([^/]+)", self.delete_token),
            Route("POST", "/access-token-authorizations", self.authorize_token),
            Route("POST", "/user-authorizations", self.authorize_user),
            Route("POST", "/base-authorizations", self.authorize_all),
            Route("GET", r"/roles/ids/(.+)", self.role_id),
            labels,
            Route("POST", "/label-specs", self.create_label_spec),
            Route("POST", "/project-labels", self.label),
            Route("DELETE", r"/project-labels/([^/]+)", self.unlabel),
        ]

    async def server_version(self, call: Call) -> Raw:
        return Raw(self.version)

    async def me(self, call: Call) -> dict[str, Any]:
        if call.principal.user is None:
            raise forbidden()
        return call.principal.user.as_json()

    async def create_user(self, call: Call) -> int:
        data = bind(call.body, binding.USER, "createUser")
        if not call.principal.administrator:
            raise forbidden()
        name = data.get("name")
        if not name:
            raise invalid("createUser.arg0.name: must not be empty")
        if any(user.name == name for user in self._store.users.values()):
            raise Refused(406, "Login name is already used by another account")
        return self._store.add_user(name, data.get("type") or "ORDINARY", data.get("password")).id

    def _owner(self, principal: Principal, number: int) -> User:
        owner = self._store.users.get(number)
        if owner is None:
            raise no_row("User", number)
        if not principal.administrator and (principal.user is None or principal.user.id != owner.id):
            raise forbidden()
        return owner

    def _token(self, call: Call) -> Token:
        token = self._store.tokens.get(call.number())
        if token is None:
            raise no_row("AccessToken", call.number())
        self._owner(call.principal, token.ownerId)
        return token

    async def tokens_of(self, call: Call) -> list[dict[str, Any]]:
        owner = self._owner(call.principal, call.number())
        return [token.as_json() for token in self._store.tokens.values() if token.ownerId == owner.id]

    async def create_token(self, call: Call) -> int:
        data = bind(call.body, binding.TOKEN, "createToken")
        members = {"name": "must not be empty", "ownerId": "must not be null"}
        faults = [f"createToken.arg0.{one}: {text}" for one, text in members.items() if data.get(one) is None]
        if faults:
            raise invalid(", ".join(faults))
        owner = self._owner(call.principal, data["ownerId"])
        if owner.disabled:
            raise server_error("Owner is disabled")
        if any(one.ownerId == owner.id and one.name == data["name"] for one in self._store.tokens.values()):
            raise server_error("Name already used by another access token of the owner")
        own = data.get("hasOwnerPermissions", False)
        return self._store.add_token(data["name"], owner.id, None, own, data.get("expireDate")).id

    async def get_token(self, call: Call) -> dict[str, Any]:
        return self._token(call).as_json()

    async def delete_token(self, call: Call) -> str:
        del self._store.tokens[self._token(call).id]
        self._store.save()
        return ""

    async def authorize_token(self, call: Call) -> int:
        data = bind(call.body, binding.TOKEN_AUTHORIZATION, "createAuthorization")
        token = self._store.tokens.get(data.get("tokenId") or 0)
        if token is None:
            raise no_row("AccessToken", data.get("tokenId") or 0)
        owner = self._owner(call.principal, token.ownerId)
        project = self._projects.load(data.get("projectId") or 0)
        if self._projects.privilege(Principal(owner), project) < Privilege.MANAGE:
            raise Refused(400, "Access token owner should be able to manage the project")
        return self._store.authorize("token", token.id, project.id, data.get("roleId") or 0).id

    async def authorize_user(self, call: Call) -> int:
        data = bind(call.body, binding.USER_AUTHORIZATION, "createAuthorization")
        project = self._projects.demand(call.principal, data.get("projectId") or 0, Privilege.MANAGE)
        return self._store.authorize("user", data.get("userId") or 0, project.id, data.get("roleId") or 0).id

    async def authorize_all(self, call: Call) -> int:
        data = bind(call.body, binding.BASE_AUTHORIZATION, "createAuthorization")
        project = self._projects.demand(call.principal, data.get("projectId") or 0, Privilege.MANAGE)
        return self._store.authorize("base", 0, project.id, data.get("roleId") or 0).id

    def _demand_user(self, principal: Principal) -> None:
        if principal.user is None:
            raise Refused(401, "Not authorized")

    async def role_id(self, call: Call) -> int:
        self._demand_user(call.principal)
        for known in ROLES:
            if known.name == call.path[0]:
                return known.id
        raise Refused(404, f"Role not found: {call.path[0]}")

    async def label_specs(self, call: Call) -> list[dict[str, Any]]:
        self._demand_user(call.principal)
        wanted = call.query.get("name", "*").lower().strip("*")
        found = [asdict(one) for one in self._store.label_specs.values() if wanted in (one.name or "").lower()]
        offset = integer(call, "offset")
        return found[offset : offset + integer(call, "count")]

    async def create_label_spec(self, call: Call) -> int:
        self._demand_user(call.principal)
        data = bind(call.body, binding.LABEL_SPEC, "createSpec")
        if not call.principal.administrator:
            raise forbidden()
        if data.get("name") is None:
            raise server_error(CONSTRAINT)
        spec = LabelSpec(self._store.next_id("label_spec"), data["name"], data.get("color") or LabelSpec.color)
        self._store.label_specs[spec.id] = spec
        self._store.save()
        return spec.id

    async def label(self, call: Call) -> int:
        data = bind(call.body, binding.PROJECT_LABEL, "createLabel")
        project = self._projects.demand(call.principal, data.get("projectId") or 0, Privilege.MANAGE)
        spec = data.get("specId")
        taken = any(one.projectId == project.id and one.specId == spec for one in self._store.labels.values())
        if taken or spec not in self._store.label_specs:
            raise server_error(CONSTRAINT)
        made = ProjectLabel(self._store.next_id("label"), project.id, spec)
        self._store.labels[made.id] = made
        self._store.save()
        return made.id

    async def unlabel(self, call: Call) -> str:
        label = self._store.labels.get(call.number())
        if label is None:
            raise no_row("ProjectLabel", call.number())
        self._projects.demand(call.principal, label.projectId, Privilege.MANAGE)
        del self._store.labels[label.id]
        self._store.save()
        return ""
