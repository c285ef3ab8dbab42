"""Which mirrors may share a Job, and how many fit into one."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.decide.batch import MOST, SMALL_KB, TOGETHER_KB, Load, expected_kb, fill, group_of, may_share

from . import builders as build
from .builders import EARLIER

HOUR = timedelta(hours=1)
SYNCED = {"lastSyncTime": "2026-11-23T00:00:00Z"}


def last_run(**fields: Any) -> dict[str, Any]:
    return {**SYNCED, "lastRun": build.run_status("click-aaaaaaaa", EARLIER, **fields)}


@pytest.mark.parametrize(
    ("status", "size_kb", "expected"),
    [
        pytest.param({}, 5000, 5000, id="first sync: the repository"),
        pytest.param(last_run(bytes=2048, outcome="Synced"), 5000, 2, id="later: what the last run moved"),
        pytest.param(last_run(bytes=10**9, outcome="Synced"), 5000, 5000, id="the first one was the last one"),
        pytest.param(last_run(outcome="Failed"), 5000, 5000, id="a run that told no bytes"),
        pytest.param({"lastRun": build.run_status(bytes=7, outcome="Failed")}, 5000, 5000, id="never synced"),
    ],
)
def test_how_much_is_expected(status: dict[str, Any], size_kb: int, expected: int) -> None:
    assert expected_kb(build.mirror(status=status), size_kb) == expected


def test_git_clones_all_of_it_each_time() -> None:
    status = last_run(bytes=2048, outcome="Synced")
    assert expected_kb(build.mirror(engine="Git", status=status), 5000) == 5000
    fallen_back = last_run(bytes=2048, outcome="Synced", fallback="the source is shallow")
    assert expected_kb(build.mirror(status=fallen_back), 5000) == 5000


@pytest.mark.parametrize(
    ("parts", "kb", "may"),
    [
        ({}, SMALL_KB, True),
        ({}, SMALL_KB + 1, False),
        ({"lfs": True}, 1, False),
        ({"refs": {"include": ["refs/heads/*"] * 50}}, 1, True),
        ({"refs": {"include": ["refs/heads/*"] * 500}}, 1, False),
        ({"status": last_run(outcome="Failed")}, 1, False),
        ({"status": last_run(outcome="Partial")}, 1, True),
        ({"status": {"failures": 9}}, 1, True),
    ],
)
def test_who_may_share(parts: dict[str, Any], kb: int, may: bool) -> None:
    assert may_share(build.mirror(**parts), kb) is may


def test_a_group_is_what_a_pod_can_serve() -> None:
    ours = group_of(build.mirror())
    assert group_of(build.mirror("other", onRewrite="Block", interval="1h", engine="Git")) == ours
    for other in (
        build.mirror(meta={"namespace": "elsewhere"}),
        build.mirror(target={"serverRef": {"name": "other"}}),
        build.mirror(source={"secretRef": {"name": "github"}}),
        build.mirror(source={"apiURL": "https://ghe/api/v3"}),
        build.mirror(timeout="2h"),
    ):
        assert group_of(other) != ours


@pytest.mark.parametrize(
    ("timeout", "most"), [(HOUR, MOST), (timedelta(minutes=1), 4), (timedelta(seconds=20), 1), (timedelta(0), 1)]
)
def test_short_times_are_not_shared_by_many(timeout: timedelta, most: int) -> None:
    loads = [Load(f"team/{number}", 1) for number in range(40)]
    assert 1 + len(fill(loads[0], timeout, loads[1:])) == most


LOADS = st.lists(st.builds(Load, st.text(min_size=3, max_size=317), st.integers(0, SMALL_KB)), max_size=40)


@given(st.builds(Load, st.text(min_size=3, max_size=317), st.integers(0, SMALL_KB)), LOADS)
def test_bounds_hold_and_who_comes_first_goes_first(leader: Load, others: list[Load]) -> None:
    taken = fill(leader, HOUR, others)
    assert len(taken) < MOST
    assert leader.kb + sum(load.kb for load in taken) <= TOGETHER_KB
    assert sum(load.report_bytes for load in [leader, *taken]) <= 4096 - 64
    rest = iter(others)
    assert all(any(load is other for other in rest) for load in taken), "in the order given, each once"
    assert not others or taken, "somebody small always fits beside somebody small"
