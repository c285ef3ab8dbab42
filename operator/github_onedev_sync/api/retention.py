"""Archived tips: what their names say, and which of them `spec.archive` lets go.

A tip is kept as `refs/archive/<UTC time>[-N]/<heads|tags|notes>/<name>`. The name is all that there is to go by, so
one that does not read like that, or that stands below `refs/archive/encoded/`, is never let go.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .refs import ARCHIVE

_TIME = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(
    re.escape(ARCHIVE) + r"(?P<time>[0-9]{8}T[0-9]{6}Z)(-(?P<number>[1-9][0-9]{0,8}))?/(?P<ref>(heads|tags|notes)/.+)",
    re.DOTALL,
)


def stamp(time: datetime) -> str:
    """`time`, aware, as the names of archived tips have it."""
    return time.astimezone(UTC).strftime(_TIME)


def moment(text: str) -> datetime:
    """The time that `stamp` wrote; raises ValueError for anything else."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


@dataclass(frozen=True, order=True)
class ArchivedTip:
    """`ref` was overwritten or deleted at `time`, and `number` tells several of one second apart. Sorts by age."""

    time: datetime
    number: int
    ref: str
    name: str


def read_name(name: str) -> ArchivedTip | None:
    """What the name of an archived tip says, or None where it is no such name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    try:
        time = moment(found["time"])
    except ValueError:  # such as a thirteenth month
        return None
    return ArchivedTip(time, int(found["number"] or 1), "refs/" + found["ref"], name)


def expired(archived: Iterable[str], now: datetime, keep_for: timedelta, keep_last: int) -> list[str]:
    """The names that may go, the oldest first.

    The newest `keep_last` tips of a ref stay whatever their age; of the others those go that are `keep_for` old, or
    all of them where `keep_for` is 0. Where both are 0 everything is kept for ever.
    """
    if not keep_for and not keep_last:
        return []
    by_ref = defaultdict(list)
    for tip in sorted(filter(None, map(read_name, archived))):
        by_ref[tip.ref].append(tip)
    older = (tip for tips in by_ref.values() for tip in tips[: max(0, len(tips) - keep_last)])
    return [tip.name for tip in sorted(older) if not keep_for or now - tip.time >= keep_for]
