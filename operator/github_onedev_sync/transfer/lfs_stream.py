"""One LFS object on its way from source to target: checked while it passes, never held as a whole.

OneDev writes what it gets over what it has and removes it where the hash is wrong, so the last piece is let through
only when size and hash are known to be right; else the connection is cut, which OneDev takes for a failed upload.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from ..api.conditions import Reason
from ..api.errors import Retry, SyncError
from .answers import public, source_error, target_error, unreachable
from .engine import Endpoint
from .lfs_batch import Action, BatchError, safe_url
from .lfs_pointers import Pointer
from .side import BROKEN, REDIRECTS, USER_AGENT, basic, proxy_for, trust

# OneDev ends a body that is silent for 30 s.
_SOURCE_SILENCE = 25.0
_TARGET_SILENCE = 120.0
_CONNECT = 10.0
_HOPS = 3
_BODY_SHOWN = 4096


class Lacking(Exception):
    """The source's store does not have the object that the source offered, or not of that size."""


class Stream:
    """Carries objects from where `source` keeps them to `target`; `moved` is told of every piece's size."""

    def __init__(
        self, session: aiohttp.ClientSession, source: Endpoint, target: Endpoint, moved: Callable[[int], None]
    ) -> None:
        self._session = session
        self._source = source
        self._target = target
        self._moved = moved

    async def carry(self, pointer: Pointer, get: Action, put: Action) -> None:
        """Raises `Lacking` or `SyncError`, and the target then has nothing of the object."""
        async with self._opened(get) as response:
            if response.content_length not in (None, pointer.size):
                raise Lacking  # A pointer that errs must not stop its mirror for ever.
            passage = Passage(pointer, response, self._moved)
            # The target hears of the object only now, and of one that fits into a piece only if it is right.
            await passage.begin()
            await self._put(passage, put)

    @asynccontextmanager
    async def _opened(self, get: Action) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer that holds the object. The action's own headers go to its own host, our token goes nowhere."""
        action = get
        for _ in range(1 + _HOPS):
            try:
                response = await self._request("GET", action.href, action.header, self._source)
            except BROKEN as error:
                raise unreachable(Reason.SOURCE_UNAVAILABLE, str(action.href), error) from error
            async with response:
                if response.status not in REDIRECTS:
                    yield _checked(response)
                    return
                action = _redirected(action, response)
        raise Retry(Reason.SOURCE_UNAVAILABLE, f"{public(str(get.href))} redirects more often than a store should")

    async def _put(self, passage: "Passage", put: Action) -> None:
        url = self._at_target(put.href)
        headers = self._target_headers(put)
        headers |= {"Content-Type": "application/octet-stream", "Content-Length": str(passage.pointer.size)}
        try:
            async with (
                asyncio.timeout(_TARGET_SILENCE) as watch,
                await self._request("PUT", url, headers, self._target, passage.watched_by(watch)) as response,
            ):
                text = (await response.content.read(_BODY_SHOWN)).decode(errors="replace")
        except BROKEN as error:
            raise passage.error or unreachable(Reason.TARGET_UNAVAILABLE, str(url), error) from error
        if response.status not in (200, 201, 204):
            raise target_error(str(url), response.status, response.content_type, text)
        if not passage.complete:
            raise Retry(Reason.TARGET_UNAVAILABLE, f"{public(str(url))} answered before it had the whole object")

    async def holds(self, pointer: Pointer, get: Action) -> bool:
        """Whether the target has the object as it should be, read back from its first byte to its last."""
        url, digest, size = self._at_target(get.href), hashlib.sha256(), 0
        try:
            async with await self._request("GET", url, self._target_headers(get), self._target) as response:
                if response.status != 200:
                    text = (await response.content.read(_BODY_SHOWN)).decode(errors="replace")
                    raise target_error(str(url), response.status, response.content_type, text)
                async for piece in response.content.iter_any():
                    digest.update(piece)
                    size += len(piece)
                    if size > pointer.size:
                        return False
        except BROKEN as error:
            raise unreachable(Reason.TARGET_UNAVAILABLE, str(url), error) from error
        return size == pointer.size and digest.hexdigest() == pointer.oid

    def _at_target(self, href: URL) -> URL:
        """`href` at our own address of the target: OneDev builds it from the one that it is configured with."""
        here = urlsplit(self._target.url)
        return URL(f"{here.scheme}://{here.netloc}{href.raw_path_qs}", encoded=True)

    def _target_headers(self, action: Action) -> dict[str, str]:
        # What OneDev hands out is good for five minutes; ours, which it knows, as long as there is something to send.
        headers = {name: value for name, value in action.header.items() if name.lower() != "authorization"}
        return headers | ({"Authorization": basic(self._target.token)} if self._target.token else {})

    async def _request(
        self, method: str, url: URL, headers: Mapping[str, str], end: Endpoint, data: "Passage | None" = None
    ) -> aiohttp.ClientResponse:
        return await self._session.request(
            method,
            url,
            data=data,
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers},
            allow_redirects=False,
            ssl=trust(end.ca),
            timeout=aiohttp.ClientTimeout(total=None, connect=_CONNECT, sock_read=None if data else _SOURCE_SILENCE),
            proxy=proxy_for(str(url)),
        )


