"""What pages of a list tell, when nothing holds the list still while it is walked.

GitHub pages by offset: what is starred meanwhile shows up twice, and what is un-starred hides a neighbour. So a row
that was seen counts at once, and one that was not seen is missing only after two complete walks saw the same.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from ..api.observed import RateLimit

FULL_LISTING = timedelta(hours=24)
# Of the limit that is left, this part may be spent until the reset.
_SHARE = 0.5


def reaches_known_ground(page: Sequence[int], known: Collection[int]) -> bool:
    """Whether all further rows are known: the newest come first, so the last one of a page is its oldest."""
    return bool(page) and page[-1] in known


def has_lost(before: Sequence[int], now: Sequence[int], fresh: Collection[int]) -> bool:
    """Whether the rows seen now cannot have come from those seen `before` by adding `fresh` ones alone."""
    old = [row for row in now if row not in fresh]
    return old[: len(before)] != list(before[: len(old)])


def next_poll(interval: timedelta, limit: RateLimit | None, now: datetime) -> datetime:
    """One interval from now, to the second, for somebody waits for a new star; or so much later that what is left of
    the limit lasts until it is renewed."""
    if limit is not None and limit.reset > now:
        affordable = max(int(limit.remaining * _SHARE), 1)
        interval = max(interval, (limit.reset - now) / affordable)
    return now + interval
