"""The measuring itself, on histories that take no time to make."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.local_cluster.choice import Cluster
from tests.stand_ins.processes import run_git

from . import histories, stars
from .costs import cost
from .errors import NotMeasured
from .figures import RATIO, Figure, show
from .histories import Shape
from .servers import servers_in
from .sides import Git, Ours, Pair
from .stars import Size
from .sweep import sweep

TINY = Shape(commits=5, additions=2, edits=1, branches=2, tags=3)
HUNGRY = "held = bytes(range(256)) * 400_000; open('left', 'wb').write(held[:1000]); sum(range(3_000_000)); input()"


def refs(path: Path) -> list[str]:
    return run_git(path, "for-each-ref", "--format=%(objectname) %(refname)").splitlines()


def test_a_history_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        histories.text(tmp_path / name, TINY)
    assert len(refs(tmp_path / "one")) == 1 + TINY.branches + TINY.tags
    assert refs(tmp_path / "one") == refs(tmp_path / "two")
    assert run_git(tmp_path / "one", "rev-list", "--count", "main") == str(TINY.commits)


def test_a_copy_is_whole_and_shares_its_packs(tmp_path: Path) -> None:
    histories.noise(tmp_path / "noise", 3)
    histories.copy(tmp_path / "noise", tmp_path / "copy")
    run_git(tmp_path / "copy", "fsck", "--full", "--strict")
    assert histories.pack_bytes(tmp_path / "copy") > 3 << 20
    (pack,) = (tmp_path / "copy/objects/pack").glob("*.pack")
    assert pack.stat().st_nlink == 2


def test_a_cost_counts_the_children_and_what_they_leave(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    child = f"cd {folder} && (sleep 1; echo) | {sys.executable} -c {json.dumps(HUNGRY)}; exit 0"
    taken = cost(("sh", "-c", child), {"PATH": "/usr/bin:/bin"}, folder)
    assert taken.wall >= 1
    assert 0.02 < taken.cpu < taken.wall
    assert 100_000_000 < taken.peak < 200_000_000
    assert taken.disk == 1000


def test_a_command_that_fails_is_no_figure(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="sh ended with 3: sorry"):
        cost(("sh", "-c", "echo sorry; exit 3"), {"PATH": "/usr/bin:/bin"}, tmp_path)


async def test_both_sides_mirror_the_same(tmp_path: Path) -> None:
    histories.text(tmp_path / "history.git", TINY)
    async with servers_in(tmp_path / "servers") as servers:
        servers.offer(tmp_path / "history.git", "tiny")
        git, ours = Git(servers), Ours(servers)
        theirs, mine, warm = [Pair("tiny", name, await servers.create_project(name)) for name in ("a", "b", "c")]
        with pytest.raises(NotMeasured, match="not equal"):
            servers.check_equal("tiny", mine.number)
        kept, fresh, inside = await git.sync(theirs, keep=True), await ours.sync(mine), await ours.sync_warm(warm)
        assert min(kept.disk, fresh.peak) > 0
        assert inside.cpu < fresh.cpu
        await servers.commit("tiny")
        await git.sync(theirs)
        await ours.sync_warm(mine)
        for pair in (theirs, mine):
            servers.check_equal("tiny", pair.number)
        assert not git.kept(theirs).exists()


def test_a_sweep_asks_for_a_hundred_at_once() -> None:
    figure = sweep(100)
    assert 1 <= figure.value <= 10


@pytest.mark.cluster
def test_stars_are_counted_from_the_first_to_a_new_one(cluster: Cluster) -> None:
    said: list[str] = []
    figures = {figure.name: figure for figure in stars.measure(Size(stars=20, new=2), said.append, ("first", "new"))}
    assert said[:2] == ["first …", "new …"]
    seconds, _, memory, late = figures.values()
    assert 0 < seconds.value < 60
    assert 50 < memory.value < 200
    assert late.holds


def test_ratios_and_rates_have_goals_of_their_own(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [
        Figure("first sync, wall time", 0.4876, RATIO, 0.6, "6.2 s of git's 12.7 s"),
        Figure("first syncs", 3.9, "/s", 4, at_least=True),
    ]
    monkeypatch.delenv("JSON", raising=False)
    show(figures)
    _, ratio, rate = capsys.readouterr().out.splitlines()
    assert " ".join(ratio.split()) == f"first sync, wall time 0.488 {RATIO} ≤ 0.6 {RATIO} yes 6.2 s of git's 12.7 s"
    assert " ".join(rate.split()) == "first syncs 3.9 /s ≥ 4 /s NO"
    monkeypatch.setenv("JSON", "1")
    show(figures)
    assert [json.loads(line)["holds"] for line in capsys.readouterr().out.splitlines()] == [True, False]
