"""A real worker, and the ref reader, before servers that lie: a documented reason, bounded memory, nothing written."""

import asyncio
import hashlib
import ssl
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import psutil
import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError
from github_onedev_sync.api.refs import Listing, RefFilter
from github_onedev_sync.api.report import Outcome, TaskReport
from github_onedev_sync.transfer.listing import Limits, RefReader
from github_onedev_sync.transfer.pktline import Marker, encode
from github_onedev_sync.transfer.side import basic
from github_onedev_sync.worker import credentials
from tests.adapters.test_tls import issue
from tests.hostile import Answer, Request, forever, hostile, response
from tests.stand_ins.processes import run_git
from tests.transfer.world import GITHUB_TOKEN, REPOSITORY, World

A = "a" * 40
ADVERTISEMENT, RESULT = ("application/x-git-upload-pack-" + kind for kind in ("advertisement", "result"))
V2 = encode(["# service=git-upload-pack", Marker.FLUSH, "version 2", "ls-refs=unborn", "fetch=shallow", Marker.FLUSH])
OPEN = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {RESULT}\r\n".encode()
MEBIBYTE = 1024 * 1024


def git(refs: Answer, pack: Answer | None = None) -> Answer:
    """A server of protocol 2 that answers a client's question for refs and the one for objects."""

    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        if request.method == "GET":
            writer.write(response(V2, content_type=ADVERTISEMENT))
        elif pack and b"command=fetch" in request.body:
            await pack(request, writer)
        else:
            await refs(request, writer)

    return answer


def sends(*lines: str | bytes | Marker) -> Answer:
    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(encode(lines), content_type=RESULT))

    return answer


async def refs_of(answer: Answer, limits: Limits | None = None) -> Listing:
    async with hostile(answer) as server, aiohttp.ClientSession() as session:
        return await RefReader(session, limits).source_refs(f"{server.url}/octo/repo.git", "tok", None)


# ---- ref lists


async def endless(_: Request, writer: asyncio.StreamWriter) -> None:
    await forever(writer, OPEN + b"\r\n", encode([f"{A} refs/heads/{'n' * 3800}"] * 16))


async def keepalives(_: Request, writer: asyncio.StreamWriter) -> None:
    await forever(writer, OPEN + b"\r\n", b"0004" * 16_384)


async def beyond_the_end(_: Request, writer: asyncio.StreamWriter) -> None:
    await forever(writer, OPEN + b"\r\n", b"0000" * 16_384)


async def bomb(_: Request, writer: asyncio.StreamWriter) -> None:
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(pack.compress(b"0004" * 250_000) for _ in range(200)) + pack.flush()
    writer.write(OPEN + b"Content-Encoding: gzip\r\n\r\n" + packed)


@pytest.mark.parametrize("answer", [endless, keepalives, beyond_the_end, bomb], ids=lambda answer: answer.__name__)
async def test_a_flood_of_refs_ends_in_bounded_memory(answer: Answer) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    with pytest.raises(Retry) as caught:
        await refs_of(git(answer))
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert process.memory_info().rss - before < 100 * MEBIBYTE


async def test_a_hundred_thousand_refs_are_read() -> None:
    lines = [f"{number:040x} refs/tags/v{number}" for number in range(100_000)]
    assert len((await refs_of(git(sends(*lines, Marker.FLUSH)))).refs) == 100_000


