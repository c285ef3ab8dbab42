"""What makes a run start, and what does not: quiet stays quiet at any number of mirrors, and nothing goes unseen."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import Retry, SyncError, Waiting
from github_onedev_sync.api.identity import describe
from github_onedev_sync.api.model import show_time
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.decide.schedule import VERIFICATION, is_verification_due

from . import builders as build
from .builders import NOW, OID, OTHER, REPOSITORY
from .fakes import FakeClock, World, in_virtual_time
from .scenarios import declare_server, finish_job, live, running

READY, SOURCE, LFS = ConditionType.READY, ConditionType.SOURCE_AVAILABLE, ConditionType.LFS_COMPLETE
PATH = "github/pallets/click"
ARCHIVED = "refs/archive/20261101T000000Z/heads/main"


def mirrored(world: World, count: int) -> None:
    """A server and so many mirrors as they are after their first sync, due at any time of the next interval."""
    declare_server(world, checked=True)
    for number in range(count):
        name = f"m{number:03}"
        target = {"server": "default", "projectID": number, "path": f"github/o/{name}", "webURL": "https://onedev/x"}
        due = NOW + timedelta(seconds=600 * number / count)
        status = build.synced_status(target=target, nextSyncTime=show_time(due))
        conditions = [build.ready(), build.condition(SOURCE, "True", Reason.AVAILABLE)]
        body = build.mirror_body(
            name, source={"repository": "pallets/click"}, status={**status, "conditions": conditions}
        )
        world.cluster.put(kind.PLURAL, body)
        world.synced(f"github/o/{name}", f"team/{name}")


def quiet_for(count: int, hours: float) -> World:
    """So many mirrors for so long, in virtual time."""

    async def run(clock: FakeClock) -> World:
        world = World(clock)
        mirrored(world, count)
        async with running(world):
            await asyncio.sleep(30)
            world.cluster.writes.clear()
            for one in (world.cluster, world.github, world.onedev, world.refs):
                one.calls = Counter()
            await asyncio.sleep(3600 * hours)
        return world

    return in_virtual_time(run)


def test_500_mirrors_are_quiet_for_an_hour() -> None:
    """No Job and no write, while each is looked at about six times."""
    world = quiet_for(500, 1)
    assert (world.cluster.jobs, world.cluster.writes, world.cluster.events) == ({}, [], [])
    assert set(world.cluster.calls) <= {"read_resource"}
    assert 500 * 5 < world.refs.calls["source_refs"] < 500 * 7
    assert world.github.calls["repository"] < 60, "those that verification was due for, spread over the day"
    assert world.onedev.calls["describe_project"] + world.onedev.calls["set_default_branch"] == 0


def test_a_day_with_its_verification_is_quiet_too() -> None:
    world = quiet_for(20, 24)
    assert (world.cluster.jobs, world.cluster.writes, world.cluster.events) == ({}, [], [])
    assert 20 <= world.github.calls["repository"] <= 21
    assert 20 <= world.onedev.calls["find_project"] <= 21, "the description is read, too"


def test_verification_comes_once_a_day_at_a_mirrors_own_time() -> None:
    hours = set()
    for number in range(200):
        due: list[datetime] = []
        last = NOW
        for quarter in range(1, 3 * 24 * 4 + 1):
            now = NOW + timedelta(minutes=15 * quarter)
            if is_verification_due(f"uid-{number}", last, now):
                due.append(now)
                last = now
        assert len(due) == 3
        assert due[2] - due[1] == due[1] - due[0] == VERIFICATION
        hours.add(due[0].hour)
    assert len(hours) == 24


@pytest.fixture
async def world() -> World:
    """A mirror after its first sync."""
    made = World()
    made.apply_server()
    made.apply_mirror()
    await synced(made)
    return made


async def synced(world: World, **report: Any) -> None:
    await world.reconcile()
    world.synced()
    world.end(world.job(), build.report_text(build.task(**report)))
    await world.reconcile()
    assert world.body().status.is_true(READY)
    world.cluster.writes.clear()


async def later(world: World, hours: float = 0.2) -> None:
    world.clock.advance(3600 * hours)
    await world.reconcile()


def source(world: World) -> tuple[str, str, str]:
    said = world.body().status.condition(SOURCE)
    assert said is not None
    return said.status, said.reason, said.message


# What verification finds.


async def test_verification_sees_what_a_routine_look_does_not(world: World) -> None:
    """Somebody edits the project's description, and the repository is archived upstream."""
    world.github.found = replace(REPOSITORY, archived=True)
    await later(world)
    assert world.cluster.writes == []
    await later(world, 24)
    assert source(world)[:2] == ("True", "ArchivedUpstream")
    assert len(world.cluster.writes) == 1
    await later(world, 24)
    assert len(world.cluster.writes) == 1
    assert world.cluster.jobs == {}


