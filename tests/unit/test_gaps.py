"""What no watch told of: runs and resources whose change fell into a gap, or came in another order."""

from collections import Counter
from datetime import timedelta

import pytest

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api.conditions import ConditionType
from github_onedev_sync.api.errors import ClusterRefused
from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.controller.build import prime

from . import builders as build
from .builders import NOW, OTHER
from .fakes import UNAVAILABLE, World

KEY = (kind.PLURAL, "team/click")
DRAINED = [{"type": "DisruptionTarget", "status": "True"}]


@pytest.fixture
async def world() -> World:
    """A run is under way."""
    made = World()
    made.apply_server()
    made.apply_mirror()
    await made.reconcile()
    return made


def ready(world: World) -> tuple[str, str]:
    found = world.body().status.condition(ConditionType.READY)
    assert found is not None
    return found.status, found.reason


async def recreate(world: World) -> RepositoryMirror:
    """The mirror is deleted and made anew, and no watch tells of either: the new one."""
    del world.cluster.resources[KEY]
    return RepositoryMirror.read(world.cluster.put(kind.PLURAL, build.mirror_body(meta={"uid": "new"})))


# The order of what is told.


async def test_a_job_that_is_complete_before_its_pod_is_told_of_is_not_lost(world: World) -> None:
    world.synced()
    world.untold_pod(world.job(), state=build.terminated(0, build.report_text()))
    world.verdict(world.job(), "Complete")
    await world.reconcile()
    assert ready(world) == ("True", "Synced")


async def test_a_pod_that_ended_by_a_drained_node_is_confirmed_before_it_counts(world: World) -> None:
    """The first word is of a pod that failed; that its node gave it up, and that another works on, comes later."""
    job = world.job()
    world.engine.pod_seen(build.pod_body(job, name="old", state=build.terminated(143)), gone=False)
    world.untold_pod(job, name="old", state=build.terminated(143), conditions=DRAINED)
    world.untold_pod(job, name="new", created=NOW + timedelta(seconds=5), state={"running": {}})
    assert await world.reconcile() == NOW
    assert await world.reconcile() == NOW + timedelta(minutes=1)
    assert (ready(world), list(world.cluster.jobs)) == (("Unknown", "Progressing"), [job])


async def test_at_start_what_lives_is_known_before_anything_is_decided(world: World) -> None:
    world.synced()
    world.untold_pod(world.job(), state=build.terminated(0, build.report_text()))
    second = World(limit=1)
    vars(second.cluster).update(vars(world.cluster))
    vars(second.onedev).update(vars(world.onedev))
    second.cluster.calls = Counter()
    await prime(second.engine, ())
    assert list(second.cluster.calls) == ["list_pods", "list_jobs"], "in this order"
    second.watch_server()
    second.watch_mirror()
    await second.reconcile()
    assert (ready(second), second.body().status.failures) == (("True", "Synced"), 0)


async def test_at_start_slots_are_counted_from_the_jobs_that_live(world: World) -> None:
    second = World(limit=1)
    second.cluster.jobs = world.cluster.jobs
    second.apply_server()
    second.apply_mirror(build.mirror_body("other"))
    await prime(second.engine, ("team",))
    assert (second.cluster.calls["list_pods"], second.cluster.calls["list_jobs"]) == (1, 1)
    await second.reconcile("other")
    assert len(second.cluster.jobs) == 1
    assert len(second.slots.line) == 1


# Runs.


async def test_a_job_whose_end_fell_into_a_gap_frees_its_slot(world: World) -> None:
    world.pod(world.job(), state={"running": {}})
    world.cluster.jobs.clear()
    assert await world.reconcile() == NOW + timedelta(minutes=1)
    assert world.slots.in_use()
    world.clock.advance(60)
    assert await world.reconcile() == world.clock.now()
    await world.reconcile()
    assert (ready(world), world.slots.in_use()) == (("False", "RunLost"), [])


