"""What Kopf is told to watch, and what each event becomes for the engine."""

import asyncio
from typing import Any

import kopf
import pytest
from kopf._cogs.structs.bodies import Body
from kopf._core.intents.registries import OperatorRegistry

from github_onedev_sync.api import mirror, names, owned, server, starred
from github_onedev_sync.controller import kopf_settings
from github_onedev_sync.controller.build import gauges
from github_onedev_sync.controller.handlers import register
from github_onedev_sync.controller.main import _stuck

from . import builders as build
from .fakes import FakeClock, World, in_virtual_time


def registered(world: World) -> OperatorRegistry:
    registry = OperatorRegistry()
    register(registry, world.engine)
    return registry


def handler(world: World, name: str) -> Any:
    """One handler's function, as Kopf would call it."""
    registry = registered(world)
    every = [*registry._watching.get_all_handlers(), *registry._changing.get_all_handlers()]
    (found,) = (one for one in every if one.id == name)
    return found.fn


def read(body: dict[str, Any]) -> Body:
    raw: Any = body
    return Body(raw)


async def tell(world: World, name: str, body: dict[str, Any], type_: str | None = None) -> None:
    await handler(world, name)(event={"type": type_, "object": body}, body=read(body))


def test_what_is_watched() -> None:
    registry = registered(World())
    watched = {str(one.selector) for one in registry._watching.get_all_handlers()}
    assert len(watched) == 6
    (deletion,) = registry._changing.get_all_handlers()
    assert deletion.id == "deletion"
    assert deletion.requires_finalizer


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ({}, False),
        ({"deletionPolicy": "Retain"}, False),
        ({"deletionPolicy": "Delete"}, True),
        ({"deletionPolicy": "Archive"}, True),
    ],
)
def test_a_finalizer_only_where_there_is_work_to_do(policy: dict[str, str], kept: bool) -> None:
    (deletion,) = registered(World())._changing.get_all_handlers()
    when: Any = deletion.when
    assert when(spec=kopf.Spec(read({"spec": policy}))) is kept


async def test_every_resource_reaches_the_store_and_leaves_it() -> None:
    world = World()
    for plural, body, store in (
        (mirror.PLURAL, build.mirror_body(), world.store.mirrors),
        (server.PLURAL, build.server_body(), world.store.servers),
        (starred.PLURAL, build.sync_body(), world.store.syncs),
        (owned.PLURAL, build.sync_body(), world.store.syncs),
    ):
        await tell(world, f"watch-{plural}", body)
        assert len(store) == 1
        await tell(world, f"watch-{plural}", body, "DELETED")
        assert len(store) == 0


async def test_runs_reach_the_store_and_leave_it() -> None:
    world = World()
    await tell(world, f"watch-{mirror.PLURAL}", build.mirror_body())
    await tell(world, "job", build.job_body())
    await tell(world, "pod", build.pod_body(state=build.terminated(0)), "MODIFIED")
    run = world.store.run_of(build.mirror())
    assert run is not None
    assert run.ended
    await tell(world, "pod", build.pod_body(), "DELETED")
    await tell(world, "job", build.job_body(), "DELETED")
    assert world.store.run_of(build.mirror()) is None


async def test_what_cannot_be_read_is_told_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    await tell(world, f"watch-{mirror.PLURAL}", {**build.mirror_body(), "spec": {}})
    assert world.store.mirrors == {}
    assert "unreadable resource" in caplog.text


def test_a_deletion_waits_for_the_engine() -> None:
    async def scenario(clock: FakeClock) -> None:
        world = World(clock)
        going = build.mirror_body(meta={"deletionTimestamp": "2026-11-23T01:02:03Z"}, deletionPolicy="Delete")
        with pytest.raises(kopf.TemporaryError) as caught:
            await handler(world, "deletion")(body=read(going))
        assert caught.value.delay == 10
        assert clock.monotonic() == 8
        assert world.engine.queue.take() == "mirror:team/click"
        waiting = asyncio.create_task(handler(world, "deletion")(body=read(going)))
        await asyncio.sleep(1)
        world.remover.removed("uid-click").set()
        await waiting

    in_virtual_time(scenario)


def test_settings_of_kopf() -> None:
    settings = kopf.OperatorSettings()
    kopf_settings.configure(settings)
    assert settings.posting.enabled is False
    assert settings.peering.standalone is True
    assert settings.persistence.finalizer == names.FINALIZER
    selector = f"{names.COMPONENT}={names.COMPONENT_SYNC}"
    assert settings.watching.label_selectors["batch", "v1", "jobs"] == selector


def test_backoffs_never_end_and_start_anew() -> None:
    backoffs = kopf_settings.EndlessBackoffs()
    for _ in range(2):
        found = iter(backoffs)
        assert [next(found) for _ in range(6)] == [1, 1, 2, 3, 5, 5]


@pytest.mark.parametrize(("status", "kept"), [({}, None), ({"observedGeneration": 3}, {"generation": 3})])
def test_the_last_handled_state_is_the_observed_generation(status: dict[str, int], kept: dict[str, int] | None) -> None:
    storage = kopf_settings.GenerationDiffBase()
    body = read({"metadata": {"generation": 3}, "status": status})
    fetched, built = storage.fetch(body=body), storage.build(body=body)
    assert (fetched and dict(fetched), dict(built)) == (kept, {"generation": 3})
    patch = kopf.Patch()
    storage.store(body=body, patch=patch, essence=built)
    assert not patch, "nothing is stored twice"


def test_gauges_of_a_working_engine() -> None:
    world = World()
    world.apply_server()
    world.apply_mirror(build.mirror_body(status=build.synced_status()))
    world.store.syncs["team/stars"] = build.sync()
    world.engine.metrics.registry.register(gauges(world.engine))
    value = world.engine.metrics.registry.get_sample_value
    prefix = "github_onedev_sync"
    assert value(f"{prefix}_workqueue_depth") == 2
    assert (value(f"{prefix}_active_jobs"), value(f"{prefix}_waiting_for_slot")) == (0, 0)
    for kind, ready, reason in (
        ("RepositoryMirror", "True", "Synced"),
        ("OneDevServer", "True", "Available"),
        ("StarredReposSync", "Unknown", ""),
    ):
        assert value(f"{prefix}_resources", {"kind": kind, "ready": ready, "reason": reason}) == 1


def test_stuck_is_who_has_work_and_does_none() -> None:
    world = World()
    assert _stuck(world.engine) == ""
    world.clock.advance(10)
    world.engine.progress = world.clock.monotonic()
    world.engine.queue.add("mirror:team/click")
    world.clock.advance(299)
    assert _stuck(world.engine) == ""
    world.clock.advance(2)
    assert "while 1 keys are due" in _stuck(world.engine)
    assert world.engine.queue.take() == "mirror:team/click"
    assert _stuck(world.engine) == ""
