"""GitHub's REST API: a repository's metadata, and the token that git uses. What refusals mean: `github_errors`."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import requests
from github import Auth
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from ..api.observed import SourceRepository
from . import github_errors
from .credentials import Anonymous, App, Credentials, Token
from .github_client import Answer, Astray, Clients, Closed, Oversized
from .github_repository import FULL_NAME, read_repository
from .trust import ssl_context

# A git process must get through its run with it; PyGithub itself renews only in the last 20 seconds.
_GIT_TOKEN_LASTS = timedelta(minutes=30)
# 10,000 mirrors with one credential find their own answers again; an entry is about 1 KB.
_KEPT_ANSWERS = 16_384


@dataclass(frozen=True)
class RateLimit:
    """GitHub's word on this credential's primary limit, as of its last answer."""

    remaining: int
    limit: int
    reset: datetime


class GitHub:
    """`ports.Source`. `ca` is PEM text; `pool` bounds the requests under way. Close it when done."""

    def __init__(
        self,
        api_url: str,
        credentials: Credentials,
        ca: str | None = None,
        pool: int = 2,
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._api_url = _checked_url(api_url)
        self._host = urlsplit(self._api_url).netloc
        self._credentials = credentials
        self._clock = clock
        trust = None if ca is None else ssl_context(ca)
        self._bearer = _bearer(credentials)
        self._clients = Clients(self._api_url, self._bearer, trust, pool)
        self._app = (
            Clients(self._api_url, Auth.AppAuth(credentials.app_id, credentials.private_key), trust, 1)
            if isinstance(credentials, App)
            else None
        )
        self._minting = asyncio.Lock()
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._rate_limit: RateLimit | None = None
        self._resume_at: datetime | None = None
        self._login: str | None = None

    @property
    def anonymous(self) -> bool:
        return isinstance(self._credentials, Anonymous)

    @property
    def mints_tokens(self) -> bool:
        return isinstance(self._credentials, App)

    @property
    def rate_limit(self) -> RateLimit | None:
        """None before the first answer, and where the server has no limits."""
        return self._rate_limit

    async def repository(self, full_name: str) -> SourceRepository:
        if not FULL_NAME.fullmatch(full_name):
            raise Stalled(Reason.INVALID_SPEC, f"spec.source.repository {full_name!r} is not of the form owner/name")
        return await self._repository(f"/repos/{full_name}", f"repository {full_name}", full_name.partition("/")[0])

    async def repository_by_id(self, repository_id: int) -> SourceRepository:
        what = f"repository with the id {repository_id}"
        found = await self._repository(f"/repositories/{repository_id:d}", what)
        if found.id != repository_id:
            raise github_errors.not_github(what, "it has another id")
        return found

    async def git_token(self) -> str | None:
        await self._renew(_GIT_TOKEN_LASTS)
        return None if self._bearer is None else self._bearer.value

    async def close(self) -> None:
        self._clients.close()
        if self._app is not None:
            self._app.close()

    async def _repository(self, path: str, what: str, owner: str = "") -> SourceRepository:
        await self._renew(timedelta(minutes=1))
        kept = self._kept.get(path)
        answer = await self._request(self._clients, "GET", path, what, {"If-None-Match": kept.etag} if kept else {})
        if answer.status == 304 and kept is not None:
            self._kept[path] = kept
            self._kept.move_to_end(path)
            return kept.repository
        if answer.status != 200:
            raise self._refusal(answer, what, owners_eyes=await self._is_owners(answer, owner))
        repository = read_repository(answer.body, what, self._api_url)
        if etag := answer.headers.get("etag"):
            self._keep(path, _Kept(etag, repository))
        return repository

    def _keep(self, path: str, kept: "_Kept") -> None:
        self._kept[path] = kept
        self._kept.move_to_end(path)
        if len(self._kept) > _KEPT_ANSWERS:
            self._kept.popitem(last=False)

    async def _request(
        self, clients: Clients, verb: str, path: str, what: str, headers: dict[str, str] | None = None
    ) -> Answer:
        now = self._clock()
        if self._resume_at is not None and now < self._resume_at:
            # Asking on while limited may get the credential banned, says GitHub.
            raise github_errors.limit_reached(self._resume_at, now)
        try:
            answer = await clients.request(verb, path, headers)
            if verb == "GET" and answer.status in (302, 307, 308):  # PyGithub follows 301 alone
                answer = await clients.request(verb, self._same_host(answer), headers)
        except Astray as error:
            raise Retry(
                Reason.SOURCE_UNAVAILABLE,
                f"{self._host} leads to another server, or in circles, for {what}: is spec.source.apiURL right?",
            ) from error
        except Closed as error:
            raise Retry(Reason.SOURCE_UNAVAILABLE, f"The connection to {self._host} is being replaced") from error
        except Oversized as error:
            raise github_errors.not_github(what, "too long") from error
        except requests.RequestException as error:
            raise github_errors.unreachable(error, self._host) from error
        except (ValueError, OverflowError) as error:  # PyGithub or requests could not make sense of it
            raise github_errors.not_github(what, "unreadable") from error
        self._note_limits(answer)
        return answer

    def _same_host(self, answer: Answer) -> str:
        location = str(answer.headers.get("location", ""))
        target, here = urlsplit(location), urlsplit(self._api_url)
        if (target.scheme, target.netloc) != (here.scheme, here.netloc):
            raise Astray
        return location

    def _note_limits(self, answer: Answer) -> None:
        reset = github_errors.reset_time(answer.headers)
        try:
            remaining = int(float(answer.headers["x-ratelimit-remaining"]))
            limit = int(float(answer.headers["x-ratelimit-limit"]))
        except (KeyError, ValueError, OverflowError):
            return
        if reset is not None:
            self._rate_limit = RateLimit(remaining, limit, reset)

    async def _is_owners(self, answer: Answer, owner: str) -> bool:
        """Whether nothing of `owner`'s could be hidden from the token that got this 404.

        Only a classic token tells its scopes, and only its owner's own repositories are all within them.
        """
        scopes = str(answer.headers.get("x-oauth-scopes", "")).split(",")
        if answer.status != 404 or not owner or "repo" not in map(str.strip, scopes):
            return False
        if self._login is None:
            try:
                user = await self._request(self._clients, "GET", "/user", "the token's user")
                self._login = _User.model_validate_json(user.body).login if user.status == 200 else None
            except (SyncError, ValidationError):
                return False  # not known is not gone
        return self._login is not None and self._login.lower() == owner.lower()

    def _refusal(self, answer: Answer, what: str, *, owners_eyes: bool = False) -> SyncError:
        now = self._clock()
        refusal = github_errors.refusal(
            answer.status,
            answer.headers,
            answer.body,
            what,
            anonymous=self.anonymous,
            owners_eyes=owners_eyes,
            now=now,
        )
        if isinstance(refusal, Waiting):
            self._resume_at = now + refusal.after
        return refusal

    async def _renew(self, lasts: timedelta) -> None:
        """Mints an installation token of the App where the present one is not valid for that long."""
        if self._app is None or self._bearer is None or not isinstance(self._credentials, App):
            return
        async with self._minting:  # one token, however many ask
            if self._bearer.expires is not None and self._bearer.expires - self._clock() >= lasts:
                return
            app = self._credentials
            what = f"installation {app.installation_id} of the App {app.app_id}"
            path = f"/app/installations/{app.installation_id:d}/access_tokens"
            answer = await self._request(self._app, "POST", path, what)
            if answer.status in (401, 404):
                raise github_errors.installation_refused(app.app_id, app.installation_id)
            if answer.status != 201:
                raise self._refusal(answer, what)
            try:
                minted = _Minted.model_validate_json(answer.body)
            except ValidationError as error:
                raise github_errors.not_github(what, "it is no access token") from error
            self._bearer.value, self._bearer.expires = minted.token, minted.expires_at


@dataclass(frozen=True)
class _Kept:
    """The last answer of one address, and the ETag for which GitHub says 304."""

    etag: str
    repository: SourceRepository


class _Bearer(Auth.Auth):
    """The token of every request, replaced where an App's runs out. PyGithub masks it in its log."""

    def __init__(self, value: str) -> None:
        self.value = value
        self.expires: datetime | None = None

    @property
    def token_type(self) -> str:
        return "token"

    @property
    def token(self) -> str:
        return self.value


class _User(BaseModel):
    model_config = ConfigDict(extra="ignore")

    login: str


class _Minted(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    token: str
    expires_at: AwareDatetime


def _bearer(credentials: Credentials) -> _Bearer | None:
    match credentials:
        case Anonymous():
            return None
        case Token(value):
            return _Bearer(value)
        case App():
            return _Bearer("")


def _checked_url(api_url: str) -> str:
    """Without a slash at its end. Never quoted in a message: it may hold what should not be there."""
    url = api_url.rstrip("/")
    try:
        parts = urlsplit(url)
        legal = parts.scheme in ("https", "http") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        legal = False
    if not legal or "@" in parts.netloc or parts.query or parts.fragment:
        raise Stalled(
            Reason.INVALID_SPEC,
            "spec.source.apiURL must be an http(s) URL without user, password, query or fragment, "
            "such as https://api.github.com or https://HOST/api/v3",
        )
    return url
