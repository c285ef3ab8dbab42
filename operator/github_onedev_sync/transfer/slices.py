"""Cutting a huge first sync along the default branch's history.

The default branch alone carries nearly all of a repository's bytes, so refs do not cut it; and since merges make short
ways into the past, neither do steps back from its tip. Dates do: a shallow fetch tells which commits stand at a date,
before its pack begins.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

# A slice has about this size by GitHub's figure, or by the count of objects that a pack's header tells.
SLICE_KB = 128 * 1024
SLICE_OBJECTS = 300_000
_YEAR = 31_557_600
_LONGEST = 64
_REFINEMENTS = 3
# More would not make a slice smaller; the next one brings the rest.
_COMMITS = 500

Behind = Callable[[int], Awaitable[list[str] | None]]
"""The oldest commits since a date (seconds since 1970); none of them where the history begins later, None where it
ended before."""


def slices_for(size_kb: int, objects: int) -> int:
    """In how many slices a repository of this size comes; either figure may be 0 for unknown."""
    return max(1, round(size_kb / SLICE_KB), round(objects / SLICE_OBJECTS))


async def boundaries(behind: Behind, now: int, count: int) -> AsyncIterator[list[str]]:
    """Commits that cut a history into `count` parts, the oldest first."""
    begin, end = await _span(behind, now)
    for part in range(1, count):
        if commits := await behind(begin + (end - begin) * part // count):
            yield sorted(commits)[:_COMMITS]


async def _span(behind: Behind, now: int) -> tuple[int, int]:
    """Dates shortly before the first commit and shortly after the last one."""
    begin, inside, end = max(0, now - _LONGEST * _YEAR), now, now
    years = 1
    while years < _LONGEST:
        date = max(0, now - years * _YEAR)
        begin, inside, end = _narrowed(begin, inside, end, date, await behind(date))
        if begin >= date:
            break
        years *= 2
    for _ in range(_REFINEMENTS):
        for date in ((begin + inside) // 2, (inside + end) // 2):
            begin, inside, end = _narrowed(begin, inside, end, date, await behind(date))
    return begin, end


def _narrowed(begin: int, inside: int, end: int, date: int, told: list[str] | None) -> tuple[int, int, int]:
    """`inside` is a date before which a history began, and after which it went on, or as near to one as is known."""
    if told is None:
        return begin, min(inside, date), min(end, date)
    if not told:
        return max(begin, date), inside, end
    return begin, date if date < inside or inside == end else inside, end
