"""What can go wrong: each ends in a documented reason with a remedy, costs nothing that was there, and heals."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.local_cluster.choice import Cluster

from .conftest import MakeWorld
from .world import GITHUB_TOKEN, GROUP, ONEDEV_TOKEN, StandIn, World, eventually, machine_address

pytestmark = [pytest.mark.cluster, pytest.mark.pods]

FETCH = {"method": "POST", "skip": 2}  # after the controller's look and the worker's own
PUSH = {"method": "POST"}

APP = {"appID": b"1", "installationID": b"2"}
GARBAGE: dict[str, tuple[dict[str, bytes], str]] = {
    "binary": ({"token": b"\xff\xfe\x00"}, "token that is not UTF-8"),
    "empty": ({"token": b"\n"}, "empty key token"),
    "two-words": ({"token": b"two words"}, "key token with white space"),
    "other-key": ({"password": b"x"}, "needs the key token"),
    "bad-ca": ({"token": b"x", "ca.crt": b"no certificate"}, "ca.crt"),
}
GARBAGE_FOR_GITHUB = {
    **GARBAGE,
    "half-app": (APP, "lacks privateKey"),
    "bad-key": ({**APP, "privateKey": b"-----BEGIN"}, "privateKey that is not"),
}


@pytest.fixture(scope="module")
def moody(cluster: Cluster, folder: Path, world: World) -> Iterator[World]:
    """The shared namespace with a OneDev of its own, a second server, that comes and goes."""
    options = ("--data", str(folder / "moody"), "--token", ONEDEV_TOKEN)
    stand_in = StandIn.on("onedev", machine_address(cluster), folder / "moody.log", *options)
    moody = replace(world, onedev=stand_in)
    moody.server("moody")
    moody.wait_for("ods", "moody", "Ready", "True")
    yield moody
    stand_in.stop()


def test_a_repository_hides_goes_and_is_replaced(world: World) -> None:
    world.github.act("add_token", token="ghp_guest", login="guest", repositories=[])
    world.secret("guest", token="ghp_guest")
    world.repository("leaving", commits=2)
    world.mirror("leaving", source={"secretRef": {"name": "guest"}})
    world.wait_ready("leaving")
    before = world.all_target_refs("github/e2e/leaving")

    world.github.act("set_metadata", repository="e2e/leaving", private=True)
    world.ask("leaving")
    world.wait_failed("leaving", "PrivateOrGone", "repository e2e/leaving", "gone, or private", "check the name")
    assert world.condition("rmir", "leaving", "SourceAvailable")["status"] == "False"
    world.github.act("set_metadata", repository="e2e/leaving", private=False)
    world.ask("leaving")
    world.wait_ready("leaving")

    world.github.act("delete_repository", repository="e2e/leaving")
    world.ask("leaving")
    world.wait_failed("leaving", "PrivateOrGone")
    replacement = world.github.act("create_repository", repository="e2e/leaving")
    world.github.act("commit", repository="e2e/leaving", branch="main")
    world.ask("leaving")
    world.wait_failed("leaving", "IdentityChanged", "Nothing was written", f"{GROUP}/approve={replacement}")
    assert world.all_target_refs("github/e2e/leaving") == before

    world.kubectl("annotate", "rmir", "leaving", f"{GROUP}/approve={replacement}")
    world.wait_ready("leaving")
    world.wait_synced("leaving")
    after = world.all_target_refs("github/e2e/leaving")
    assert [oid for name, oid in after.items() if "refs/archive/" in name] == [before["refs/heads/main"]]


def test_a_wrong_token_on_either_side(world: World) -> None:
    for side in ("source", "target"):
        world.repository(f"locked-{side}")
        world.secret(f"locked-{side}", token="wrong")
    world.server("locked", secretRef={"name": "locked-target"})
    world.mirror("locked-source", source={"secretRef": {"name": "locked-source"}})
    world.mirror("locked-target", target={"serverRef": {"name": "locked"}})
    world.wait_failed("locked-source", "SourceAuthenticationFailed", "token", "Secret")
    world.wait_failed("locked", "TargetAuthenticationFailed", "access token", "Secret", kind="ods")
    world.wait_failed("locked-target", "ServerNotReady", 'OneDevServer "locked"', "access token")
    for name in ("locked-source", "locked"):
        assert world.condition("rmir" if "-" in name else "ods", name, "Stalled")["status"] == "True"

    world.secret("locked-source", token=GITHUB_TOKEN)
    world.secret("locked-target", token=ONEDEV_TOKEN)
    world.ask("locked-source")
    world.ask("locked", kind="ods")  # its mirror needs no asking
    world.wait_ready("locked-source")
    world.wait_ready("locked-target")


def test_garbage_in_a_secret_names_the_key(world: World) -> None:
    world.repository("garbage")
    for name, (data, _) in GARBAGE_FOR_GITHUB.items():
        world.secret(name, data)
        world.mirror(name, "e2e/garbage", source={"secretRef": {"name": name}})
    for name in GARBAGE:
        world.server(name, secretRef={"name": name})
    world.mirror("no-secret", "e2e/garbage", source={"secretRef": {"name": "nowhere"}})
    world.server("no-secret", secretRef={"name": "nowhere"})
    world.mirror("no-server", "e2e/garbage", target={"serverRef": {"name": "late"}})
    for name, (_, words) in GARBAGE_FOR_GITHUB.items():
        world.wait_failed(name, "SecretInvalid", words)
    for name, (_, words) in GARBAGE.items():
        world.wait_failed(name, "SecretInvalid", words, kind="ods")
    world.wait_failed("no-secret", "SecretNotFound", "Secret nowhere", "create it")
    world.wait_failed("no-secret", "SecretNotFound", "Secret nowhere", "create it", kind="ods")
    world.wait_failed("no-server", "ServerNotFound", 'OneDevServer "late"', "Create it")

    world.server("late")  # the mirror that waits for it notices
    world.wait_ready("no-server")
    world.secret("nowhere", token=GITHUB_TOKEN)
    world.ask("no-secret")
    world.wait_failed("no-secret", "TargetNotOurs", "/no-server")  # the Secret is good: now two want one project


def test_onedev_starts_is_not_ready_and_goes_away(moody: World) -> None:
    moody.repository("weather")
    moody.mirror("weather", target={"serverRef": {"name": "moody"}})
    moody.wait_ready("weather")

    moody.onedev.act("set_mode", mode="starting")
    moody.ask("weather")
    moody.wait_failed("weather", "TargetUnavailable")
    moody.onedev.act("set_mode", mode="not-ready")
    moody.ask("moody", kind="ods")
    moody.wait_failed("moody", "TargetUnavailable", "starting", kind="ods")
    moody.ask("weather")
    moody.wait_failed("weather", "ServerNotReady", 'OneDevServer "moody"', "starting")
    moody.onedev.act("set_mode", mode="ready")
    moody.ask("moody", kind="ods")
    moody.wait_ready("weather")

    moody.onedev.stop()
    moody.github.act("commit", repository="e2e/weather", branch="main")
    moody.ask("weather")
    moody.wait_failed("weather", "TargetUnavailable", "cannot be reached")
    moody.ask("moody", kind="ods")
    moody.wait_failed("moody", "TargetUnavailable", "cannot be reached", kind="ods")
    moody.onedev.start()
    moody.ask("moody", kind="ods")
    moody.wait_for("ods", "moody", "Ready", "True")
    moody.ask("weather")
    moody.wait_ready("weather")
    moody.wait_synced("weather")


def test_onedev_refuses_pushes(world: World) -> None:
    for name in ("protected", "erring"):
        world.repository(name)
        world.mirror(name)
    for name in ("protected", "erring"):
        world.wait_ready(name)
        world.github.act("commit", repository=f"e2e/{name}", branch="main")
    number = world.project("github/e2e/protected")["id"]
    free = world.rest("GET", f"projects/{number}/setting") | {"issueSetting": {"boardSpecs": []}}
    rule = {"enabled": True, "branches": "main", "reviewRequirement": "owner"}
    world.rest("POST", f"projects/{number}/setting", free | {"branchProtections": [rule]})
    with world.onedev.fault(**PUSH, path="^/github/e2e/erring/git-receive-pack", status=500, body="Server Error"):
        world.ask("protected", "erring")
        world.wait_failed("protected", "TargetRefused", "Review required")
        world.wait_failed("erring", "TargetUnavailable", "500")
    world.rest("POST", f"projects/{number}/setting", free)
    world.ask("protected", "erring")
    for name in ("protected", "erring"):
        world.wait_ready(name)
        world.wait_synced(name)


def test_a_used_up_rate_limit_is_waited_for(world: World) -> None:
    world.github.act("add_token", token="ghp_busy", login="busy")
    world.secret("busy", token="ghp_busy")
    world.github.act("exhaust_limit", token="ghp_busy", remaining=0, seconds=12)
    world.repository("limited")
    world.mirror("limited", source={"secretRef": {"name": "busy"}})
    world.wait_failed("limited", "RateLimited", "0 more requests until", "UTC")
    assert world.get("rmir", "limited")["status"]["failures"] == 0
    world.wait_ready("limited")


def test_a_foreign_project_is_left_alone_until_it_is_handed_over(world: World) -> None:
    world.repository("foreign")
    world.repository("theirs", commits=2)
    world.mirror("first-owner", "e2e/theirs")
    world.wait_ready("first-owner")
    world.make_project("foreign", "github/e2e")
    world.push("e2e/theirs", "github/e2e/foreign")
    before = world.all_target_refs("github/e2e/foreign")
    world.mirror("foreign")
    world.mirror("second-owner", "e2e/foreign", target={"serverRef": {"name": "default"}, "project": "e2e/theirs"})
    refused = world.wait_failed("foreign", "TargetNotOurs", "holds commits that this mirror did not write")
    world.wait_failed("second-owner", "TargetNotOurs", f"belongs to mirror {world.namespace}/first-owner")
    assert world.all_target_refs("github/e2e/foreign") == before
    assert world.wait_ready("first-owner")["status"]["history"][0]["outcome"] == "Synced"

    line = refused["message"].split('"')[1]
    world.describe_project("github/e2e/foreign", f"What it is for\n{line}")
    world.ask("foreign")
    world.wait_ready("foreign")
    world.wait_synced("foreign")
    kept = [oid for name, oid in world.all_target_refs("github/e2e/foreign").items() if "refs/archive/" in name]
    assert kept == [before["refs/heads/main"]]


def test_what_people_delete_by_hand_is_made_again(world: World) -> None:
    for name in ("no-project", "no-job"):
        world.repository(name)
    world.mirror("no-project")
    world.wait_ready("no-project")
    world.rest("DELETE", f"projects/{world.project('github/e2e/no-project')['id']}")
    with world.github.fault(**FETCH, path="^/e2e/no-job.git/git-upload-pack", delay=20, count=1):
        world.ask("no-project")
        world.mirror("no-job")
        eventually("it runs", lambda: len(world.github.requests(path="/e2e/no-job.git/git-upload-pack")) >= 3)
        lost = world.jobs("no-job")[0]["metadata"]["name"]
        world.kubectl("delete", "job", lost, "--wait=false")
        world.wait_failed("no-job", "RunLost", lost, "run again")
    world.wait_ready("no-project")
    world.wait_synced("no-project")
    mirror = world.wait_ready("no-job")
    world.wait_synced("no-job")
    assert mirror["status"]["lastRun"]["job"] != lost


def test_first_runs_that_fail_leave_no_empty_project(world: World) -> None:
    names = ("slow", "half-made", "unfetched")
    for name in names:
        world.repository(name)
    world.github.act("create_branch", repository="e2e/half-made", branch="second", at="main")
    with ExitStack() as faults:
        for fault in (
            {**FETCH, "path": "^/e2e/slow.git/git-upload-pack", "stall_after": 0},
            {**FETCH, "path": "^/e2e/unfetched.git/git-upload-pack", "status": 500},
        ):
            faults.enter_context(world.github.fault(**fault))
        # After the mark, the default branch goes first and alone; what comes after it is refused.
        half = {**PUSH, "path": "^/github/e2e/half-made/git-receive-pack", "skip": 2, "status": 500}
        faults.enter_context(world.onedev.fault(**half))
        world.mirror("slow", timeout="20s")
        world.mirror("half-made")
        world.mirror("unfetched")
        world.wait_failed("unfetched", "SourceUnavailable", "e2e/unfetched")
        world.wait_failed("half-made", "TargetUnavailable", "500")
        world.wait_failed("slow", "TimedOut", "spec.timeout")
        failed = world.get("rmir", "slow")["status"]
        assert failed["failures"] >= 1
        assert failed["nextSyncTime"]
        assert [run["reason"] for run in failed["history"]][-1] == "TimedOut"
        projects = world.projects()
        assert "github/e2e/slow" not in projects
        assert "github/e2e/unfetched" not in projects
        assert world.target_refs("github/e2e/half-made").keys() == {"refs/heads/main"}
        job = failed["history"][-1]["job"]
        eventually("no process is left", lambda: _phases(world, job) <= {"Failed"})
    for name in names:
        world.ask(name)
    for name in names:
        world.wait_ready(name)
        world.wait_synced(name)


def test_a_worker_that_cannot_start_or_outgrows_its_memory(make_world: MakeWorld, worker_image: str) -> None:
    starved = make_world("starved", WORKER_IMAGE="localhost/no-such-image:1", WORKER_START_LIMIT_SECONDS="5")
    starved.repository("starved")
    starved.mirror("starved")
    starved.wait_for("rmir", "starved", "Reconciling", "True", "PodNotStarted")
    starved.wait_failed("starved", "PodNotStarted", "localhost/no-such-image:1")
    starved.controller.restart(WORKER_IMAGE=worker_image, WORKER_RESOURCES='{"limits": {"memory": "12Mi"}}')
    starved.ask("starved")
    starved.wait_failed("starved", "OutOfMemory", "worker.resources.limits.memory")
    starved.controller.restart(WORKER_RESOURCES='{"limits": {"memory": "256Mi"}}')
    starved.ask("starved")
    starved.wait_ready("starved")


def test_names_that_onedev_does_not_take_are_named(world: World) -> None:
    world.repository("odd")
    world.github.act("create_branch", repository="e2e/odd", branch="c++/next", at="main")
    world.github.act("create_branch", repository="e2e/odd", branch="this&that=both", at="main")
    world.github.act("create_tag", repository="e2e/odd", tag="v1+build", at="main")
    world.mirror("odd")
    world.wait_failed("odd", "RefsRejected", "refs/tags/v1+build", "refs/archive/encoded/tags/v1!2Bbuild")
    source, target = world.source_refs("e2e/odd"), world.target_refs("github/e2e/odd")
    assert source.keys() - target.keys() == {"refs/tags/v1+build"}
    assert all(target[name] == oid for name, oid in source.items() if name in target)
    assert world.all_target_refs("github/e2e/odd")["refs/archive/encoded/tags/v1!2Bbuild"]
    assert "refs/tags/v1+build" in world.condition("rmir", "odd", "Verified")["message"]
    world.patch("odd", {"refs": {"exclude": ["refs/tags/*+*"]}})
    world.wait_ready("odd")


def _phases(world: World, job: str) -> set[str]:
    return {pod["status"]["phase"] for pod in world.items("pods", f"--selector=job-name={job}")}
