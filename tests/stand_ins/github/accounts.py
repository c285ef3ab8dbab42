"""Who calls: personal tokens, App installations, and how much of the limit each has used."""

import base64
import binascii
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

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


@dataclass
class Caller:
    """login: None for an App installation. repositories: full names it may see beside public ones, None for all.

    scopes: those of a classic token, which each answer repeats; None for any other.
    """

    login: str | None
    user_id: int
    repositories: frozenset[str] | None = None
    expires_at: float | None = None
    scopes: tuple[str, ...] | None = None
    window: Window = field(default_factory=lambda: Window(TOKEN_LIMIT))

    def may_see(self, full_name: str) -> bool:
        return self.repositories is None or full_name.lower() in self.repositories


@dataclass(frozen=True)
class Installation:
    app_id: str
    repositories: frozenset[str] | None


class BadCredentials(ValueError):
    """Something was presented that GitHub does not know."""


class BadAppToken(ValueError):
    """The App's JWT does not hold; the text is GitHub's message."""


class Accounts:
    def __init__(self, anonymous_limit: int | None = ANONYMOUS_LIMIT) -> None:
        self._tokens: dict[str, Caller] = {}
        self._user_ids: dict[str, int] = {}
        self._anonymous: dict[str, Window] = {}
        self._apps: dict[str, str] = {}
        self._installations: dict[int, Installation] = {}
        self.anonymous_limit = anonymous_limit

    def add_token(
        self,
        token: str,
        login: str = "octocat",
        repositories: list[str] | None = None,
        scopes: list[str] | None = None,
    ) -> None:
        user_id = self._user_ids.setdefault(login, 1000 + len(self._user_ids))
        classic = None if scopes is None else tuple(scopes)
        self._tokens[token] = Caller(login, user_id, _names(repositories), scopes=classic)

    def revoke(self, token: str) -> bool:
        return self._tokens.pop(token, None) is not None

    def exhaust(self, token: str | None, remaining: int, seconds: int) -> None:
        """Leaves that many requests until the limit resets; None: for everybody without a token."""
        if token is None:
            self.anonymous_limit = self.anonymous_limit or ANONYMOUS_LIMIT
            self._anonymous.clear()
            self._anonymous["*"] = Window(self.anonymous_limit)
            windows = [self._anonymous["*"]]
        else:
            windows = [self._tokens[token].window]
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
        self, app_id: str, public_key: str, installation_id: int, repositories: list[str] | None = None
    ) -> None:
        """public_key: PEM of the RSA key that verifies the App's JWTs."""
        self._apps[app_id] = public_key
        self._installations[installation_id] = Installation(app_id, _names(repositories))

    def installation_token(self, authorization: str | None, installation_id: int) -> dict[str, Any] | None:
        """What the token request answers; None for an installation this App does not have. Raises BadAppToken."""
        app_id = self._verified_app(authorization)
        installation = self._installations.get(installation_id)
        if installation is None or installation.app_id != app_id:
            return None
        token = "ghs_" + secrets.token_urlsafe(INSTALLATION_TOKEN_LENGTH)[:INSTALLATION_TOKEN_LENGTH]
        expires = datetime.now(UTC) + timedelta(hours=1)
        self._tokens[token] = Caller(None, installation_id, installation.repositories, expires.timestamp())
        return {
            "token": token,
            "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "permissions": {"contents": "read", "metadata": "read"},
            "repository_selection": "all" if installation.repositories is None else "selected",
        }

    def _verified_app(self, authorization: str | None) -> str:
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


def _names(repositories: list[str] | None) -> frozenset[str] | None:
    return None if repositories is None else frozenset(name.lower() for name in repositories)
