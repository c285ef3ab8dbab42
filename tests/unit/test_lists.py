"""What pages of a list tell, and how many may be missing from it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api.observed import RateLimit
from github_onedev_sync.decide.listing import has_lost, next_poll, reaches_known_ground
from github_onedev_sync.decide.unstar import Missing, allowed, digest, to_approve

from . import builders as build

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("page", "known", "reached"),
    [
        ([], {1}, False),
        ([3, 2, 1], {1, 2, 3}, True),
        ([4, 3], {3}, True),
        ([5, 4], {3}, False),
    ],
)
def test_known_ground(page: Sequence[int], known: set[int], reached: bool) -> None:
    assert reaches_known_ground(page, known) is reached


@pytest.mark.parametrize(
    ("before", "now", "fresh", "lost"),
    [
        pytest.param([3, 2, 1], [3, 2, 1], set(), False, id="nothing"),
        pytest.param([3, 2, 1], [4, 3, 2], {4}, False, id="one more"),
        pytest.param([3, 2, 1], [6, 5, 4], {4, 5, 6}, False, id="a page of new ones"),
        pytest.param([3, 2, 1], [6, 5, 4, 3, 2, 1], {4, 5, 6}, False, id="and the next page"),
        pytest.param([3, 2, 1], [3, 1, 0], set(), True, id="one is gone, and the next page's first comes up"),
        pytest.param([3, 2, 1], [4, 3, 1], {4}, True, id="one came and one went"),
        pytest.param([3, 2, 1], [2, 3, 1], set(), True, id="one was starred anew"),
        pytest.param([3, 2, 1], [3, 2, 0], set(), True, id="the last one is gone"),
        pytest.param([2, 1], [2, 1, 0], set(), False, id="more was walked than was known of the first page"),
        pytest.param([], [2, 1], {1, 2}, False, id="there was nothing"),
    ],
)
def test_what_adding_alone_cannot_have_made(before: list[int], now: list[int], fresh: set[int], lost: bool) -> None:
    assert has_lost(before, now, fresh) is lost


@pytest.mark.parametrize(
    ("limit", "wait"),
    [
        (None, MINUTE),
        (RateLimit(5000, 5000, build.NOW + 60 * MINUTE), MINUTE),
        (RateLimit(120, 5000, build.NOW + 60 * MINUTE), MINUTE),
        (RateLimit(60, 5000, build.NOW + 60 * MINUTE), 2 * MINUTE),
        (RateLimit(0, 5000, build.NOW + 50 * MINUTE), 50 * MINUTE),
        (RateLimit(0, 5000, build.NOW - MINUTE), MINUTE),
    ],
)
def test_the_next_poll(limit: RateLimit | None, wait: timedelta) -> None:
    assert next_poll(MINUTE, limit, build.NOW) == build.NOW + wait


@pytest.mark.parametrize(
    ("percent", "total", "most"), [(10, 0, 1), (10, 5, 1), (10, 40, 4), (10, 45, 4), (0, 1000, 0), (100, 7, 7)]
)
def test_how_many_may_go_at_once(percent: int, total: int, most: int) -> None:
    assert allowed(percent, total) == most


def missing(*numbers: int, **fields: object) -> tuple[Missing, ...]:
    return tuple(Missing(f"m{number}", number, **fields) for number in numbers)  # type: ignore[arg-type]


MARKED = build.NOW


@pytest.mark.parametrize(
    ("gone", "spec", "approved", "asked"),
    [
        pytest.param(missing(1), {"onUnstar": "Delete"}, "", (), id="one"),
        pytest.param(missing(1, 2), {"onUnstar": "Delete"}, "", (1, 2), id="two of ten"),
        pytest.param(missing(1, 2), {"onUnstar": "Keep"}, "", (), id="nothing is removed anyway"),
        pytest.param(missing(1, 2), {"onUnstar": "Delete"}, digest(missing(2, 1)), (), id="approved"),
        pytest.param(missing(1, 2), {"onUnstar": "Delete"}, digest(missing(1, 3)), (1, 2), id="others were"),
        pytest.param(missing(1, since=MARKED) + missing(2), {"onUnstar": "Delete"}, "", (), id="one at a time"),
        pytest.param(missing(1, 2, proven=False) + missing(3), {"onUnstar": "Delete"}, "", (), id="gone at GitHub"),
        pytest.param(missing(1), {"onUnstar": "Delete", "maxPrunePercent": 0}, "", (1,), id="none may"),
    ],
)
def test_what_a_person_must_approve(
    gone: tuple[Missing, ...], spec: dict[str, Any], approved: str, asked: tuple[int, ...]
) -> None:
    found = to_approve(build.sync(**spec).settings, gone, 10, approved)
    assert tuple(one.repository_id for one in found) == asked
