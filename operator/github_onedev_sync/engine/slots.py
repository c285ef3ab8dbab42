"""How many runs may go at once: per OneDev server and in all, counted from live Jobs.

A run that is being created holds a reservation until its Job is in the store, so that two reconciles at the same
moment never share one slot. Mirrors that found none stand in line here and are called when there is room. Who was
called and still finds none goes back to the old place; who does not want one any more is out of the line.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..api.mirror import RepositoryMirror
from ..api.server import OneDevServer
from .queue import Priority
from .store import Store, server_of


@dataclass
class Slots:
    store: Store
    limit: int
    _reserved: dict[str, str] = field(default_factory=dict)
    _line: dict[str, tuple[Priority, int]] = field(default_factory=dict)
    _called: dict[str, tuple[Priority, int]] = field(default_factory=dict)
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
        found = []
        for key, (priority, _) in sorted(self._line.items(), key=lambda item: item[1]):
            uid, most = self._server(key)
            if room > 0 and per_server[uid] < most:
                found.append((key, priority))
                self._called[key] = self._line.pop(key)
                per_server[uid] += 1
                room -= 1
        return found

    def _server(self, key: str) -> tuple[str, int]:
        """Uid and limit of a mirror's server; one that is not there has no limit, for its mirrors only learn that."""
        mirror = self.store.mirrors.get(key)
        server = self.store.servers.get(server_of(mirror)) if mirror else None
        return (server.metadata.uid, server.spec.max_concurrent_syncs) if server else ("", self.limit)

    @property
    def waiting(self) -> int:
        return len(self._line) + len(self._called)
