"""Where a huge history is cut."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.transfer.slices import SLICE_KB, SLICE_OBJECTS, boundaries, slices_for

YEAR = 31_557_600
NOW = 1_800_000_000


class History:
    """Commits in a row, one at each of these dates; named by their dates."""

    def __init__(self, dates: list[int]) -> None:
        self.dates = sorted(dates)
        self.questions = 0

    async def oldest_since(self, date: int) -> list[str] | None:
        self.questions += 1
        since = [commit for commit in self.dates if commit >= date]
        if not since:
            return None
        return [] if len(since) == len(self.dates) else [str(since[0])]

    def cuts(self, count: int, now: int = NOW) -> list[int]:
        async def collect() -> list[int]:
            return [int(commit) async for part in boundaries(self.oldest_since, now, count) for commit in part]

        return asyncio.run(collect())


@pytest.mark.parametrize(
    ("size_kb", "objects", "slices"),
    [
        (0, 0, 1),
        (SLICE_KB, 0, 1),
        (2 * SLICE_KB, 0, 2),
        (0, 5 * SLICE_OBJECTS, 5),
        (3 * SLICE_KB, 2 * SLICE_OBJECTS, 3),
    ],
)
def test_size_decides_in_how_many_parts(size_kb: int, objects: int, slices: int) -> None:
    assert slices_for(size_kb, objects) == slices


@pytest.mark.parametrize("years", [1, 3, 20, 40])
@pytest.mark.parametrize("ago", [0, 5])
def test_an_even_history_is_cut_into_even_parts(years: int, ago: int) -> None:
    last = NOW - ago * YEAR
    dates = [last - years * YEAR * step // 10_000 for step in range(10_000)]
    cuts = History(dates).cuts(4)
    sizes = [sum(low <= date < high for date in dates) for low, high in zip([0, *cuts], [*cuts, 2 * NOW], strict=True)]
    assert len(cuts) >= 2
    assert max(sizes) < 0.6 * len(dates), sizes


@given(st.lists(st.integers(0, 2 * NOW), min_size=1, max_size=30), st.integers(2, 12))
def test_cuts_are_of_the_history_the_oldest_first_and_few_questions_find_them(dates: list[int], count: int) -> None:
    history = History(dates)
    cuts = history.cuts(count)
    assert cuts == sorted(cuts)
    assert set(cuts) <= set(dates)
    assert len(cuts) < count
    assert history.questions <= 12 + count
