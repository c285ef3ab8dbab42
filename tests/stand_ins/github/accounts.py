"""Who calls: personal tokens, App installations, and how much of the limit each has used."""

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from .people import People

HOUR = 3600
ANONYMOUS_LIMIT = 60
TOKEN_LIMIT = 5000
# GitHub's stateless installation tokens are about this long; nothing may count on 40 characters.
INSTALLATION_TOKEN_LENGTH = 516


@dataclass
class Window:
    """One hour of the primary limit."""

    limit: int
    used: int = 0
    reset: int = field(default_factory=lambda: int(time.time()) + HOUR)

    def roll(self) -> None:
        if time.time() >= self.reset:
            self.used, self.reset = 0, int(time.time()) + HOUR

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)

    def shown(self) -> dict[str, int]:
        """As `/rate_limit` has it."""
        return {"limit": self.limit, "used": self.used, "remaining": self.remaining, "reset": self.reset}


@dataclass
class Installation:
    """An App, as `account` has installed it. repositories: full names it was given, None for all of the account's."""

    id: int
    app_id: str
    account: str
    repositories: set[str] | None
    permissions: dict[str, str]

    @property
    def selection(self) -> str:
        return "all" if self.repositories is None else "selected"

    def has(self, full_name: str) -> bool:
        if self.repositories is not None:
            return full_name.lower() in self.repositories
        return self.account in ("", full_name.partition("/")[0].lower())


@dataclass
class Caller:
    """login: None for an App installation. repositories: full names it may see beside public ones, None for all.

    scopes: those of a classic token, which each answer repeats; None for any other. permissions: those of a
    fine-grained token, None for one that lacks nothing. number: the account's, or the installation's.
    """

    login: str | None
    number: int
    repositories: set[str] | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] | None = None
    permissions: frozenset[str] | None = None
    installation: Installation | None = None
    window: Window = field(default_factory=lambda: Window(TOKEN_LIMIT))
    graphql: Window = field(default_factory=lambda: Window(TOKEN_LIMIT))

    def may_see(self, full_name: str) -> bool:
        """Whether it sees a private repository."""
        if self.installation is not None:
            return self.installation.has(full_name)
        if self.scopes is not None and "repo" not in self.scopes:
            return False
        return self.repositories is None or full_name.lower() in self.repositories

    def is_permitted(self, permission: str, *, write: bool = False) -> bool:
        """`name` lets it write, `name:read` does not; an App's permissions are those of its installation."""
        if self.installation is not None:
            return self.installation.permissions.get(permission) in (("write",) if write else ("read", "write"))
        wanted = {permission} if write else {permission, f"{permission}:read"}
        return self.permissions is None or bool(wanted & self.permissions)


class BadCredentials(ValueError):
    """Something was presented that GitHub does not know."""


class BadAppToken(ValueError):
    """The App's JWT does not hold; the text is GitHub's message."""


