"""Reads the refs of a repository over smart HTTP, without any object: the controller's and the worker's eyes."""

import base64
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

import aiohttp

from .. import __version__
from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from ..api.refs import Listing
from .advertisement import (
    AdvertisementError,
    Answer,
    check_object_format,
    is_version_2,
    parse_ls_refs,
    parse_v0,
)
from .answers import looks_like_html, public, source_error, target_error, unreachable
from .pktline import Marker, Parser, PktLineError, encode

# GitHub's git endpoint wants a user agent that starts with `git/`.
USER_AGENT = f"git/2.39 github-onedev-sync/{__version__}"
_INFO_REFS = "/info/refs?service=git-upload-pack"
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
_RESULT = "application/x-git-upload-pack-result"
_REDIRECTS = (301, 302, 303, 307, 308)
_BODY_SHOWN = 4096
_PREFIXES = ("HEAD", "refs/heads/", "refs/tags/", "refs/notes/")


@dataclass(frozen=True)
class Limits:
    """What a listing may cost. `bytes` of one answer, `refs` in it, `seconds` for the whole exchange."""

    bytes: int = 32 * 1024 * 1024
    refs: int = 250_000
    seconds: float = 60.0
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0


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


class RefReader:
    """Fulfils the engine's port of that name over `session`, which stays the caller's."""

    def __init__(self, session: aiohttp.ClientSession, limits: Limits | None = None) -> None:
        self._session = session
        self._limits = limits or Limits()

    async def source_refs(self, url: str, token: str | None, ca: str | None) -> Listing:
        """Branches, tags, notes and HEAD by protocol v2 `ls-refs`; an old server's v0 list is taken as it is."""
        exchange = _Exchange(self._session, self._limits, url, token, ca, _Source(url))
        lines = await exchange.advertisement({"Git-Protocol": "version=2"}, follow=True)
        if not is_version_2(lines):
            return exchange.parsed(parse_v0, lines)
        check_object_format(lines)
        return exchange.parsed(parse_ls_refs, await exchange.ls_refs(_ls_refs_request(lines)))

    async def target_refs(self, url: str, token: str | None, ca: str | None) -> Listing:
        """Every ref of a OneDev project by protocol v0, which OneDev answers without waiting for a push slot."""
        exchange = _Exchange(self._session, self._limits, url, token, ca, _Target(url))
        return exchange.parsed(parse_v0, await exchange.advertisement({}, follow=False))


def _ls_refs_request(capabilities: list[bytes]) -> bytes:
    unborn = ["unborn"] if any(c.startswith(b"ls-refs=") and b"unborn" in c for c in capabilities) else []
    return encode(
        [
            "command=ls-refs",
            f"agent={USER_AGENT.replace(' ', '-')}",
            "object-format=sha1",
            Marker.DELIMITER,
            "peel",
            "symrefs",
            *unborn,
            *(f"ref-prefix {prefix}" for prefix in _PREFIXES),
            Marker.FLUSH,
        ]
    )


class _Source:
    """How failures of the source are named."""

    reason = Reason.SOURCE_UNAVAILABLE

    def __init__(self, url: str) -> None:
        self._url = url

    def status(self, response: aiohttp.ClientResponse, body: str, *, authenticated: bool) -> SyncError:
        retry_after = response.headers.get("Retry-After")
        return source_error(self._url, response.status, body, authenticated=authenticated, retry_after=retry_after)


class _Target:
    """How failures of the target are named."""

    reason = Reason.TARGET_UNAVAILABLE

    def __init__(self, url: str) -> None:
        self._url = url

    def status(self, response: aiohttp.ClientResponse, body: str, *, authenticated: bool) -> SyncError:
        return target_error(self._url, response.status, response.content_type, body)


