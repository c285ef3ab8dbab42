"""Who calls and what they may do: OneDev's filters and permissions."""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .model import Authorization, Privilege, Project, Role, Token, User, role
from .refusals import Refused
from .store import Store

FORGET = "rememberMe=deleteMe; Path=/; Max-Age=0; SameSite=lax"


@dataclass(frozen=True)
class Principal:
    """user: None for a token without its owner's permissions, which is then `token`."""

    user: User | None
    token: Token | None = None
    by_password: bool = False

    @property
    def account(self) -> int:
        """The id of the user behind it; for a token without its owner's permissions, the owner."""
        if self.user is not None:
            return self.user.id
        assert self.token is not None
        return self.token.ownerId

    @property
    def administrator(self) -> bool:
        return self.user is not None and self.user.administrator


class BadCredentials(Refused):
    def __init__(self, forget: bool = False) -> None:
        cookie = {"Set-Cookie": FORGET} if forget else {}
        super().__init__(401, "Invalid account or incorrect credentials", headers=cookie)


class Security:
    def __init__(self, store: Store) -> None:
        self._store = store

    def principal(self, headers: Mapping[str, str]) -> Principal | None:
        """The caller, None where nothing usable was presented. Raises BadCredentials.

        Six forms: Basic with password, Basic with a token as user or as password, `Bearer`, `token`, and each of
        them in the header `OneDevAuthorization`, which wins.
        """
        value = headers.get("OneDevAuthorization") or headers.get("Authorization") or ""
        for prefix in ("Bearer ", "token "):
            if value.startswith(prefix):
                return self._of_token(value.removeprefix(prefix).strip())
        scheme, _, encoded = value.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(encoded).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return self._of_basic(user.strip(), password.strip())

    def _of_basic(self, user: str, password: str) -> Principal | None:
        for candidate in (user, password):
            if self._find_token(candidate) is not None:
                return self._of_token(candidate)
        if not user or not password:
            return None
        for known in self._store.users.values():
            matches = known.name == user and known.password == password
            if matches and known.type == "ORDINARY" and not known.disabled:
                return Principal(known, by_password=True)
        raise BadCredentials(forget=True)

    def _find_token(self, value: str) -> Token | None:
        tokens = self._store.tokens.values()
        return next((token for token in tokens if token.value == value and not token.expired), None)

    def _of_token(self, value: str) -> Principal:
        token = self._find_token(value)
        owner = self._store.users.get(token.ownerId) if token else None
        if token is None or owner is None or owner.disabled:
            raise BadCredentials
        return Principal(owner, token) if token.hasOwnerPermissions else Principal(None, token)

    def privilege(self, principal: Principal | None, project: Project) -> Privilege:
        """The most that any role on the project or above it gives."""
        if principal is None:
            return Privilege.NONE
        if principal.administrator:
            return Privilege.MANAGE
        return max((found.privilege for found in self._roles(principal, project)), default=Privilege.NONE)

    def may_create_below(self, principal: Principal, project: Project) -> bool:
        if self.privilege(principal, project) is Privilege.MANAGE:
            return True
        return any(found.create_children for found in self._roles(principal, project))

    def may_create_roots(self, principal: Principal) -> bool:
        user = principal.user
        return user is not None and (user.administrator or user.create_root_projects)

    def _roles(self, principal: Principal, project: Project) -> Iterator[Role]:
        above = {one.id for one in self._store.ancestry(project)}
        for granted in self._store.authorizations.values():
            found = role(granted.roleId)
            if found is None or granted.projectId not in above:
                continue
            mine = granted.kind == "user" and principal.user is not None and granted.holder == principal.user.id
            if granted.kind == "base" or mine or self._token_holds(principal, granted, project):
                yield found

    def _token_holds(self, principal: Principal, granted: Authorization, project: Project) -> bool:
        """A token's own role counts only while its owner may manage the project."""
        if granted.kind != "token" or principal.user is not None:
            return False
        if principal.token is None or principal.token.id != granted.holder:
            return False
        owner = self._store.users.get(principal.token.ownerId)
        return owner is not None and self.privilege(Principal(owner), project) is Privilege.MANAGE
