"""What happens in OneDev when a mirror goes."""

from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import ClusterRefused, Retry, Stalled
from github_onedev_sync.api.identity import describe
from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.engine.removal import ATTEMPTS

from . import builders as build
from .builders import NOW, OID
from .fakes import UNAVAILABLE, World

PATH = "github/pallets/click"
DOWN = Retry(Reason.TARGET_UNAVAILABLE, "connection refused")


def going(policy: str, **status: Any) -> dict[str, Any]:
    return build.mirror_body(
        status=build.synced_status(**status),
        meta={"deletionTimestamp": "2026-11-23T01:02:03Z", "finalizers": ["x"]},
        deletionPolicy=policy,
    )


@pytest.fixture
def world() -> World:
    """A project with data, as a good sync leaves it."""
    made = World()
    made.apply_server()
    made.onedev.make("github")
    made.onedev.make("github/pallets")
    made.onedev.make(PATH, describe(build.mark(), "pallets/click", None), {"refs/heads/main": OID})
    return made


def removed(world: World) -> bool:
    return world.remover.removed("uid-click").is_set()


def told(world: World) -> tuple[str, str]:
    (event,) = world.cluster.events
    return event["type"], event["message"]


async def test_retain(world: World) -> None:
    world.apply_mirror(going("Retain"))
    assert await world.reconcile() is None
    assert removed(world)
    assert (world.onedev.calls.total(), world.cluster.events) == (0, [])


async def test_delete(world: World) -> None:
    world.apply_mirror(going("Delete"))
    assert await world.reconcile() is None
    assert removed(world)
    assert PATH not in world.onedev.projects
    assert told(world) == ("Normal", f"OneDev project {PATH} was deleted")
    assert world.cluster.writes == [], "a resource that is going is not written to"


async def test_archive(world: World) -> None:
    world.apply_mirror(going("Archive"))
    await world.reconcile()
    assert removed(world)
    assert world.onedev.refs["github/archived/pallets/click"] == {"refs/heads/main": OID}
    assert PATH not in world.onedev.projects


async def test_archive_where_the_name_is_taken(world: World) -> None:
    world.onedev.make("github/archived/pallets/click")
    world.apply_mirror(going("Archive"))
    await world.reconcile()
    assert "github/archived/pallets/click-20261123T010203Z" in world.onedev.projects


@pytest.mark.parametrize("policy", ["Delete", "Archive"])
async def test_asked_again_nothing_more_happens(world: World, policy: str) -> None:
    world.apply_mirror(going(policy))
    await world.reconcile()
    projects = dict(world.onedev.projects)
    assert await world.reconcile() is None
    assert world.onedev.projects == projects
    assert len(world.cluster.events) == 1


@pytest.mark.parametrize("policy", ["Delete", "Archive"])
async def test_after_a_crash_in_between_nothing_is_left_to_do(world: World, policy: str) -> None:
    """The project has gone, but the process with it: the next one asks again."""
    world.apply_mirror(going(policy))
    await world.reconcile()
    world.remover.forget("uid-click")
    world.cluster.events.clear()
    projects = dict(world.onedev.projects)
    await world.reconcile()
    assert removed(world)
    assert world.onedev.projects == projects
    assert told(world) == ("Normal", "There was no OneDev project to remove")


async def test_who_fails_while_telling_has_removed_already(world: World) -> None:
    world.cluster.trouble["record_event"] = KeyError("a bug of ours")
    world.apply_mirror(going("Delete"))
    with pytest.raises(KeyError):
        await world.reconcile()
    assert removed(world)


@pytest.mark.parametrize("error", [UNAVAILABLE, ClusterRefused("no right")])
async def test_an_event_that_cannot_be_told_holds_nobody(world: World, error: Exception) -> None:
    world.cluster.trouble["record_event"] = error
    world.apply_mirror(going("Delete"))
    assert await world.reconcile() is None
    assert removed(world)


@pytest.mark.parametrize(
    ("status", "left"),
    [
        pytest.param({"target": None}, True, id="no project was made"),
        pytest.param({"source": None}, True, id="nothing was ever looked at"),
        pytest.param(
            {"target": {"server": "default", "projectID": 1, "path": "github/x", "webURL": ""}}, True, id="gone"
        ),
    ],
)
async def test_nothing_to_remove(world: World, status: dict[str, Any], left: bool) -> None:
    world.apply_mirror(going("Delete", **status))
    await world.reconcile()
    assert removed(world)
    assert (PATH in world.onedev.projects) is left
    assert told(world) == ("Normal", "There was no OneDev project to remove")


