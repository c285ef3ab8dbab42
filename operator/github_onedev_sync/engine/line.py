"""The line of the mirrors that wait for a slot, and what is known of those that were looked at meanwhile.

Who was called and still finds no slot goes back to the old place; who does not want one any more is out of the line.
The first in line are looked at before their turn: so a run that starts can take along those of its like, and a burst of
small repositories goes many to a pod.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from ..api.mirror import RepositoryMirror
from ..decide.batch import SMALL_KB, Load, group_of
from .look import Sight
from .queue import Priority
from .store import Store

# Two full Jobs of one group.
AHEAD = 40
# Every so many calls the line is served by age alone.
_FAIR = 4


class Place(NamedTuple):
    """Sorts the line: the urgent first, among equals the small, among those the old."""

    priority: Priority
    size: int
    ticket: int


@dataclass(frozen=True)
class Prepared:
    """What a look at a mirror in line saw, and the mirror as it was then: all that a run needs to take it along, if it
    is `small`. `kb` is what a run is expected to move."""

    mirror: RepositoryMirror
    sight: Sight
    asked: str | None
    kb: int
    small: bool
    since: datetime

    @property
    def load(self) -> Load:
        return Load(self.mirror.key, self.kb)


@dataclass(frozen=True)
class _Waiting:
    """`kb` is None where it is not known, and `looked` tells whether a look before its turn would be for nothing."""

    place: Place
    group: tuple[str, ...]
    kb: int | None = None
    looked: bool = False
    prepared: Prepared | None = None


@dataclass
class Line:
    store: Store
    _waiting: dict[str, _Waiting] = field(default_factory=dict)
    _called: dict[str, _Waiting] = field(default_factory=dict)
    _ahead: set[str] = field(default_factory=set)
    _boarding: dict[str, _Waiting] = field(default_factory=dict)
    _taken: list[tuple[str, Priority]] = field(default_factory=list)
    _calls: int = 0
    _tickets: "itertools.count[int]" = field(default_factory=itertools.count)

    def __len__(self) -> int:
        return len(self._waiting) + len(self._called)

    @property
    def holding(self) -> list[str]:
        """Those who were called to a slot, and have it until they were looked at."""
        return [key for key in self._called if key not in self._ahead]

    def park(self, key: str, priority: Priority, seen: Prepared | None = None) -> None:
        """Puts a mirror in line; one that stands there keeps its place, and what was seen of it unless it was seen
        anew. Not more are kept in mind than can soon go along with somebody."""
        known = self._boarding.pop(key, None) or self._called.pop(key, None) or self._waiting.get(key)
        mirror = self.store.mirrors.get(key)
        group = group_of(mirror) if mirror else ()
        kb = seen.kb if seen else known.kb if known else _remembered(mirror)
        place = Place(priority, _size(priority, kb), known.place.ticket if known else next(self._tickets))
        if seen is not None:
            kept = seen if seen.small and self._prepared_in(group) < AHEAD else None
            self._waiting[key] = _Waiting(place, group, kb, kept is not None or not seen.small, kept)
        elif known is not None:
            self._waiting[key] = replace(known, place=place, group=group)
        else:
            self._waiting[key] = _Waiting(place, group)

    def leave(self, key: str) -> None:
        for kept in (self._waiting, self._called, self._boarding):
            kept.pop(key, None)
        self._ahead.discard(key)

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """A mirror is looked at, called or not: unless it is parked again, it has left the line."""
        if key in self._waiting:
            known = self._called[key] = self._waiting.pop(key)
            if known.prepared and not self._still_so(known.prepared.mirror):
                self._called[key] = replace(known, looked=False, prepared=None)
        try:
            yield
        finally:
            self._called.pop(key, None)
            self._ahead.discard(key)

    def is_called(self, key: str) -> bool:
        """Whether a mirror whose turn it is stood in line."""
        return key in self._called

    def prepared(self, key: str) -> Prepared | None:
        """What was seen of a mirror whose turn it is."""
        known = self._called.get(key)
        return known.prepared if known else None

    def may_look_ahead(self, mirror: RepositoryMirror) -> bool:
        """Whether a mirror whose turn it is should be looked at although there is no slot for it."""
        known = self._called.get(mirror.key)
        return not (known and known.looked) and self._prepared_in(group_of(mirror)) < AHEAD

    def _prepared_in(self, group: tuple[str, ...]) -> int:
        return sum(one.prepared is not None and one.group == group for one in self._waiting.values())

    def call(self, fits: Callable[[str], bool], took: Callable[[str], None], most: int) -> list[tuple[str, Priority]]:
        """Calls the foremost, each once, to at most `most` slots. `fits` tells whether there is room for one, and
        `took` is told who was called."""
        found: list[tuple[str, Priority]] = []
        while len(found) < most and (fitting := [key for key in self._waiting if fits(key)]):
            key = self._foremost(fitting)
            self._called[key] = self._waiting.pop(key)
            found.append((key, self._called[key].place.priority))
            took(key)
        return found

    def call_ahead(self) -> list[tuple[str, Priority]]:
        """Calls those that shall be looked at before their turn."""
        seen = Counter(one.group for one in self._waiting.values() if one.prepared)
        seen.update(self._called[key].group for key in self._ahead if key in self._called)
        unseen = [(one.place, key) for key, one in self._waiting.items() if not one.looked and seen[one.group] < AHEAD]
        found = []
        for place, key in sorted(unseen):
            group = self._waiting[key].group
            if seen[group] < AHEAD:
                seen[group] += 1
                self._called[key] = self._waiting.pop(key)
                self._ahead.add(key)
                found.append((key, place.priority))
        return found

    def _foremost(self, keys: list[str]) -> str:
        """The most urgent; now and then the one that waits longest, so that none waits for ever."""
        self._calls += 1
        if self._calls % _FAIR == 0:
            return min(keys, key=lambda key: self._waiting[key].place.ticket)
        return min(keys, key=lambda key: self._waiting[key].place)

    # Going along with another one's run.

    def companions(self, group: tuple[str, ...]) -> list[Prepared]:
        """Those who could go along now, in the order of the line: seen, and not changed since."""
        waiting = sorted(
            (one.place, one.prepared) for one in self._waiting.values() if one.prepared and one.group == group
        )
        return [prepared for _, prepared in waiting if self._still_so(prepared.mirror)]

    def _still_so(self, seen: RepositoryMirror) -> bool:
        now = self.store.mirrors.get(seen.key)
        return now is not None and not now.metadata.deletion_timestamp and _identity(now) == _identity(seen)

    def board(self, keys: Iterable[str]) -> None:
        """They are about to go along, and are called to nothing else meanwhile."""
        for key in keys:
            self._boarding[key] = self._waiting.pop(key)

    def boarded(self, key: str) -> None:
        """The run that took it along has begun: it shall look after its own part."""
        known = self._boarding.pop(key, None) or self._waiting.pop(key, None)
        if known is not None:
            self._taken.append((key, known.place.priority))

    def left_behind(self, key: str) -> None:
        """It stands in line again, at its old place, and has to be looked at anew."""
        if (known := self._boarding.pop(key, None)) is not None:
            self._waiting[key] = replace(known, looked=False, prepared=None)

    def taken_along(self) -> list[tuple[str, Priority]]:
        """Those who were boarded since this was last asked."""
        taken, self._taken = self._taken, []
        return taken


def _identity(mirror: RepositoryMirror) -> tuple[object, ...]:
    return (mirror.metadata.uid, mirror.metadata.generation, mirror.requested, mirror.approved)


def _remembered(mirror: RepositoryMirror | None) -> int | None:
    """What status knows of a repository whose first sync failed."""
    source = mirror.status.source if mirror else None
    return source.size_kb if source else None


def _size(priority: Priority, kb: int | None) -> int:
    """First syncs go small first, those of unknown size after the small; all else goes by age."""
    if priority is not Priority.FIRST or (kb is not None and kb <= SMALL_KB):
        return 0
    return 1 if kb is None else 1 + kb.bit_length()
