"""Leading by a Lease, in virtual time and against a Lease with optimistic locking."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from github_onedev_sync.api.errors import ClusterRefused, ClusterUnavailable
from github_onedev_sync.controller.leader import DURATION, Leader
from github_onedev_sync.engine.ports import Body

from .builders import plain
from .fakes import FakeClock, in_virtual_time


@dataclass
class FakeLeases:
    """`leader.Leases`: one Lease, as the API server keeps it."""

    lease: dict[str, Any] | None = None
    trouble: Exception | None = None
    version: int = field(default=0)
    seconds: float = 0.0

    @property
    def holder(self) -> str:
        return str(self.lease["spec"]["holderIdentity"]) if self.lease else ""

    async def read_lease(self, namespace: str, name: str) -> Body | None:
        await self._check()
        return self.lease and plain(self.lease)

    async def create_lease(self, manifest: Body) -> Body | None:
        await self._check()
        return self._keep(manifest) if self.lease is None else None

    async def replace_lease(self, manifest: Body) -> Body | None:
        await self._check()
        if self.lease is None or manifest["metadata"].get("resourceVersion") != str(self.version):
            return None
        return self._keep(manifest)

    async def _check(self) -> None:
        await asyncio.sleep(self.seconds)
        if self.trouble is not None:
            raise self.trouble

    def _keep(self, manifest: Body) -> Body:
        self.version += 1
        self.lease = plain(manifest)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return plain(self.lease)


def leader(clock: FakeClock, leases: FakeLeases, identity: str = "me") -> Leader:
    return Leader(clock, leases, "ops", "controller", identity)


def test_a_lease_that_nobody_has_is_taken_at_once() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        await leader(clock, leases).acquire()
        assert (leases.holder, clock.monotonic()) == ("me", 0)
        assert leases.lease is not None
        assert leases.lease["metadata"]["namespace"] == "ops"
        assert leases.lease["spec"]["leaseTransitions"] == 0

    in_virtual_time(scenario)


def test_a_killed_holder_is_followed_after_the_whole_duration() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        await leader(clock, leases, "other").acquire()
        await leader(clock, leases).acquire()
        assert leases.holder == "me"
        assert DURATION <= clock.monotonic() <= DURATION + 4
        assert leases.lease is not None
        assert leases.lease["spec"]["leaseTransitions"] == 1

    in_virtual_time(scenario)


def test_a_holder_that_gave_the_lease_back_is_followed_at_once() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        other = leader(clock, leases, "other")
        await other.acquire()
        await other.release()
        await leader(clock, leases).acquire()
        assert (leases.holder, clock.monotonic()) == ("me", 0)

    in_virtual_time(scenario)


def test_while_one_holds_it_nobody_else_gets_it() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        first, second = leader(clock, leases, "first"), leader(clock, leases, "second")
        await first.acquire()
        holding, waiting = asyncio.create_task(first.hold()), asyncio.create_task(second.acquire())
        await asyncio.sleep(3600)
        assert not holding.done()
        assert not waiting.done()
        assert leases.holder == "first"
        holding.cancel()
        await waiting
        assert clock.monotonic() <= 3600 + DURATION + 4
        waiting.cancel()

    in_virtual_time(scenario)


def test_who_cannot_renew_stops_before_anybody_else_can_start() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        mine = leader(clock, leases)
        await mine.acquire()
        leases.trouble = ClusterUnavailable("GET was answered 503")
        await mine.hold()
        assert clock.monotonic() < DURATION

    in_virtual_time(scenario)


def test_a_short_outage_is_borne() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        mine = leader(clock, leases)
        await mine.acquire()
        holding = asyncio.create_task(mine.hold())
        for start in (4.5, 19.5, 40.1, 62.3):
            await asyncio.sleep(start - clock.monotonic())
            leases.trouble = ClusterUnavailable("GET was answered 503")
            await asyncio.sleep(5.4)
            leases.trouble = None
        assert not holding.done()
        holding.cancel()

    in_virtual_time(scenario)


def test_a_lease_that_somebody_took_is_lost_at_once() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        mine = leader(clock, leases)
        await mine.acquire()
        assert leases.lease is not None
        leases.lease["spec"]["holderIdentity"] = "thief"
        await mine.hold()
        assert clock.monotonic() <= 5
        await mine.release()
        assert leases.holder == "thief", "what is not ours is not given back"

    in_virtual_time(scenario)


def test_two_that_start_together() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        racing = [asyncio.create_task(leader(clock, leases, name).acquire()) for name in ("a", "b")]
        done, pending = await asyncio.wait(racing, return_when=asyncio.FIRST_COMPLETED)
        assert (len(done), len(pending)) == (1, 1)
        for task in pending:
            task.cancel()

    in_virtual_time(scenario)


@pytest.mark.parametrize("error", [ClusterUnavailable("down"), ClusterRefused("no right")])
def test_a_release_that_fails_is_no_failure(error: Exception) -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        mine = leader(clock, leases)
        await mine.acquire()
        leases.trouble = error
        await mine.release()

    in_virtual_time(scenario)


def test_a_missing_right_is_told_and_not_waited_for() -> None:
    async def scenario(clock: FakeClock) -> None:
        with pytest.raises(ClusterRefused):
            await leader(clock, FakeLeases(trouble=ClusterRefused("no right"))).acquire()

    in_virtual_time(scenario)


def test_an_api_server_that_hangs_is_not_waited_for() -> None:
    """Each try is bounded, so that who cannot renew stops before the lease has run out."""

    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases()
        mine = leader(clock, leases)
        await mine.acquire()
        leases.seconds = 3600
        await mine.hold()
        assert clock.monotonic() < DURATION

    in_virtual_time(scenario)


def test_a_renewal_counts_from_when_it_began() -> None:
    """Whoever watches the lease may have seen it written then: later would be too late."""

    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases(seconds=1.4)
        mine = leader(clock, leases)
        await mine.acquire()
        assert clock.monotonic() == pytest.approx(2.8)
        leases.trouble = ClusterUnavailable("down")
        await mine.hold()
        assert clock.monotonic() < DURATION

    in_virtual_time(scenario)


def test_slow_answers_are_borne() -> None:
    async def scenario(clock: FakeClock) -> None:
        leases = FakeLeases(seconds=1.4)
        mine = leader(clock, leases)
        await mine.acquire()
        holding = asyncio.create_task(mine.hold())
        await asyncio.sleep(600)
        assert not holding.done()
        holding.cancel()

    in_virtual_time(scenario)
