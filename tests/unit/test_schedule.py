"""When to look again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.decide import schedule

from .builders import NOW

UIDS = st.uuids().map(str)
INTERVALS = st.timedeltas(timedelta(seconds=30), timedelta(days=30))


@given(UIDS, INTERVALS)
def test_an_interval_is_kept_within_five_percent(uid: str, interval: timedelta) -> None:
    delay = schedule.next_interval(uid, interval, NOW) - NOW
    assert 0.95 * interval - timedelta(milliseconds=1) <= delay <= 1.05 * interval + timedelta(milliseconds=1)


@given(UIDS)
def test_mirrors_declared_together_drift_apart(uid: str) -> None:
    first = schedule.next_interval(uid, timedelta(minutes=10), NOW)
    second = schedule.next_interval(uid, timedelta(minutes=10), first)
    assert first - NOW != second - first


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(0, 10), (1, 10), (2, 20), (3, 40), (4, 80), (9, 2560), (10, 3600), (11, 3600), (10**9, 3600)],
)
@given(uid=UIDS)
def test_backoff_doubles_up_to_an_hour(failures: int, seconds: int, uid: str) -> None:
    delay = (schedule.next_attempt(uid, failures, NOW) - NOW).total_seconds()
    assert seconds <= delay <= 1.2 * seconds


@given(UIDS, INTERVALS)
def test_stalled_is_looked_at_at_least_once_an_hour(uid: str, interval: timedelta) -> None:
    delay = schedule.next_stalled(uid, interval, NOW) - NOW
    assert delay <= min(interval, timedelta(hours=1)) * 1.05 + timedelta(milliseconds=1)


@given(UIDS, INTERVALS)
def test_after_a_restart_all_come_soon(uid: str, interval: timedelta) -> None:
    delay = schedule.after_restart(uid, interval, NOW) - NOW
    assert timedelta(0) <= delay <= min(interval / 10, timedelta(minutes=1))


@given(st.lists(st.text()))
def test_spread_is_stable_and_below_one(parts: list[str]) -> None:
    assert 0 <= schedule.spread(*parts) < 1
    assert schedule.spread(*parts) == schedule.spread(*parts)


def test_spread_is_even() -> None:
    found = [schedule.spread(f"uid-{n}") for n in range(2000)]
    assert all(150 <= sum(n / 10 <= one < (n + 1) / 10 for one in found) <= 250 for n in range(10))
