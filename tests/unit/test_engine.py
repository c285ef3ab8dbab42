"""The whole engine on the ports in memory, in virtual time: watches, queue, reconcilers, slots."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api import server as server_kind
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import ClusterRefused, Retry
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.api.server import MirrorCounts, OneDevServer

from . import builders as build
from .builders import OTHER
from .fakes import UNAVAILABLE, FakeClock, World, in_virtual_time
from .scenarios import declare, declare_server, finish, ready, running, scenario

READY = ConditionType.READY


def test_from_manifests_to_ready_in_seconds() -> None:
    """Both were declared together: the server's first check wakes the mirror."""

    @scenario()
    async def _(world: World) -> None:
        declare(world, "a")
        await asyncio.sleep(1)
        assert world.body("a").status.conditions, "no server at all: that is told"
        declare_server(world)
        await asyncio.sleep(1)
        assert len(world.cluster.jobs) == 1
        finish(world, "a")
        await asyncio.sleep(1)
        assert ready(world, "a")
        await asyncio.sleep(3)
        server = OneDevServer.read(world.cluster.resources[server_kind.PLURAL, "team/default"])
        assert server.status.mirrors == MirrorCounts(total=1, ready=1, failed=0)


def test_a_quiet_day_is_quiet() -> None:
    """No write, no Job, no Event, and one REST call to GitHub a day, however many intervals pass."""

    @scenario()
    async def _(world: World) -> None:
        declare_server(world)
        declare(world, *"abc")
        for name in "abc":
            await asyncio.sleep(1)
            finish(world, name)
        await asyncio.sleep(5)
        world.cluster.writes.clear()
        world.cluster.events.clear()
        jobs, rest, looks = (
            world.cluster.calls["create_job"],
            world.github.calls["repository"],
            world.refs.calls["source_refs"],
        )
        await asyncio.sleep(24 * 3600)
        assert (world.cluster.writes, world.cluster.events, world.cluster.jobs) == ([], [], {})
        assert (world.cluster.calls["create_job"], world.github.calls["repository"]) == (jobs, rest + 3)
        assert 3 * 137 <= world.refs.calls["source_refs"] - looks <= 3 * 152


def test_never_more_runs_than_slots_and_everybody_comes_in_turn() -> None:
    """Repositories too large to share a Job."""

    @scenario(limit=2)
    async def _(world: World) -> None:
        world.github.found = replace(world.github.found, size_kb=1_000_000)
        declare_server(world, checked=True)
        mirrors = [f"m{number}" for number in range(6)]
        declare(world, *mirrors)
        done: list[str] = []
        await asyncio.sleep(1)
        while len(done) < len(mirrors):
            assert len(world.slots.in_use()) == min(2, len(mirrors) - len(done))
            for name in [job.rsplit("-", 1)[0] for job in world.cluster.jobs]:
                finish(world, name)
                done.append(name)
            await asyncio.sleep(1)
        assert done == mirrors, "in the order in which they were declared"
        assert len(world.slots.line) == 0
        assert all(ready(world, name) for name in mirrors)


def test_a_server_that_fails_and_heals_takes_its_mirrors_along() -> None:
    @scenario()
    async def _(world: World) -> None:
        declare_server(world)
        declare(world, "a")
        await asyncio.sleep(1)
        finish(world, "a")
        await asyncio.sleep(5)
        down = Retry(Reason.TARGET_UNAVAILABLE, "connection refused")
        world.onedev.trouble["version"] = world.refs.trouble["target_refs"] = down
        await asyncio.sleep(1500)
        assert not ready(world, "a")
        world.onedev.trouble.clear()
        world.refs.trouble.clear()
        for _ in range(310):
            await asyncio.sleep(1)
            if OneDevServer.read(world.cluster.resources[server_kind.PLURAL, "team/default"]).status.is_true(READY):
                break
        await asyncio.sleep(2)
        assert ready(world, "a"), "woken by the server, not by its own time"


