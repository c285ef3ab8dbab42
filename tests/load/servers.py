"""The two stand-ins as processes of their own, so that what they cost is not counted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

from tests.local_cluster.places import CHECKOUT
from tests.stand_ins.processes import run_git

from . import histories
from .errors import NotMeasured

GITHUB_TOKEN = "ghp_source-token-of-the-figures"
ONEDEV_TOKEN = "target-token-of-the-figures"
OWNER = "bench"
_START_SECONDS = 30


class Servers:
    """Repositories of the owner `bench` at GitHub, projects at OneDev, all below `folder`."""

    def __init__(self, folder: Path, github: str, onedev: str, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.github, self.onedev = github, onedev
        self._session = session

    def source_url(self, name: str) -> str:
        return f"{self.github}/{OWNER}/{name}.git"

    def target_url(self, project: str) -> str:
        return f"{self.onedev}/{project}"

    def source_path(self, name: str) -> Path:
        return self.folder / "github" / OWNER / f"{name}.git"

    def target_path(self, number: int) -> Path:
        return self.folder / "onedev/projects" / str(number) / "git"

    def offer(self, history: Path, name: str) -> None:
        """Puts a copy of the history where GitHub finds it at the next request."""
        self.source_path(name).parent.mkdir(parents=True, exist_ok=True)
        histories.copy(history, self.source_path(name))

    async def create_project(self, name: str) -> int:
        body = {"name": name, "gitPackConfig": {}, "codeAnalysisSetting": {}}
        headers = {"Authorization": f"Bearer {ONEDEV_TOKEN}"}
        async with self._session.post(f"{self.onedev}/~api/projects", json=body, headers=headers) as response:
            if response.status != 200:
                raise NotMeasured(f"no project {name}: {await response.text()}")
            return int(await response.text())

    async def commit(self, name: str) -> None:
        """One more commit on the source's default branch, which changes one file."""
        body = {"action": "commit", "repository": f"{OWNER}/{name}"}
        async with self._session.post(f"{self.github}/_stand-in/actions", json=body) as response:
            if response.status != 200:
                raise NotMeasured(f"no commit in {name}: {await response.text()}")

    def check_equal(self, name: str, number: int) -> None:
        """Raises NotMeasured where a project lacks a branch or tag of its source: what failed is no figure."""
        if _refs(self.source_path(name)) != _refs(self.target_path(number)):
            raise NotMeasured(f"project {number} is not equal to {name} after the run")


def _refs(path: Path) -> str:
    return run_git(path, "for-each-ref", "--format=%(objectname) %(refname)", "refs/heads", "refs/tags")


@asynccontextmanager
async def servers_in(folder: Path) -> AsyncIterator[Servers]:
    (folder / "github").mkdir(parents=True)
    github = ("github", "--repositories", str(folder / "github"), "--token", f"octocat={GITHUB_TOKEN}")
    onedev = ("onedev", "--data", str(folder / "onedev"), "--token", ONEDEV_TOKEN)
    async with _server(*github) as source, _server(*onedev) as target, aiohttp.ClientSession() as session:
        yield Servers(folder, source, target, session)


@asynccontextmanager
async def _server(kind: str, *arguments: str) -> AsyncIterator[str]:
    """Yields the address."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"tests.stand_ins.{kind}", "--listen", "127.0.0.1:0", *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        env=os.environ,
        start_new_session=True,
    )
    try:
        yield await _address(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    with suppress(TimeoutError):
        async with asyncio.timeout(_START_SECONDS):
            while line := (await process.stdout.readline()).decode():
                if line.startswith("listening on "):
                    return line.split()[2].rstrip(",")
    raise NotMeasured("a stand-in did not start")