async def test_a_project_with_children_stays(world: World) -> None:
    world.onedev.make(f"{PATH}/child")
    world.apply_mirror(going("Delete"))
    await world.reconcile()
    assert removed(world)
    assert PATH in world.onedev.projects
    assert told(world) == (
        "Warning",
        f"OneDev project {PATH} holds other projects. The OneDev project was left as it is",
    )


@pytest.mark.parametrize("policy", ["Delete", "Archive"])
@pytest.mark.parametrize(
    "description", [None, "somebody's", build.mark("team/other").line, build.mark("team/click", 1).line]
)
async def test_a_project_that_is_not_ours_any_more_stays(world: World, policy: str, description: str | None) -> None:
    world.onedev.make(PATH, description, {"refs/heads/main": OID})
    world.apply_mirror(going(policy))
    await world.reconcile()
    assert removed(world)
    assert PATH in world.onedev.projects
    assert told(world)[0] == "Warning"


async def test_the_mark_among_the_refs_is_proof_enough(world: World) -> None:
    world.onedev.make(PATH, None, {build.mark().ref: OID})
    world.apply_mirror(going("Delete"))
    await world.reconcile()
    assert PATH not in world.onedev.projects


async def test_a_server_that_is_gone(world: World) -> None:
    world.delete_server()
    world.apply_mirror(going("Delete"))
    await world.reconcile()
    assert removed(world)
    assert "OneDevServer" in told(world)[1]


async def test_a_onedev_that_is_gone_for_ever_holds_nobody(world: World) -> None:
    world.onedev.trouble["find_project"] = DOWN
    world.apply_mirror(going("Delete"))
    for attempt in range(1, ATTEMPTS):
        assert await world.reconcile() == NOW + timedelta(seconds=15), attempt
        assert not removed(world)
    assert await world.reconcile() is None
    assert removed(world)
    assert told(world) == (
        "Warning",
        f"Gave up after {ATTEMPTS} attempts: connection refused. The OneDev project was left as it is",
    )


async def test_a_onedev_that_comes_back_in_time(world: World) -> None:
    world.onedev.trouble["delete_project"] = DOWN
    world.apply_mirror(going("Delete"))
    await world.reconcile()
    world.onedev.trouble.clear()
    await world.reconcile()
    assert removed(world)
    assert told(world)[0] == "Normal"


async def test_a_run_is_ended_before_its_project_goes(world: World) -> None:
    world.cluster.jobs["click-aaaaaaaa"] = build.job_body()
    world.engine.job_seen(build.job_body(), gone=False)
    world.apply_mirror(going("Delete"))
    await world.reconcile()
    assert world.cluster.jobs == {}


async def test_forgotten_when_the_resource_is_gone(world: World) -> None:
    made = world.apply_mirror(going("Delete"))
    await world.reconcile()
    world.engine.mirror_gone(made)
    assert not removed(world), "a namesake made anew starts anew"


# The project of a failed first sync.


def first(**status: Any) -> RepositoryMirror:
    return build.mirror(status=build.synced_status(lastSyncTime=None, **status))


async def test_withdraw(world: World) -> None:
    world.onedev.refs[PATH] = {build.mark().ref: OID}
    after = await world.remover.withdraw(first(), first().status)
    assert (after.target, PATH in world.onedev.projects) == (None, False)
    assert await world.remover.withdraw(first(), after) is after


@pytest.mark.parametrize(
    ("refs", "child", "error"),
    [
        pytest.param({"refs/heads/main": OID}, False, None, id="a branch"),
        pytest.param({"refs/archive/x/heads/main": OID}, False, None, id="an archived tip"),
        pytest.param({}, True, None, id="a child"),
        pytest.param({}, False, DOWN, id="OneDev is down"),
        pytest.param({}, False, Stalled(Reason.TARGET_NOT_PERMITTED, "403"), id="not permitted"),
    ],
)
async def test_what_is_never_withdrawn(
    world: World, refs: dict[str, str], child: bool, error: Exception | None
) -> None:
    world.onedev.refs[PATH] = refs
    if child:
        world.onedev.make(f"{PATH}/child")
    if error is not None:
        world.onedev.trouble["delete_project"] = error
    assert (await world.remover.withdraw(first(), first().status)).target is not None
    assert PATH in world.onedev.projects


async def test_a_foreign_project_is_not_withdrawn(world: World) -> None:
    world.onedev.make(PATH, "somebody's")
    assert (await world.remover.withdraw(first(), first().status)).target is not None
    assert PATH in world.onedev.projects
