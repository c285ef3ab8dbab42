"""Never more runs than there are slots, and a fair line for those that wait."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.engine.queue import Priority
from github_onedev_sync.engine.slots import Slots
from github_onedev_sync.engine.store import Store

from . import builders as build
from .fakes import FakeClock

ROUTINE, ASKED = Priority.ROUTINE, Priority.ASKED


def house(
    *mirrors: str, limit: int = 2, per_server: int = 2, per_credential: int = 100
) -> tuple[Slots, list[RepositoryMirror]]:
    store = Store()
    store.put_server(build.server(maxConcurrentSyncs=per_server))
    made = [build.mirror(name) for name in mirrors]
    for mirror in made:
        store.put_mirror(mirror)
    return Slots(store, limit, FakeClock().now, per_credential), made


def run(slots: Slots, name: str, **job: Any) -> None:
    slots.store.put_job(build.job_body(f"{name}-aaaaaaaa", mirrors=(name,), **job))


def called(slots: Slots) -> list[str]:
    return [key.removeprefix("team/") for key, _ in slots.next_in_line()]


def test_a_reservation_holds_until_the_job_is_seen() -> None:
    slots, (a, b, c) = house("a", "b", "c")
    server = build.server()
    assert slots.reserve(a, server)
    assert not slots.reserve(a, server), "one slot for one mirror"
    run(slots, "a")
    slots.release(a)
    assert slots.reserve(b, server)
    assert not slots.reserve(c, server)
    assert [(seat.server, sorted(seat.uids)) for seat in slots.in_use()] == [
        ("uid-default", ["uid-a"]),
        ("uid-default", ["uid-b"]),
    ]
    run(slots, "a", verdict="Complete")
    assert slots.reserve(c, server)


def test_a_server_has_its_own_limit() -> None:
    slots, (a, b) = house("a", "b", limit=10, per_server=1)
    assert slots.reserve(a, build.server(maxConcurrentSyncs=1))
    assert not slots.reserve(b, build.server(maxConcurrentSyncs=1))
    assert slots.reserve(b, build.server("other", maxConcurrentSyncs=1))


def test_a_job_that_is_going_holds_no_slot() -> None:
    slots, (a,) = house("a", limit=1)
    run(slots, "other", deletionTimestamp="2026-11-23T01:00:00Z")
    assert slots.reserve(a, build.server())


def test_the_line_is_called_in_order_when_there_is_room() -> None:
    slots, _ = house("a", "b", "c", limit=2)
    run(slots, "x")
    run(slots, "y")
    for name in ("b", "a", "c"):
        slots.line.park(f"team/{name}", ROUTINE)
    assert called(slots) == []
    run(slots, "x", verdict="Complete")
    assert called(slots) == ["b"]
    assert called(slots) == [], "who was called holds the room"
    run(slots, "y", verdict="Complete")
    assert called(slots) == ["a"]
    assert len(slots.line) == 3


def test_the_urgent_go_first() -> None:
    slots, _ = house("a", "b", limit=1)
    slots.line.park("team/a", ROUTINE)
    slots.line.park("team/b", ASKED)
    assert called(slots) == ["b"]


def test_first_syncs_go_small_first_where_their_size_is_known() -> None:
    slots, _ = house("unknown", limit=1)
    for name, kb in (("large", 10**6), ("small", 10), ("larger", 10**7), ("tiny", 1)):
        source = {"id": 1, "fullName": f"o/{name}", "sizeKB": kb}
        slots.store.put_mirror(build.mirror(name, status={"source": source}))
    for name in ("larger", "unknown", "large", "small", "tiny"):
        slots.line.park(f"team/{name}", Priority.FIRST)
    order: list[str] = []
    while len(slots.line):
        order += called(slots)
        slots.line.leave(f"team/{order[-1]}")
    assert order == ["small", "tiny", "unknown", "larger", "large"], "the fourth call is the oldest's"


def test_who_finds_no_slot_after_all_goes_back_to_the_old_place() -> None:
    slots, _ = house("a", "b", limit=1)
    slots.line.park("team/a", ROUTINE)
    slots.line.park("team/b", ROUTINE)
    assert called(slots) == ["a"]
    with slots.line.turn("team/a"):
        slots.line.park("team/a", ROUTINE)
    assert called(slots) == ["a"]


def test_who_is_looked_at_for_another_reason_keeps_the_place_too() -> None:
    slots, _ = house("a", "b", limit=1)
    run(slots, "x")
    slots.line.park("team/a", ROUTINE)
    slots.line.park("team/b", ROUTINE)
    with slots.line.turn("team/a"):
        slots.line.park("team/a", ROUTINE)
    run(slots, "x", verdict="Complete")
    assert called(slots) == ["a"]


def test_who_wants_no_slot_any_more_leaves_the_line() -> None:
    slots, _ = house("a", "b", limit=1)
    slots.line.park("team/a", ROUTINE)
    slots.line.park("team/b", ROUTINE)
    assert called(slots) == ["a"]
    with slots.line.turn("team/a"):
        pass
    assert called(slots) == ["b"]
    slots.line.leave("team/b")
    assert len(slots.line) == 0


def test_a_full_server_does_not_hold_up_another_ones_mirrors() -> None:
    slots, _ = house("a", limit=4, per_server=1)
    slots.store.put_server(build.server("other"))
    slots.store.put_mirror(build.mirror("b", target={"serverRef": {"name": "other"}}))
    run(slots, "x")
    slots.line.park("team/a", ROUTINE)
    slots.line.park("team/b", ROUTINE)
    assert called(slots) == ["b"]


def test_a_mirror_whose_server_is_gone_is_called_to_learn_it() -> None:
    slots, _ = house("a")
    slots.store.servers.clear()
    slots.line.park("team/a", ROUTINE)
    slots.line.park("team/unknown", ROUTINE)
    assert called(slots) == ["a", "unknown"]


@pytest.mark.parametrize("room", [1, 2, 4])
def test_urgent_ones_do_not_keep_another_out_for_ever(room: int) -> None:
    slots, _ = house("old", *(f"m{number}" for number in range(20)), limit=room, per_server=room)
    slots.line.park("team/old", ROUTINE)
    for number in range(20):
        slots.line.park(f"team/m{number}", ASKED)
    order: list[str] = []
    while "old" not in order:
        found = called(slots)
        assert len(found) == room
        order += found
        for name in found:
            slots.line.leave(f"team/{name}")
    assert order.index("old") == 3


def test_the_turn_of_the_oldest_is_not_lost_to_one_whose_server_is_full() -> None:
    slots, _ = house("full", limit=4, per_server=1)
    slots.store.put_server(build.server("other"))
    for name in ("old", "m0", "m1", "m2", "m3"):
        slots.store.put_mirror(build.mirror(name, target={"serverRef": {"name": "other"}}))
    run(slots, "x")
    slots.line.park("team/full", ROUTINE)
    slots.line.park("team/old", ROUTINE)
    order: list[str] = []
    for number in range(4):
        slots.line.park(f"team/m{number}", ASKED)
    for _ in range(2):
        order += called(slots)
        for name in order:
            slots.line.leave(f"team/{name}")
    assert order == ["m0", "m1", "m2", "old"]


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])


class SlotsMachine(RuleBasedStateMachine):
    """Mirrors try, run and end in any order; limits hold and the line stays a line."""

    LIMIT, PER_SERVER = 3, 2

    def __init__(self) -> None:
        super().__init__()
        names = ("a", "b", "c", "d", "e")
        self.slots, mirrors = house(*names, limit=self.LIMIT, per_server=self.PER_SERVER)
        self.mirrors = dict(zip(names, mirrors, strict=True))
        self.server = build.server(maxConcurrentSyncs=self.PER_SERVER)
        self.line: list[str] = []

    @rule(name=NAMES)
    def attempt(self, name: str) -> None:
        """One reconcile that wants a run."""
        with self.slots.line.turn(f"team/{name}"):
            if any(f"uid-{name}" in seat.uids for seat in self.slots.in_use()):
                self.line = [other for other in self.line if other != name]
                return
            if self.slots.reserve(self.mirrors[name], self.server):
                run(self.slots, name)
                self.slots.release(self.mirrors[name])
                self.line = [other for other in self.line if other != name]
            else:
                self.slots.line.park(f"team/{name}", ROUTINE)
                if name not in self.line:
                    self.line.append(name)

    @rule(name=NAMES)
    def end(self, name: str) -> None:
        self.slots.store.drop_job(build.job_body(f"{name}-aaaaaaaa", mirrors=(name,)))

    @rule()
    def call(self) -> None:
        room = min(self.LIMIT, self.PER_SERVER) - len(self.slots.in_use())
        found = called(self.slots)
        assert found == self.line[: max(room, 0)]
        for name in found:
            self.attempt(name)

    @invariant()
    def limits(self) -> None:
        assert len(self.slots.in_use()) <= min(self.LIMIT, self.PER_SERVER)
        assert len(self.slots.line) == len(self.line)


TestSlotsMachine = SlotsMachine.TestCase
TestSlotsMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
