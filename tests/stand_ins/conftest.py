"""Both servers on free ports, and git and curl-like clients that show what they were told."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from . import repositories
from .github import GitHubStandIn
from .onedev import OneDevStandIn

TOKEN = "token-of-the-tests"

Git = Callable[..., Awaitable["subprocess.CompletedProcess[str]"]]


@pytest.fixture
def git(tmp_path: Path) -> Git:
    """Runs git in `at` (a folder of the test's own), with nobody's configuration; both outputs as text."""
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }

    async def run(*arguments: str, at: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        command = ("git", "-c", "safe.directory=*", "-C", str(at), *arguments)
        return await asyncio.to_thread(
            subprocess.run, command, env=variables, capture_output=True, text=True, check=False, timeout=60
        )

    return run


@pytest.fixture(scope="session")
def histories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All start-up histories but the big one; to be read only."""
    folder = tmp_path_factory.mktemp("histories")
    list(repositories.write(folder))
    return folder / repositories.OWNER


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[GitHubStandIn]:
    async with GitHubStandIn(tmp_path / "github", tokens={TOKEN: "octocat"}) as server:
        await server.create_repository("octo/hello", description="Hello")
        await server.commit("octo/hello", files={"a.txt": "a\n"})
        yield server


@pytest.fixture
async def onedev(tmp_path: Path) -> AsyncIterator[OneDevStandIn]:
    async with OneDevStandIn(tmp_path / "onedev", tokens=[TOKEN]) as server:
        yield server


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as made:
        yield made


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Waits for something that another process does."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes set no events
            await asyncio.sleep(0.01)


class OneDevClient:
    """REST as the administrator."""

    def __init__(self, server: OneDevStandIn, client: httpx.AsyncClient) -> None:
        self._server, self._client = server, client

    async def get(self, path: str, **parameters: str | int) -> httpx.Response:
        return await self.request("GET", path, params=parameters)

    async def post(self, path: str, body: object) -> httpx.Response:
        return await self.request("POST", path, json=body)

    async def request(self, method: str, path: str, **more: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", **more.pop("headers", {})}  # type: ignore[dict-item]
        url = f"{self._server.url}/~api{path}"
        return await self._client.request(method, url, headers=headers, **more)  # type: ignore[arg-type]

    async def create(self, name: str, parent: int | None = None) -> int:
        body: dict[str, object] = {"name": name, "parentId": parent, "gitPackConfig": {}, "codeAnalysisSetting": {}}
        answer = await self.post("/projects", body)
        assert answer.status_code == 200, answer.text
        return int(answer.text)

    def git_url(self, path: str) -> str:
        return self._server.url.replace("://", f"://any:{TOKEN}@") + f"/{path}.git"


@pytest.fixture
def rest(onedev: OneDevStandIn, client: httpx.AsyncClient) -> OneDevClient:
    return OneDevClient(onedev, client)
