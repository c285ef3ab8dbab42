"""Bodies on their way in and out, where faults cut and stall them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web

from .misbehaviour import Fault

# The fault that hits a request, kept with it.
FAULT: web.RequestKey[Fault] = web.RequestKey("fault", Fault)
AHEAD: web.RequestKey["Ahead"] = web.RequestKey("ahead")


class Lost(ConnectionError):
    """The connection was closed on purpose, by a fault."""


class Answer(web.StreamResponse):
    """An answer in pieces, which a fault may cut or stall."""

    def __init__(self, request: web.BaseRequest, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status=status, headers=headers)
        self._request = request
        self._fault: Fault | None = request.get(FAULT)
        self._sent = 0

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        fault, rest = self._fault, bytes(data)
        if fault is None:
            await super().write(rest)
            return
        if fault.drop == "after":
            return
        if fault.cut_after is not None and self._sent + len(rest) > fault.cut_after:
            await super().write(rest[: fault.cut_after - self._sent])
            await asyncio.sleep(0)
            raise cut(self._request)
        if fault.stall_after is not None and self._sent + len(rest) > fault.stall_after:
            await super().write(rest[: fault.stall_after - self._sent])
            rest, self._sent = rest[fault.stall_after - self._sent :], fault.stall_after
            await _stall(fault)
            self._fault = None
        self._sent += len(rest)
        await super().write(rest)

    @property
    def lost(self) -> bool:
        """Whether the client is to see nothing of it."""
        return self._fault is not None and self._fault.drop == "after"

    async def finish(self) -> Self:
        if self.lost:
            raise cut(self._request)
        if not self.prepared:
            await self.prepare(self._request)
        await self.write_eof()
        return self


def cut(request: web.BaseRequest) -> Lost:
    """Closes the connection; the error to raise."""
    if request.transport is not None:
        request.transport.close()
    return Lost("cut by a fault")


async def _stall(fault: Fault) -> None:
    # A client that goes away ends this too: the server cancels the handler when it stops.
    await asyncio.sleep(fault.stall_seconds if fault.stall_seconds is not None else 3600)


@dataclass
class Ahead:
    """What was read of a body before its turn came."""

    pieces: list[bytes] = field(default_factory=list)
    complete: bool = False


async def read_ahead(request: web.BaseRequest, limit: int) -> None:
    """Takes up to about `limit` bytes of the body, as the buffers of a connection do; `request_body` begins with them.

    A client that goes away after a whole body has then still been heard. May be cancelled at any time.
    """
    ahead = request[AHEAD] = Ahead()
    while sum(map(len, ahead.pieces)) < limit:
        piece = await request.content.readany()
        if not piece:
            ahead.complete = True
            return
        ahead.pieces.append(piece)


async def request_body(request: web.BaseRequest, idle: float | None = None) -> AsyncIterator[bytes]:
    """The raw request body in pieces. Raises TimeoutError after `idle` seconds without a byte."""
    fault: Fault | None = request.get(FAULT)
    ahead: Ahead = request.get(AHEAD) or Ahead()
    received = 0
    while True:
        if ahead.pieces:
            piece = ahead.pieces.pop(0)
        elif ahead.complete:
            return
        else:
            async with asyncio.timeout(idle):
                piece = await request.content.readany()
        if not piece:
            return
        received += len(piece)
        if fault is not None:
            if fault.cut_request_after is not None and received > fault.cut_request_after:
                raise cut(request)
            if fault.stall_request_after is not None and received > fault.stall_request_after:
                await _stall(fault)
        yield piece
