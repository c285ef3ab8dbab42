"""One repository at a GitHub stand-in, one project at a OneDev stand-in, and workers between them."""

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from github_onedev_sync.api.assignment import ENVIRONMENT_VARIABLE, Assignment, Remote, Task
from github_onedev_sync.api.identity import Mark
from github_onedev_sync.api.refs import RefFilter
from github_onedev_sync.api.report import Report, TaskReport
from github_onedev_sync.worker.clock import Clock
from github_onedev_sync.worker.log import JsonLog
from github_onedev_sync.worker.main import TERMINATION_LOG_VARIABLE, WORK_DIRECTORY_VARIABLE
from github_onedev_sync.worker.run import Run
from tests.stand_ins.github import GitHubStandIn
from tests.stand_ins.onedev import OneDevStandIn
from tests.stand_ins.processes import run_git

GITHUB_TOKEN = "ghp_source-secret-of-the-tests"
ONEDEV_TOKEN = "target-secret-of-the-tests"
REPOSITORY = "octo/repo"
PROJECT = "repo"
MARK = Mark("api.github.com", 7, "default/repo")
# Two more attempts, without a pause.
AT_ONCE = (0.0, 0.0)
TIME = "20261123T010203Z"


@dataclass
class World:
    github: GitHubStandIn
    onedev: OneDevStandIn
    folder: Path
    project_id: int
    engine: str = "Auto"
    runs: int = field(default=0)
    pauses: tuple[float, ...] = AT_ONCE

    @property
    def source_repository(self) -> Path:
        return self.folder / "github" / f"{REPOSITORY}.git"

    @property
    def target_repository(self) -> Path:
        return self.onedev.store.repository(self.onedev.project(PROJECT))

    def source_git(self, *arguments: str) -> str:
        return run_git(self.source_repository, *arguments)

    def task(self, **changes: Any) -> Task:
        self.runs += 1
        task = Task(
            key="default/repo",
            source=Remote(f"{self.github.url}/{REPOSITORY}.git", str(self.folder / "source")),
            target=Remote(f"{self.onedev.url}/{PROJECT}", str(self.folder / "target")),
            api_url=f"{self.onedev.url}/~api",
            project_id=self.project_id,
            mark_ref=MARK.ref,
            mark=MARK.line,
            archive_time=f"20261123T0102{self.runs:02}Z",
            default_branch="main",
            engine=self.engine,
        )
        return replace(task, **changes)

    def token(self, side: str, value: str) -> None:
        (self.folder / side).mkdir(exist_ok=True)
        (self.folder / side / "token").write_text(f"{value}\n")

    async def sync(self, **changes: Any) -> TaskReport:
        """One run in this process."""
        (report,) = await self.sync_all(self.task(**changes))
        return report

    async def sync_all(self, *tasks: Task, timeout_seconds: float = 60) -> tuple[TaskReport, ...]:
        self.log = io.StringIO()
        assignment = Assignment("r1", timeout_seconds, tasks, self.pauses)
        run = Run(assignment, self.scratch(), JsonLog(self.log, Clock(), "r1"), Clock())
        await run.execute()
        return run.report().tasks

    def scratch(self) -> Path:
        path = self.folder / "scratch"
        path.mkdir(exist_ok=True)
        return path

    async def start_worker(self, *tasks: Task, timeout_seconds: float = 60) -> "Worker":
        """A run in a process of its own, as in a pod."""
        log = self.folder / "termination-log"
        log.unlink(missing_ok=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "github_onedev_sync",
            "worker",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": "operator",
                ENVIRONMENT_VARIABLE: Assignment("r1", timeout_seconds, tasks or (self.task(),), self.pauses).to_json(),
                TERMINATION_LOG_VARIABLE: str(log),
                WORK_DIRECTORY_VARIABLE: str(self.scratch()),
            },
        )
        return Worker(process, log)

    async def source_refs(self) -> dict[str, str]:
        return await self.github.refs(REPOSITORY)

    async def target_refs(self) -> dict[str, str]:
        """What the target holds of the mirror, without HEAD, archive and marks."""
        return RefFilter().select(await self.onedev.refs(PROJECT))

    async def target_head(self) -> str:
        return (await self.onedev.refs(PROJECT))["HEAD"]

    async def archives(self) -> dict[str, str]:
        return RefFilter(("refs/archive/*",)).select(await self.onedev.refs(PROJECT))

    async def assert_equal(self) -> None:
        """Both sides hold the same refs, and the target is whole."""
        assert await self.target_refs() == RefFilter().select(await self.source_refs())
        await self.assert_whole()

    async def assert_whole(self) -> None:
        checked = await self.onedev.fsck(PROJECT)
        assert checked["whole"], checked["said"]


@dataclass
class Worker:
    process: asyncio.subprocess.Process
    termination_log: Path

    async def end(self) -> tuple[int, Report | None, str]:
        """Exit code, report, and everything that it printed."""
        out, err = await asyncio.wait_for(self.process.communicate(), 60)
        text = self.termination_log.read_text() if self.termination_log.exists() else None
        assert self.process.returncode is not None
        return self.process.returncode, Report.from_json(text), out.decode() + err.decode() + (text or "")


@asynccontextmanager
async def world_in(folder: Path) -> AsyncIterator[World]:
    async with (
        GitHubStandIn(folder / "github", tokens={GITHUB_TOKEN: "octocat"}) as github,
        OneDevStandIn(folder / "onedev", tokens=[ONEDEV_TOKEN]) as onedev,
    ):
        await github.create_repository(REPOSITORY)
        world = World(github, onedev, folder, await create_project(onedev, PROJECT))
        world.token("source", GITHUB_TOKEN)
        world.token("target", ONEDEV_TOKEN)
        yield world


async def create_project(onedev: OneDevStandIn, name: str) -> int:
    body = {"name": name, "gitPackConfig": {}, "codeAnalysisSetting": {}}
    headers = {"Authorization": f"Bearer {ONEDEV_TOKEN}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{onedev.url}/~api/projects", data=json.dumps(body)) as response,
    ):
        assert response.status == 200, await response.text()
        return int(await response.text())