@pytest.mark.parametrize(
    "body", [b"", encode([f"{A} refs/heads/main"]), b"0000000", b"ffff" + b"x" * 9, b"0040short"], ids=repr
)
async def test_a_list_that_was_cut_is_no_list(body: bytes) -> None:
    """Behind a proxy that closes the connection, nothing but git's own flush tells a cut list from a short one."""

    async def cut(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(OPEN + b"\r\n" + body)

    with pytest.raises(Retry, match="did not send a ref list"):
        await refs_of(git(cut))


@pytest.mark.parametrize(
    "name", ["a\x1b[2J", "a\x7f", "a\tb", "../x", "a..b", "a^", "a:b", "a*", "a~1", "a@{1}", "x" * 4096]
)
async def test_a_name_that_git_refuses_never_gets_further(name: str) -> None:
    with pytest.raises(Retry, match="legal ref name") as caught:
        await refs_of(git(sends(f"{A} refs/heads/{name}", Marker.FLUSH)))
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    "location", ["file:///etc/info/refs", "http://[/info/refs", "ssh://h/info/refs", "http://u:p@h/info/refs"]
)
async def test_a_redirect_to_what_is_no_server(location: str) -> None:
    async def away(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", "301 Moved", Location=location))

    with pytest.raises(Retry, match="no git repository"):
        await refs_of(away)


async def test_a_pause_of_five_thousand_digits() -> None:
    async def busy(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(b"", "429 Too Many Requests", Retry_After="9" * 5000))

    with pytest.raises(SyncError) as caught:
        await refs_of(busy)
    assert caught.value.reason is Reason.RATE_LIMITED


async def test_an_endless_row_of_interim_answers_ends_in_time() -> None:
    async def go_on(_: Request, writer: asyncio.StreamWriter) -> None:
        await forever(writer, b"", b"HTTP/1.1 100 Continue\r\n\r\n")

    with pytest.raises(Retry, match="in time"):
        await refs_of(go_on, Limits(seconds=0.3))


# ---- packs


def packed(count: int, *contents: bytes) -> bytes:
    """A pack of blobs that says that it holds `count`."""
    body = b"PACK" + (2).to_bytes(4, "big") + count.to_bytes(4, "big")
    for content in contents:
        assert len(content) < 16
        body += bytes([0x30 | len(content)]) + zlib.compress(content)
    return body + hashlib.sha1(body).digest()


def band(pack: bytes, number: int = 1) -> bytes:
    return bytes([number]) + pack


WHOLE = packed(1, b"hello")
MAIN = sends(f"{A} HEAD symref-target:refs/heads/main", f"{A} refs/heads/main", Marker.FLUSH)
PACKS: dict[str, list[str | bytes | Marker]] = {
    "nothing": [],
    "no pack": ["packfile", Marker.FLUSH],
    "more objects announced than sent": ["packfile", band(packed(3, b"hello")), Marker.FLUSH],
    "four billion objects announced": ["packfile", band(packed(2**32 - 1, b"hello")), Marker.FLUSH],
    "fewer announced than sent": ["packfile", band(packed(1, b"hello", b"world")), Marker.FLUSH],
    "cut in the middle": ["packfile", band(WHOLE[:-12])],
    "a byte changed": ["packfile", band(WHOLE[:14] + b"\xff" + WHOLE[15:]), Marker.FLUSH],
    "other objects than asked for": ["packfile", band(WHOLE), Marker.FLUSH],
    "a page": ["<html>Sign in</html>"],
    "an error with escapes": ["packfile", band(b"\x1b[2J fatal: out of luck\n", 3)],
    "a band that is none": ["packfile", band(WHOLE, 7), Marker.FLUSH],
}


async def state_of(world: World) -> tuple[dict[str, str], str]:
    """The target's refs, and how many objects it has."""
    return await world.onedev.refs("repo"), run_git(world.target_repository, "count-objects", "-v")


FOUND_BY_ONEDEV = (
    "more objects announced than sent",
    "four billion objects announced",
    "fewer announced than sent",
    "a byte changed",
)


async def run_against(world: World, url: str, timeout_seconds: float = 30) -> tuple[TaskReport, str]:
    """A real worker with `url` as its source, what it reported after one attempt, and all it printed."""
    world.pauses = ()
    task = world.task()
    task = replace(task, source=replace(task.source, url=f"{url}/{REPOSITORY}.git"))
    _, report, said = await (await world.start_worker(task, timeout_seconds=timeout_seconds)).end()
    assert report is not None
    assert GITHUB_TOKEN not in said
    assert "\x1b" not in said
    return report.tasks[0], said


async def test_a_pack_that_lies_leaves_the_target_as_it_was(mirrored: World) -> None:
    before = await state_of(mirrored)
    packs = {f"/{number}.git": sends(*lines) for number, lines in enumerate(PACKS.values())}

    async def pack(request: Request, writer: asyncio.StreamWriter) -> None:
        await packs[request.target.removesuffix("/git-upload-pack")](request, writer)

    mirrored.pauses = ()
    async with hostile(git(MAIN, pack)) as server:
        task = mirrored.task()
        tasks = [
            replace(task, key=f"a/{number}", source=replace(task.source, url=server.url + path))
            for number, path in enumerate(packs)
        ]
        _, report, said = await (await mirrored.start_worker(*tasks)).end()
    assert report is not None
    expected = dict.fromkeys(PACKS, Reason.SOURCE_UNAVAILABLE)
    if mirrored.engine == "Relay":
        # Nobody but OneDev looks into the pack.
        expected |= dict.fromkeys(FOUND_BY_ONEDEV, Reason.TARGET_UNAVAILABLE)
        expected["other objects than asked for"] = Reason.NOT_SUPPORTED
    assert all(task.outcome is Outcome.FAILED for task in report.tasks), said
    assert {what: task.reason for what, task in zip(PACKS, report.tasks, strict=True)} == expected, said
    assert "\x1b" not in said
    assert await state_of(mirrored) == before
    assert not list(mirrored.scratch().iterdir())


async def keep_alive(_: Request, writer: asyncio.StreamWriter) -> None:
    head = OPEN + b"\r\n" + encode(["packfile"])
    writer.write(head)
    while True:
        writer.write(b"0005\x01")
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(_: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize("engine", ["Git"])  # the relay has a contract of its own with those who flood it
@pytest.mark.parametrize("pack", [keep_alive, silence], ids=lambda answer: answer.__name__)
async def test_a_pack_that_never_comes_ends_with_the_run(mirrored: World, pack: Answer) -> None:
    before = await state_of(mirrored)
    async with hostile(git(MAIN, pack)) as server:
        report, _ = await run_against(mirrored, server.url, timeout_seconds=3)
        left = [p for p in psutil.process_iter(["cmdline"]) if server.url in " ".join(p.info["cmdline"] or ())]
    assert report.reason is Reason.TIMED_OUT
    assert not left
    assert await state_of(mirrored) == before


# ---- where the token goes


async def test_no_redirect_takes_the_token_to_another_host(mirrored: World) -> None:
    """Git by itself would send the header with the POST that follows a redirected GET."""
    async with hostile(git(MAIN, sends("packfile", Marker.FLUSH))) as other:

        async def away(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"", "301 Moved", Location=other.url + request.target))

        async with hostile(away) as here:
            await run_against(mirrored, here.url)
    assert [request.headers.get("authorization") for request in here.requests] == [basic(GITHUB_TOKEN)]
    assert b"command=fetch" in other.requests[-1].body
    assert not any("authorization" in request.headers for request in other.requests)


@pytest.mark.parametrize(("engine", "method"), [("Git", "GET"), ("Git", "POST"), ("Relay", "POST")])
async def test_no_engine_follows_a_redirect(mirrored: World, method: str) -> None:
    """The ref reader got an honest answer; the engine, a moment later, is led astray."""
    honest = git(MAIN, silence)
    async with hostile(honest) as other:

        async def turns(request: Request, writer: asyncio.StreamWriter) -> None:
            if len(here.requests) > 2 and request.method == method:
                writer.write(response(b"", "302 Found", Location=other.url + request.target))
            else:
                await honest(request, writer)

        async with hostile(turns) as here:
            report, _ = await run_against(mirrored, here.url)
    assert report.reason is Reason.SOURCE_UNAVAILABLE
    assert len(here.requests) > 2
    assert other.requests == []


async def test_the_target_is_reached_at_its_own_address_alone(mirrored: World) -> None:
    async with hostile(git(MAIN)) as other:

        async def away(request: Request, writer: asyncio.StreamWriter) -> None:
            writer.write(response(b"", "307 Temporary", Location=other.url + request.target))

        async with hostile(away) as here:
            task = mirrored.task()
            report = await mirrored.sync(target=replace(task.target, url=f"{here.url}/repo"))
    assert report.reason is Reason.TARGET_UNAVAILABLE
    assert other.requests == []


@pytest.mark.parametrize("token", ["a:b", "a@b", "100%", "a/b+c=", "'\"$(id)`", "x" * 2000])
async def test_a_token_of_odd_characters_arrives_as_it_is(world: World, token: str) -> None:
    world.token("source", token)
    async with hostile(git(MAIN, sends("packfile", Marker.FLUSH))) as server:
        task = world.task()
        await world.sync(source=replace(task.source, url=f"{server.url}/{REPOSITORY}.git"))
    assert len(server.requests) > 2
    assert {request.headers["authorization"] for request in server.requests} == {basic(token)}


@pytest.mark.parametrize("content", [b"tok\r\n", b"\n tok \n"])
async def test_a_token_file_may_end_in_any_line_end(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    assert credentials.read(str(tmp_path), Reason.SECRET_INVALID, "source").token == "tok"


@pytest.mark.parametrize("content", [b"a\0b", "tök".encode(), b"a\rb", b"a\x1bb", b"x" * 5000])
async def test_a_token_that_no_header_can_hold_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(Stalled, match="visible ASCII"):
        credentials.read(str(tmp_path), Reason.SECRET_INVALID, "source")


def test_an_authority_alone_means_anonymous_for_a_source_but_not_for_a_target(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("PEM")
    assert credentials.read(str(tmp_path), Reason.SECRET_INVALID, "source").token is None
    with pytest.raises(Stalled, match="token is missing"):
        credentials.read(str(tmp_path), Reason.SECRET_INVALID, "target")


# ---- TLS


@asynccontextmanager
async def tls_before(url: str, context: ssl.SSLContext) -> AsyncIterator[str]:
    """An https address that leads to the http server at `url`."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = url.removeprefix("http://").split(":")
        there, onward = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pipe(reader, onward), pipe(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_private_authority_is_trusted_by_all_or_named(mirrored: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SSL_CAINFO", "/nonexistent")  # stronger than git's configuration
    await mirrored.github.commit(REPOSITORY, "main", {"a": "3"})
    ca, context = issue(mirrored.folder)
    async with tls_before(mirrored.github.url, context) as github, tls_before(mirrored.onedev.url, context) as onedev:
        task = mirrored.task(api_url=f"{onedev}/~api", default_branch="dev")
        task = replace(task, source=replace(task.source, url=f"{github}/{REPOSITORY}.git"))
        task = replace(task, target=replace(task.target, url=f"{onedev}/repo"))
        (mirrored.folder / "source" / "ca.crt").write_text(ca)
        (report,) = await mirrored.sync_all(task)
        assert report.reason is Reason.TARGET_UNAVAILABLE
        assert "is not trusted; put its authority's PEM under the key ca.crt" in report.message
        (mirrored.folder / "target" / "ca.crt").write_text(ca)
        _, done, said = await (await mirrored.start_worker(task)).end()
    assert done is not None
    assert (done.tasks[0].outcome, done.tasks[0].updated) == (Outcome.SYNCED, 1), said
    await mirrored.assert_equal()


# ---- what must never run

ODD_NAMES = (
    "-x",
    "--upload-pack=x",
    "$(touch${IFS}pwned)",
    "a;touch",
    "`id`",
    "'\"",
    "a|b",
    "{a,b}",
    "@",
    "\u202eevil",
    "ü",
)


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that appears when the environment's or a repository's own commands run."""
    sprung = tmp_path / "sprung"
    hooks = tmp_path / "trap" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("pre-push", "reference-transaction", "post-checkout", "fsmonitor"):
        (hooks / name).write_text(f"#!/bin/sh\necho {name} >> {sprung}\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "trap" / ".gitconfig").write_text(
        f"[init]\ntemplateDir={hooks.parent}\n[core]\nhooksPath={hooks}\nfsmonitor={hooks}/fsmonitor\n"
    )
    for name, value in {
        "HOME": hooks.parent,
        "XDG_CONFIG_HOME": hooks.parent,
        "GIT_TEMPLATE_DIR": hooks.parent,
        "GIT_CONFIG_PARAMETERS": f"'core.hooksPath'='{hooks}'",
        "GIT_CONFIG_COUNT": "9",
        "GIT_CONFIG_KEY_8": "core.hooksPath",
        "GIT_CONFIG_VALUE_8": hooks,
        "GIT_DIR": tmp_path,
        "GIT_NAMESPACE": "elsewhere",
        "GIT_TRACE": sprung,
        "GIT_TRACE_CURL": sprung,
        "GIT_SSL_NO_VERIFY": "1",
    }.items():
        monkeypatch.setenv(name, str(value))
    return sprung


async def test_nothing_of_the_environment_or_of_a_repository_is_run(mirrored: World, trap: Path) -> None:
    modules = '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% {trap}\n\tupdate = !touch {trap}\n'
    files = {".gitmodules": modules.format(trap=trap), "hooks/post-checkout": f"touch {trap}", ".gitattributes": "* x"}
    await mirrored.github.commit(REPOSITORY, "main", files)
    (tip,) = {oid for name, oid in (await mirrored.source_refs()).items() if name == "refs/heads/main"}
    for name in ODD_NAMES:
        mirrored.source_git("update-ref", f"refs/heads/{name}", tip)
    _, report, said = await (await mirrored.start_worker()).end()
    assert report is not None
    assert (report.tasks[0].outcome, report.tasks[0].created) == (Outcome.SYNCED, len(ODD_NAMES)), said
    assert await mirrored.target_refs() == RefFilter().select(await mirrored.source_refs())
    assert "sprung" not in {path.name for path in mirrored.folder.iterdir()}
    assert not list(mirrored.scratch().iterdir())
    assert not (mirrored.folder / "config").exists()
