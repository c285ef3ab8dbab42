"""A server's reconciles, and how they reach its mirrors."""

from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import Retry, Stalled, Waiting
from github_onedev_sync.api.server import PLURAL, MirrorCounts, OneDevServer

from . import builders as build
from .builders import NOW
from .fakes import World

KEY = "team/default"
REFUSED = Retry(Reason.TARGET_UNAVAILABLE, "connection refused")


@pytest.fixture
def world() -> World:
    """A server that nobody has checked."""
    made = World()
    made.apply_server(build.server_body(status={}))
    return made


def body(world: World) -> OneDevServer:
    return OneDevServer.read(world.cluster.resources[PLURAL, KEY])


def ready(world: World) -> tuple[str, str]:
    found = body(world).status.condition(ConditionType.READY)
    assert found is not None
    return found.status, found.reason


async def test_the_first_check(world: World) -> None:
    due = await world.servers.reconcile(KEY)
    assert ready(world) == ("True", "Available")
    assert body(world).status.version == "16.5.6"
    assert "github" in world.onedev.projects, "the root project is made"
    assert due is not None
    assert timedelta(minutes=4.7) < due - NOW < timedelta(minutes=5.3)
    assert [event["reason"] for event in world.cluster.events] == ["Available"]


async def test_quiet_means_quiet(world: World) -> None:
    due = await world.servers.reconcile(KEY)
    for _ in range(10):
        assert due is not None
        world.clock.seconds = (due - NOW).total_seconds() + 0.01
        due = await world.servers.reconcile(KEY)
    assert (len(world.cluster.writes), world.onedev.calls["version"]) == (1, 11)


async def test_woken_early_it_only_counts(world: World) -> None:
    await world.servers.reconcile(KEY)
    world.apply_mirror(build.mirror_body("a", status=build.synced_status()))
    world.apply_mirror(build.mirror_body("b", status={"conditions": [build.ready("False", Reason.TIMED_OUT)]}))
    await world.servers.reconcile(KEY)
    assert body(world).status.mirrors == MirrorCounts(total=2, ready=1, failed=1)
    assert world.onedev.calls["version"] == 1


@pytest.mark.parametrize(
    ("call", "error", "expected", "stalled"),
    [
        ("version", REFUSED, "TargetUnavailable", False),
        ("version", Waiting(Reason.SERVER_NOT_READY, "starting", timedelta(seconds=20)), "ServerNotReady", False),
        ("check_account", Stalled(Reason.TARGET_AUTHENTICATION_FAILED, "401"), "TargetAuthenticationFailed", True),
        ("ensure_project", Stalled(Reason.TARGET_NOT_PERMITTED, "403"), "TargetNotPermitted", True),
    ],
)
async def test_what_can_be_wrong(world: World, call: str, error: Exception, expected: str, stalled: bool) -> None:
    world.onedev.trouble[call] = error
    due = await world.servers.reconcile(KEY)
    assert ready(world) == ("False", expected)
    assert body(world).status.is_true(ConditionType.STALLED) is stalled
    assert due is not None
    world.onedev.trouble.clear()
    world.clock.seconds = (due - NOW).total_seconds() + 0.01
    await world.servers.reconcile(KEY)
    assert ready(world) == ("True", "Available")


@pytest.mark.parametrize(("manageable", "expected"), [(True, "True"), (None, "True"), (False, "False")])
async def test_may_the_account_create_projects(world: World, manageable: bool | None, expected: str) -> None:
    world.onedev.manageable = manageable
    await world.servers.reconcile(KEY)
    assert ready(world)[0] == expected


async def test_backoff_grows_to_the_interval_in_silence(world: World) -> None:
    world.onedev.trouble["version"] = REFUSED
    waits = []
    for _ in range(10):
        due = await world.servers.reconcile(KEY)
        assert due is not None
        waits.append((due - world.clock.now()).total_seconds())
        world.clock.advance(waits[-1] + 1)
    assert 10 <= waits[0] <= 12
    assert waits[-1] == 300
    assert (len(world.cluster.writes), len(world.cluster.events)) == (1, 1)


