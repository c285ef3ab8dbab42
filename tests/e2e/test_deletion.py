"""What becomes of the OneDev project when its mirror goes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_cluster.choice import Cluster

from .conftest import MakeWorld
from .world import ONEDEV_TOKEN, StandIn, World, eventually, machine_address

pytestmark = [pytest.mark.cluster, pytest.mark.pods]


@pytest.fixture(scope="module")
def going(make_world: MakeWorld, cluster: Cluster, folder: Path) -> Iterator[World]:
    """A namespace with a controller and a OneDev of its own, both of which a test may stop."""
    options = ("--data", str(folder / "going"), "--token", ONEDEV_TOKEN)
    stand_in = StandIn.on("onedev", machine_address(cluster), folder / "going.log", *options)
    yield make_world("going", stand_in)
    stand_in.stop()


def test_each_policy_does_what_it_says(going: World) -> None:
    policies = {"kept": "Retain", "moved": "Archive", "moved-too": "Archive", "wiped": "Delete", "parent": "Delete"}
    for name, policy in policies.items():
        going.repository(name)
        going.mirror(name, deletionPolicy=policy)
    for name in policies:
        going.wait_ready(name)
    commits = {name: going.target_refs(_path(name)) for name in policies}
    going.make_project("child", _path("parent"))
    going.make_project("archived", "going")
    going.make_project("e2e", "going/archived")
    going.make_project("moved-too", "going/archived/e2e")  # the name is taken there
    assert not going.get("rmir", "kept")["metadata"].get("finalizers")

    going.kubectl("delete", "rmir", *policies, "--wait=false")
    eventually("all are gone", lambda: not going.items("rmir"))
    projects = going.projects()
    assert _path("wiped") not in projects
    assert going.target_refs(_path("kept")) == commits["kept"]
    assert going.target_refs("going/archived/e2e/moved") == commits["moved"]
    stamped = [path for path in projects if path.startswith("going/archived/e2e/moved-too-")]
    assert [going.target_refs(path) for path in stamped] == [commits["moved-too"]]
    assert going.target_refs(_path("parent")) == commits["parent"]
    assert f"{_path('parent')}/child" in projects
    assert "DeletionFailed" in going.events("parent")
    assert "DeletionFailed" not in going.events("wiped")


def test_retain_needs_no_controller_and_the_next_mirror_takes_its_project_up(going: World) -> None:
    going.repository("back")
    going.mirror("back")
    before = going.wait_ready("back")
    number = going.project(_path("back"))["id"]
    going.controller.stop()
    going.kubectl("delete", "rmir", "back", "--timeout=5s")
    assert going.target_refs(_path("back")) == going.source_refs("e2e/back")
    going.github.act("commit", repository="e2e/back", branch="main")
    going.mirror("back")
    going.controller.start()
    after = going.wait_ready("back")
    going.wait_synced("back")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert going.project(_path("back"))["id"] == number
    # A mirror of another name has no right to it.
    going.mirror("claims", "e2e/back")
    going.wait_failed("claims", "TargetNotOurs", f"{going.namespace}/back")


def test_a_deletion_waits_for_onedev_and_for_the_controller(going: World) -> None:
    for name in ("waits", "waits-too"):
        going.repository(name)
        going.mirror(name, deletionPolicy="Delete")
    for name in ("waits", "waits-too"):
        going.wait_ready(name)
    going.onedev.stop()
    going.kubectl("delete", "rmir", "waits", "--wait=false")
    eventually("its deletion was tried", lambda: going.get("rmir", "waits")["metadata"].get("deletionTimestamp"))
    going.controller.kill()
    going.kubectl("delete", "rmir", "waits-too", "--wait=false")
    going.onedev.start()
    assert {_path("waits"), _path("waits-too")} <= set(going.projects())
    going.controller.start()
    eventually("both are gone", lambda: not _left(going))
    assert not {_path("waits"), _path("waits-too")} & set(going.projects())


def test_a_project_that_changed_hands_is_not_deleted(going: World) -> None:
    going.repository("lent")
    going.mirror("lent", deletionPolicy="Delete")
    going.wait_ready("lent")
    # Somebody else's line counts more than the ref that this mirror left.
    going.describe_project(_path("lent"), "Mirror of api.github.com repository 1 by elsewhere/lent")
    going.kubectl("delete", "rmir", "lent", "--wait=false")
    eventually("it is gone", lambda: "lent" not in [one["metadata"]["name"] for one in going.items("rmir")])
    assert _path("lent") in going.projects()
    assert "DeletionFailed" in going.events("lent")


def _left(world: World) -> set[str]:
    return {"waits", "waits-too"} & {mirror["metadata"]["name"] for mirror in world.items("rmir")}


def _path(name: str) -> str:
    return f"going/e2e/{name}"
