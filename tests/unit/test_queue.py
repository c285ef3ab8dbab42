"""The delay queue against a model of it, and as asyncio tasks use it, in virtual time."""

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from github_onedev_sync.engine.queue import DelayQueue, Priority

from .fakes import FakeClock, in_virtual_time

KEYS = st.sampled_from(["a", "b", "c", "d"])
DELAYS = st.sampled_from([-1.0, 0.0, 0.0, 1.0, 2.5, 10.0])
PRIORITIES = st.sampled_from(Priority)


@dataclass
class Wanted:
    due: float
    priority: Priority

    def sooner(self, other: "Wanted | None") -> "Wanted":
        if other is None:
            return self
        return Wanted(min(self.due, other.due), min(self.priority, other.priority))


class QueueMachine(RuleBasedStateMachine):
    """The model is a plain dictionary of what waits, what is worked on, and what came back meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.queue = DelayQueue(self.clock)
        self.waiting: dict[str, Wanted] = {}
        self.working: dict[str, Wanted | None] = {}

    @rule(key=KEYS, delay=DELAYS, priority=PRIORITIES)
    def add(self, key: str, delay: float, priority: Priority) -> None:
        wanted = Wanted(self.clock.seconds + max(delay, 0), priority)
        self.queue.add(key, delay, priority)
        if key in self.working:
            self.working[key] = wanted.sooner(self.working[key])
        else:
            self.waiting[key] = wanted.sooner(self.waiting.get(key))

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 5.0]))
    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule()
    def take(self) -> None:
        due = {key: wanted for key, wanted in self.waiting.items() if wanted.due <= self.clock.seconds}
        key = self.queue.take()
        if not due:
            assert key is None
            return
        assert key is not None, "nothing that is due is lost"
        assert key not in self.working, "a key is never worked on twice at once"
        assert due[key].priority == min(wanted.priority for wanted in due.values()), "the most urgent goes first"
        del self.waiting[key]
        self.working[key] = None

    @rule(key=KEYS)
    def done(self, key: str) -> None:
        if key not in self.working:
            return
        self.queue.done(key)
        again = self.working.pop(key)
        if again is not None:
            self.waiting[key] = again

    @invariant()
    def figures(self) -> None:
        due = [wanted.due for wanted in self.waiting.values() if wanted.due <= self.clock.seconds]
        assert len(self.queue) == len(due)
        assert self.queue.oldest() == max((self.clock.seconds - moment for moment in due), default=0.0)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def queue() -> tuple[DelayQueue, FakeClock]:
    clock = FakeClock()
    return DelayQueue(clock), clock


def test_equal_keys_are_taken_in_the_order_of_their_due_times() -> None:
    found, clock = queue()
    for key, delay in (("late", 3.0), ("early", 1.0), ("between", 2.0)):
        found.add(key, delay)
    clock.advance(5)
    assert [found.take() for _ in range(4)] == ["early", "between", "late", None]


def test_a_key_becomes_more_urgent_but_never_less() -> None:
    found, _ = queue()
    found.add("a", priority=Priority.CHANGED)
    found.add("b", priority=Priority.ROUTINE)
    found.add("b", priority=Priority.ASKED)
    found.add("b", 10, Priority.ROUTINE)
    assert [found.take(), found.take(), found.take()] == ["b", "a", None]


def test_a_key_that_became_urgent_after_it_was_due() -> None:
    """It lies among the ready ones already when the person asks."""
    found, _ = queue()
    for key in ("first", "a", "b"):
        found.add(key)
    assert found.take() == "first"
    found.add("b", priority=Priority.ASKED)
    assert [found.take(), found.take(), found.take()] == ["b", "a", None]


def test_next_waits_for_the_due_time_and_for_nothing_else() -> None:
    async def scenario(clock: FakeClock) -> list[tuple[str, float]]:
        found, seen = DelayQueue(clock), list[tuple[str, float]]()
        found.add("later", 600)
        found.add("sooner", 60)
        for _ in range(2):
            async with found.next() as key:
                seen.append((key, clock.monotonic()))
        return seen

    assert in_virtual_time(scenario) == [("sooner", 60.0), ("later", 600.0)]


def test_next_hears_of_an_earlier_key_while_it_waits() -> None:
    async def scenario(clock: FakeClock) -> list[tuple[str, float]]:
        found, seen = DelayQueue(clock), list[tuple[str, float]]()

        async def work() -> None:
            while len(seen) < 3:
                async with found.next() as key:
                    seen.append((key, clock.monotonic()))

        found.add("far", 1000)
        task = asyncio.create_task(work())
        await asyncio.sleep(5)
        found.add("now")
        await asyncio.sleep(5)
        found.add("far", 20)
        found.add("then", 15)
        await task
        return seen

    assert in_virtual_time(scenario) == [("now", 5.0), ("then", 25.0), ("far", 30.0)]


def test_workers_never_hold_the_same_key_and_lose_no_change() -> None:
    async def scenario(clock: FakeClock) -> tuple[int, int]:
        found, working = DelayQueue(clock), set[str]()
        most, changes, handled = 0, {"a": 0, "b": 0}, {"a": 0, "b": 0}

        async def work() -> None:
            nonlocal most
            while True:
                async with found.next() as key:
                    assert key not in working
                    working.add(key)
                    most = max(most, len(working))
                    handled[key] = changes[key]
                    await asyncio.sleep(3)
                    working.discard(key)

        workers = [asyncio.create_task(work()) for _ in range(4)]
        for step in range(100):
            key = "ab"[step % 2]
            changes[key] += 1
            found.add(key)
            await asyncio.sleep(0.7)
        await asyncio.sleep(10)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert handled == changes
        return most, len(found)

    assert in_virtual_time(scenario) == (2, 0)


def test_a_worker_that_fails_gives_its_key_back() -> None:
    async def scenario(clock: FakeClock) -> str | None:
        found = DelayQueue(clock)
        found.add("a")

        async def fail() -> None:
            async with found.next():
                found.add("a")
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail()
        return found.take()

    assert in_virtual_time(scenario) == "a"