async def test_a_report_that_fell_into_a_gap_is_found(world: World) -> None:
    world.synced()
    world.pod(world.job(), state={"running": {}})
    world.untold_pod(world.job(), state=build.terminated(0, build.report_text()))
    world.clock.advance(60)
    await world.reconcile()
    await world.reconcile()
    assert ready(world) == ("True", "Synced")


async def test_a_run_that_goes_on_is_asked_for_once_a_minute_and_not_more(world: World) -> None:
    world.pod(world.job(), state={"running": {}})
    for minute in range(1, 31):
        world.clock.advance(60)
        assert await world.reconcile() == world.clock.now()
        for _ in range(5):
            assert await world.reconcile() == world.clock.now() + timedelta(minutes=1)
        assert world.cluster.calls["read_job"] == minute
    assert len(world.cluster.writes) == 1


# Mirrors.


@pytest.mark.parametrize("namesake", [False, True])
async def test_a_mirror_whose_end_fell_into_a_gap_is_dropped_at_its_next_write(world: World, namesake: bool) -> None:
    old = world.store.mirrors["team/click"]
    if namesake:
        await recreate(world)
    else:
        del world.cluster.resources[KEY]
    world.end(world.job(), build.report_text())
    due = await world.reconcile()
    assert due == (NOW + timedelta(seconds=1) if namesake else None)
    assert ("team/click" in world.store.mirrors) is namesake
    assert world.store.mirrors_of_run(build.job_body(mirror_uid=old.metadata.uid)) == []
    if namesake:
        assert world.store.mirrors["team/click"].metadata.uid == "new"
        await world.reconcile()
        assert len(world.cluster.jobs) == 2, "the namesake's own run"
    else:
        assert await world.reconcile() is None


@pytest.mark.parametrize("namesake", [False, True])
async def test_no_run_is_started_for_a_mirror_that_is_gone(namesake: bool) -> None:
    world = World()
    world.apply_server()
    world.apply_mirror()
    if namesake:
        await recreate(world)
    else:
        del world.cluster.resources[KEY]
    await world.reconcile()
    assert (world.cluster.jobs, world.onedev.projects, world.cluster.events) == ({}, {}, [])
    assert ("team/click" in world.store.mirrors) is namesake


async def test_a_quiet_mirror_that_is_gone_makes_no_run_when_its_source_moves(world: World) -> None:
    world.synced()
    world.end(world.job(), build.report_text())
    await world.reconcile()
    del world.cluster.resources[KEY]
    world.refs.source = Listing({"refs/heads/main": OTHER}, "refs/heads/main")
    world.clock.advance(700)
    assert await world.reconcile() is None
    assert (world.cluster.jobs, world.store.mirrors) == ({}, {})


async def test_the_end_of_the_old_one_told_last_leaves_its_namesake_alone(world: World) -> None:
    old, sync = world.store.mirrors["team/click"], build.sync()
    server = world.store.servers["team/default"]
    new = await recreate(world)
    world.engine.mirror_seen(new)
    world.engine.mirror_gone(old)
    assert world.store.mirrors["team/click"].metadata.uid == "new"

    world.engine.server_seen(build.server(meta={"uid": "new", "resourceVersion": "900"}))
    world.engine.server_gone(server)
    assert world.store.servers["team/default"].metadata.uid == "new"

    world.engine.sync_seen(sync.changed(metadata=sync.metadata.changed(uid="new")))
    world.engine.sync_gone(sync)
    assert world.store.syncs["srs/team/stars"].metadata.uid == "new"


# Events.


@pytest.mark.parametrize("error", [UNAVAILABLE, ClusterRefused("no right")])
async def test_an_event_that_cannot_be_told_fails_nothing(
    world: World, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    world.cluster.trouble["record_event"] = error
    world.synced()
    world.end(world.job(), build.report_text())
    await world.reconcile()
    assert ready(world) == ("True", "Synced")
    assert world.cluster.calls["record_event"] == 1
    assert "event not told" in caplog.text