async def test_verification_finds_a_project_that_was_given_to_another_mirror(world: World) -> None:
    project = world.onedev.projects[PATH]
    other = describe(build.mark("team/other"), "pallets/click", None)
    world.onedev.projects[PATH] = replace(project, description=other)
    await later(world)
    assert world.cluster.writes == []
    await later(world, 24)
    assert world.body().status.has_reason(READY, Reason.TARGET_NOT_OURS)


async def test_a_limited_address_puts_verification_off_and_fails_nothing(world: World) -> None:
    world.github.trouble["repository"] = Waiting(Reason.RATE_LIMITED, "until 14:32", timedelta(minutes=50))
    for _ in range(5):
        await later(world, 24)
    assert (world.cluster.writes, world.cluster.jobs) == ([], {})
    asked = world.github.calls["repository"]
    world.github.trouble.clear()
    await later(world)
    assert world.github.calls["repository"] == asked + 1, "made up for at the next look"
    await later(world)
    assert world.github.calls["repository"] == asked + 1


# What a look follows.


async def test_a_rename_is_told_with_the_remedy(world: World) -> None:
    """Found by the redirect of the routine listing, without waiting for the verification."""
    renamed = replace(REPOSITORY, full_name="pallets/click2", clone_url="https://github.com/pallets/click2.git")
    world.github.found = renamed
    world.refs.source = replace(world.refs.source, url="https://github.com/pallets/click2.git")
    await later(world)
    assert source(world) == ("True", "Renamed", "pallets/click is now pallets/click2; update spec.source.repository")
    assert world.body().status.is_true(READY)
    writes = len(world.cluster.writes)
    for _ in range(3):
        await later(world)
    assert (len(world.cluster.writes), world.cluster.jobs) == (writes, {})


async def test_a_renamed_repository_whose_redirect_is_gone_is_found_by_its_id(world: World) -> None:
    world.github.trouble["repository"] = Retry(Reason.PRIVATE_OR_GONE, "404")
    world.github.found = replace(REPOSITORY, full_name="new/home", clone_url="https://github.com/new/home.git")
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    assert world.github.calls["repository_by_id"] == 1
    assert source(world)[:2] == ("True", "Renamed")
    assert world.body().status.is_true(READY)


@pytest.mark.parametrize("reason", [Reason.GONE, Reason.PRIVATE_OR_GONE])
async def test_what_is_gone_by_its_id_too_is_gone(world: World, reason: Reason) -> None:
    world.github.trouble["repository"] = Retry(reason, "the name leads nowhere")
    world.github.trouble["repository_by_id"] = Retry(Reason.PRIVATE_OR_GONE, "nor does the id")
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    ready = world.body().status.condition(READY)
    assert ready is not None
    assert (ready.status, ready.reason, ready.message) == ("False", reason, "the name leads nowhere")
    assert PATH in world.onedev.projects
    world.github.trouble.clear()
    world.clock.advance(60)
    await world.reconcile()
    assert world.body().status.is_true(READY), "it heals when upstream returns"


async def test_an_address_that_leads_nowhere_is_asked_for_anew_at_once(world: World) -> None:
    """The listing of a remembered address: no failure is told before GitHub was asked where the repository is."""
    listed = world.refs.source_refs

    async def moved(url: str, token: str | None, ca: str | None) -> Listing:
        if "new/home" not in url:
            raise Retry(Reason.PRIVATE_OR_GONE, "404")
        return await listed(url, token, ca)

    world.refs.source_refs = moved  # type: ignore[method-assign]
    world.github.found = replace(REPOSITORY, full_name="new/home", clone_url="https://github.com/new/home.git")
    await later(world)
    assert world.body().status.failures == 0
    assert source(world)[:2] == ("True", "Renamed")


async def test_other_failures_of_a_listing_are_told(world: World) -> None:
    world.refs.trouble["source_refs"] = Retry(Reason.SOURCE_UNAVAILABLE, "502")
    asked = world.github.calls["repository"]
    await later(world)
    assert world.body().status.has_reason(READY, Reason.SOURCE_UNAVAILABLE)
    assert world.github.calls["repository"] == asked


async def test_trouble_while_asking_by_id_is_told_as_it_is(world: World) -> None:
    error: SyncError = Retry(Reason.SOURCE_UNAVAILABLE, "502")
    world.github.trouble = {"repository": Retry(Reason.GONE, "404"), "repository_by_id": error}
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    assert world.body().status.has_reason(READY, Reason.SOURCE_UNAVAILABLE)


# What starts a run although all refs are equal.


