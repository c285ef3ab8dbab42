"""Building a condition list."""

from datetime import timedelta

import pytest

from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.decide.conditions import Conditions

from . import builders as build
from .builders import EARLIER, NOW, condition

READY, RECONCILING, STALLED = ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED


def before(*found: dict[str, object]) -> Conditions:
    return Conditions(build.conditions(*found), 3, NOW)


@pytest.mark.parametrize(
    ("status", "word", "since"),
    [(True, "True", EARLIER), (False, "False", NOW), (None, "Unknown", NOW)],
)
def test_the_transition_time_moves_only_with_the_status(status: bool | None, word: str, since: object) -> None:
    (built,) = before(condition(READY, "True", Reason.SYNCED)).set(READY, status, Reason.AVAILABLE, "news").build()
    assert (built.status, built.last_transition_time) == (word, since)
    assert (built.reason, built.message, built.observed_generation) == ("Available", "news", 3)


@pytest.mark.parametrize(("one", "other"), [(RECONCILING, STALLED), (STALLED, RECONCILING)])
def test_reconciling_and_stalled_exclude_each_other(one: ConditionType, other: ConditionType) -> None:
    found = before(condition(other, "True", Reason.PROGRESSING)).set(one, True, Reason.PROGRESSING, "x").build()
    assert [c.type for c in found] == [one]


def test_what_is_not_named_stays_as_it_was() -> None:
    kept = condition(ConditionType.VERIFIED, "True", Reason.REFS_EQUAL, generation=2)
    (_, built) = before(kept).set(READY, True, Reason.SYNCED, "x").build()
    assert (built,) == build.conditions(kept)


def test_ready_comes_first_and_strange_types_last() -> None:
    """A newer or another program may have left types that this one does not know."""
    strange = {**condition(READY, "True", Reason.SYNCED), "type": "Archived"}
    found = before(strange, condition(ConditionType.VERIFIED, "True", Reason.REFS_EQUAL)).set(
        READY, True, Reason.SYNCED, "x"
    )
    assert [c.type for c in found.build()] == ["Ready", "Verified", "Archived"]


def test_drop() -> None:
    found = before(condition(READY, "True", Reason.SYNCED), condition(STALLED, "True", Reason.SYNCED))
    assert [c.type for c in found.drop(STALLED, RECONCILING).build()] == ["Ready"]


def test_a_status_that_comes_back_starts_anew() -> None:
    later = NOW + timedelta(minutes=1)
    first = before(condition(READY, "True", Reason.SYNCED)).set(READY, False, Reason.TIMED_OUT, "x").build()
    (second,) = Conditions(first, 3, later).set(READY, True, Reason.SYNCED, "x").build()
    assert second.last_transition_time == later