class _Exchange:
    """One listing: at most one redirect, at most two requests, every length capped."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        limits: Limits,
        url: str,
        token: str | None,
        ca: str | None,
        side: _Source | _Target,
    ) -> None:
        self._session = session
        self._limits = limits
        self._base = url.rstrip("/")
        self._token = token
        self._ssl = trust(ca)
        self._side = side
        self._timeout = aiohttp.ClientTimeout(
            total=limits.seconds, connect=limits.connect_seconds, sock_read=limits.silence_seconds
        )

    async def advertisement(self, headers: dict[str, str], *, follow: bool) -> list[bytes]:
        """The lines of `info/refs`. After a redirect every further request goes where it led."""
        try:
            async with self._request("GET", self._base + _INFO_REFS, headers) as response:
                if not (follow and response.status in _REDIRECTS):
                    return await self._lines(response, _ADVERTISEMENT)
                self._move(response)
            async with self._request("GET", self._base + _INFO_REFS, headers) as response:
                return await self._lines(response, _ADVERTISEMENT)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    async def ls_refs(self, request: bytes) -> list[bytes]:
        headers = {
            "Git-Protocol": "version=2",
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": _RESULT,
        }
        try:
            async with self._request("POST", self._base + "/git-upload-pack", headers, request) as response:
                return await self._lines(response, _RESULT)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def parsed(self, parse: Callable[[list[bytes]], Listing], lines: list[bytes]) -> Listing:
        try:
            return replace(parse(lines), url=self._base)
        except AdvertisementError as error:
            raise self._garbled(error) from error

    def _request(
        self, method: str, url: str, headers: dict[str, str], data: bytes | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        identity = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        credentials = {"Authorization": basic(self._token)} if self._token else {}
        return self._session.request(
            method,
            url,
            data=data,
            headers={**identity, **credentials, **headers},
            allow_redirects=False,
            ssl=self._ssl,
            timeout=self._timeout,
        )

    def _move(self, response: aiohttp.ClientResponse) -> None:
        """GitHub redirects a renamed repository. The token does not go to another host, nor into clear text."""
        here = urlsplit(self._base)
        try:
            there = urlsplit(urljoin(str(response.url), response.headers.get("Location", "")))
        except ValueError:
            there = urlsplit("")
        path, found, _ = there.path.partition("/info/refs")
        allowed = ("https",) if here.scheme == "https" else ("http", "https")
        if not found or there.scheme not in allowed or "@" in there.netloc:
            raise Retry(self._side.reason, f"{public(self._base)} redirects to something that is no git repository")
        if (here.scheme, here.netloc) != (there.scheme, there.netloc):
            self._token = None
        self._base = f"{there.scheme}://{there.netloc}{path}"

    async def _lines(self, response: aiohttp.ClientResponse, content_type: str) -> list[bytes]:
        if response.status in _REDIRECTS:
            raise Retry(self._side.reason, f"{public(self._base)} redirects more often than a git server should")
        if response.status != 200:
            body = (await response.content.read(_BODY_SHOWN)).decode(errors="replace")
            raise self._side.status(response, body, authenticated=self._token is not None)
        if response.content_type != content_type:
            page = "a web page" if looks_like_html(response.content_type, "") else response.content_type
            raise Retry(self._side.reason, f"{public(self._base)} answered with {page} instead of git's protocol")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise Retry(self._side.reason, f"{public(self._base)} compressed its answer although it was asked not to")
        try:
            return await self._read_lines(response)
        except (PktLineError, AdvertisementError) as error:
            raise self._garbled(error) from error

    async def _read_lines(self, response: aiohttp.ClientResponse) -> list[bytes]:
        parser = Parser()
        answer = Answer()
        lines: list[bytes] = []
        size = 0
        async for data in response.content.iter_any():
            size += len(data)
            lines.extend(answer.lines(parser.feed(data)))
            if size > self._limits.bytes or len(lines) > self._limits.refs:
                raise AdvertisementError(f"more than {self._limits.refs} refs or {self._limits.bytes} bytes")
        parser.finish()
        answer.finish()
        return lines

    def _garbled(self, error: Exception) -> SyncError:
        return Retry(self._side.reason, f"{public(self._base)} did not send a ref list: {error}")

    def _unreachable(self, error: Exception) -> SyncError:
        return unreachable(self._side.reason, self._base, error)
