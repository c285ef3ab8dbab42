"""The two that are compared: our worker, and git as other mirrors use it."""

from __future__ import annotations

import asyncio
import base64
import compileall
import io
import os
import resource
import shlex
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from github_onedev_sync.api.assignment import ENVIRONMENT_VARIABLE, Assignment, Remote, Task
from github_onedev_sync.api.identity import Mark
from github_onedev_sync.api.report import Outcome, Report, TaskReport
from github_onedev_sync.worker.clock import Clock
from github_onedev_sync.worker.log import JsonLog
from github_onedev_sync.worker.main import TERMINATION_LOG_VARIABLE, WORK_DIRECTORY_VARIABLE
from github_onedev_sync.worker.run import Run
from tests.local_cluster.places import CHECKOUT
from tests.stand_ins.processes import environment

from . import histories
from .costs import Cost, cost
from .errors import NotMeasured
from .servers import GITHUB_TOKEN, ONEDEV_TOKEN, Servers

_SECONDS = 1800.0
_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
_GOOD = (Outcome.SYNCED, Outcome.UNCHANGED)


@dataclass(frozen=True)
class Pair:
    """A repository at GitHub and the project at OneDev that mirrors it."""

    name: str
    project: str
    number: int


class Git:
    """`git clone --mirror && git push --mirror`, of branches and tags alone."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._variables = environment(
            {
                f"http.{servers.github}.extraHeader": _header(GITHUB_TOKEN),
                f"http.{servers.onedev}.extraHeader": _header(ONEDEV_TOKEN),
            }
        )

    def kept(self, pair: Pair) -> Path:
        """Where its copy lies."""
        return self._servers.folder / "git" / pair.project

    async def sync(self, pair: Pair, *, keep: bool = False) -> Cost:
        """With the copy that is there, made first where there is none."""
        folder = self.kept(pair)
        commands: list[tuple[str, ...]] = []
        if not folder.exists():
            folder.mkdir(parents=True)
            commands.append(("git", "init", "--quiet", "--bare", "--template=", str(folder)))
        git = ("git", "-C", str(folder))
        source, target = self._servers.source_url(pair.name), self._servers.target_url(pair.project)
        commands.append((*git, "fetch", "--quiet", "--prune", "--no-tags", source, *_REFSPECS))
        commands.append((*git, "push", "--quiet", "--prune", target, *_REFSPECS))
        script = " && ".join(map(shlex.join, commands))
        taken = await asyncio.to_thread(cost, ("sh", "-c", script), self._variables, folder)
        if not keep:
            shutil.rmtree(folder)
        return taken


class Ours:
    """The worker as it runs in a pod, and the same code in this process for a worker that is warm."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._runs = 0
        for side, token in (("source", GITHUB_TOKEN), ("target", ONEDEV_TOKEN)):
            folder = servers.folder / side
            folder.mkdir()
            (folder / "token").write_text(token)
        # As the image has it: byte code is there already.
        self._code = servers.folder / "operator"
        shutil.copytree(
            CHECKOUT / "operator/github_onedev_sync",
            self._code / "github_onedev_sync",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        compileall.compile_dir(self._code, quiet=1)

    def variables(self) -> dict[str, str]:
        """For a Python that is to find the code as the image has it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTHON"))}
        return {**kept, "PYTHONPATH": str(self._code), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1"}

    def task(self, pair: Pair) -> Task:
        self._runs += 1
        mark = Mark("api.github.com", pair.number, f"bench/{pair.project}")
        minutes, seconds = divmod(self._runs, 60)
        return Task(
            key=mark.mirror,
            source=Remote(self._servers.source_url(pair.name), str(self._servers.folder / "source")),
            target=Remote(self._servers.target_url(pair.project), str(self._servers.folder / "target")),
            api_url=f"{self._servers.onedev}/~api",
            project_id=pair.number,
            mark_ref=mark.ref,
            mark=mark.line,
            archive_time=f"20261123T{minutes // 60:02}{minutes % 60:02}{seconds:02}Z",
            default_branch="main",
            size_kb=histories.pack_bytes(self._servers.source_path(pair.name)) // 1024,
        )

    async def sync(self, *pairs: Pair) -> Cost:
        """One assignment in a process of its own."""
        tasks = tuple(map(self.task, pairs))
        folder = self._servers.folder / "work" / str(self._runs)
        folder.mkdir(parents=True)
        report = folder.with_suffix(".report")
        variables = {
            **self.variables(),
            ENVIRONMENT_VARIABLE: Assignment("bench", _SECONDS, tasks).to_json(),
            TERMINATION_LOG_VARIABLE: str(report),
            WORK_DIRECTORY_VARIABLE: str(folder),
        }
        command = (sys.executable, "-m", "github_onedev_sync", "worker")
        taken = await asyncio.to_thread(cost, command, variables, folder)
        told = Report.from_json(report.read_text())
        if told is None or len(told.tasks) != len(tasks):
            raise NotMeasured(f"the report of {len(tasks)} mirrors cannot be read: {report.read_text()[:200]}")
        _check(told.tasks)
        return taken

    async def sync_warm(self, *pairs: Pair) -> Cost:
        """One assignment in this process, the interpreter's start not counted; no memory and no disk is told."""
        tasks = tuple(map(self.task, pairs))
        scratch = self._servers.folder / "scratch"
        scratch.mkdir(exist_ok=True)
        clock = Clock()
        run = Run(Assignment("bench", _SECONDS, tasks), scratch, JsonLog(io.StringIO(), clock, ""), clock)
        wall, cpu = time.perf_counter(), _processor_seconds()
        await run.execute()
        taken = Cost(time.perf_counter() - wall, _processor_seconds() - cpu, 0, 0)
        _check(run.report().tasks)
        return taken


def _check(reports: Sequence[TaskReport]) -> None:
    for report in reports:
        if report.outcome not in _GOOD or report.fallback:
            raise NotMeasured(f"{report.key}: {report.reason}: {report.message} {report.fallback}")


def _processor_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def _header(token: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"x-access-token:{token}".encode()).decode()
