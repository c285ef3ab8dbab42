"""A mirror's life, reconcile by reconcile, against the ports in memory."""

from datetime import timedelta

import pytest

from github_onedev_sync.api.conditions import ConditionType
from github_onedev_sync.api.identity import describe
from github_onedev_sync.api.mirror import Phase
from github_onedev_sync.api.refs import Listing

from . import builders as build
from .builders import NOW, OTHER
from .fakes import World

READY, RECONCILING, STALLED = ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED
PATH = "github/pallets/click"
MOVED = Listing({"refs/heads/main": OTHER}, "refs/heads/main")


@pytest.fixture
def world() -> World:
    """A server that is Ready, and a mirror that nobody has looked at."""
    made = World()
    made.apply_server()
    made.apply_mirror()
    return made


async def first_sync(world: World) -> None:
    """From the first look to Ready, as in life."""
    await world.reconcile()
    world.synced()
    world.end(world.job(), build.report_text())
    await world.reconcile()
    assert world.body().status.is_true(READY)
    world.cluster.writes.clear()
    world.cluster.calls.clear()
    world.cluster.events.clear()


def verdict(world: World) -> tuple[str, str]:
    ready = world.body().status.condition(READY)
    assert ready is not None
    return ready.status, ready.reason


async def test_a_first_sync(world: World) -> None:
    due = await world.reconcile()
    status, job = world.body().status, world.job()
    assert (verdict(world), status.phase) == (("Unknown", "Progressing"), Phase.IN_PROGRESS)
    assert status.last_run is not None
    assert status.last_run.job == job
    assert status.source is not None
    assert status.source.id == build.REPOSITORY_ID
    assert status.target is not None
    assert (status.target.path, status.target.project_id) == (PATH, 7)
    assert due == NOW + timedelta(minutes=61)
    assert world.onedev.projects[PATH].description == describe(build.mark(), "pallets/click", None)

    world.pod(job, state={"running": {}})
    assert await world.reconcile() == NOW + timedelta(minutes=1)
    assert len(world.cluster.writes) == 1

    world.synced()
    world.end(job, build.report_text(build.task(bytes=1000, created=1)))
    due = await world.reconcile()
    status = world.body().status
    assert (verdict(world), status.phase, status.failures) == (("True", "Synced"), Phase.COMPLETED, 0)
    assert status.last_sync_time == NOW
    assert due == status.next_sync_time or due is not None
    assert status.history[0].refs_changed == 1
    assert world.cluster.jobs == {}
    assert len(world.cluster.writes) == 2
    assert [event["reason"] for event in world.cluster.events] == ["Synced"]


async def test_quiet_means_quiet(world: World) -> None:
    """Over many intervals nothing is written, no Job is made, and GitHub's REST API is not asked."""
    await first_sync(world)
    calls = world.github.calls.copy()
    before = world.body().metadata.resource_version
    due = world.body().status.next_sync_time
    for _ in range(20):
        assert due is not None
        world.clock.seconds = (due - NOW).total_seconds() + 0.01
        due = await world.reconcile()
    assert (world.cluster.writes, world.cluster.jobs, world.cluster.events) == ([], {}, [])
    assert world.body().metadata.resource_version == before
    assert world.github.calls["repository"] == calls["repository"]
    assert world.clock.seconds > 20 * 570
