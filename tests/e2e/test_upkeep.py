"""What goes on beside the refs: LFS objects, archived tips whose time is over, and a source that changes its state."""

import pytest

from .world import World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]


def archived(world: World, name: str) -> list[str]:
    refs = world.all_target_refs(f"github/e2e/{name}")
    return [ref for ref in refs if ref.startswith("refs/archive/")]


def test_lfs_objects_arrive_and_are_counted(world: World) -> None:
    world.repository("large-files")
    world.github.act("commit_lfs", repository="e2e/large-files", files={"a.bin": "one", "b.bin": "another"})
    world.mirror("large-files", lfs=True)
    mirror = world.wait_ready("large-files")
    assert mirror["status"]["lfs"] == {"objects": 2, "bytes": len("one" + "another"), "missing": 0}
    assert world.condition("rmir", "large-files", "LFSComplete")["reason"] == "LFSCopied"
    world.patch("large-files", {"lfs": False})
    eventually("it is told of no more", lambda: "lfs" not in world.get("rmir", "large-files")["status"])
    assert not world.condition("rmir", "large-files", "LFSComplete")


def test_lfs_that_is_asked_for_later_is_copied_though_no_ref_differs(world: World) -> None:
    world.repository("later-files")
    world.github.act("commit_lfs", repository="e2e/later-files", files={"a.bin": "one"})
    world.mirror("later-files")
    world.wait_ready("later-files")
    world.patch("later-files", {"lfs": True})
    world.wait_for("rmir", "later-files", "LFSComplete", "True", "LFSCopied")
    world.wait_ready("later-files")


def test_archived_tips_go_when_the_spec_says_so(world: World) -> None:
    world.repository("pruned", commits=2)
    world.mirror("pruned")
    world.wait_ready("pruned")
    for text in ("rewritten", "and once more"):
        world.github.act("force_push", repository="e2e/pruned", branch="main", files={"file": text})
        world.ask("pruned")
        world.wait_synced("pruned")
        world.wait_ready("pruned")
    assert len(archived(world, "pruned")) == 2
    newest = max(archived(world, "pruned"))
    world.patch("pruned", {"archive": {"keepLast": 1}})
    eventually("the older one is let go", lambda: archived(world, "pruned") == [newest])
    eventually("status counts them", lambda: world.get("rmir", "pruned")["status"]["refs"]["archived"] == 1)
    assert world.get("rmir", "pruned")["status"]["lastRun"]["pruned"] == 1


def test_states_of_the_source_are_told_and_pass(world: World) -> None:
    world.repository("moody-name")
    world.mirror("states", "e2e/moody-name")
    world.wait_ready("states")
    world.github.act("set_metadata", repository="e2e/moody-name", archived=True)
    world.ask("states")
    world.wait_for("rmir", "states", "SourceAvailable", "True", "ArchivedUpstream")
    world.github.act("set_metadata", repository="e2e/moody-name", archived=False)
    world.github.act("rename_repository", repository="e2e/moody-name", to="e2e/calm-name")
    world.ask("states")
    said = world.wait_for("rmir", "states", "SourceAvailable", "True", "Renamed")
    assert said["message"] == "e2e/moody-name is now e2e/calm-name; update spec.source.repository"
    world.patch("states", {"source": {"repository": "e2e/calm-name"}})
    world.wait_for("rmir", "states", "SourceAvailable", "True", "Available")
    assert world.wait_ready("states")["status"]["target"]["path"] == "github/e2e/moody-name", "it stays where it was"
    assert len(world.get("rmir", "states")["status"]["history"]) == 1, "no run was needed for any of it"
