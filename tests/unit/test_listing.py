"""Ref lists of both protocols, from servers that behave and servers that do not."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.transfer.advertisement import (
    AdvertisementError,
    Answer,
    is_legal,
    parse_ls_refs,
    parse_v0,
)
from github_onedev_sync.transfer.listing import Limits, RefReader
from github_onedev_sync.transfer.pktline import MAX_LENGTH, Marker, Parser, PktLineError, encode
from github_onedev_sync.transfer.side import basic

A, B, C = "a" * 40, "b" * 40, "c" * 40
TOKEN = "tok-123"
ADVERTISEMENT = "application/x-git-upload-pack-advertisement"
RESULT = "application/x-git-upload-pack-result"
V2 = encode(
    [
        "# service=git-upload-pack",
        Marker.FLUSH,
        "version 2",
        "agent=git/2.50",
        "ls-refs=unborn",
        "fetch=shallow",
        "object-format=sha1",
        Marker.FLUSH,
    ]
)
LS_REFS = encode([f"{A} HEAD symref-target:refs/heads/main", f"{A} refs/heads/main", Marker.FLUSH])
V0 = encode(
    [
        "# service=git-upload-pack",
        Marker.FLUSH,
        f"{A} HEAD\0multi_ack symref=HEAD:refs/heads/main object-format=sha1 agent=git/2",
        f"{A} refs/heads/main",
        f"{B} refs/tags/v1",
        f"{A} refs/tags/v1^{{}}",
        Marker.FLUSH,
    ]
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


# ---- parsers


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=200), st.sampled_from(Marker))), st.integers(1, 7))
def test_frames_survive_any_cut(frames: list[bytes | Marker], step: int) -> None:
    data = encode(frames)
    parser = Parser()
    found = [frame for start in range(0, len(data), step) for frame in parser.feed(data[start : start + step])]
    parser.finish()
    assert found == frames


@given(st.binary(max_size=300))
def test_garbage_never_breaks_the_parsers_otherwise_than_said(data: bytes) -> None:
    for parse in (parse_v0, parse_ls_refs):
        parser = Parser()
        with suppress(PktLineError, AdvertisementError, Stalled):
            parse(list(Answer().lines(parser.feed(data))))


@pytest.mark.parametrize("data", [b"0003", b"zzzz", b"fff1", b"-001", b" 004"])
def test_an_illegal_length_is_an_error(data: bytes) -> None:
    with pytest.raises(PktLineError, match="length"):
        list(Parser().feed(data))


def test_a_stream_that_ends_inside_a_frame_is_an_error() -> None:
    parser = Parser()
    assert list(parser.feed(b"0010abc")) == []
    with pytest.raises(PktLineError, match="inside"):
        parser.finish()


def test_a_line_too_long_for_a_frame_is_not_sent() -> None:
    with pytest.raises(PktLineError):
        encode([b"x" * MAX_LENGTH])


def test_version_0() -> None:
    parsed = parse_v0(list(Answer().lines(Parser().feed(V0))))
    assert parsed == Listing({"refs/heads/main": A, "refs/tags/v1": B}, "refs/heads/main", {"refs/tags/v1": A})


def test_version_0_of_an_empty_repository() -> None:
    line = f"{'0' * 40} capabilities^{{}}\0multi_ack".encode()
    assert parse_v0([line]) == Listing({})
    assert parse_v0([]) == Listing({})


def test_version_0_sets_aside_what_is_no_ref() -> None:
    lines = [f"{A} refs/heads/main\0caps".encode(), f"{B} .have".encode(), f"shallow {C}".encode()]
    assert parse_v0(lines) == Listing({"refs/heads/main": A})


def test_head_of_version_0_is_none_where_its_branch_is_not_born() -> None:
    assert parse_v0([f"{A} refs/heads/x\0symref=HEAD:refs/heads/main".encode()]).head is None


def test_version_2() -> None:
    lines = [
        f"{A} HEAD symref-target:refs/heads/main".encode(),
        f"{A} refs/heads/main".encode(),
        f"{B} refs/tags/v1 peeled:{A}".encode(),
    ]
    assert parse_ls_refs(lines) == Listing(
        {"refs/heads/main": A, "refs/tags/v1": B}, "refs/heads/main", {"refs/tags/v1": A}
    )


def test_an_unborn_or_detached_head_is_none() -> None:
    assert parse_ls_refs([b"unborn HEAD symref-target:refs/heads/main"]) == Listing({})
    assert parse_ls_refs([f"{A} HEAD".encode(), f"{A} refs/heads/x".encode()]).head is None


@pytest.mark.parametrize(
    "line",
    [
        b"xyz refs/heads/a",
        A.encode(),
        f"{A} ".encode(),
        f"{A} refs/heads/a..b".encode(),
        f"{A} refs/heads/a\x07".encode(),
        f"{A} refs/heads/a.lock".encode(),
        f"{A} refs/heads/../../x".encode(),
        f"{A} heads/a".encode(),
        f"{A} refs/heads/{'x' * 4096}".encode(),
    ],
)
def test_what_is_no_legal_ref_is_refused(line: bytes) -> None:
    with pytest.raises(AdvertisementError):
        parse_v0([line])
    with pytest.raises(AdvertisementError):
        parse_ls_refs([line])


def test_a_name_that_is_not_utf8_is_said_so() -> None:
    with pytest.raises(Stalled, match="not UTF-8"):
        parse_v0([A.encode() + b" refs/heads/\xff"])


@pytest.mark.parametrize("name", ["refs/heads/ä", "refs/heads/#1@x", "refs/heads/a{b", "refs/heads/a.b"])
def test_legal_names(name: str) -> None:
    assert is_legal(name)


# ---- over HTTP


@asynccontextmanager
async def reading(
    handler: Handler, limits: Limits | None = None
) -> AsyncIterator[tuple[str, RefReader, list[web.Request]]]:
    seen: list[web.Request] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", record)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield str(server.make_url("/o/r.git")), RefReader(session, limits), seen


async def good(request: web.Request) -> web.Response:
    if request.method == "POST":
        return web.Response(body=LS_REFS, content_type=RESULT)
    return web.Response(body=V2 if "Git-Protocol" in request.headers else V0, content_type=ADVERTISEMENT)


async def test_the_source_is_read_by_version_2() -> None:
    async with reading(good) as (url, reader, seen):
        assert await reader.source_refs(url, TOKEN, None) == Listing({"refs/heads/main": A}, "refs/heads/main")
    assert [(r.method, r.path_qs) for r in seen] == [
        ("GET", "/o/r.git/info/refs?service=git-upload-pack"),
        ("POST", "/o/r.git/git-upload-pack"),
    ]
    for request in seen:
        assert request.headers["Authorization"] == basic(TOKEN)
        assert request.headers["Accept-Encoding"] == "identity"
        assert request.headers["User-Agent"].startswith("git/")
        assert request.headers["Git-Protocol"] == "version=2"


async def test_the_target_is_read_by_version_0_and_never_posts() -> None:
    async with reading(good) as (url, reader, seen):
        assert (await reader.target_refs(url, TOKEN, None)).refs == {"refs/heads/main": A, "refs/tags/v1": B}
    assert [r.method for r in seen] == ["GET"]
    assert "Git-Protocol" not in seen[0].headers


async def test_a_source_that_knows_only_version_0_is_taken_at_its_word() -> None:
    async def old(_: web.Request) -> web.Response:
        return web.Response(body=V0, content_type=ADVERTISEMENT)

    async with reading(old) as (url, reader, _):
        assert (await reader.source_refs(url, None, None)).head == "refs/heads/main"


async def test_a_redirect_is_followed_once_and_keeps_the_token_on_the_same_host() -> None:
    async def moved(request: web.Request) -> web.Response:
        if request.path.startswith("/o/"):
            raise web.HTTPMovedPermanently(f"/new/r.git/info/refs?{request.query_string}")
        return await good(request)

    async with reading(moved) as (url, reader, seen):
        await reader.source_refs(url, TOKEN, None)
    assert [r.path for r in seen] == ["/o/r.git/info/refs", "/new/r.git/info/refs", "/new/r.git/git-upload-pack"]
    assert all("Authorization" in r.headers for r in seen)


async def test_the_token_does_not_follow_a_redirect_to_another_host() -> None:
    async with reading(good) as (there, _, seen):

        async def away(_: web.Request) -> web.Response:
            raise web.HTTPFound(f"{there}/info/refs?service=git-upload-pack")

        async with reading(away) as (here, reader, _):
            await reader.source_refs(here, TOKEN, None)
    assert len(seen) == 2
    assert not any("Authorization" in request.headers for request in seen)


@pytest.mark.parametrize("location", ["/o/r.git/info/refs?service=git-upload-pack", "/login", "ftp://x/info/refs", ""])
async def test_a_redirect_that_leads_nowhere_is_an_outage(location: str) -> None:
    async def loop(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    async with reading(loop) as (url, reader, seen):
        with pytest.raises(Retry, match="redirects") as caught:
            await reader.source_refs(url, TOKEN, None)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert len(seen) <= 2


SOURCE_ANSWERS = [
    (401, "", "", Stalled, Reason.SOURCE_AUTHENTICATION_FAILED),
    (403, "Repository 'o/r' is disabled. Please ask the owner", "", Retry, Reason.DISABLED),
    (403, "Repository access blocked", "", Retry, Reason.BLOCKED),
    (403, "You have exceeded a secondary rate limit", "", Waiting, Reason.RATE_LIMITED),
    (404, "Repository not found.", "", Retry, Reason.PRIVATE_OR_GONE),
    (429, "", "120", Waiting, Reason.RATE_LIMITED),
    (451, "", "", Retry, Reason.TAKEN_DOWN),
    (500, "", "", Retry, Reason.SOURCE_UNAVAILABLE),
    (503, "", "", Retry, Reason.SOURCE_UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "body", "after", "policy", "reason"), SOURCE_ANSWERS)
async def test_statuses_of_the_source(
    status: int, body: str, after: str, policy: type[SyncError], reason: Reason
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"Retry-After": after} if after else {})

    async with reading(answer) as (url, reader, _):
        with pytest.raises(policy) as caught:
            await reader.source_refs(url, TOKEN, None)
    assert caught.value.reason is reason
    assert TOKEN not in caught.value.message
    if after:
        assert isinstance(caught.value, Waiting)
        assert caught.value.after.total_seconds() == 120


async def test_without_a_token_401_means_that_nothing_is_to_be_seen() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=401)

    async with reading(answer) as (url, reader, _):
        with pytest.raises(Retry) as caught:
            await reader.source_refs(url, None, None)
    assert caught.value.reason is Reason.PRIVATE_OR_GONE


TARGET_ANSWERS = [
    (401, "text/plain", "Invalid account or incorrect credentials", Stalled, Reason.TARGET_AUTHENTICATION_FAILED),
    (403, "text/plain", "You do not have permission", Stalled, Reason.TARGET_NOT_PERMITTED),
    (404, "text/plain", "Project not found or inaccessible: a/b", Retry, Reason.TARGET_CHANGED),
    (404, "text/html", "<html>OneDev is starting", Retry, Reason.TARGET_UNAVAILABLE),
    (413, "text/html", "<html>", Stalled, Reason.TARGET_REFUSED),
    (302, "text/html", "", Retry, Reason.TARGET_UNAVAILABLE),
    (500, "text/plain", "Server Error", Retry, Reason.TARGET_UNAVAILABLE),
    (503, "text/plain", "Server not ready", Retry, Reason.TARGET_UNAVAILABLE),
]


@pytest.mark.parametrize(("status", "kind", "body", "policy", "reason"), TARGET_ANSWERS)
async def test_statuses_of_the_target(
    status: int, kind: str, body: str, policy: type[SyncError], reason: Reason
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, content_type=kind)

    async with reading(answer) as (url, reader, _):
        with pytest.raises(policy) as caught:
            await reader.target_refs(url, TOKEN, None)
    assert caught.value.reason is reason


GARBAGE = {
    "a web page": web.Response(text="<html>Sign in</html>", content_type="text/html"),
    "not pkt-lines": web.Response(body=b"hello, world", content_type=ADVERTISEMENT),
    "a lie about a length": web.Response(body=b"00ff" + A.encode(), content_type=ADVERTISEMENT),
    "an ERR line": web.Response(body=encode(["ERR access denied"]), content_type=ADVERTISEMENT),
    "an illegal name": web.Response(body=encode([f"{A} refs/heads/a b"]), content_type=ADVERTISEMENT),
    "nothing of its kind": web.Response(body=b"", content_type="application/octet-stream"),
}


@pytest.mark.parametrize("what", GARBAGE)
async def test_garbage_is_an_outage(what: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        plain = GARBAGE[what]
        return web.Response(body=plain.body, content_type=plain.content_type)

    async with reading(answer) as (url, reader, _):
        with pytest.raises(Retry) as source:
            await reader.source_refs(url, TOKEN, None)
        with pytest.raises(Retry) as target:
            await reader.target_refs(url, TOKEN, None)
    assert source.value.reason is Reason.SOURCE_UNAVAILABLE
    assert target.value.reason is Reason.TARGET_UNAVAILABLE


async def test_a_sha256_repository_is_not_supported() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=V2.replace(b"0017object-format=sha1", b"0019object-format=sha256"),
                            content_type=ADVERTISEMENT)  # fmt: skip

    async with reading(answer) as (url, reader, _):
        with pytest.raises(Stalled, match="SHA-1") as caught:
            await reader.source_refs(url, TOKEN, None)
    assert caught.value.reason is Reason.NOT_SUPPORTED


@pytest.mark.parametrize("limits", [Limits(refs=3), Limits(bytes=1000)])
async def test_an_endless_list_is_cut(limits: Limits) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": ADVERTISEMENT})
        await response.prepare(request)
        try:
            while True:
                await response.write(encode([f"{A} refs/heads/{sent}"]))
                sent += 1
        except ConnectionError:
            return response

    async with reading(endless, limits) as (url, reader, _):
        with pytest.raises(Retry, match="more than"):
            await reader.target_refs(url, TOKEN, None)


async def test_silence_ends_after_the_time_allowed() -> None:
    gave_up = asyncio.Event()

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": ADVERTISEMENT})
        await response.prepare(request)
        await response.write(b"0000")
        await gave_up.wait()
        return response

    async with reading(silent, Limits(silence_seconds=0.1)) as (url, reader, _):
        with pytest.raises(Retry, match="in time"):
            await reader.target_refs(url, TOKEN, None)
        gave_up.set()


async def test_nobody_there() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Retry, match="cannot be reached") as caught:
            await RefReader(session).target_refs("http://127.0.0.1:1/o/r", TOKEN, None)
    assert caught.value.reason is Reason.TARGET_UNAVAILABLE


async def test_a_ca_that_is_no_certificate_is_named() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Stalled, match=r"ca\.crt") as caught:
            await RefReader(session).target_refs("https://127.0.0.1:1/o/r", TOKEN, "not a PEM")
    assert caught.value.reason is Reason.SECRET_INVALID
    assert isinstance(caught.value.__cause__, (ssl.SSLError, ValueError))


def test_credentials_in_a_url_are_not_shown() -> None:
    from github_onedev_sync.transfer.answers import public, source_error

    assert public("https://me:secret@host/o/r?x=1") == "https://host/o/r"
    assert "secret" not in source_error("https://me:secret@host/o/r", 404).message