@pytest.mark.parametrize(
    ("change", "checked"),
    [
        pytest.param({"generation": 2}, True, id="spec"),
        pytest.param({"annotations": {names.REQUESTED_AT: "t1"}}, True, id="asked"),
        pytest.param({"annotations": {"note": "x"}}, False, id="another annotation"),
    ],
)
async def test_what_makes_it_look_before_its_time(world: World, change: dict[str, Any], checked: bool) -> None:
    await world.servers.reconcile(KEY)
    found = world.cluster.resources[PLURAL, KEY]
    world.apply_server({**found, "metadata": {**found["metadata"], **change}})
    for _ in range(3):
        await world.servers.reconcile(KEY)
    assert world.onedev.calls["version"] == (2 if checked else 1)


async def test_a_request_that_was_taken_back_asks_for_nothing(world: World) -> None:
    status = {**build.server_body()["status"], "lastHandledReconcileAt": "t1"}
    world.apply_server(build.server_body(status=status))
    for _ in range(3):
        await world.servers.reconcile(KEY)
    assert world.onedev.calls["version"] == 1


async def test_suspended(world: World) -> None:
    world.apply_server(build.server_body(suspend=True))
    assert await world.servers.reconcile(KEY) is None
    assert not world.onedev.calls
    assert ready(world) == ("True", "Available")


async def test_suspended_before_the_first_check(world: World) -> None:
    world.apply_server(build.server_body(suspend=True, status={}))
    for _ in range(3):
        assert await world.servers.reconcile(KEY) is None
    assert (ready(world), len(world.cluster.writes)) == (("Unknown", "Suspended"), 1)
    assert not world.onedev.calls
    found = world.cluster.resources[PLURAL, KEY]
    spec = {**found["spec"], "suspend": False}
    world.apply_server({**found, "metadata": {**found["metadata"], "generation": 2}, "spec": spec})
    await world.servers.reconcile(KEY)
    assert ready(world) == ("True", "Available")


async def test_a_request_of_any_length_is_handled_once(world: World) -> None:
    world.apply_server(build.server_body(meta={"annotations": {names.REQUESTED_AT: "t" * 5000}}))
    for _ in range(3):
        await world.servers.reconcile(KEY)
    assert world.onedev.calls["version"] == 1
    assert body(world).status.last_handled_reconcile_at == "t" * 1024


@pytest.mark.parametrize("namesake", [False, True])
async def test_a_server_whose_end_no_watch_told_of_is_dropped(world: World, namesake: bool) -> None:
    await world.servers.reconcile(KEY)
    old = world.cluster.resources.pop((PLURAL, KEY))
    if namesake:
        world.cluster.put(PLURAL, {**old, "metadata": {**old["metadata"], "uid": "new"}, "status": {}})
    world.onedev.trouble["version"] = REFUSED
    world.clock.advance(320)
    due = await world.servers.reconcile(KEY)
    assert (due, KEY in world.store.servers) == (
        world.clock.now() + timedelta(seconds=1) if namesake else None,
        namesake,
    )
    if namesake:
        assert world.store.servers[KEY].metadata.uid == "new"


async def test_gone_or_going(world: World) -> None:
    world.apply_server(build.server_body(meta={"deletionTimestamp": "2026-11-23T01:00:00Z"}))
    assert await world.servers.reconcile(KEY) is None
    world.delete_server()
    assert await world.servers.reconcile(KEY) is None
    assert world.cluster.writes == []


async def test_what_a_conflict_kept_from_being_written_is_looked_at_again(world: World) -> None:
    await world.servers.reconcile(KEY)
    world.onedev.trouble["version"] = REFUSED
    world.clock.advance(320)
    found = world.cluster.resources[PLURAL, KEY]
    world.cluster.put(PLURAL, {**found, "metadata": {**found["metadata"], "labels": {"by": "somebody"}}})
    assert await world.servers.reconcile(KEY) == world.clock.now() + timedelta(seconds=1)
    world.watch_server()
    await world.servers.reconcile(KEY)
    assert ready(world) == ("False", "TargetUnavailable")
