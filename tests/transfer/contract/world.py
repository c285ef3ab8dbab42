"""A world whose both sides are reached through a faulty proxy, and what holds after every run in it."""

import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from github_onedev_sync.api.assignment import Remote, Task
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.refs import STAGED
from github_onedev_sync.api.report import Outcome, TaskReport
from tests.faulty import Fault, FaultyProxy
from tests.stand_ins.github import GitHubStandIn
from tests.stand_ins.http_backend import HttpBackend
from tests.stand_ins.onedev import OneDevStandIn
from tests.stand_ins.processes import run_git
from tests.transfer.world import AT_ONCE, GITHUB_TOKEN, ONEDEV_TOKEN, PROJECT, REPOSITORY, World, world_in

ENGINES = ("Git", "Relay")
# Nobody waits for deltas of noise.
AS_GITHUB = {"uploadpack.allowFilter": "true", "core.bigFileThreshold": "512k"}
# Fetches of packs to be mirrored, not those by which an engine finds something out.
FETCH = {"method": "POST", "path": "git-upload-pack", "asks": b"thin-pack"}
PUSH = {"method": "POST", "path": "git-receive-pack"}
LISTING = {"method": "GET", "path": "info/refs"}


@dataclass(kw_only=True)
class Contract(World):
    """The source is git's own server; so is the target, or it is OneDev. REST is always OneDev's."""

    target_name: str
    source: FaultyProxy
    target: FaultyProxy

    def task(self, **changes: Any) -> Task:
        return super().task(
            **{
                "source": Remote(f"{self.source.url}/{REPOSITORY}.git", str(self.folder / "source")),
                "target": Remote(f"{self.target.url}/{self._path}", str(self.folder / "target")),
                **changes,
            }
        )

    @property
    def _path(self) -> str:
        return PROJECT if self.target_name == "OneDev" else f"projects/{self.project_id}/git"

    def target_git(self, *arguments: str) -> str:
        return run_git(self.target_repository, *arguments)

    async def change(self, branch: str = "dev", bytes_: int = 6000) -> str:
        """A commit whose file does not compress to less than half of `bytes_`."""
        text = random.Random(self.runs).randbytes(bytes_ // 2).hex()
        return await self.github.commit(REPOSITORY, branch, {"noise": text})

    async def fails(self, *reasons: Reason, **changes: Any) -> TaskReport:
        """The next run fails for one of `reasons`, tells no secret, leaves refs old or new, and the target whole."""
        before = await self.target_refs()
        report = await self.sync(**changes)
        assert report.outcome is Outcome.FAILED, report
        assert report.reason in reasons, report
        self.assert_discreet(report)
        await self.assert_old_or_new(before)
        return report

    def assert_discreet(self, report: TaskReport) -> None:
        said = report.message + report.fallback + self.log.getvalue()
        assert GITHUB_TOKEN not in said
        assert ONEDEV_TOKEN not in said
        assert report.message.isprintable()
        assert not list(self.scratch().iterdir()), "scratch data is left behind"

    async def assert_old_or_new(self, before: dict[str, str]) -> None:
        source, now = await self.source_refs(), await self.target_refs()
        for name in before.keys() | now.keys():
            assert now.get(name) in (before.get(name), source.get(name)), name
        await self.assert_whole()

    async def assert_whole(self) -> None:
        self.target_git("fsck", "--full", "--strict", "--no-dangling")

    async def succeeds(self, *outcomes: Outcome, **changes: Any) -> TaskReport:
        """The next run ends so (`Synced` where nothing is said), and both sides are equal."""
        report = await self.sync(**changes)
        assert report.outcome in (outcomes or (Outcome.SYNCED,)), report
        self.assert_discreet(report)
        await self.assert_equal()
        assert not [name for name in await self.onedev.refs(PROJECT) if name.startswith(STAGED)]
        return report

    async def spoiled(self, fault: Fault, *reasons: Reason) -> TaskReport:
        """`fails`, by this fault and at once: further attempts are another matter."""
        self.pauses = ()
        report = await self.fails(*reasons)
        self.pauses = AT_ONCE
        assert fault.struck, "the fault never came to bear"
        self.source.clear()
        self.target.clear()
        return report

    async def heals(self) -> None:
        """With the faults gone, the next run brings both sides together."""
        self.source.clear()
        self.target.clear()
        await self.succeeds(Outcome.SYNCED, Outcome.UNCHANGED)


@asynccontextmanager
async def reopened(folder: Path) -> AsyncIterator[World]:
    """The world that was there before."""
    async with (
        GitHubStandIn(folder / "github", tokens={GITHUB_TOKEN: "octocat"}) as github,
        OneDevStandIn(folder / "onedev", tokens=[ONEDEV_TOKEN]) as onedev,
    ):
        yield World(github, onedev, folder, onedev.project(PROJECT).id)


@asynccontextmanager
async def contract_in(folder: Path, engine: str, target_name: str) -> AsyncIterator[Contract]:
    """An empty repository and an empty project, or what `folder` has of them already."""
    async with AsyncExitStack() as stack:
        known = (folder / "onedev").exists()
        world = await stack.enter_async_context(reopened(folder) if known else world_in(folder))
        upstream = world.onedev.url
        if target_name == "http-backend":
            upstream = (await stack.enter_async_context(HttpBackend(folder / "onedev"))).url
            run_git(world.target_repository, "config", "http.receivepack", "true")
        origin = await stack.enter_async_context(HttpBackend(folder / "github", AS_GITHUB))
        yield Contract(
            **{name: getattr(world, name) for name in ("github", "onedev", "folder", "project_id", "runs")},
            engine=engine,
            target_name=target_name,
            source=await stack.enter_async_context(FaultyProxy(origin.url)),
            target=await stack.enter_async_context(FaultyProxy(upstream)),
        )
