"""A huge first sync comes in parts, and a cut costs one of them."""

import random
from pathlib import Path

import pytest

from github_onedev_sync.api.refs import STAGED
from github_onedev_sync.api.report import Outcome
from github_onedev_sync.transfer import slices
from tests.stand_ins.processes import run_git
from tests.transfer.world import PROJECT, World

YEARS = range(2018, 2026)
BALLAST = 60_000


@pytest.fixture
def engine() -> str:
    return "Relay"


@pytest.fixture
def eight_years(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """One commit a year, each with some 60 kB that no delta makes smaller."""
    fill(world.source_repository)
    monkeypatch.setattr(slices, "SLICE_KB", 400)
    return world


def fill(repository: Path) -> None:
    script = []
    for year in YEARS:
        ballast = random_text(year)
        script += [
            "commit refs/heads/main",
            f"committer somebody <somebody@example.org> {(year - 1970) * 31_557_600} +0000",
            f"data 4\n{year}",
            f"M 644 inline ballast-{year}\ndata {len(ballast)}\n{ballast}\n",
        ]
    run_git(repository, "fast-import", "--quiet", data="\n".join(script).encode())


def random_text(seed: int) -> str:
    return random.Random(seed).randbytes(BALLAST // 2).hex()


def pushed(world: World) -> list[int]:
    """Bytes of each push that carried more than a few."""
    return [
        int(entry.headers.get("content-length", "0"))
        for entry in world.onedev.journal.entries("POST", "git-receive-pack")
        if int(entry.headers.get("content-length", "0")) > 10_000
    ]


async def test_a_history_is_cut_by_its_dates(eight_years: World) -> None:
    report = await eight_years.sync(size_kb=1600)
    assert report.outcome is Outcome.SYNCED, report
    sizes = pushed(eight_years)
    assert len(sizes) >= 3
    assert max(sizes) < 0.6 * sum(sizes)
    await eight_years.assert_equal()
    assert not any(name.startswith(STAGED) for name in await eight_years.onedev.refs(PROJECT))


async def test_a_pack_that_turns_out_huge_is_begun_again_in_parts(
    eight_years: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "SLICE_OBJECTS", 8)
    report = await eight_years.sync()
    assert report.outcome is Outcome.SYNCED, report
    assert len(pushed(eight_years)) >= 3
    await eight_years.assert_equal()


async def test_what_arrived_before_a_cut_does_not_come_again(eight_years: World) -> None:
    # Two parts, and then nothing for all three attempts.
    eight_years.onedev.faults.add(method="POST", path="git-receive-pack", skip=2, count=None, drop="before")
    first = await eight_years.sync(size_kb=1600)
    assert first.outcome is Outcome.FAILED
    arrived = sum(pushed(eight_years)[:2])
    eight_years.onedev.faults.clear()
    second = await eight_years.sync(size_kb=1600)
    assert second.outcome is Outcome.SYNCED, second
    assert second.bytes < len(YEARS) * BALLAST - arrived // 2
    await eight_years.assert_equal()