class Accounts:
    def __init__(self, people: People, anonymous_limit: int | None = ANONYMOUS_LIMIT) -> None:
        self._people = people
        self._tokens: dict[str, Caller] = {}
        self._anonymous: dict[str, Window] = {}
        self._apps: dict[str, str] = {}
        self._app_windows: dict[str, Window] = {}
        self.installations: dict[int, Installation] = {}
        self.anonymous_limit = anonymous_limit

    def add_token(
        self,
        token: str,
        login: str = "octocat",
        repositories: list[str] | None = None,
        scopes: list[str] | None = None,
        permissions: list[str] | None = None,
    ) -> None:
        number = self._people.declare(login).id
        classic = None if scopes is None else tuple(scopes)
        granted = None if permissions is None else frozenset(permissions)
        self._tokens[token] = Caller(login, number, _names(repositories), scopes=classic, permissions=granted)

    def token(self, token: str) -> Caller:
        """What is known of a token, expired ones included. Raises KeyError."""
        return self._tokens[token]

    def revoke(self, token: str) -> bool:
        return self._tokens.pop(token, None) is not None

    def hand(self, token: str, login: str) -> None:
        """The token is another account's from now on."""
        caller = self._tokens[token]
        caller.login, caller.number = login, self._people.declare(login).id

    def renamed(self, full_name: str, to: str) -> list[Installation]:
        """A repository has another name; a token that was given it keeps it.

        An App keeps it unless it has left the account; returns the installations that lost it.
        """
        for caller in self._tokens.values():
            _rename(caller.repositories, full_name, to)
        left = full_name.partition("/")[0].lower() != to.partition("/")[0].lower()
        lost = []
        for one in self.installations.values():
            if _rename(one.repositories, full_name, None if left else to) and left:
                lost.append(one)
        return lost

    def exhaust(self, token: str | None, remaining: int, seconds: int, resource: str = "core") -> None:
        """Leaves that many requests until the limit resets; None: for everybody without a token."""
        if resource == "app":
            windows = [self._app_windows.setdefault(str(token), Window(TOKEN_LIMIT))]
        elif token is None:
            self.anonymous_limit = self.anonymous_limit or ANONYMOUS_LIMIT
            self._anonymous.clear()
            self._anonymous["*"] = Window(self.anonymous_limit)
            windows = [self._anonymous["*"]]
        else:
            caller = self._tokens[token]
            windows = [caller.graphql if resource == "graphql" else caller.window]
        for window in windows:
            window.used, window.reset = window.limit - remaining, int(time.time()) + seconds

    def window(self, caller: Caller | None, address: str) -> Window | None:
        """What this caller has left; None where nothing is counted."""
        if caller is not None:
            found = caller.window
        elif self.anonymous_limit is None:
            return None
        else:
            key = "*" if "*" in self._anonymous else address
            found = self._anonymous.setdefault(key, Window(self.anonymous_limit))
        found.roll()
        return found

    def app_window(self, app_id: str) -> Window | None:
        """What is left to an App that asks as itself; None as long as no limit was set: GitHub says nothing of one."""
        found = self._app_windows.get(app_id)
        if found is not None:
            found.roll()
        return found

    def of_token(self, token: str) -> Caller:
        caller = self._tokens.get(token)
        if caller is None or (caller.expires_at is not None and caller.expires_at <= time.time()):
            raise BadCredentials
        return caller

    def of_rest(self, authorization: str | None) -> Caller | None:
        """The caller of a REST request: `Bearer T`, `token T` or Basic. Raises BadCredentials."""
        if not authorization:
            return None
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() in ("bearer", "token"):
            return self.of_token(rest.strip())
        return self.of_git(authorization)

    def of_git(self, authorization: str | None) -> Caller | None:
        """The caller of a git request: Basic with any user and a token as password. Raises BadCredentials."""
        if not authorization:
            return None
        scheme, _, rest = authorization.partition(" ")
        if scheme.lower() != "basic":
            raise BadCredentials
        try:
            user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise BadCredentials from error
        # A token alone in the user's place works as well.
        return self.of_token(user if password in ("", "x-oauth-basic") else password)

    def add_app(
        self,
        app_id: str,
        public_key: str,
        installation_id: int,
        repositories: list[str] | None = None,
        account: str | None = None,
        permissions: dict[str, str] | None = None,
    ) -> Installation:
        """public_key: PEM of the RSA key that verifies the App's JWTs."""
        self._apps[app_id] = public_key
        owner = account or (repositories[0].partition("/")[0] if repositories else "")
        granted = permissions or {"contents": "read", "metadata": "read"}
        installation = Installation(installation_id, app_id, owner.lower(), _names(repositories), granted)
        self.installations[installation_id] = installation
        return installation

    def uninstall(self, installation_id: int) -> Installation:
        """The account has thrown the App out; its tokens are worth nothing any more. Raises KeyError."""
        installation = self.installations.pop(installation_id)
        self._tokens = {text: one for text, one in self._tokens.items() if one.installation is not installation}
        return installation

    def mint(self, installation: Installation) -> dict[str, Any]:
        """A new token of an installation, as the token request is answered."""
        token = "ghs_" + secrets.token_urlsafe(INSTALLATION_TOKEN_LENGTH)[:INSTALLATION_TOKEN_LENGTH]
        expires = datetime.now(UTC) + timedelta(hours=1)
        self._tokens[token] = Caller(None, installation.id, expires_at=expires.timestamp(), installation=installation)
        return {
            "token": token,
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "permissions": installation.permissions,
            "repository_selection": installation.selection,
        }

    def app_of(self, authorization: str | None) -> str:
        """The App whose JWT this is. Raises BadAppToken."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise BadAppToken("A JSON web token could not be decoded")
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            if issuer not in self._apps:
                raise BadAppToken("Integration not found")
            claims = jwt.decode(token, self._apps[issuer], algorithms=["RS256"], options={"verify_iss": False})
        except jwt.ExpiredSignatureError as error:
            raise BadAppToken(
                "'Expiration time' claim ('exp') must be a numeric value representing the future time"
                " at which the assertion expires"
            ) from error
        except jwt.PyJWTError as error:
            raise BadAppToken("A JSON web token could not be decoded") from error
        if claims.get("exp", 0) > time.time() + 600 + 5:
            raise BadAppToken("'Expiration time' claim ('exp') is too far in the future")
        return issuer


def _names(repositories: list[str] | None) -> set[str] | None:
    return None if repositories is None else {name.lower() for name in repositories}


def _rename(names: set[str] | None, full_name: str, to: str | None) -> bool:
    """Replaces a name by another one (None: drops it); whether it was there."""
    if names is None or full_name.lower() not in names:
        return False
    names.discard(full_name.lower())
    names.update([] if to is None else [to.lower()])
    return True
