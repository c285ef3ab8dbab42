"""A proxy that spoils what passes: real HTTP between two real parties, cut, stalled, slowed or changed on its way."""

import asyncio
import gzip
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web

_HOP_BY_HOP = frozenset(("connection", "expect", "host", "keep-alive", "transfer-encoding"))
_PARTS_PER_SECOND = 10
_OUR_OWN = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Cut(ConnectionError):
    """The connection was cut on purpose."""


@dataclass
class Fault:
    """One way to spoil the exchanges that it is meant for; bytes are those of bodies.

    method, path, asks: regular expressions; `path` is searched in the path as sent, query included, and `asks` in the
    first piece of the request's body, without its gzip coat.
    skip: exchanges that match and still pass; count: exchanges that are spoiled after these, None for all.
    watch: called with that piece. meddle: awaited before anything passes, for whatever a third party does just then.
    without: names, in lower case, of request headers that do not pass.
    status, headers, body: the answer, without asking the server and without reading the request to its end.
    again: comes after that body, for ever. rewrite: makes the answer's body of the server's.
    cut_request, cut_answer: bytes that pass before both connections are cut; an answer cut at 0 lacks its head, too.
    stall_request, stall_answer: bytes that pass before nothing does any more, or nothing for `stall_seconds`.
    change_request, change_answer: the byte at this place arrives with one bit turned.
    pace: bytes a second, both ways. gzip: the answer is compressed, whether that was asked for or not.
    `hits` counts the exchanges, `struck` those where it came to the point.
    """

    method: str = ".*"
    path: str = ""
    asks: bytes = b""
    skip: int = 0
    count: int | None = None
    watch: Callable[[bytes], object] | None = None
    meddle: Callable[[], Awaitable[object]] | None = None
    without: tuple[str, ...] = ()
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    again: bytes = b""
    rewrite: Callable[[bytes], bytes] | None = None
    cut_request: int | None = None
    cut_answer: int | None = None
    stall_request: int | None = None
    stall_answer: int | None = None
    stall_seconds: float | None = None
    change_request: int | None = None
    change_answer: int | None = None
    pace: int | None = None
    gzip: bool = False
    hits: int = 0
    struck: int = 0

    def takes(self, method: str, path: str, asked: bytes) -> bool:
        """Whether this exchange is to be spoiled; counts along."""
        meant = re.fullmatch(self.method, method) and re.search(self.path, path) and re.search(self.asks, asked)
        if not meant:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.count is not None and self.hits >= self.count:
            return False
        self.hits += 1
        return True


@dataclass
class Way:
    """What happens to one body of an exchange."""

    fault: Fault
    cut: int | None
    stall: int | None
    change: int | None

    async def spoiled(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        passed = 0
        ends = [end for end in (self.cut, self.stall) if end is not None]
        async for whole in pieces:
            piece = self._changed(whole, passed)
            if ends and passed + len(piece) > min(ends):
                place = min(ends) - passed
                yield piece[:place]
                self.fault.struck += 1
                if self.stall is None:
                    raise Cut("cut by a fault")
                await _stall(self.fault.stall_seconds)
                passed, piece, ends = passed + place, piece[place:], []
            passed += len(piece)
            async for part in self._paced(piece):
                yield part

    def _changed(self, piece: bytes, passed: int) -> bytes:
        place = -1 if self.change is None else self.change - passed
        if not 0 <= place < len(piece):
            return piece
        self.fault.struck += 1
        return piece[:place] + bytes([piece[place] ^ 1]) + piece[place + 1 :]

    async def _paced(self, piece: bytes) -> AsyncIterator[bytes]:
        if not self.fault.pace:
            yield piece
            return
        step = max(1, self.fault.pace // _PARTS_PER_SECOND)
        self.fault.struck += 1
        for start in range(0, len(piece), step):
            yield piece[start : start + step]
            await asyncio.sleep(1 / _PARTS_PER_SECOND)


class FaultyProxy:
    """Forwards everything to the server at `upstream`; use it with `async with`. The oldest fault that fits wins."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._faults: list[Fault] = []
        self.url = ""

    def add(self, **members: Any) -> Fault:
        fault = Fault(**members)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults = []

    async def __aenter__(self) -> Self:
        # A connection of its own for every exchange: cutting one must not touch another.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        )
        server = web.Server(
            self._handle, auto_decompress=False, access_log=None, handler_cancellation=True, lingering_time=1.0
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        fault = Fault()
        try:
            first = await request.content.readany() if request.can_read_body else b""
            asked = _bare(first, request.headers.get("Content-Encoding", ""))
            fault = next((f for f in self._faults if f.takes(request.method, request.raw_path, asked)), fault)
            if fault.watch:
                fault.watch(asked)
            if fault.meddle:
                fault.struck += 1
                await fault.meddle()
            if fault.status:
                fault.struck += 1
                return await self._instead(request, fault)
            return await self._forward(request, first, fault)
        except (ConnectionError, aiohttp.ClientError, web.RequestPayloadError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=502)

    async def _instead(self, request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
        assert fault.status
        if not fault.again:
            return web.Response(status=fault.status, headers=fault.headers, body=fault.body)
        response = web.StreamResponse(status=fault.status, headers=fault.headers)
        await response.prepare(request)
        await response.write(fault.body)
        while True:
            await response.write(fault.again)
            await asyncio.sleep(0)

    async def _forward(self, request: web.BaseRequest, first: bytes, fault: Fault) -> web.StreamResponse:
        if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        way = Way(fault, fault.cut_request, fault.stall_request, fault.change_request)
        body = way.spoiled(_from(first, request.content)) if first else None
        async with self._session.request(
            request.method,
            self._upstream + request.raw_path,
            headers=_kept(request.headers, fault.without),
            data=body,
            skip_auto_headers=_OUR_OWN,
            allow_redirects=False,
        ) as answer:
            return await self._answer(request, answer, fault)

    async def _answer(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, fault: Fault
    ) -> web.StreamResponse:
        if fault.cut_answer == 0:
            fault.struck += 1
            raise Cut("cut by a fault")
        headers = _kept(answer.headers)
        pieces: AsyncIterator[bytes] = answer.content.iter_any()
        if fault.rewrite or fault.gzip:
            fault.struck += 1
            body = await answer.read()
            body = fault.rewrite(body) if fault.rewrite else body
            if fault.gzip:
                body = gzip.compress(body)
                headers["Content-Encoding"] = "gzip"
            headers["Content-Length"] = str(len(body))
            pieces = _from(body)
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        async for piece in Way(fault, fault.cut_answer, fault.stall_answer, fault.change_answer).spoiled(pieces):
            await response.write(piece)
        await response.write_eof()
        return response


def _kept(headers: Any, without: tuple[str, ...] = ()) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in (*_HOP_BY_HOP, *without)}


async def _stall(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


def _bare(piece: bytes, encoding: str) -> bytes:
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(piece) if "gzip" in encoding and piece else piece


async def _from(first: bytes, rest: aiohttp.StreamReader | None = None) -> AsyncIterator[bytes]:
    yield first
    if rest is not None:
        async for piece in rest.iter_any():
            yield piece
