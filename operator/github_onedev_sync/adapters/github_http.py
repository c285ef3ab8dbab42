"""Requests to one GitHub API with one credential: its token, its limits, and what a connection's failure means."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import SplitResult, urlsplit

import requests
from github import Auth
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from ..api.urgency import Urgency
from . import github_errors
from .credentials import Anonymous, App, Credentials, Token
from .github_budget import APP, CORE, GRAPHQL, Budget
from .github_client import Answer, Astray, Clients, Closed, Oversized
from .trust import ssl_context

# For one request; a git process needs more (`git_token`).
_LASTS = timedelta(minutes=5)
# GitHub redirects from a name to the one after it; a repository may have been renamed twice.
_REDIRECTS = 3
_ENTERPRISE = "/api/v3"

Counts = Counter[tuple[str, str]]


class GitHubHttp:
    """Shared by all who use the credential. `ca` is PEM text; `counts` has the exchanges by resource and status."""

    def __init__(
        self,
        api_url: str,
        credentials: Credentials,
        ca: str | None,
        pool: int,
        clock: Callable[[], datetime],
        counts: Counts,
    ) -> None:
        self.api_url = _checked_url(api_url)
        self.host = urlsplit(self.api_url).netloc
        self.credentials = credentials
        self.budget = Budget()
        self._clock = clock
        self._counts = counts
        trust = None if ca is None else ssl_context(ca)
        self._bearer = _bearer(credentials)
        self._clients = Clients(self.api_url, self._bearer, trust, pool)
        self._app = (
            Clients(self.api_url, Auth.AppAuth(credentials.app_id, credentials.private_key), trust, 1)
            if isinstance(credentials, App)
            else None
        )
        self._minting = asyncio.Lock()

    @property
    def anonymous(self) -> bool:
        return isinstance(self.credentials, Anonymous)

    async def get(self, url: str, what: str, urgency: Urgency, headers: Mapping[str, str] | None = None) -> Answer:
        """Any answer of GitHub's; redirects within its host are followed. Raises `SyncError` where there is none."""
        return await self._authorized("GET", url, what, urgency, CORE, headers)

    async def query(self, document: str, variables: Mapping[str, Any], what: str, urgency: Urgency) -> Answer:
        """Any answer of GitHub's to a GraphQL query."""
        root = self.api_url.removesuffix(_ENTERPRISE) + "/api" if self.api_url.endswith(_ENTERPRISE) else self.api_url
        body = {"query": document, "variables": dict(variables)}
        return await self._authorized("POST", f"{root}/graphql", what, urgency, GRAPHQL, body=body)

    async def post(self, url: str, what: str, urgency: Urgency) -> Answer:
        """Any answer of GitHub's to a request that makes it do something."""
        return await self._authorized("POST", url, what, urgency, CORE)

    async def as_app(
        self, verb: str, url: str, what: str, urgency: Urgency, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Any answer of GitHub's to what only the App itself may ask, not its installation."""
        if self._app is None:
            raise github_errors.only_for_apps(what)
        return await self._exchange(self._app, verb, url, what, urgency, APP, headers)

    async def ask_as_app(self, verb: str, path: str, what: str, expected: int) -> Answer:
        """What the App asks for its installation. `path` is below the installation's."""
        if not isinstance(self.credentials, App):
            raise github_errors.only_for_apps(what)
        app = self.credentials
        url = f"/app/installations/{app.installation_id:d}{path}"
        answer = await self.as_app(verb, url, what, Urgency.ASKED)
        if answer.status in (401, 404):
            raise github_errors.installation_refused(app.app_id, app.installation_id)
        if answer.status != expected:
            raise self.refused(answer, what)
        return answer

    async def token(self, lasts: timedelta = _LASTS) -> str | None:
        """The credential's token, valid for that long at least; None for anonymous access."""
        await self._renew(lasts)
        return None if self._bearer is None else self._bearer.value

    def refused(self, answer: Answer, what: str, **hints: Any) -> SyncError:
        """What an answer other than the one hoped for means; `hints` are those of `github_errors.refusal`."""
        return github_errors.refusal(
            answer.status, answer.headers, answer.body, what, anonymous=self.anonymous, now=self._clock(), **hints
        )

    def limited(self, answer: Answer, message: str) -> Waiting | None:
        """The wait that GraphQL asks for within an answer of 200."""
        now = self._clock()
        waiting = github_errors.rate_limited(429, answer.headers, message, now)
        if waiting is not None:
            self.budget.heed(waiting, GRAPHQL, now)
        return waiting

    def close(self) -> None:
        self._clients.close()
        if self._app is not None:
            self._app.close()

    async def _authorized(
        self,
        verb: str,
        url: str,
        what: str,
        urgency: Urgency,
        resource: str,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        token = await self.token()
        answer = await self._exchange(self._clients, verb, url, what, urgency, resource, headers, body)
        if answer.status == 401 and self._app is not None:
            # Ended before its time, or by our clock only: the next one may do.
            self._forget(token)
            await self.token()
            answer = await self._exchange(self._clients, verb, url, what, urgency, resource, headers, body)
        return answer

    async def _exchange(
        self,
        clients: Clients,
        verb: str,
        url: str,
        what: str,
        urgency: Urgency,
        resource: str,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        def admit() -> None:
            if (waiting := self.budget.refusal(resource, urgency, self._clock())) is not None:
                raise waiting

        def note(answer: Answer) -> None:
            self._note(answer, resource)

        admit()
        try:
            for _ in range(_REDIRECTS + 1):
                answer = await clients.request(verb, url, headers, body, urgency=urgency, admit=admit, note=note)
                if verb != "GET" or answer.status not in (301, 302, 307, 308):
                    return answer
                url = self._next(answer, url)
            raise Astray
        except Astray as error:
            raise Retry(
                Reason.SOURCE_UNAVAILABLE,
                f"{self.host} leads to another server, or in circles, for {what}: is spec.source.apiURL right?",
            ) from error
        except Closed as error:
            raise Retry(Reason.SOURCE_UNAVAILABLE, f"The connection to {self.host} is being replaced") from error
        except Oversized as error:
            raise github_errors.not_github(what, "too long") from error
        except requests.RequestException as error:
            self._counts[resource, "none"] += 1
            raise github_errors.unreachable(error, self.host) from error
        except (ValueError, OverflowError) as error:  # PyGithub or requests could not make sense of it
            raise github_errors.not_github(what, "unreadable") from error

    def _next(self, answer: Answer, url: str) -> str:
        """Where a redirect leads, on this host only. What was asked for in the query is asked for there, too."""
        target = on_host(str(answer.headers.get("location", "")), self.api_url)
        if target is None:
            raise Astray
        return (target if target.query else target._replace(query=urlsplit(url).query)).geturl()

    def _note(self, answer: Answer, resource: str) -> None:
        now = self._clock()
        self._counts[resource, "304" if answer.status == 304 else f"{answer.status // 100}xx"] += 1
        if (limit := github_errors.rate_limit(answer.headers, now)) is not None:
            self.budget.limits[resource] = limit
        if answer.status in (403, 429) and isinstance(refusal := self.refused(answer, ""), Waiting):
            self.budget.heed(refusal, resource, now)

    def _forget(self, token: str | None) -> None:
        if self._bearer is not None and self._bearer.value == token:
            self._bearer.expires = None

    async def _renew(self, lasts: timedelta) -> None:
        """Mints an installation token of the App where the present one is not valid for that long."""
        if self._bearer is None or not isinstance(self.credentials, App):
            return
        async with self._minting:  # one token, however many ask
            if self._bearer.expires is not None and self._bearer.expires - self._clock() >= lasts:
                return
            what = f"installation {self.credentials.installation_id} of the App {self.credentials.app_id}"
            answer = await self.ask_as_app("POST", "/access_tokens", what, expected=201)
            try:
                minted = _Minted.model_validate_json(answer.body)
            except ValidationError as error:
                raise github_errors.not_github(what, "it is no access token") from error
            self._bearer.value, self._bearer.expires = minted.token, minted.expires_at


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


def on_host(url: str, api_url: str) -> SplitResult | None:
    """`url` in its parts, or None where it is none, or not of the API's own host."""
    try:
        target, here = urlsplit(url), urlsplit(api_url)
    except ValueError:
        return None
    return target if (target.scheme, target.netloc) == (here.scheme, here.netloc) else None


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