def _redirected(action: Action, response: aiohttp.ClientResponse) -> Action:
    here = action.href
    try:
        there = safe_url(urljoin(str(here), response.headers.get("Location", "")), here.scheme)
    except (BatchError, ValueError) as error:
        words = f"{public(str(here))} redirects to something that is no store"
        raise Retry(Reason.SOURCE_UNAVAILABLE, words) from error
    return Action(there, action.header if there.origin() == here.origin() else {})


def _checked(response: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    url, status = str(response.url), response.status
    if status in (404, 410):
        raise Lacking
    if status == 429:
        raise source_error(url, status, retry_after=response.headers.get("Retry-After"))
    if status != 200:
        # No word of the token: this is another host's answer to another credential.
        raise Retry(Reason.SOURCE_UNAVAILABLE, f"{public(url)} answered {status} for an LFS object")
    return response


class Passage:
    """An object's pieces as they pass. `complete` when all were let through, `error` where they may not be."""

    def __init__(self, pointer: Pointer, response: aiohttp.ClientResponse, moved: Callable[[int], None]) -> None:
        self.pointer = pointer
        self.complete = False
        self.error: SyncError | None = None
        self._response = response
        self._moved = moved
        self._digest = hashlib.sha256()
        self._size = 0
        self._held = b""
        self._first = b""
        self._watch: asyncio.Timeout | None = None

    async def begin(self) -> None:
        self._first = await self._next()

    def watched_by(self, watch: asyncio.Timeout) -> Self:
        """Every piece that is let through gives the other side its time anew."""
        self._watch = watch
        return self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece, self._first = self._first, b""
        piece = piece or await self._next()
        if not piece:
            raise StopAsyncIteration
        if self._watch is not None and not self._watch.expired():
            self._watch.reschedule(asyncio.get_running_loop().time() + _TARGET_SILENCE)
        self._moved(len(piece))
        return piece

    async def _next(self) -> bytes:
        """The piece before the newest one, or the last one when everything is right; empty when there is no more."""
        while not self.complete and (piece := await self._read()):
            self._size += len(piece)
            if self._size > self.pointer.size:
                raise self._failed(f"it has more than {self.pointer.size} bytes")
            self._digest.update(piece)
            held, self._held = self._held, piece
            if held:
                return held
        if not self.complete:
            self._check()
            self.complete = True
        held, self._held = self._held, b""
        return held

    async def _read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except BROKEN as error:
            self.error = unreachable(Reason.SOURCE_UNAVAILABLE, str(self._response.url), error)
            raise self.error from error

    def _check(self) -> None:
        if self._size < self.pointer.size:
            raise self._failed(f"it ended after {self._size} of {self.pointer.size} bytes")
        if self._digest.hexdigest() != self.pointer.oid:
            raise self._failed("its content has another SHA-256")

    def _failed(self, why: str) -> SyncError:
        where = public(str(self._response.url))
        self.error = Retry(Reason.SOURCE_UNAVAILABLE, f"LFS object {self.pointer.oid} came damaged from {where}: {why}")
        return self.error
