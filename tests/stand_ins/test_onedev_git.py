"""OneDev's git endpoint with real git: statuses, hooks, queue, silence."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from .conftest import TOKEN, Git, OneDevClient, until
from .onedev import OneDevStandIn, hooks

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
RECEIVE = "/info/refs?service=git-receive-pack"
DECLINED = "pre-receive hook declined"
CURL = "curl: (22) The requested URL returned error: 500"
PACK = {**AUTHORIZED, "Content-Type": "application/x-git-receive-pack-request"}


@pytest.fixture
async def source(git: Git, tmp_path: Path) -> Path:
    """A repository with two commits: `main`, and `main~1`."""
    path = tmp_path / "source"
    await git("init", "--quiet", "--initial-branch=main", str(path))
    for number in range(2):
        who = ("-c", "user.name=Mona", "-c", "user.email=mona@example.com")
        await git(*who, "commit", "--quiet", "--allow-empty", "--message", f"Number {number}", at=path)
    return path


async def test_statuses(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    await rest.create("repo")
    url = onedev.url
    anonymous = await client.get(f"{url}/repo.git{RECEIVE}")
    assert (anonymous.status_code, anonymous.text) == (401, "Authentication required")
    assert anonymous.headers["www-authenticate"] == 'BASIC realm="OneDev"'
    wrong = await client.get(f"{url}/repo.git{RECEIVE}", headers={"Authorization": "Bearer nonsense"})
    assert (wrong.status_code, wrong.text) == (401, "Invalid account or incorrect credentials")
    assert "www-authenticate" not in wrong.headers
    absent = await client.get(f"{url}/none.git{RECEIVE}", headers=AUTHORIZED)
    assert (absent.status_code, absent.text) == (404, "Project not found or inaccessible: none")
    assert absent.headers["content-type"].startswith("text/plain")
    for path in ("/repo", "/REPO.git"):
        good = await client.get(url + path + RECEIVE, headers=AUTHORIZED)
        assert good.content.startswith(b"001f# service=git-receive-pack\n0000")
        assert b"report-status-v2" in good.content
        assert b"push-options" not in good.content
        assert good.headers["content-encoding"] == "gzip"
    page = await client.get(f"{url}/repo.git/info/refs", headers=AUTHORIZED)
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (404, "text/html")
    assert "JSESSIONID" in page.headers["set-cookie"]


async def test_a_reader_may_not_push(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    project = await rest.create("repo")
    user = (await rest.post("/users", {"type": "SERVICE", "name": "reader"})).json()
    token = onedev.store.add_token("t", user).value
    onedev.store.authorize("user", user, project, 3)
    headers = {"Authorization": f"Bearer {token}"}
    answer = await client.get(f"{onedev.url}/repo{RECEIVE}", headers=headers)
    assert (answer.status_code, answer.text) == (403, "You do not have permission to push to this project.")
    assert (
        await client.get(f"{onedev.url}/repo/info/refs?service=git-upload-pack", headers=headers)
    ).status_code == 200


async def test_no_project_by_push(onedev: OneDevStandIn, rest: OneDevClient, git: Git, source: Path) -> None:
    done = await git("push", rest.git_url("none"), "main", at=source)
    assert "not found" in done.stderr
    assert await onedev.list_projects() == []


@pytest.mark.parametrize(("protocol", "buffer"), [("0", "1"), ("2", "1m")])
async def test_push_and_clone(
    rest: OneDevClient, onedev: OneDevStandIn, git: Git, histories: Path, protocol: str, buffer: str
) -> None:
    """With a small buffer git probes first and then sends in chunks."""
    await rest.create("many")
    refspecs = ("refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
    push = ("-c", f"http.postBuffer={buffer}", "push", "--quiet", rest.git_url("many"), *refspecs)
    done = await git(*push, at=histories / "many-refs.git")
    assert done.returncode == 0, done.stderr
    assert (await onedev.fsck("many"))["whole"]
    assert len(await onedev.refs("many")) == 1002
    clone = ("-c", f"protocol.version={protocol}", "clone", "--quiet", "--mirror", rest.git_url("many"), "copy")
    assert (await git(*clone)).returncode == 0


async def test_head_follows_the_last_branch_while_it_is_unborn(
    rest: OneDevClient, onedev: OneDevStandIn, git: Git, source: Path
) -> None:
    number = await rest.create("repo")
    head = f"/repositories/{number}/default-branch"
    assert (await rest.get(head)).status_code == 204
    done = await git("push", rest.git_url("repo"), "main:b", "main:c", "main:a", at=source)
    assert "Create a pull request for 'b' by visiting:" in done.stderr
    assert (await rest.get(head)).text == "a", "command-line order, from its end"
    assert (await rest.post(head, "b")).content == b""
    assert (await rest.post(head, "refs/heads/b")).status_code == 200
    assert (await rest.get(head)).text == "b"
    missing = await rest.post(head, "none")
    assert (missing.status_code, missing.text) == (500, "Branch not exist: none")
    bare = await rest.request("POST", head, content=b"b", headers={"Content-Type": "application/json"})
    assert (bare.status_code, bare.text) == (500, "Server Error")
    assert (await rest.get(f"/repositories/{number}/branches")).json()[0] == "b"
    assert (await rest.get(f"/repositories/{number}/branches/c")).json()["refName"] == "refs/heads/c"
    assert (await rest.get(f"/repositories/{number}/tags/x")).text == "Tag not found: x"
    assert (await rest.get(f"/projects/{number}/clone-url")).json()["http"] == f"{onedev.url}/repo.git"


async def test_the_branch_of_head_stays(rest: OneDevClient, git: Git, source: Path) -> None:
    await rest.create("repo")
    await git("push", rest.git_url("repo"), "main", "main:other", at=source)
    done = await git("push", rest.git_url("repo"), ":main", ":other", at=source)
    assert done.returncode == 1
    assert "[remote rejected] main (deletion of the current branch prohibited)" in done.stderr
    assert "[deleted]         other" in done.stderr


@pytest.mark.parametrize(
    ("refspecs", "passes"),
    [
        (["main:refs/tags/v1+k3s1"], False),
        (["main:a", "main:refs/archive/x+y"], False),
        (["main:a%zz"], False),
        (["main:a%41"], True),
        (["main:a&b"], True),
        (["main:a", "main:refs/tags/r&d"], True),
        (["main:r&d", "main:refs/tags/z"], False),
        (["main:k=v", "main:refs/tags/z"], True),
        (["main:uml-äö", "main:h#1", "main:a@b", "main:c,d;e", "main:f!g$h(i)", "main:q'r\"s`t", "main:p|q<r{"], True),
    ],
)
async def test_names_that_hooks_misread(
    rest: OneDevClient, onedev: OneDevStandIn, git: Git, source: Path, refspecs: list[str], passes: bool
) -> None:
    await rest.create("repo")
    done = await git("push", rest.git_url("repo"), *refspecs, at=source)
    assert (done.returncode == 0) is passes, done.stderr
    if not passes:
        assert done.stderr.count(DECLINED) == len(refspecs)
        assert f"remote: {CURL}" in done.stderr
        assert list(await onedev.refs("repo")) == ["HEAD"]


async def test_a_tag_of_a_tree_only_breaks_what_comes_after(
    rest: OneDevClient, onedev: OneDevStandIn, git: Git, histories: Path
) -> None:
    await rest.create("repo")
    path = histories / "odd-refs.git"
    done = await git("push", rest.git_url("repo"), "main:dev", "refs/tags/v1.0-tree", at=path)
    assert done.returncode == 0
    assert f"remote: {CURL}" in done.stderr
    assert (await onedev.refs("repo"))["HEAD"] == "refs/heads/main", "HEAD was not linked any more"


async def test_protection(rest: OneDevClient, git: Git, source: Path) -> None:
    top = await rest.create("top")
    await rest.create("repo", top)
    await git("push", rest.git_url("top/repo"), "main", at=source)
    rule = {"branches": "main", "preventCreation": False}
    setting = {"branchProtections": [rule], "issueSetting": {"boardSpecs": []}}
    assert (await rest.post(f"/projects/{top}/setting", setting)).status_code == 200
    done = await git("push", "--force", rest.git_url("top/repo"), "main~1:main", "main:fine", at=source)
    assert done.stderr.count(DECLINED) == 2, "all or nothing"
    assert "ERROR PUSHING REF: refs/heads/main" in done.stderr
    assert "Cannot force-push to this branch according to branch protection setting" in done.stderr


async def test_mirror_push_destroys_what_is_onedevs(
    rest: OneDevClient, onedev: OneDevStandIn, git: Git, source: Path
) -> None:
    await onedev.configure(seed_pull_requests=True)
    await rest.create("repo")
    await git("push", rest.git_url("repo"), "main", at=source)
    assert "refs/pulls/1/head" in (await git("ls-remote", rest.git_url("repo"))).stdout
    await git("push", "--mirror", rest.git_url("repo"), at=source)
    assert "refs/pulls/1/head" not in await onedev.refs("repo")


async def test_form_cap(
    rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hook body above the cap is refused whole; each ref costs 82 bytes and its name."""
    monkeypatch.setattr(hooks, "FORM_LIMIT", 10_000)
    await rest.create("repo")
    zero, some = "0" * 40, "1" * 40

    def lines(count: int) -> bytes:
        names = [f"refs/archive/{number:05}/{'x' * 180}" for number in range(count)]
        texts = [f"{some} {zero} {name}" for name in names]
        texts[0] += "\0 report-status delete-refs\n"
        return b"".join(b"%04x%s" % (len(text) + 4, text.encode()) for text in texts) + b"0000"

    url = f"{onedev.url}/repo.git/git-receive-pack"
    size = 82 + len(f"refs/archive/00000/{'x' * 180}")
    answers = [await client.post(url, content=lines(10_000 // size + more), headers=PACK) for more in (0, 1)]
    assert [DECLINED in answer.text for answer in answers] == [False, True]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "identity", None])
async def test_encodings_of_a_body(
    rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient, encoding: str | None
) -> None:
    await rest.create("repo")
    body = gzip.compress(b"0000") if encoding and "gzip" in encoding else b"0000"
    headers = PACK | ({"Content-Encoding": encoding} if encoding else {})
    answer = await client.post(f"{onedev.url}/repo.git/git-receive-pack", content=body, headers=headers)
    assert (answer.status_code, answer.content) == ((500 if encoding == "identity" else 200), b"")


async def _held(ended: asyncio.Event) -> AsyncIterator[bytes]:
    """A flush packet in two halves, so that git waits in between."""
    yield b"00"
    await ended.wait()
    yield b"00"


async def test_one_slot(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    """A push that is being sent holds v2's ls-refs up, but neither info/refs nor REST."""
    await rest.create("repo")
    await onedev.set_slots(1)
    ended = asyncio.Event()

    url = f"{onedev.url}/repo.git"
    push = asyncio.create_task(client.post(f"{url}/git-receive-pack", content=_held(ended), headers=PACK))
    await until(lambda: onedev.processes.count > 0)
    assert (await client.get(url + RECEIVE, headers=AUTHORIZED)).status_code == 200
    assert (await rest.get("/users/me")).status_code == 200
    second = asyncio.create_task(client.post(f"{url}/git-receive-pack", content=b"0000", headers=PACK))
    done, _ = await asyncio.wait([second], timeout=0.3)
    assert not done
    ended.set()
    assert [answer.status_code for answer in await asyncio.gather(push, second)] == [200, 200]


async def test_abandoned_is_not_undone(
    rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient, git: Git, source: Path
) -> None:
    """A push that was sent whole while it stood in line runs, though nobody waits for its report any more."""
    await rest.create("repo")
    await git("push", rest.git_url("repo"), "main", at=source)
    tip = (await onedev.refs("repo"))["refs/heads/main"]
    await onedev.set_slots(1)
    ended = asyncio.Event()
    url = f"{onedev.url}/repo.git/git-receive-pack"
    holder = asyncio.create_task(client.post(url, content=_held(ended), headers=PACK))
    await until(lambda: onedev.processes.count > 0)

    line = f"{'0' * 40} {tip} refs/heads/again\0 report-status\n".encode()
    pack = b"PACK\0\0\0\2\0\0\0\0"
    body = b"%04x%s0000" % (len(line) + 4, line) + pack + hashlib.sha1(pack).digest()
    headers = "".join(f"{name}: {value}\r\n" for name, value in {**PACK, "Content-Length": len(body)}.items())
    _, writer = await asyncio.open_connection("127.0.0.1", int(onedev.url.rpartition(":")[2]))
    writer.write(f"POST /repo.git/git-receive-pack HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body)
    await until(lambda: len(onedev.journal.entries("POST", "git-receive-pack$")) == 3)
    writer.transport.abort()
    assert (await rest.get("/users/me")).status_code == 200
    assert "refs/heads/again" not in await onedev.refs("repo")

    ended.set()
    assert (await holder).status_code == 200
    await until(lambda: onedev.journal.entries("POST", "git-receive-pack$")[-1].status is not None)
    assert (await onedev.refs("repo"))["refs/heads/again"] == tip


async def test_silence_ends_a_body(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    await rest.create("repo")
    await onedev.configure(idle_seconds=0.2)
    line = f"{'0' * 40} {'1' * 40} refs/heads/main\0 report-status\n"

    async def stalled() -> AsyncIterator[bytes]:
        yield b"%04x%s0000" % (len(line) + 4, line.encode())
        await asyncio.sleep(0.6)

    answer = await client.post(f"{onedev.url}/repo.git/git-receive-pack", content=stalled(), headers=PACK)
    assert answer.status_code == 200
    assert "unpack eof before pack header was fully read" in answer.text
    assert "ng refs/heads/main unpacker error" in answer.text


async def test_a_sender_that_goes_away_leaves_nothing(
    rest: OneDevClient, onedev: OneDevStandIn, git: Git, histories: Path
) -> None:
    await rest.create("repo")
    onedev.faults.add(method="POST", path="git-receive-pack$", skip=1, cut_request_after=20_000)
    path = histories / "many-refs.git"
    done = await git("-c", "http.postBuffer=1", "push", rest.git_url("repo"), "refs/heads/*:refs/heads/*", at=path)
    assert done.returncode != 0
    await until(lambda: onedev.processes.count == 0)
    assert list(await onedev.refs("repo")) == ["HEAD"]
    assert (await onedev.fsck("repo"))["whole"]
