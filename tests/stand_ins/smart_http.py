"""Smart HTTP with real git: the advertisement and the two pack services."""

import gzip
import zlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from aiohttp import web

from .bodies import Answer, request_body
from .processes import Processes, environment

SERVICES = ("git-upload-pack", "git-receive-pack")
NO_CACHE = {
    "Expires": "Fri, 01 Jan 1980 00:00:00 GMT",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache, max-age=0, must-revalidate",
}


class UnknownEncoding(ValueError):
    """The request's body is encoded in a way the server cannot read."""


def command(service: str, repository: Path, *options: str) -> tuple[str, ...]:
    return "git", service.removeprefix("git-"), "--stateless-rpc", *options, str(repository)


def protocol(request: web.BaseRequest) -> dict[str, str]:
    wanted = request.headers.get("Git-Protocol")
    return {"GIT_PROTOCOL": wanted} if wanted else {}


async def advertise(
    processes: Processes, request: web.BaseRequest, service: str, repository: Path, settings: Mapping[str, str]
) -> bytes:
    """The body of `info/refs`: the service line first, for protocol version 2 as well."""
    line = f"# service={service}\n".encode()
    parts = [b"%04x" % (len(line) + 4), line, b"0000"]

    async def collect(piece: bytes) -> None:
        parts.append(piece)

    await processes.stream(
        command(service, repository, "--advertise-refs"),
        environment(settings, protocol(request)),
        _nothing(),
        collect,
    )
    return b"".join(parts)


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


async def inflated(request: web.BaseRequest, idle: float | None = None) -> AsyncIterator[bytes]:
    """The request's body without its gzip coat. Raises UnknownEncoding for any other, `identity` included."""
    encoding = request.headers.get("Content-Encoding")
    if encoding not in (None, "gzip", "x-gzip"):
        raise UnknownEncoding(encoding)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding else None
    async for piece in request_body(request, idle):
        yield unpacker.decompress(piece) if unpacker else piece


async def serve_pack(
    processes: Processes,
    request: web.BaseRequest,
    service: str,
    repository: Path,
    *,
    settings: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
    idle: float | None = None,
    compress: bool = False,
) -> web.StreamResponse:
    """Runs the service over the request's body; the status goes out with git's first byte.

    idle: seconds of silence in the body after which git sees its end. compress: gzip the answer where the client
    takes it. Raises ConnectionError where the client goes away: a fetch ends then, and so does a push whose body
    is not complete; one that has arrived whole is done all the same.
    """
    answer = Answer(request, 200, {"Content-Type": f"application/x-{service}-result", **NO_CACHE})
    if compress and accepts_gzip(request):
        answer.enable_compression(web.ContentCoding.gzip)

    gone: list[ConnectionError] = []

    async def send(piece: bytes) -> None:
        if gone:
            return
        try:
            if not answer.prepared:
                await answer.prepare(request)
            await answer.write(piece)
        except ConnectionError as error:
            if service == "git-upload-pack":
                raise
            gone.append(error)

    try:
        await processes.stream(
            command(service, repository),
            environment(settings, {**protocol(request), **(variables or {})}),
            inflated(request, idle),
            send,
        )
    except (web.RequestPayloadError, zlib.error) as broken:
        raise ConnectionResetError("the body broke off") from broken
    if gone:
        raise gone[0]
    return await answer.finish()


def accepts_gzip(request: web.BaseRequest) -> bool:
    return "gzip" in request.headers.get("Accept-Encoding", "")


def compressed(request: web.BaseRequest, response: web.Response) -> web.Response:
    """The same answer with a gzip coat where the client takes one and it is worth it."""
    if accepts_gzip(request) and isinstance(response.body, bytes) and len(response.body) > 32:
        response.body = gzip.compress(response.body, 6, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response
