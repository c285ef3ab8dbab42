"""Reads the refs of a repository over smart HTTP, without any object: the controller's and the worker's eyes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import aiohttp

from ..api.errors import Retry, SyncError
from ..api.refs import Listing
from .advertisement import (
    AdvertisementError,
    Answer,
    check_object_format,
    is_version_2,
    parse_ls_refs,
    parse_v0,
)
from .answers import public
from .engine import Endpoint
from .pktline import Marker, Parser, PktLineError, encode
from .side import AGENT, BROKEN, REDIRECTS, Side, Target

_INFO_REFS = "/info/refs?service=git-upload-pack"
_ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
_RESULT = "application/x-git-upload-pack-result"
_PREFIXES = ("HEAD", "refs/heads/", "refs/tags/", "refs/notes/")


@dataclass(frozen=True)
class Limits:
    """What a listing may cost. `bytes` of one answer, `refs` in it, `seconds` for the whole exchange."""

    bytes: int = 32 * 1024 * 1024
    refs: int = 250_000
    seconds: float = 60.0
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0


class RefReader:
    """Fulfils the engine's port of that name over `session`, which stays the caller's."""

    def __init__(self, session: aiohttp.ClientSession, limits: Limits | None = None) -> None:
        self._session = session
        self._limits = limits or Limits()

    async def source_refs(self, url: str, token: str | None, ca: str | None) -> Listing:
        """Branches, tags, notes and HEAD by protocol v2 `ls-refs`; an old server's v0 list is taken as it is."""
        exchange = self._exchange(Side, url, token, ca)
        lines = await exchange.advertisement({"Git-Protocol": "version=2"}, follow=True)
        if not is_version_2(lines):
            return exchange.parsed(parse_v0, lines)
        check_object_format(lines)
        listing = exchange.parsed(parse_ls_refs, await exchange.ls_refs(_ls_refs_request(lines)))
        return replace(listing, features=_fetch_features(lines))

    async def target_refs(self, url: str, token: str | None, ca: str | None) -> Listing:
        """Every ref of a OneDev project by protocol v0, which OneDev answers without waiting for a push slot."""
        exchange = self._exchange(Target, url, token, ca)
        return exchange.parsed(parse_v0, await exchange.advertisement({}, follow=False))

    def _exchange(self, side: type[Side], url: str, token: str | None, ca: str | None) -> "_Exchange":
        limits = self._limits
        timeout = aiohttp.ClientTimeout(
            total=limits.seconds, connect=limits.connect_seconds, sock_read=limits.silence_seconds
        )
        return _Exchange(limits, side(self._session, Endpoint(url, token, ca=ca), timeout))


def _fetch_features(capabilities: Sequence[bytes]) -> frozenset[str] | None:
    """What the source's `fetch` command knows beyond the basics, None where it has no such command."""
    for line in capabilities:
        name, _, features = line.partition(b"=")
        if name == b"fetch":
            return frozenset(features.decode(errors="replace").split())
    return None


def _ls_refs_request(capabilities: list[bytes]) -> bytes:
    unborn = ["unborn"] if any(c.startswith(b"ls-refs=") and b"unborn" in c for c in capabilities) else []
    return encode(
        [
            "command=ls-refs",
            AGENT,
            "object-format=sha1",
            Marker.DELIMITER,
            "peel",
            "symrefs",
            *unborn,
            *(f"ref-prefix {prefix}" for prefix in _PREFIXES),
            Marker.FLUSH,
        ]
    )


class _Exchange:
    """One listing: at most one redirect, at most two requests, every length capped."""

    def __init__(self, limits: Limits, side: Side) -> None:
        self._limits = limits
        self._side = side

    async def advertisement(self, headers: dict[str, str], *, follow: bool) -> list[bytes]:
        """The lines of `info/refs`. After a redirect every further request goes where it led."""
        try:
            async with self._side.request("GET", _INFO_REFS, headers) as response:
                if not (follow and response.status in REDIRECTS):
                    return await self._lines(response, _ADVERTISEMENT)
                self._side.move(response)
            async with self._side.request("GET", _INFO_REFS, headers) as response:
                return await self._lines(response, _ADVERTISEMENT)
        except BROKEN as error:
            raise self._side.broken(error) from error

    async def ls_refs(self, request: bytes) -> list[bytes]:
        headers = {
            "Git-Protocol": "version=2",
            "Content-Type": "application/x-git-upload-pack-request",
            "Accept": _RESULT,
        }
        try:
            async with self._side.request("POST", "/git-upload-pack", headers, request) as response:
                return await self._lines(response, _RESULT)
        except BROKEN as error:
            raise self._side.broken(error) from error

    def parsed(self, parse: Callable[[list[bytes]], Listing], lines: list[bytes]) -> Listing:
        try:
            return replace(parse(lines), url=self._side.base)
        except AdvertisementError as error:
            raise self._garbled(error) from error

    async def _lines(self, response: aiohttp.ClientResponse, content_type: str) -> list[bytes]:
        await self._side.expect(response, content_type)
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
        return Retry(self._side.reason, f"{public(self._side.base)} did not send a ref list: {error}")
