"""github.com's git endpoint with real git."""

import base64
from pathlib import Path

import httpx
import pytest

from .conftest import TOKEN, Git
from .github import GitHubStandIn

REFS = "/info/refs?service=git-upload-pack"


@pytest.mark.parametrize("protocol", ["0", "2"])
@pytest.mark.parametrize("suffix", ["", ".git"])
async def test_clone(github: GitHubStandIn, git: Git, tmp_path: Path, protocol: str, suffix: str) -> None:
    url = f"{github.url}/octo/hello{suffix}"
    done = await git("-c", f"protocol.version={protocol}", "clone", url, "copy")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "copy" / "a.txt").read_text() == "a\n"


async def test_refs_of_every_history(github: GitHubStandIn, git: Git, histories: Path) -> None:
    async with GitHubStandIn(histories.parent) as server:
        for name in ("empty", "many-refs", "odd-refs"):
            done = await git("ls-remote", f"{server.url}/demo/{name}")
            assert done.returncode == 0, done.stderr
            plain = [line for line in done.stdout.splitlines() if not line.endswith(("^{}", "\tHEAD"))]
            assert len(plain) == len(await server.refs(f"demo/{name}"))


async def test_private(github: GitHubStandIn, git: Git, client: httpx.AsyncClient) -> None:
    await github.set_metadata("octo/hello", private=True)
    answer = await client.get(f"{github.url}/octo/hello.git{REFS}", headers={"User-Agent": "git/2.39"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="GitHub"')
    basic = base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
    good = await git("-c", f"http.extraHeader=Authorization: Basic {basic}", "ls-remote", f"{github.url}/octo/hello")
    assert good.returncode == 0, good.stderr
    await github.revoke_token(TOKEN)
    bad = await git("-c", f"http.extraHeader=Authorization: Basic {basic}", "ls-remote", f"{github.url}/octo/hello")
    assert bad.returncode == 128


async def test_renamed(github: GitHubStandIn, git: Git, client: httpx.AsyncClient) -> None:
    await github.rename_repository("octo/hello", "octo/greeting")
    answer = await client.get(f"{github.url}/octo/hello.git{REFS}", headers={"User-Agent": "git/2.39"})
    assert (answer.status_code, answer.headers["location"]) == (301, f"{github.url}/octo/greeting.git{REFS}")
    assert (await git("clone", f"{github.url}/octo/hello.git", "copy")).returncode == 0


async def test_refusals(github: GitHubStandIn, git: Git, client: httpx.AsyncClient) -> None:
    url = f"{github.url}/octo/hello.git{REFS}"
    assert (await client.get(url)).status_code == 403, "a browser"
    dumb = await client.get(url.partition("?")[0], headers={"User-Agent": "git/2.39"})
    assert dumb.status_code == 403
    await github.set_metadata("octo/hello", disabled=True)
    done = await git("ls-remote", f"{github.url}/octo/hello")
    assert "Repository 'octo/hello' is disabled" in done.stderr
    await github.set_metadata("octo/hello", block_status=451)
    assert "DMCA" in (await git("ls-remote", f"{github.url}/octo/hello")).stderr


async def test_what_a_person_does_there(github: GitHubStandIn, git: Git, tmp_path: Path) -> None:
    before = await github.refs("octo/hello")
    second = await github.commit("octo/hello", message="More")
    rewritten = await github.force_push("octo/hello")
    await github.create_branch("octo/hello", "topic")
    await github.create_tag("octo/hello", "v1", annotated=True)
    await github.set_default_branch("octo/hello", "topic")
    done = await git("ls-remote", "--symref", f"{github.url}/octo/hello")
    assert rewritten != second
    assert f"{rewritten}\trefs/heads/topic" in done.stdout
    assert f"{rewritten}\trefs/tags/v1^{{}}" in done.stdout
    assert "ref: refs/heads/topic\tHEAD" in done.stdout
    await github.delete_branch("octo/hello", "main")
    await github.delete_tag("octo/hello", "v1")
    assert list(await github.refs("octo/hello")) == ["refs/heads/topic"]
    assert before["refs/heads/main"] not in (second, rewritten)


async def test_a_bundle_becomes_a_repository(
    github: GitHubStandIn, git: Git, client: httpx.AsyncClient, histories: Path, tmp_path: Path
) -> None:
    assert (await git("bundle", "create", str(tmp_path / "b"), "--all", at=histories / "odd-refs.git")).returncode == 0
    body = (tmp_path / "b").read_bytes()
    answer = await client.put(f"{github.url}/_stand-in/bundles/demo/odd", content=body)
    assert answer.status_code == 200, answer.text
    assert len(await github.refs("demo/odd")) > 20
