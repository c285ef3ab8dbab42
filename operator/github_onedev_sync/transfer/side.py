"""One end of a transfer over HTTP: where it is, what it is asked with, and what its failures are called."""

import base64
import ssl
from contextlib import AbstractAsyncContextManager
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from .. import __version__
from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from .answers import looks_like_html, public, source_error, target_error, unreachable
from .engine import Endpoint

# GitHub's git endpoint wants a user agent that starts with `git/`.
USER_AGENT = f"git/2.39 github-onedev-sync/{__version__}"
AGENT = f"agent={USER_AGENT.replace(' ', '-')}"
REDIRECTS = (301, 302, 303, 307, 308)
# What aiohttp raises for a connection that did not come about or broke.
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)
_BODY_SHOWN = 4096


def basic(token: str) -> str:
    """The `Authorization` value that GitHub and OneDev take for any kind of token."""
    return "Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()


@lru_cache(maxsize=64)
def _trust(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca)
    except (ssl.SSLError, ValueError, TypeError) as error:  # ValueError: empty; TypeError: not ASCII
        raise Stalled(Reason.SECRET_INVALID, "the Secret's ca.crt is not a PEM certificate; replace it") from error


def trust(ca: str | None) -> ssl.SSLContext | bool:
    """What aiohttp verifies a server with: only the authorities in the PEM text `ca`, or the system's."""
    return _trust(ca) if ca else True


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for `url` (HTTPS_PROXY, NO_PROXY, ...). A session with `trust_env` would
    also send what stands in a .netrc, and asks a thread for it at every request."""
    parts = urlsplit(url)
    return _proxy(parts.scheme, parts.hostname or "")


@lru_cache(maxsize=64)
def _proxy(scheme: str, host: str) -> str | None:
    # Reads the whole environment, which does not change while a process lives.
    return None if proxy_bypass(host) else getproxies().get(scheme)


class Side:
    """A repository that is asked over `session`. After `move` every further request goes where that led."""

    reason = Reason.SOURCE_UNAVAILABLE

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, timeout: aiohttp.ClientTimeout) -> None:
        self.base = endpoint.url.rstrip("/")
        self._session = session
        self._token = endpoint.token
        self._ssl = trust(endpoint.ca)
        self._timeout = timeout
        self._proxy = proxy_for(self.base)

    @property
    def authenticated(self) -> bool:
        return self._token is not None

    def request(
        self, method: str, path: str, headers: dict[str, str], data: Any = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """`path` begins with a slash. No redirect is followed: git and aiohttp would send the token along."""
        identity = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        credentials = {"Authorization": basic(self._token)} if self._token else {}
        return self._session.request(
            method,
            self.base + path,
            data=data,
            headers={**identity, **credentials, **headers},
            allow_redirects=False,
            ssl=self._ssl,
            timeout=self._timeout,
            proxy=self._proxy,
        )

    def move(self, response: aiohttp.ClientResponse) -> None:
        """GitHub redirects a renamed repository. The token does not go to another host, nor into clear text."""
        here = urlsplit(self.base)
        try:
            there = urlsplit(urljoin(str(response.url), response.headers.get("Location", "")))
        except ValueError:
            there = urlsplit("")
        path, found, _ = there.path.partition("/info/refs")
        allowed = ("https",) if here.scheme == "https" else ("http", "https")
        if not found or there.scheme not in allowed or "@" in there.netloc:
            raise Retry(self.reason, f"{public(self.base)} redirects to something that is no git repository")
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            self._token = None
        self.base = f"{there.scheme}://{there.netloc}{path}"
        self._proxy = proxy_for(self.base)

    async def expect(self, response: aiohttp.ClientResponse, content_type: str) -> None:
        """Raises `SyncError` unless `response` is a 200 of that type, not compressed."""
        if response.status in REDIRECTS:
            raise Retry(self.reason, f"{public(self.base)} redirects more often than a git server should")
        if response.status != 200:
            body = (await response.content.read(_BODY_SHOWN)).decode(errors="replace")
            raise self.refusal(response, body)
        if response.content_type != content_type:
            page = "a web page" if looks_like_html(response.content_type, "") else response.content_type
            raise Retry(self.reason, f"{public(self.base)} answered with {page} instead of git's protocol")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Retry(self.reason, f"{public(self.base)} compressed its answer although it was asked not to")

    def refusal(self, response: aiohttp.ClientResponse, body: str) -> SyncError:
        retry_after = response.headers.get("Retry-After")
        return source_error(self.base, response.status, body, authenticated=self.authenticated, retry_after=retry_after)

    def broken(self, error: Exception) -> SyncError:
        """The error for one of `BROKEN`."""
        return unreachable(self.reason, self.base, error)


class Target(Side):
    """OneDev's end."""

    reason = Reason.TARGET_UNAVAILABLE

    def refusal(self, response: aiohttp.ClientResponse, body: str) -> SyncError:
        return target_error(self.base, response.status, response.content_type, body)
