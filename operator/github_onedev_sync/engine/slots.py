"""How many runs may go at once: per OneDev server, per source credential and in all, counted from live Jobs.

A run that is being created holds a reservation until its Job is in the store, so that two reconciles at the same
moment never share one slot, and no mirror is in two runs. Mirrors that found no slot stand in `line`.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..api.mirror import RepositoryMirror
from ..api.server import OneDevServer
from ..decide.batch import Load, credential_of, fill, group_of
from .line import Line, Prepared
from .queue import Priority
from .store import Seat, Store, server_of

# So long after the cluster did not tell what became of a Job, none of its mirrors goes along with another's.
_UNSURE = timedelta(seconds=30)


@dataclass
class Slots:
    store: Store
    limit: int
    now: Callable[[], datetime]
    per_credential: int = 4
    line: Line = field(init=False)
    _reserved: dict[str, Seat] = field(default_factory=dict)
    _unsure: dict[str, datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.line = Line(self.store)

    def in_use(self) -> list[Seat]:
        """Everything that holds a slot: live Jobs, and what is reserved for one that is not told of yet."""
        live = self.store.live_runs()
        told = frozenset(uid for seat in live for uid in seat.uids)
        return live + [seat for leader, seat in self._reserved.items() if leader not in told]

    def reserve(self, mirror: RepositoryMirror, server: OneDevServer) -> bool:
        """Takes a slot, or says that there is none. Give it back with `release` once the Job is in the store."""
        if not self._room(self._taken(self.in_use()), mirror, server):
            return False
        self._reserved[mirror.metadata.uid] = _seat(mirror, server)
        return True

    def full(self, mirror: RepositoryMirror) -> bool:
        """Whether there is no slot now; one whose server is gone is never told so, for it only learns that."""
        server = self.store.servers.get(server_of(mirror))
        return server is not None and not self._room(self._taken(self.in_use()), mirror, server)

    def _room(self, taken: "_Taken", mirror: RepositoryMirror, server: OneDevServer) -> bool:
        return self._sure(mirror) and taken.has_room_for(_seat(mirror, server), server.spec.max_concurrent_syncs)

    def release(self, mirror: RepositoryMirror) -> None:
        self._reserved.pop(mirror.metadata.uid, None)

    def board(self, leader: RepositoryMirror, kb: int) -> list[Prepared]:
        """Lets those in line who fit beside `leader`, which holds a reservation, go along with its run."""
        found = {one.mirror.key: one for one in self.line.companions(group_of(leader)) if self._sure(one.mirror)}
        loads = fill(Load(leader.key, kb), leader.spec.timeout, (one.load for one in found.values()))
        chosen = [found[load.key] for load in loads]
        self.line.board(load.key for load in loads)
        seat, mirrors = self._reserved[leader.metadata.uid], [one.mirror for one in chosen]
        self._reserved[leader.metadata.uid] = replace(
            seat,
            uids=seat.uids.union(mirror.metadata.uid for mirror in mirrors),
            keys=seat.keys.union(mirror.key for mirror in mirrors),
        )
        return chosen

    def unsure(self, mirrors: Iterable[RepositoryMirror]) -> None:
        """Whether a Job with these was made is not known: if so, a watch soon tells."""
        now = self.now()
        self._unsure = {uid: until for uid, until in self._unsure.items() if until > now}
        self._unsure.update((mirror.metadata.uid, now + _UNSURE) for mirror in mirrors)

    def _sure(self, mirror: RepositoryMirror) -> bool:
        until = self._unsure.get(mirror.metadata.uid)
        return until is None or until <= self.now()

    def next_in_line(self) -> list[tuple[str, Priority]]:
        """Calls the first in line to as many slots as are free, and those whom a run took along to their part of it."""
        found = self.line.taken_along()
        if not len(self.line):
            return found
        taken = self._taken(self.in_use())
        for key in self.line.holding:
            self._take(taken, key)
        return found + self.line.call(
            lambda key: self._fits(taken, key), lambda key: self._take(taken, key), self.limit - taken.count
        )

    def _fits(self, taken: "_Taken", key: str) -> bool:
        mirror = self.store.mirrors.get(key)
        server = self.store.servers.get(server_of(mirror)) if mirror else None
        if mirror is None or server is None:
            return True  # It only learns that its server is gone.
        return self._room(taken, mirror, server)

    def _take(self, taken: "_Taken", key: str) -> None:
        mirror = self.store.mirrors.get(key)
        server = self.store.servers.get(server_of(mirror)) if mirror else None
        taken.add(_seat(mirror, server) if mirror and server else Seat("", "", frozenset(), frozenset()))

    def _taken(self, seats: Iterable[Seat]) -> "_Taken":
        taken = _Taken(self.limit, self.per_credential)
        for seat in seats:
            taken.add(seat)
        return taken

    @property
    def shown(self) -> str:
        """For the log: slots in use of all."""
        return f"{len(self.in_use())}/{self.limit}"


@dataclass
class _Taken:
    """A count of seats against the limits."""

    limit: int
    per_credential: int
    count: int = 0
    servers: "Counter[str]" = field(default_factory=Counter)
    credentials: "Counter[str]" = field(default_factory=Counter)
    uids: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)

    def add(self, seat: Seat) -> None:
        self.count += 1
        self.servers[seat.server] += 1
        self.credentials[seat.credential] += 1
        self.uids |= seat.uids
        self.keys |= seat.keys

    def has_room_for(self, seat: Seat, per_server: int) -> bool:
        """Not where its mirror, or a namesake of before, has a run already."""
        if seat.uids & self.uids or seat.keys & self.keys:
            return False
        return (
            self.count < self.limit
            and self.servers[seat.server] < per_server
            and self.credentials[seat.credential] < self.per_credential
        )


def _seat(mirror: RepositoryMirror, server: OneDevServer) -> Seat:
    return Seat(
        server.metadata.uid,
        credential_of(mirror),
        frozenset((mirror.metadata.uid,)),
        frozenset((mirror.key,)),
    )
