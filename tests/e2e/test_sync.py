"""The life of a mirror: first sync, nothing changed, and every kind of change upstream."""

import time
from dataclasses import dataclass

import pytest

from .world import World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]


@dataclass(frozen=True)
class Quiet:
    """The mirror `quiet` after its first sync: its resourceVersion, and how often GitHub had been asked."""

    version: str
    polls: int


@pytest.fixture(scope="module", autouse=True)
def quiet(world: World) -> Quiet:
    world.repository("quiet")
    world.mirror("quiet", interval="30s")
    mirror = world.wait_ready("quiet")
    eventually("the Job of the first sync is gone", lambda: not world.jobs("quiet"))
    return Quiet(mirror["metadata"]["resourceVersion"], _polls(world))


def test_a_declared_repository_becomes_a_verified_project(world: World) -> None:
    world.repository("first", commits=3)
    world.github.act("create_tag", repository="e2e/first", tag="v1", at="main")
    world.mirror("first")
    mirror = world.wait_ready("first")
    world.wait_synced("first")
    status = mirror["status"]
    assert status["phase"] == "Completed"
    assert status["observedGeneration"] == mirror["metadata"]["generation"]
    assert status["refs"]["total"] == 2
    assert status["source"]["fullName"] == "e2e/first"
    assert status["target"]["path"] == "github/e2e/first"
    assert status["lastRun"]["outcome"] == "Synced"
    assert [entry["outcome"] for entry in status["history"]] == ["Synced"]
    assert world.condition("rmir", "first", "Verified")["reason"] == "RefsEqual"
    assert world.all_target_refs("github/e2e/first")["HEAD"] == "refs/heads/main"
    assert "Synced" in world.events("first")


def test_a_new_commit_arrives(world: World) -> None:
    world.repository("commit")
    world.mirror("commit")
    world.wait_ready("commit")
    world.github.act("commit", repository="e2e/commit", branch="main", files={"file": "new"})
    world.ask("commit")
    world.wait_synced("commit")


def test_branches_and_tags_come_and_go(world: World) -> None:
    world.repository("branches")
    world.github.act("create_branch", repository="e2e/branches", branch="old", at="main")
    world.mirror("branches", onRewrite="Follow")
    world.wait_ready("branches")
    world.wait_synced("branches")
    world.github.act("create_branch", repository="e2e/branches", branch="feature/new", at="main")
    world.github.act("delete_branch", repository="e2e/branches", branch="old")
    world.ask("branches")
    world.wait_synced("branches")
    assert "refs/heads/old" not in world.all_target_refs("github/e2e/branches")


def test_archive_keeps_what_a_force_push_threw_away(world: World) -> None:
    world.repository("archive", commits=2)
    world.mirror("archive")
    world.wait_ready("archive")
    old = world.source_refs("e2e/archive")["refs/heads/main"]
    world.github.act("force_push", repository="e2e/archive", branch="main", files={"file": "rewritten"})
    world.ask("archive")
    world.wait_synced("archive")
    kept = {name: oid for name, oid in world.all_target_refs("github/e2e/archive").items() if "refs/archive/" in name}
    assert list(kept.values()) == [old]
    assert next(iter(kept)).endswith("/heads/main")
    eventually("status counts it", lambda: world.get("rmir", "archive")["status"]["refs"]["archived"] == 1)


def test_follow_overwrites(world: World) -> None:
    world.repository("follow", commits=2)
    world.mirror("follow", onRewrite="Follow")
    world.wait_ready("follow")
    world.github.act("force_push", repository="e2e/follow", branch="main", files={"file": "rewritten"})
    world.ask("follow")
    world.wait_synced("follow")
    assert not [name for name in world.all_target_refs("github/e2e/follow") if "archive" in name]


def test_block_waits_for_a_person_and_lets_the_rest_flow(world: World) -> None:
    world.repository("block", commits=2)
    world.mirror("block", onRewrite="Block")
    world.wait_ready("block")
    before = world.source_refs("e2e/block")["refs/heads/main"]
    world.github.act("force_push", repository="e2e/block", branch="main", files={"file": "rewritten"})
    world.github.act("create_branch", repository="e2e/block", branch="new", at="main")
    world.ask("block")
    blocked = world.wait_for("rmir", "block", "Ready", "False", "RewriteBlocked")
    refs = world.target_refs("github/e2e/block")
    assert refs["refs/heads/main"] == before
    assert "refs/heads/new" in refs
    digest = next(word for word in blocked["message"].replace("=", " ").split() if word.startswith("sha256:"))
    world.kubectl("annotate", "rmir", "block", f"github-onedev-sync.io/approve={digest}")
    world.wait_synced("block")
    world.wait_ready("block")


def test_an_empty_repository_is_ready(world: World) -> None:
    world.github.act("create_repository", repository="e2e/empty")
    world.mirror("empty")
    mirror = world.wait_ready("empty")
    assert mirror["status"]["refs"]["total"] == 0
    assert "github/e2e/empty" in world.projects()
    world.github.act("commit", repository="e2e/empty", branch="main", files={"file": "first"})
    world.ask("empty")
    world.wait_synced("empty")


def test_a_renamed_repository_is_followed_where_it_is(world: World) -> None:
    world.repository("old-name")
    world.mirror("renamed", "e2e/old-name")
    world.wait_ready("renamed")
    world.github.act("rename_repository", repository="e2e/old-name", to="e2e/new-name")
    world.github.act("commit", repository="e2e/new-name", branch="main", files={"file": "after"})
    world.ask("renamed")
    eventually(
        "the new name is known", lambda: world.get("rmir", "renamed")["status"]["source"]["fullName"] == "e2e/new-name"
    )
    wanted = world.source_refs("e2e/new-name")
    eventually("it is synced", lambda: world.target_refs("github/e2e/old-name") == wanted)


def test_a_request_during_a_run_is_one_more_look(world: World) -> None:
    world.repository("burst")
    world.mirror("burst")
    for _ in range(5):
        world.ask("burst")
        time.sleep(0.1)
    mirror = world.wait_ready("burst")
    eventually(
        "the last request is handled",
        lambda: (
            world.get("rmir", "burst")["status"].get("lastHandledReconcileAt")
            == world.get("rmir", "burst")["metadata"]["annotations"]["github-onedev-sync.io/requestedAt"]
        ),
    )
    assert len(mirror["status"]["history"]) == 1


def test_suspend_stops_and_resume_catches_up(world: World) -> None:
    world.repository("suspended")
    world.mirror("suspended")
    world.wait_ready("suspended")
    world.patch("suspended", {"suspend": True})
    world.github.act("commit", repository="e2e/suspended", branch="main", files={"file": "later"})
    world.ask("suspended")
    seen = len(world.github.requests(path="/repos/e2e/suspended"))
    world.repository("beside")
    world.mirror("beside")
    world.wait_ready("beside")
    assert len(world.github.requests(path="/repos/e2e/suspended")) == seen
    world.patch("suspended", {"suspend": False})
    world.wait_synced("suspended")


def test_where_nothing_changed_nothing_is_written(world: World, quiet: Quiet) -> None:
    """Last, because its three intervals pass while the other tests run."""
    eventually("three intervals passed", lambda: _polls(world) >= quiet.polls + 3, within=150)
    after = world.get("rmir", "quiet")
    assert after["metadata"]["resourceVersion"] == quiet.version
    assert not world.jobs("quiet")


def _polls(world: World) -> int:
    """GitHub is asked for many mirrors at once, OneDev for each."""
    return len(world.onedev.requests(path="^/github/e2e/quiet/info/refs"))
