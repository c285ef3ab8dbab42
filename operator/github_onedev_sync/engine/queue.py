"""The delay queue: keyed, de-duplicating, single-flight.

A key waits at most once, with its earliest due time and its most urgent priority. While a key is being worked on it
can be added again; it comes back after that work ends, so a key is never worked on twice at the same time and no
change that arrives meanwhile is lost. It lives in memory only: status and live Jobs rebuild it after a restart.
"""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from .ports import Clock


class Priority(IntEnum):
    """Who goes first among keys that are due."""

    ASKED = 0
    FIRST = 1
    CHANGED = 2
    ROUTINE = 3


@dataclass
class _Entry:
    due: float
    priority: Priority


@dataclass
class DelayQueue:
    """`due` times are the clock's monotonic seconds."""

    clock: Clock
    _waiting: dict[str, _Entry] = field(default_factory=dict)
    _heap: list[tuple[float, int, int, str]] = field(default_factory=list)
    _ready: list[tuple[int, float, int, str]] = field(default_factory=list)
    _working: set[str] = field(default_factory=set)
    _again: dict[str, _Entry] = field(default_factory=dict)
    _tickets: "itertools.count[int]" = field(default_factory=itertools.count)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __len__(self) -> int:
        """Keys that are due and wait for a worker."""
        now = self.clock.monotonic()
        return sum(entry.due <= now for entry in self._waiting.values())

    def oldest(self) -> float:
        """Seconds that the longest-waiting due key has been due."""
        now = self.clock.monotonic()
        return max((now - entry.due for entry in self._waiting.values() if entry.due <= now), default=0.0)

    def add(self, key: str, delay: float = 0.0, priority: Priority = Priority.ROUTINE) -> None:
        """Makes `key` due in `delay` seconds, or sooner where it already was."""
        now = self.clock.monotonic()
        entry = _Entry(now + max(delay, 0.0), priority)
        if key in self._working:
            self._again[key] = _sooner(entry, self._again.get(key))
        else:
            self._put(key, _sooner(entry, self._waiting.get(key)))

    def _put(self, key: str, entry: _Entry) -> None:
        if self._waiting.get(key) == entry:
            return
        self._waiting[key] = entry
        heapq.heappush(self._heap, (entry.due, entry.priority, next(self._tickets), key))
        self._changed.set()

    def take(self) -> str | None:
        """The most urgent due key, now worked on until `done`; None where nothing is due."""
        now = self.clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            due, _, ticket, key = heapq.heappop(self._heap)
            entry = self._waiting.get(key)
            if entry is not None and entry.due == due:
                heapq.heappush(self._ready, (entry.priority, due, ticket, key))
        while self._ready:
            _, due, _, key = heapq.heappop(self._ready)
            entry = self._waiting.get(key)
            if entry is not None and entry.due == due:
                del self._waiting[key]
                self._working.add(key)
                return key
        return None

    def done(self, key: str) -> None:
        self._working.discard(key)
        again = self._again.pop(key, None)
        if again is not None:
            self._put(key, _sooner(again, self._waiting.get(key)))

    @asynccontextmanager
    async def next(self) -> AsyncIterator[str]:
        """Waits for a due key and holds it while the caller works on it."""
        while (key := self.take()) is None:
            self._changed.clear()
            delay = self._heap[0][0] - self.clock.monotonic() if self._heap else None
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue
        try:
            yield key
        finally:
            self.done(key)


def _sooner(entry: _Entry, other: _Entry | None) -> _Entry:
    if other is None:
        return entry
    return _Entry(min(entry.due, other.due), min(entry.priority, other.priority))
