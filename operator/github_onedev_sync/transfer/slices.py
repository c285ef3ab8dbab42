"""Cutting a huge first sync along the default branch's history.

The default branch alone carries nearly all of a repository's bytes, so refs do not cut it. A shallow fetch tells which
commits lie N steps behind a tip, before its pack begins.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

# A slice has about this size by GitHub's figure, or by the count of objects that a pack's header tells.
SLICE_KB = 128 * 1024
SLICE_OBJECTS = 300_000
_FIRST_DEPTH = 256
_DEEPEST = 1 << 24
_REFINEMENTS = 3
# More would not make a slice smaller; the next one brings the rest.
_COMMITS = 500


def slices_for(size_kb: int, objects: int) -> int:
    """In how many slices a repository of this size comes; either figure may be 0 for unknown."""
    return max(1, round(size_kb / SLICE_KB), round(objects / SLICE_OBJECTS))


async def boundaries(
    behind: Callable[[str, int], Awaitable[list[str]]], tip: str, count: int
) -> AsyncIterator[list[str]]:
    """Commits that cut the history of `tip` into `count` parts, the oldest first.

    `behind(tip, depth)` tells the commits at that depth, none where the history ends before it.
    """
    low, high = 0, _FIRST_DEPTH
    while high < _DEEPEST and await behind(tip, high):
        low, high = high, 2 * high
    for _ in range(_REFINEMENTS):
        middle = (low + high) // 2
        if middle > low and await behind(tip, middle):
            low = middle
        else:
            high = middle
    for part in range(count - 1, 0, -1):
        if (depth := high * part // count) and (commits := await behind(tip, depth)):
            yield sorted(commits)[:_COMMITS]
