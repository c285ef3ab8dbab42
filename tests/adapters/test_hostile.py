"""The adapters before servers that lie, flood and never end: a documented reason each time, and bounded memory."""

import asyncio
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from github_onedev_sync.adapters import github_client, onedev_http
from github_onedev_sync.adapters.credentials import Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.adapters.github_repository import read_repository
from github_onedev_sync.adapters.onedev import OneDev
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from tests.hostile import Answer, Hostile, Request, forever, hostile, response

from .conftest import Clock

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GOOD = {"id": 7, "full_name": "octo/repo", "clone_url": "https://127.0.0.1/octo/repo.git", "default_branch": "main"}
NESTED = b"[" * 200_000


def says(body: object, status: str = "200 OK", **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def answer(_: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(response(content, status, **{"content_type": "application/json", **headers}))

    return answer


async def huge(_: Request, writer: asyncio.StreamWriter) -> None:
    await forever(writer, JSON + b"\r\n[", b'"x",' * 16_384)


async def bomb(_: Request, writer: asyncio.StreamWriter) -> None:
    """200 KB that unpack to 200 MB."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(pack.compress(b" " * 1_000_000) for _ in range(200)) + pack.flush()
    writer.write(JSON + b"Content-Encoding: gzip\r\n\r\n" + packed)


async def dribble(_: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(JSON + b"\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def mute(_: Request, writer: asyncio.StreamWriter) -> None:
    await forever(writer, b"HTTP/1.1 200 OK\r\n", b"X-Filler: 1\r\n")


async def ask_github(answer: Answer, clock: Clock, token: str = "tok") -> tuple[SyncError, Hostile]:
    async with hostile(answer) as server:
        adapter = GitHub(server.url, Token(token), clock=clock)
        with pytest.raises(SyncError) as caught:
            await adapter.repository("octo/repo")
        await adapter.close()
    return caught.value, server


async def ask_onedev(answer: Answer, ask: Callable[[OneDev], Any]) -> tuple[SyncError, Hostile]:
    async with hostile(answer) as server:
        adapter = OneDev(server.url, "tok")
        with pytest.raises(SyncError) as caught:
            await ask(adapter)
        await adapter.close()
    return caught.value, server


# ---- GitHub


@pytest.mark.parametrize("answer", [huge, bomb, says(NESTED), says(b"\xff\xfe\x00"), says(b""), says([1]), mute])
async def test_a_body_that_github_would_never_send(answer: Answer, clock: Clock) -> None:
    error, _ = await ask_github(answer, clock)
    assert isinstance(error, Retry)
    assert error.reason is Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize("status", ["403 Forbidden", "500 Oops", "418 Teapot"])
async def test_a_refusal_nested_deeper_than_any_parser_goes(status: str, clock: Clock) -> None:
    error, _ = await ask_github(says(NESTED, status), clock)
    assert isinstance(error, Retry)


async def test_a_body_that_dribbles_for_ever(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(github_client, "_CALL_SECONDS", 0.3)
    error, _ = await ask_github(dribble, clock)
    assert "did not answer in time" in error.message


@pytest.mark.parametrize(
    "member",
    [
        {"id": -1}, {"id": 0}, {"id": 2**63}, {"id": 10**400}, {"id": "7"}, {"id": True}, {"id": 7.5}, {"id": None},
        {"full_name": ["octo", "repo"]}, {"full_name": "octo/re po"}, {"full_name": "octo/repo\n"},
        {"full_name": "octo/../../x"}, {"full_name": "-o/\u202erepo"}, {"clone_url": None}, {"clone_url": 7},
        {"default_branch": 7}, {"archived": "no"}, {"size": -1}, {"size": 2**70}, {"pushed_at": "yesterday"},
        {"description": {}},
    ],
    ids=str,
)  # fmt: skip
async def test_members_of_other_types(member: dict[str, Any], clock: Clock) -> None:
    error, _ = await ask_github(says(GOOD | member), clock)
    assert isinstance(error, Retry)
    assert error.reason is Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd", "ext::sh -c id", "ssh://127.0.0.1/x", "git@127.0.0.1:x", "--upload-pack=id", "", "http://[",
        "https://user:pw@127.0.0.1/x", "https://127.0.0.1/x?y", "https://127.0.0.1/x#y", "https://127.0.0.1/a b",
        "https://127.0.0.1/x\n[core]", "https://127.0.0.1@evil.example/x", "https://evil.example/octo/repo.git",
        "https://api.127.0.0.1/x", "https://127.0.0.1.evil.example/x", "https://127.0.0.1",
    ],
)  # fmt: skip
async def test_a_clone_address_that_would_run_something_or_take_the_token_elsewhere(url: str, clock: Clock) -> None:
    error, _ = await ask_github(says(GOOD | {"clone_url": url}), clock)
    assert isinstance(error, Stalled)
    assert error.reason is Reason.NOT_SUPPORTED
    assert "pw" not in error.message


@pytest.mark.parametrize(
    ("api", "clone"),
    [
        ("https://api.github.com", "https://github.com/octo/repo.git"),
        ("https://api.corp.ghe.com", "https://corp.ghe.com/octo/repo.git"),
        ("https://ghe.example:8443/api/v3", "https://GHE.example:8443/octo/repo.git"),
    ],
)
def test_the_clone_addresses_of_real_servers(api: str, clone: str) -> None:
    assert read_repository(json.dumps(GOOD | {"clone_url": clone}), "octo/repo", api).clone_url == clone


async def test_an_empty_repository_has_no_default_branch(clock: Clock) -> None:
    async with hostile(says(GOOD | {"default_branch": None})) as server:
        adapter = GitHub(server.url, Token("tok"), clock=clock)
        assert (await adapter.repository("octo/repo")).default_branch == ""
        await adapter.close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry_After": value}
        for value in (
            "9" * 5000,
            "-5",
            "soon",
            "",
            "1e9",
            "Fri, 31 Dec 9999 23:59:59 GMT",
            "Thu, 01 Jan 1970 00:00 GMT",
        )
    ]
    + [
        {"X_RateLimit_Remaining": "0", "X_RateLimit_Limit": "60", "X_RateLimit_Reset": value}
        for value in ("-1", "1e300", "99999999999999", "0")
    ],
    ids=str,
)
async def test_a_pause_is_between_a_second_and_an_hour(headers: dict[str, str], clock: Clock) -> None:
    error, _ = await ask_github(says({"message": "slow down"}, "403 Forbidden", **headers), clock)
    assert isinstance(error, Waiting)
    assert 1 <= error.after.total_seconds() <= 3600


@pytest.mark.parametrize("reset", ["nan", "inf", "", "tomorrow"])
async def test_a_reset_that_is_no_time_at_all_is_not_githubs(reset: str, clock: Clock) -> None:
    headers = {"X_RateLimit_Remaining": "0", "X_RateLimit_Limit": "60", "X_RateLimit_Reset": reset}
    error, _ = await ask_github(says({}, "403 Forbidden", **headers), clock)
    assert isinstance(error, Retry)


@pytest.mark.parametrize("code", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_redirect_never_takes_the_token_to_another_host(code: str, clock: Clock) -> None:
    async with hostile(says(GOOD)) as other:
        for place in (other.url, other.url.replace("http:", "https:"), "file:///etc/passwd", "http://[", "//"):
            error, _ = await ask_github(says({}, code, Location=f"{place}/repos/octo/repo"), clock)
            assert error.reason is Reason.SOURCE_UNAVAILABLE
    assert other.requests == []


@pytest.mark.parametrize("token", ["a:b", "a@b", "100%", "a/b+c=", "'\"$(id)"])
async def test_a_token_of_odd_characters_arrives_as_it_is(token: str, clock: Clock) -> None:
    _, server = await ask_github(says({}, "404 Not Found"), clock, token)
    assert [request.headers["authorization"] for request in server.requests] == [f"token {token}"]


async def test_a_servers_words_cannot_steer_a_terminal(clock: Clock) -> None:
    error, _ = await ask_github(says({"message": "\x1b[2J\x9b31m\u202eevil"}, "500 Oops"), clock)
    assert error.message.isprintable()
    assert "evil" in error.message


# ---- OneDev


FINDS = [
    lambda onedev: onedev.find_project("a/b"),
    lambda onedev: onedev.version(),
    lambda onedev: onedev.check_account(),
]


@pytest.mark.parametrize("ask", FINDS, ids=["find", "version", "account"])
@pytest.mark.parametrize(
    "answer",
    [huge, bomb, says(b"<html>Sign in</html>", content_type="text/html"), mute],
    ids=lambda answer: answer.__name__,
)
async def test_what_onedev_would_never_send(answer: Answer, ask: Callable[[OneDev], Any]) -> None:
    error, _ = await ask_onedev(answer, ask)
    assert error.reason is Reason.TARGET_UNAVAILABLE


async def test_an_answer_of_onedev_that_dribbles_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onedev_http, "_CALL_SECONDS", 0.3)
    error, _ = await ask_onedev(dribble, lambda onedev: onedev.version())
    assert "did not answer in time" in error.message


@pytest.mark.parametrize("code", ["301 Moved", "307 Temporary"])
async def test_onedevs_token_follows_no_redirect(code: str) -> None:
    async with hostile(says(b"5")) as other:
        await ask_onedev(says(b"", code, Location=other.url), lambda onedev: onedev.find_project("a/b"))
    assert other.requests == []


@pytest.mark.parametrize(
    "text", [b"", b"five", b"-5", b"5 5", b"[5]", b"9" * 5000, "٣".encode(), b"\x00", b"5e3", NESTED]
)
async def test_a_look_up_that_answers_something_else(text: bytes) -> None:
    error, _ = await ask_onedev(
        says(text, content_type="text/plain; charset=zip"), lambda onedev: onedev.find_project("a")
    )
    assert isinstance(error, Retry)
    assert error.reason is Reason.TARGET_UNAVAILABLE


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{", NESTED, b'{"id": 1' + b"0" * 5000 + b', "path": "a"}', {"id": "1", "path": "a"},
        {"id": True, "path": "a"}, {"id": 1, "path": 7}, {"id": 1, "path": "a", "description": ["x"]},
        {"id": 1, "path": "a", "parentId": "x"}, {"path": "a"},
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
async def test_a_project_of_other_types(body: object) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        await says(b"1" if "/ids/" in request.target else body)(request, writer)

    error, _ = await ask_onedev(answer, lambda onedev: onedev.find_project("a"))
    assert isinstance(error, Retry)
    assert error.reason is Reason.TARGET_UNAVAILABLE


@pytest.mark.parametrize(
    "path", ["../users", "a/../b", "a%2f..", "a/%2e%2e", "a?x", "a#x", "a//b", "/a", "a\n", "a\x00"]
)
async def test_a_path_that_would_lead_elsewhere_is_never_asked_for(path: str) -> None:
    error, server = await ask_onedev(says(b"1"), lambda onedev: onedev.find_project(path))
    assert error.reason is Reason.TARGET_PATH_ILLEGAL
    assert server.requests == []


@pytest.mark.parametrize("text", ["16.5.6\n" + "x" * 9000, "9" * 5000 + ".1.1", "16.5.6\x1b[2J", "1.2"])
async def test_a_version_that_is_none(text: str) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        await says(text.encode(), content_type="text/plain")(request, writer)

    error, _ = await ask_onedev(answer, lambda onedev: onedev.version())
    assert "is not OneDev's" in error.message