@pytest.mark.parametrize(
    ("archive", "left", "runs"),
    [
        pytest.param({}, ARCHIVED, False, id="for ever"),
        pytest.param({"keepFor": "720h"}, ARCHIVED, False, id="not due yet"),
        pytest.param({"keepFor": "24h"}, ARCHIVED, True, id="due"),
        pytest.param({"keepLast": 1}, ARCHIVED, False, id="the newest"),
        pytest.param({}, f"refs/github-onedev-sync-staged/{OID}", True, id="left by a run that was cut"),
        pytest.param({"keepFor": "24h"}, "refs/archive/encoded/tags/a!2Bb", False, id="kept under an encoded name"),
    ],
)
async def test_refs_of_ours_that_a_run_takes_away(archive: dict[str, object], left: str, runs: bool) -> None:
    world = World()
    world.apply_server()
    world.apply_mirror(build.mirror_body(archive=archive))
    await synced(world)
    world.onedev.refs[PATH][left] = OTHER
    await later(world)
    assert bool(world.cluster.jobs) is runs
    if runs:
        world.synced()
        world.end(world.job(), build.report_text(build.task(pruned=1, archives=0)))
        await world.reconcile()
        last, refs = world.body().status.last_run, world.body().status.refs
        assert last is not None
        assert refs is not None
        assert (last.pruned, refs.archived) == (1, 0)
        await later(world)
        assert world.cluster.jobs == {}


async def test_restored_refs_are_no_difference(world: World) -> None:
    world.onedev.refs[PATH] |= {"refs/heads/restored/main": OTHER, "refs/tags/restored/v1": OTHER}
    for _ in range(3):
        await later(world, 12)
    assert (world.cluster.jobs, world.cluster.writes) == ({}, [])


async def test_lfs_objects_are_copied_once_and_then_it_is_quiet() -> None:
    world = World()
    world.apply_server()
    world.apply_mirror(build.mirror_body(lfs=True))
    await synced(world, lfs_objects=3, lfs_bytes=4096, lfs_missing=0, engine="Git")
    status = world.body().status
    assert status.lfs is not None
    assert (status.lfs.objects, status.lfs.bytes, status.lfs.missing) == (3, 4096, 0)
    assert status.has_reason(LFS, Reason.LFS_COPIED)
    for _ in range(5):
        await later(world, 12)
    assert (world.cluster.jobs, world.cluster.writes) == ({}, [])


async def test_lfs_that_is_asked_for_later_takes_a_run_though_the_refs_are_equal(world: World) -> None:
    body = world.cluster.resources[kind.PLURAL, "team/click"]
    for generation, lfs in ((2, True), (3, False)):
        meta = {**body["metadata"], "generation": generation}
        body = world.cluster.put(kind.PLURAL, {**body, "metadata": meta, "spec": {**body["spec"], "lfs": lfs}})
        world.watch_mirror()
        await world.reconcile()
        assert bool(world.cluster.jobs) is lfs
        if lfs:
            report = build.task(lfs_objects=2, lfs_bytes=10, lfs_missing=1)
            world.end(world.job(), build.report_text(report))
            await world.reconcile()
            status = world.body().status
            assert (status.is_true(READY), status.has_reason(LFS, Reason.LFS_MISSING)) == (True, True)
            assert not status.is_true(LFS)
        body = world.cluster.resources[kind.PLURAL, "team/click"]
    assert world.body().status.lfs is None
    assert world.body().status.condition(LFS) is None


async def test_lfs_whose_run_failed_is_run_again(world: World) -> None:
    body = world.cluster.resources[kind.PLURAL, "team/click"]
    meta = {**body["metadata"], "generation": 2}
    world.cluster.put(kind.PLURAL, {**body, "metadata": meta, "spec": {**body["spec"], "lfs": True}})
    world.watch_mirror()
    await world.reconcile()
    job = world.job()
    world.end(job, exit_code=30)
    await world.reconcile()
    world.clock.advance(15)
    await world.reconcile()
    assert len(world.cluster.jobs) == 2


async def test_a_fall_back_to_git_is_told(world: World) -> None:
    world.refs.source = Listing({"refs/heads/main": OTHER}, "refs/heads/main")
    await later(world)
    world.synced()
    world.end(world.job(), build.report_text(build.task(engine="Git", fallback="the source is shallow")))
    await world.reconcile()
    status = world.body().status
    ready = status.condition(READY)
    assert ready is not None
    assert ready.message.endswith("; moved by git: the source is shallow")
    assert status.last_run is not None
    assert (status.last_run.engine, status.last_run.fallback) == ("Git", "the source is shallow")
    count = world.metrics.registry.get_sample_value("github_onedev_sync_fallbacks_total")
    assert count == 1


async def test_encoded_and_archived_refs_alone_start_nothing(world: World) -> None:
    world.onedev.refs[PATH] |= {"refs/archive/encoded/tags/a!2Bb": OTHER, "refs/archive/x/heads/main": OTHER}
    await later(world)
    assert world.cluster.jobs == {}


def test_a_verification_that_finds_a_difference_starts_a_run() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        mirrored(world, 3)
        async with running(world):
            await asyncio.sleep(1200)
            del world.onedev.refs["github/o/m001"][build.mark("team/m001").ref]
            await asyncio.sleep(700)
            (job,) = live(world)
            assert job.startswith("m001-")
            world.synced("github/o/m001", "team/m001")
            finish_job(world, job)

    in_virtual_time(run)
