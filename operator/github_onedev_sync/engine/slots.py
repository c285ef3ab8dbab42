"""How many runs may go at once: per OneDev server and in all, counted from live Jobs.

A run that is being created holds a reservation until its Job is in the store, so that two reconciles at the same
moment never share one slot. Mirrors that found none stand in line here and are called when there is room. Who was
called and still finds none goes back to the old place; who does not want one any more is out of the line.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..api.mirror import RepositoryMirror
from ..api.server import OneDevServer
from .queue import Priority
from .store import Store, server_of

# Every so many calls the line is served by age alone.
_FAIR = 4


@dataclass
class Slots:
    store: Store
    limit: int
    _reserved: dict[str, str] = field(default_factory=dict)
    _line: dict[str, tuple[Priority, int]] = field(default_factory=dict)
    _called: dict[str, tuple[Priority, int]] = field(default_factory=dict)
    _calls: int = 0
    _tickets: "itertools.count[int]" = field(default_factory=itertools.count)

    def in_use(self) -> dict[str, str]:
        """Mirror's uid → server's uid of everything that holds a slot."""
        return {**self._reserved, **dict(self.store.live_runs())}

    def reserve(self, mirror: RepositoryMirror, server: OneDevServer) -> bool:
        """Takes a slot, or says that there is none. Give it back with `release` once the Job is in the store."""
        uid, used = mirror.metadata.uid, self.in_use()
        on_server = sum(other == server.metadata.uid for other in used.values())
        if uid in used or len(used) >= self.limit or on_server >= server.spec.max_concurrent_syncs:
            return False
        self._reserved[uid] = server.metadata.uid
        return True

    def release(self, mirror: RepositoryMirror) -> None:
        self._reserved.pop(mirror.metadata.uid, None)

    def park(self, key: str, priority: Priority) -> None:
        """Puts a mirror in line; one that stands there keeps its place."""
        place = self._called.pop(key, None) or self._line.get(key)
        self._line[key] = (priority, place[1] if place else next(self._tickets))

    def leave(self, key: str) -> None:
        self._line.pop(key, None)
        self._called.pop(key, None)

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """A mirror is looked at, called or not: unless it is parked again, it has left the line."""
        if key in self._line:
            self._called[key] = self._line.pop(key)
        try:
            yield
        finally:
            self._called.pop(key, None)

    def next_in_line(self) -> list[tuple[str, Priority]]:
        """Calls the first in line for as many slots as are free, server by server; each is called once."""
        if not self._line:
            return []
        taken = [*self.in_use().values(), *(self._server(key)[0] for key in self._called)]
        room, per_server = self.limit - len(taken), Counter(taken)
        found: list[tuple[str, Priority]] = []
        while len(found) < room and (fitting := [key for key in self._line if self._fits(key, per_server)]):
            key = self._foremost(fitting)
            self._called[key] = self._line.pop(key)
            found.append((key, self._called[key][0]))
            per_server[self._server(key)[0]] += 1
        return found

    def _fits(self, key: str, per_server: Mapping[str, int]) -> bool:
        uid, most = self._server(key)
        return per_server.get(uid, 0) < most

    def _foremost(self, keys: list[str]) -> str:
        """The most urgent; now and then the one that waits longest, so that none waits for ever."""
        self._calls += 1
        if self._calls % _FAIR == 0:
            return min(keys, key=lambda key: self._line[key][1])
        return min(keys, key=self._line.__getitem__)

    def _server(self, key: str) -> tuple[str, int]:
        """Uid and limit of a mirror's server; one that is not there has no limit, for its mirrors only learn that."""
        mirror = self.store.mirrors.get(key)
        server = self.store.servers.get(server_of(mirror)) if mirror else None
        return (server.metadata.uid, server.spec.max_concurrent_syncs) if server else ("", self.limit)

    @property
    def shown(self) -> str:
        """For the log: slots in use of all."""
        return f"{len(self.in_use())}/{self.limit}"

    @property
    def waiting(self) -> int:
        return len(self._line) + len(self._called)