@pytest.mark.parametrize("error", [UNAVAILABLE, KeyError("a bug of ours")])
def test_whatever_fails_is_tried_again_and_not_without_a_pause(error: Exception) -> None:
    @scenario()
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        world.cluster.trouble["create_job"] = error
        declare(world, "a")
        await asyncio.sleep(61)
        assert 10 <= world.cluster.calls["create_job"] <= 14
        world.cluster.trouble.clear()
        await asyncio.sleep(6)
        assert len(world.cluster.jobs) == 1
        result = "bug" if isinstance(error, KeyError) else "cluster_unavailable"
        labels = {"kind": "mirror", "result": result}
        count = world.metrics.registry.get_sample_value("github_onedev_sync_reconcile_total", labels)
        assert count is not None
        assert count >= 10


def test_a_run_that_the_cluster_refuses_is_told_and_backed_off() -> None:
    """A quota, or an admission policy: the mirror says so, and nobody is asked every five seconds."""

    @scenario()
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        world.cluster.trouble["create_job"] = ClusterRefused("exceeded quota")
        declare(world, "a")
        await asyncio.sleep(200)
        assert 3 <= world.cluster.calls["create_job"] <= 5
        told = world.body("a").status.condition(READY)
        assert told is not None
        assert (told.status, told.reason, told.message) == (
            "False",
            "PodNotStarted",
            "The cluster refused the run: exceeded quota",
        )
        assert world.body("a").status.is_true(ConditionType.RECONCILING)
        world.cluster.trouble.clear()
        await asyncio.sleep(200)
        assert len(world.cluster.jobs) == 1


def test_what_the_cluster_refuses_otherwise_is_tried_again() -> None:
    @scenario()
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        world.cluster.trouble["patch_status"] = ClusterRefused("no right")
        declare(world, "a")
        await asyncio.sleep(30)
        labels = {"kind": "mirror", "result": "cluster_refused"}
        count = world.metrics.registry.get_sample_value("github_onedev_sync_reconcile_total", labels)
        assert count is not None
        assert 4 <= count <= 8


def test_a_mirror_in_line_whose_cluster_fails_is_not_called_round_and_round() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, "a", "b")
        await asyncio.sleep(1)
        world.cluster.trouble["create_job"] = UNAVAILABLE
        calls = world.cluster.calls["create_job"]
        finish(world, "a")
        await asyncio.sleep(60)
        assert world.cluster.calls["create_job"] - calls <= 14


def test_a_change_is_seen_within_an_interval() -> None:
    @scenario()
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, "a")
        await asyncio.sleep(1)
        finish(world, "a")
        await asyncio.sleep(5)
        world.refs.source = Listing({"refs/heads/main": OTHER}, "refs/heads/main")
        await asyncio.sleep(631)
        assert len(world.cluster.jobs) == 1
        finish(world, "a")
        await asyncio.sleep(1)
        assert ready(world, "a")
        assert world.onedev.refs["github/o/a"]["refs/heads/main"] == OTHER


def test_a_conflict_at_any_write_of_a_first_sync_heals() -> None:
    for late in range(4):

        @scenario()
        async def _(world: World, late: int = late) -> None:
            patch, seen = world.cluster.patch_status, 0

            async def slow(plural: str, key: str, version: str, status: object) -> object:
                nonlocal seen
                seen += plural == kind.PLURAL
                if plural == kind.PLURAL and seen == late + 1:
                    world.edit("a", labels={"by": "somebody"})
                return await patch(plural, key, version, status)  # type: ignore[arg-type]

            world.cluster.patch_status = slow  # type: ignore[assignment,method-assign]
            declare_server(world, checked=True)
            declare(world, "a")
            await asyncio.sleep(5)
            finish(world, "a")
            await asyncio.sleep(30)
            status = world.body("a").status
            assert ready(world, "a")
            assert (status.failures, status.target is not None, len(status.history)) == (0, True, 1)
            assert (world.cluster.jobs, world.cluster.calls["create_job"]) == ({}, 1)


def test_a_restart_at_any_moment_of_a_first_sync() -> None:
    """A second engine finds only what the cluster and OneDev hold: no second Job, no second project."""
    for steps in range(5):

        async def run(clock: FakeClock, steps: int = steps) -> None:
            first = World(clock)
            first.apply_server()
            first.apply_mirror(build.mirror_body("a", source={"repository": "o/a"}))
            for step in range(steps):
                if step == 2:
                    finish(first, "a")
                with contextlib.suppress(type(UNAVAILABLE)):
                    await first.reconcile("a")
            second = World(clock)
            for one, other in ((first.cluster, second.cluster), (first.onedev, second.onedev)):
                vars(other).update(vars(one))
            for job in list(second.cluster.jobs.values()):
                second.engine.job_seen(job, gone=False)
            async with running(second):
                await asyncio.sleep(5)
                if second.cluster.jobs:
                    finish(second, "a")
                await asyncio.sleep(65)
                assert ready(second, "a")
                assert second.cluster.jobs == {}
                assert len(second.body("a").status.history) == 1
                assert second.onedev.projects.keys() == {"github", "github/o/a"}

        in_virtual_time(run)


