"""Faults, journal and the admin API; and how the plain processes come and go."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from .conftest import TOKEN, Git, OneDevClient, until
from .github import GitHubStandIn
from .onedev import OneDevStandIn
from .onedev.hooks import CallbackFailed, parse_form

ROOT = Path(__file__).parents[2]


async def test_journal(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await client.get(f"{github.url}/repos/octo/hello")
    await client.get(f"{github.url}/repos/octo/none", headers={"Authorization": f"Bearer {TOKEN}"})
    seen = (await client.get(f"{github.url}/_stand-in/journal", params={"path": "^/repos/"})).json()
    assert [(entry["path"], entry["status"], entry["authenticated"]) for entry in seen] == [
        ("/repos/octo/hello", 200, False),
        ("/repos/octo/none", 404, True),
    ]
    assert TOKEN not in str(seen)
    newer = (await client.get(f"{github.url}/_stand-in/journal", params={"since": seen[0]["number"]})).json()
    assert len(newer) == 1
    await client.delete(f"{github.url}/_stand-in/journal")
    assert github.journal.entries() == []


async def test_answers_of_a_fault(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    url, admin = f"{github.url}/repos/octo/hello", f"{github.url}/_stand-in/faults"
    fault = {"path": "/repos/", "status": 503, "headers": {"Retry-After": "3"}, "body": "busy", "skip": 1, "count": 2}
    number = (await client.post(admin, json=fault)).json()["id"]
    answers = [await client.get(url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 503, 503, 200]
    assert (answers[1].text, answers[1].headers["retry-after"]) == ("busy", "3")
    assert (await client.get(admin)).json()[0]["hits"] == 2
    assert (await client.delete(admin, params={"id": number})).status_code == 200
    assert (await client.get(admin)).json() == []
    for wrong in ({"nonsense": 1}, {"path": "("}, {"drop": "sometimes"}):
        assert (await client.post(admin, json=wrong)).status_code == 400


async def test_delay(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    github.faults.add(path="/repos/", delay=0.3)
    started = time.monotonic()
    assert (await client.get(f"{github.url}/repos/octo/hello")).status_code == 200
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"drop": "after"}, {"cut_after": 10}])
async def test_connections_that_break(
    github: GitHubStandIn, client: httpx.AsyncClient, fault: dict[str, object]
) -> None:
    github.faults.add(path="/repos/", **fault)
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(f"{github.url}/repos/octo/hello")
    assert github.journal.entries()[-1].status == 0
    assert (await client.get(f"{github.url}/repos/octo/hello")).status_code == 200


async def test_a_lost_answer_is_not_a_lost_deed(rest: OneDevClient, onedev: OneDevStandIn) -> None:
    onedev.faults.add(method="POST", path="/~api/projects", drop="after")
    with pytest.raises(httpx.RemoteProtocolError):
        await rest.create("repo")
    assert (await rest.get("/projects/ids/repo")).status_code == 200


async def test_stall(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    github.faults.add(path="/repos/", stall_after=100)
    with pytest.raises(httpx.ReadTimeout):
        await client.get(f"{github.url}/repos/octo/hello", timeout=0.3)
    github.faults.add(path="/repos/", stall_after=100, stall_seconds=0.2)
    assert (await client.get(f"{github.url}/repos/octo/hello")).json()["full_name"] == "octo/hello"


async def test_a_cut_pack(github: GitHubStandIn, git: Git, histories: Path) -> None:
    async with GitHubStandIn(histories.parent) as server:
        server.faults.add(method="POST", path="git-upload-pack$", skip=1, cut_after=20_000)
        done = await git("clone", f"{server.url}/demo/many-refs", "copy")
        assert done.returncode == 128
        assert re.search("early EOF|disconnect|unexpected|hung up", done.stderr)


async def test_actions(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    url = f"{github.url}/_stand-in/actions"
    made = await client.post(url, json={"action": "commit", "repository": "octo/hello", "branch": "new"})
    assert (await github.refs("octo/hello"))["refs/heads/new"] == made.json()["result"]
    for wrong in ({"action": "nothing"}, {"action": "commit", "repository": "no/such"}, {"action": "commit"}, {}):
        assert (await client.post(url, json=wrong)).status_code == 400
    assert "rename_repository" in (await client.get(url)).json()


def test_forms() -> None:
    """A list as git's hook sends it: lines run together, read from the end."""
    zero, one, two = "0" * 40, "1" * 40, "2" * 40
    updates = parse_form(f"{zero} {one} refs/heads/main{one} {two} refs/tags/v1".encode())
    assert [(update.old, update.new, update.ref) for update in updates] == [
        (zero, one, "refs/heads/main"),
        (one, two, "refs/tags/v1"),
    ]
    assert parse_form(f"{zero} {one} refs/heads/a%41".encode())[0].ref == "refs/heads/aA"
    assert [update.ref for update in parse_form(f"{zero} {one} a{zero} {one} b=c{zero} {one} d".encode())] == ["a", "b"]
    for broken in (b"", b"a", f"{zero} {one} v1+2".encode(), f"{zero} {one} 100%".encode(), f"{one} a".encode()):
        with pytest.raises(CallbackFailed):
            parse_form(broken)


Run = Callable[..., Awaitable[tuple[asyncio.subprocess.Process, str]]]


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Starts a stand-in as a process of its own; returns it and its address. None outlives the test."""
    started: list[asyncio.subprocess.Process] = []

    async def start(*arguments: str) -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *arguments, "--listen=127.0.0.1:0", cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        started.append(process)
        assert process.stdout is not None
        while line := (await process.stdout.readline()).decode():
            if found := re.match(r"listening on (\S+),", line):
                return process, found[1]
        raise AssertionError("it ended at once")

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _children(pid: int) -> list[int]:
    """The processes that say that `pid` is their parent."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[1]) == pid:
                found.append(int(entry.name))
    return found


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
async def test_sigterm_in_mid_push_leaves_no_git(run: Run, tmp_path: Path, client: httpx.AsyncClient) -> None:
    arguments = ("tests.stand_ins.onedev", f"--data={tmp_path / 'data'}", f"--token={TOKEN}")
    process, url = await run(*arguments)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = {"name": "repo", "gitPackConfig": {}, "codeAnalysisSetting": {}}
    assert (await client.post(f"{url}/~api/projects", json=body, headers=headers)).status_code == 200
    _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    head = f"POST /repo/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    kind = "Content-Type: application/x-git-receive-pack-request\r\nContent-Length: 1000\r\n\r\n00"
    writer.write((head + kind).encode())
    await until(lambda: bool(_children(process.pid)))
    running = _children(process.pid)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert time.monotonic() - started < 5
    assert not any(_alive(pid) for pid in running)
    writer.close()
    again, url = await run(*arguments)
    assert (await client.get(f"{url}/~api/projects/ids/repo", headers=headers)).text == "1"
    again.terminate()
    assert await again.wait() == 0


async def test_github_as_a_process(run: Run, tmp_path: Path, client: httpx.AsyncClient) -> None:
    process, url = await run("tests.stand_ins.github", f"--repositories={tmp_path / 'none'}", "--token=mona=t")
    answer = await client.get(f"{url}/user", headers={"Authorization": "Bearer t"})
    assert answer.json()["login"] == "mona"
    process.terminate()
    assert await process.wait() == 0
