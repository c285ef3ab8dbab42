"""How far each may go into the limit that all users of one credential share."""

from datetime import UTC, datetime, timedelta

import pytest

from github_onedev_sync.adapters.github_budget import APP, CORE, GRAPHQL, Budget
from github_onedev_sync.adapters.github_errors import reset_time
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Waiting
from github_onedev_sync.api.observed import RateLimit
from github_onedev_sync.api.urgency import Urgency

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
RESET = NOW + timedelta(minutes=20)
ASKED, ROUTINE, SWEEP = Urgency.ASKED, Urgency.ROUTINE, Urgency.SWEEP


def budget(remaining: int, limit: int = 5000, reset: datetime = RESET, resource: str = CORE) -> Budget:
    return Budget({resource: RateLimit(remaining, limit, reset)})


@pytest.mark.parametrize(
    ("limit", "remaining", "allowed"),
    [
        (5000, 5000, (ASKED, ROUTINE, SWEEP)),
        (5000, 1001, (ASKED, ROUTINE, SWEEP)),
        (5000, 1000, (ASKED, ROUTINE)),
        (5000, 251, (ASKED, ROUTINE)),
        (5000, 250, (ASKED,)),
        (5000, 1, (ASKED,)),
        (5000, 0, ()),
        (60, 13, (ASKED, ROUTINE, SWEEP)),
        (60, 12, (ASKED, ROUTINE)),
        (60, 4, (ASKED, ROUTINE)),
        (60, 3, (ASKED,)),
        (60, 0, ()),
        (1, 1, (ASKED, ROUTINE, SWEEP)),
        (0, 0, ()),
    ],
)
def test_the_less_urgent_leave_more(limit: int, remaining: int, allowed: tuple[Urgency, ...]) -> None:
    known = budget(remaining, limit)
    assert tuple(one for one in Urgency if known.refusal(CORE, one, NOW) is None) == allowed


def test_nothing_known_is_nothing_refused() -> None:
    assert Budget().refusal(CORE, SWEEP, NOW) is None


def test_resources_are_counted_apart() -> None:
    known = budget(0, resource=GRAPHQL)
    assert known.refusal(GRAPHQL, ASKED, NOW) is not None
    assert known.refusal(CORE, SWEEP, NOW) is None
    assert known.refusal(APP, SWEEP, NOW) is None


@pytest.mark.parametrize(
    ("remaining", "urgency", "said"),
    [
        (0, ASKED, "GitHub allows 0 more requests until 12:20 UTC"),
        (0, SWEEP, "GitHub allows 0 more requests until 12:20 UTC"),
        (200, ROUTINE, "GitHub allows 200 more requests until 12:20 UTC, which are kept for what is more urgent"),
    ],
)
def test_the_refusal_tells_when_to_come_back(remaining: int, urgency: Urgency, said: str) -> None:
    refusal = budget(remaining).refusal(CORE, urgency, NOW)
    assert refusal is not None
    assert (refusal.reason, refusal.message, refusal.after) == (Reason.RATE_LIMITED, said, timedelta(minutes=20))


@pytest.mark.parametrize(
    ("reset", "refused"),
    [
        pytest.param(NOW + timedelta(seconds=1), True, id="in a second"),
        pytest.param(NOW, False, id="now"),
        pytest.param(NOW - timedelta(days=1), False, id="long ago"),
        pytest.param(NOW + timedelta(hours=1), True, id="a whole hour"),
        pytest.param(NOW + timedelta(hours=2), False, id="from before the clock was put back"),
    ],
)
def test_a_limit_lasts_until_it_is_renewed(reset: datetime, refused: bool) -> None:
    assert (budget(0, reset=reset).refusal(CORE, ASKED, NOW) is not None) is refused


def waiting(seconds: int) -> Waiting:
    return Waiting(Reason.RATE_LIMITED, "slow down", timedelta(seconds=seconds))


def test_a_secondary_limit_stops_all() -> None:
    known = budget(4000)
    known.heed(waiting(60), CORE, NOW)
    for resource in (CORE, GRAPHQL, APP):
        refusal = known.refusal(resource, ASKED, NOW + timedelta(seconds=20))
        assert refusal is not None
        assert refusal.after == timedelta(seconds=40)
    assert known.refusal(CORE, SWEEP, NOW + timedelta(seconds=60)) is None
    assert known.refusal(CORE, SWEEP, NOW - timedelta(days=1)) is None  # the clock was put back


def test_a_used_up_resource_stops_no_other() -> None:
    known = budget(0)
    known.heed(waiting(1200), CORE, NOW)
    assert known.refusal(CORE, ASKED, NOW) is not None
    assert known.refusal(GRAPHQL, ASKED, NOW) is None


@pytest.mark.parametrize(
    ("date", "reset"),
    [
        pytest.param(None, RESET, id="no Date"),
        pytest.param("Mon, 01 Jun 2026 12:00:00 GMT", RESET, id="equal"),
        pytest.param("Mon, 01 Jun 2026 12:00:59 GMT", RESET, id="nearly equal"),
        pytest.param("Mon, 01 Jun 2026 11:00:00 GMT", RESET + timedelta(hours=1), id="ours is an hour ahead"),
        pytest.param("Mon, 01 Jun 2026 12:15:00 GMT", RESET - timedelta(minutes=15), id="ours is behind"),
        pytest.param("Mon, 01 Jun 2026 11:00:00", RESET, id="a Date without a zone"),
        pytest.param("soon", RESET, id="no date"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", None, id="beyond all times"),
    ],
)
def test_the_reset_is_told_by_our_own_clock(date: str | None, reset: datetime | None) -> None:
    headers = {"x-ratelimit-reset": str(RESET.timestamp())} | ({"date": date} if date else {})
    assert reset_time(headers, NOW) == reset
