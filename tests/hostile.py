"""Servers that do what no honest one does: raw sockets whose answers a test writes byte by byte."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """Header names are lower-case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Hostile:
    """A server at `url`, and what it was sent."""

    url: str
    requests: list[Request] = field(default_factory=list)


Answer = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Hostile]:
    """Serves one request a connection on 127.0.0.1: `answer` writes what it likes, the connection ends after it."""
    seen: list[Request] = []
    open_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            request = await _read(reader)
            seen.append(request)
            await answer(request, writer)
            await writer.drain()
        writer.close()
        open_now.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Hostile(f"{'https' if tls else 'http'}://127.0.0.1:{port}", seen)
    finally:
        server.close()
        for task in open_now:
            task.cancel()
        if open_now:
            await asyncio.wait(open_now)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; `content_type="text/html"` becomes the header of that name."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in named.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def forever(writer: asyncio.StreamWriter, head: bytes, again: bytes) -> None:
    """Sends `head`, then `again` until the other side has had enough."""
    writer.write(head)
    while True:
        writer.write(again)
        await writer.drain()
        await asyncio.sleep(0)