async def test_what_the_watches_tell_is_passed_on() -> None:
    world = World()
    world.apply_server()
    mirror = world.apply_mirror()
    assert len(world.engine.queue) == 2
    while (key := world.engine.queue.take()) is not None:
        world.engine.queue.done(key)

    world.engine.mirror_seen(mirror)
    assert len(world.engine.queue) == 0, "the same again is no news"
    for tell, body in ((world.engine.job_seen, build.job_body()), (world.engine.pod_seen, build.pod_body())):
        tell(body, gone=False)
        assert world.engine.queue.take() == "mirror:team/click"
        world.engine.queue.done("mirror:team/click")
    world.engine.pod_seen(build.pod_body(), gone=True)
    assert world.engine.queue.take() == "mirror:team/click"
    world.engine.queue.done("mirror:team/click")
    world.engine.job_seen(build.job_body(mirror_uid="somebody-else"), gone=False)
    assert world.engine.queue.take() is None
    world.engine.mirror_gone(mirror)
    assert world.engine.queue.take() == "mirror:team/click"


async def test_a_stale_word_about_a_server_changes_nothing() -> None:
    world = World()
    old = world.apply_server()
    new = world.apply_server(build.server_body(url="https://other"))
    world.engine.server_seen(old)
    assert world.store.servers["team/default"] == new


def test_the_engine_works_on_every_kind() -> None:
    @scenario()
    async def _(world: World) -> None:
        await asyncio.sleep(1)
        world.engine.sync_seen(build.sync())
        await asyncio.sleep(1)
        labels = {"kind": "sync", "result": "ok"}
        assert world.metrics.registry.get_sample_value("github_onedev_sync_reconcile_total", labels) == 1
        assert world.engine.progress > 0


def suspend_server(world: World, suspend: bool) -> None:
    body = world.cluster.resources[server_kind.PLURAL, "team/default"]
    meta = {**body["metadata"], "generation": body["metadata"]["generation"] + 1}
    world.cluster.put(server_kind.PLURAL, {**body, "metadata": meta, "spec": {**body["spec"], "suspend": suspend}})


def test_a_server_that_was_suspended_from_the_start_and_is_resumed() -> None:
    @scenario()
    async def _(world: World) -> None:
        world.cluster.put(server_kind.PLURAL, build.server_body(suspend=True, status={}))
        declare(world, "a")
        await asyncio.sleep(3600)
        told = world.body("a").status.condition(READY)
        assert told is not None
        assert (told.status, told.reason) == ("Unknown", "Suspended")
        assert "OneDevServer" in told.message
        server = OneDevServer.read(world.cluster.resources[server_kind.PLURAL, "team/default"])
        assert server.status.has_reason(READY, Reason.SUSPENDED)
        assert (world.onedev.calls.total(), world.github.calls.total()) == (0, 0)
        assert len(world.cluster.writes) == 3, "each says it once, and the server counts its mirrors"
        suspend_server(world, False)
        await asyncio.sleep(2)
        assert len(world.cluster.jobs) == 1, "checked, and its mirrors woken"
        finish(world, "a")
        await asyncio.sleep(1)
        assert ready(world, "a")


def test_a_pause_of_a_server_leaves_what_its_mirrors_say() -> None:
    @scenario()
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, "a")
        await asyncio.sleep(1)
        finish(world, "a")
        await asyncio.sleep(5)
        before = world.body("a").status
        suspend_server(world, True)
        world.refs.source = Listing({"refs/heads/main": OTHER}, "refs/heads/main")
        world.cluster.writes.clear()
        await asyncio.sleep(7200)
        assert (world.body("a").status, world.cluster.writes, world.cluster.jobs) == (before, [], {})
        suspend_server(world, False)
        await asyncio.sleep(5)
        assert len(world.cluster.jobs) == 1
