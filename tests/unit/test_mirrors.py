"""A mirror's life, reconcile by reconcile, against the ports in memory."""

import itertools
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import ClusterUnavailable, Retry, Stalled, Waiting
from github_onedev_sync.api.identity import describe
from github_onedev_sync.api.mirror import Phase
from github_onedev_sync.api.model import show_time
from github_onedev_sync.api.observed import SourceRepository
from github_onedev_sync.api.refs import Listing, differences, digest_differences
from github_onedev_sync.api.report import ExitCode, Outcome

from . import builders as build
from .builders import NOW, OID, OTHER, REPOSITORY
from .fakes import UNAVAILABLE, World

READY, RECONCILING, STALLED = ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED
PATH = "github/pallets/click"
MOVED = Listing({"refs/heads/main": OTHER}, "refs/heads/main")
UNSCHEDULABLE = [
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}
]


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
    assert due == NOW + timedelta(minutes=1)
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
    assert due is not None
    assert status.next_sync_time == due.replace(microsecond=0)
    assert status.history[0].refs_changed == 1
    assert world.cluster.jobs == {}
    assert len(world.cluster.writes) == 2
    assert [event["reason"] for event in world.cluster.events] == ["Synced"]


async def test_quiet_means_quiet(world: World) -> None:
    """Over many intervals nothing is written, no Job is made, and GitHub's REST API is asked once a day."""
    await first_sync(world)
    calls = world.github.calls.copy()
    before = world.body().metadata.resource_version
    due = world.body().status.next_sync_time
    for _ in range(2 * 144):
        assert due is not None
        world.clock.seconds = (due - NOW).total_seconds() + 0.01
        due = await world.reconcile()
    assert (world.cluster.writes, world.cluster.jobs, world.cluster.events) == ([], {}, [])
    assert world.body().metadata.resource_version == before
    assert world.github.calls["repository"] - calls["repository"] == 2
    assert world.clock.seconds > 2 * 144 * 570


async def test_a_change_is_synced_and_ready_does_not_flap(world: World) -> None:
    await first_sync(world)
    world.refs.source = MOVED
    world.clock.advance(700)
    await world.reconcile()
    assert verdict(world) == ("True", "Synced")
    assert world.body().status.is_true(RECONCILING)
    world.synced()
    world.end(world.job(), build.report_text(build.task(updated=1)))
    await world.reconcile()
    assert verdict(world) == ("True", "Synced")
    assert not world.body().status.is_true(RECONCILING)
    assert (len(world.cluster.writes), world.cluster.events) == (2, [])


async def test_an_empty_repository_gets_its_project_and_no_job(world: World) -> None:
    world.refs.source = Listing({})
    await world.reconcile()
    assert verdict(world) == ("True", "Empty")
    assert world.cluster.jobs == {}
    assert PATH in world.onedev.projects


async def test_only_head_differs(world: World) -> None:
    await first_sync(world)
    both = {"refs/heads/main": OID, "refs/heads/next": OID}
    world.refs.source = Listing(both, "refs/heads/next")
    world.synced()
    world.clock.advance(700)
    await world.reconcile()
    assert (world.cluster.jobs, world.onedev.heads[PATH]) == ({}, "refs/heads/next")


# Requests, suspension, approval.


async def test_a_request_is_handled_once(world: World) -> None:
    await first_sync(world)
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    assert world.body().status.last_handled_reconcile_at == "t1"
    assert world.github.calls["repository"] == 2, "a person who asks gets GitHub's word of now"
    writes = len(world.cluster.writes)
    world.watch_mirror()
    due = await world.reconcile()
    assert due is not None
    assert due > NOW + timedelta(minutes=9)
    assert len(world.cluster.writes) == writes == 1


async def test_suspended_before_the_first_look(world: World) -> None:
    world.apply_mirror(build.mirror_body("other", suspend=True))
    assert await world.reconcile("other") is None
    assert await world.reconcile("other") is None
    ready = world.body("other").status.condition(READY)
    assert ready is not None
    assert (ready.status, ready.reason) == ("Unknown", "Suspended")
    assert len(world.cluster.writes) == 1
    assert not world.github.calls


async def test_suspended_later(world: World) -> None:
    await first_sync(world)
    body = world.cluster.resources[kind.PLURAL, "team/click"]
    meta = {**body["metadata"], "generation": 2, "annotations": {names.REQUESTED_AT: "t1"}}
    world.apply_mirror({**body, "metadata": meta, "spec": {**body["spec"], "suspend": True}})
    assert await world.reconcile() is None
    assert (world.cluster.writes, world.connections.calls["source"]) == ([], 1)


async def test_a_blocked_rewrite_waits_for_its_approval(world: World) -> None:
    await first_sync(world)
    world.refs.source = MOVED
    world.clock.advance(700)
    await world.reconcile()
    left = digest_differences(differences(MOVED.refs, {"refs/heads/main": OID}))
    report = build.task(
        Outcome.BLOCKED,
        Reason.REWRITE_BLOCKED,
        message=f"Approve with the annotation {names.APPROVE}={left}",
        unequal_count=1,
        unequal_digest=left,
    )
    world.end(world.job(), build.report_text(report))
    await world.reconcile()
    assert verdict(world) == ("False", "RewriteBlocked")
    assert world.body().status.is_true(STALLED)

    await world.reconcile()
    assert world.cluster.jobs == {}, "a run that ended well and was told leaves no Job"
    for _ in range(5):
        world.clock.advance(700)
        writes = len(world.cluster.writes)
        await world.reconcile()
    assert (world.cluster.jobs, len(world.cluster.writes)) == ({}, writes), "nothing happens until a person says so"

    world.edit(annotations={names.APPROVE: left})
    world.watch_mirror()
    await world.reconcile()
    environment = world.cluster.jobs[world.job()]["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    assert f'"approved":"{left}"' in environment


async def blocked(world: World) -> str:
    """A mirror whose rewrite waits for an approval: its digest."""
    await first_sync(world)
    world.refs.source = MOVED
    world.clock.advance(700)
    await world.reconcile()
    left = digest_differences(differences(MOVED.refs, {"refs/heads/main": OID}))
    report = build.task(
        Outcome.BLOCKED, Reason.REWRITE_BLOCKED, message=f"approve={left}", unequal_count=1, unequal_digest=left
    )
    world.end(world.job(), build.report_text(report))
    await world.reconcile()
    await world.reconcile()
    assert (verdict(world), world.cluster.jobs) == (("False", "RewriteBlocked"), {})
    return left


async def test_a_blocked_mirror_whose_server_was_away_can_still_be_approved(world: World) -> None:
    left = await blocked(world)
    world.apply_server(build.server_body(status={"conditions": [build.ready("False", Reason.TARGET_UNAVAILABLE)]}))
    world.clock.advance(700)
    await world.reconcile()
    assert verdict(world) == ("False", "ServerNotReady")
    world.edit(annotations={names.APPROVE: left})
    world.watch_mirror()
    world.apply_server()
    await world.reconcile()
    assert f'"approved":"{left}"' in environment(world)


async def test_a_request_runs_a_blocked_mirror_in_any_case(world: World) -> None:
    await blocked(world)
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    assert len(world.cluster.jobs) == 1
    assert world.body().status.last_handled_reconcile_at == "t1"


def environment(world: World) -> str:
    found = world.cluster.jobs[world.job()]["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"]
    return str(found)


async def test_a_request_of_any_length_is_handled_once(world: World) -> None:
    await first_sync(world)
    world.edit(annotations={names.REQUESTED_AT: "t" * 5000})
    world.watch_mirror()
    await world.reconcile()
    assert world.body().status.last_handled_reconcile_at == "t" * 1024
    looks = world.refs.calls["source_refs"]
    for _ in range(3):
        await world.reconcile()
    assert (world.refs.calls["source_refs"], len(world.cluster.writes)) == (looks, 1)


async def test_refs_that_onedev_rejects_make_no_run_until_something_changes(world: World) -> None:
    await first_sync(world)
    main = {"refs/heads/main": OID}
    world.refs.source = Listing({**main, "refs/heads/a+b": OID}, "refs/heads/main")
    world.clock.advance(700)
    await world.reconcile()
    left = digest_differences(differences(world.refs.source.refs, main))
    report = build.task(
        Outcome.PARTIAL,
        Reason.REFS_REJECTED,
        message="refs/heads/a+b cannot be mirrored",
        unequal=("refs/heads/a+b",),
        unequal_count=1,
        unequal_digest=left,
    )
    world.end(world.job(), build.report_text(report))
    due = await world.reconcile()
    status = world.body().status
    assert (verdict(world), status.failures, status.is_true(STALLED)) == (("False", "RefsRejected"), 0, True)
    assert due is not None
    assert timedelta(minutes=9) < due - world.clock.now() < timedelta(minutes=11)
    await world.reconcile()
    made, writes = world.cluster.calls["create_job"], len(world.cluster.writes)
    for _ in range(5):
        world.clock.advance(700)
        due = await world.reconcile()
        assert due is not None
        assert timedelta(minutes=9) < due - world.clock.now()
    assert (world.cluster.calls["create_job"], len(world.cluster.writes)) == (made, writes)
    world.refs.source = Listing({"refs/heads/main": OTHER, "refs/heads/a+b": OID}, "refs/heads/main")
    world.clock.advance(700)
    await world.reconcile()
    assert len(world.cluster.jobs) == 1, "the rest goes on being mirrored"


async def test_what_is_suspended_during_a_run_keeps_the_verdict_of_the_run(world: World) -> None:
    await world.reconcile()
    body = world.cluster.resources[kind.PLURAL, "team/click"]
    meta = {**body["metadata"], "generation": 2}
    world.apply_mirror({**body, "metadata": meta, "spec": {**body["spec"], "suspend": True}})
    world.synced()
    world.end(world.job(), build.report_text())
    await world.reconcile()
    assert await world.reconcile() is None
    status = world.body().status
    assert (verdict(world), status.phase) == (("True", "Synced"), Phase.COMPLETED)
    assert not status.is_true(RECONCILING)


async def test_equal_refs_without_our_mark_get_it(world: World) -> None:
    """Adopted by its description: the mark among the refs is what later looks go by."""
    world.onedev.make(PATH, describe(build.mark(), "pallets/click", None), world.refs.source.refs)
    await world.reconcile()
    assert f'"mark_ref":"{build.mark().ref}"' in environment(world)
    world.synced()
    world.end(world.job(), build.report_text(build.task(Outcome.UNCHANGED)))
    await world.reconcile()
    await world.reconcile()
    world.clock.advance(700)
    await world.reconcile()
    assert (verdict(world), world.cluster.jobs) == (("True", "Synced"), {})


async def test_another_repository_with_equal_refs_gets_its_own_mark(world: World) -> None:
    await first_sync(world)
    world.github.found = SourceRepository(
        id=8821, full_name="pallets/click", clone_url=REPOSITORY.clone_url, default_branch="main"
    )
    world.edit(annotations={names.APPROVE: "8821", names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    assert build.mark(repository_id=8821).ref in environment(world)
    assert "repository 8821" in (world.onedev.projects[PATH].description or "")


async def test_the_start_of_a_run_is_logged_with_its_id_and_the_slots(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        await world.reconcile()
    (fields,) = (
        vars(one)["fields"] for one in caplog.records if vars(one).get("fields", {}).get("decision") == "StartJob"
    )
    assert (fields["run"], fields["slots"]) == (world.job()[-8:], "1/4")


# Failing runs.

MESSAGE = build.report_text(build.task(Outcome.FAILED, Reason.SOURCE_UNAVAILABLE, message="GitHub answered 502"))


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param({"state": build.terminated(30, MESSAGE)}, "SourceUnavailable", id="reported"),
        pytest.param({"state": build.terminated(ExitCode.SOURCE_GONE)}, "PrivateOrGone", id="gone"),
        pytest.param({"state": build.terminated(ExitCode.TARGET_REFUSED, "{")}, "TargetRefused", id="refused, garbage"),
        pytest.param({"state": build.terminated(ExitCode.OUR_BUG, "Traceback")}, "WorkerFailed", id="garbage"),
        pytest.param({"state": build.terminated(137, None, "OOMKilled")}, "OutOfMemory", id="OOM"),
        pytest.param({"phase": "Failed", "reason": "Evicted", "message": "no space."}, "OutOfSpace", id="evicted"),
        pytest.param({"phase": "Failed", "reason": "NodeLost"}, "RunLost", id="node lost"),
    ],
)
async def test_a_run_that_fails_is_tried_again(world: World, pod: dict[str, Any], expected: str) -> None:
    await world.reconcile()
    job = world.job()
    world.pod(job, **pod)
    due = await world.reconcile()
    status = world.body().status
    assert (verdict(world), status.failures, status.phase) == (("False", expected), 1, Phase.FAILED)
    assert due is not None
    assert timedelta(seconds=9) < due - NOW <= timedelta(seconds=12)
    assert job in world.cluster.jobs, "a failed Job is kept for its log"
    assert len(world.cluster.writes) == 2

    assert await world.reconcile() == status.next_sync_time
    assert len(world.cluster.writes) == 2, "told once"
    world.clock.advance(15)
    await world.reconcile()
    assert len(world.cluster.jobs) == 2


async def test_a_run_beyond_its_time(world: World) -> None:
    await world.reconcile()
    world.verdict(world.job(), "Failed", "DeadlineExceeded")
    await world.reconcile()
    assert verdict(world) == ("False", "TimedOut")


async def test_a_failed_run_of_before_does_not_come_back(world: World) -> None:
    """Its Job is kept for an hour: long after the next run has succeeded and is gone."""
    await world.reconcile()
    first = world.job()
    world.end(first, exit_code=30)
    await world.reconcile()
    world.clock.advance(15)
    await world.reconcile()
    (second,) = world.cluster.jobs.keys() - {first}
    world.synced()
    world.end(second, build.report_text())
    await world.reconcile()
    for _ in range(3):
        world.clock.advance(1)
        await world.reconcile()
    assert (verdict(world), world.body().status.failures) == (("True", "Synced"), 0)
    assert set(world.cluster.jobs) == {first}


async def test_a_job_that_somebody_deleted(world: World) -> None:
    await world.reconcile()
    job = world.job()
    gone = world.cluster.jobs.pop(job)
    world.engine.job_seen(gone, gone=True)
    await world.reconcile()
    assert verdict(world) == ("False", "RunLost")
    world.clock.advance(15)
    await world.reconcile()
    assert world.job() != job


async def test_a_job_that_the_watch_has_not_told_of_is_found(world: World) -> None:
    await world.reconcile()
    world.store.forget_job(f"team/{world.job()}")
    assert await world.reconcile() == NOW
    assert await world.reconcile() == NOW + timedelta(minutes=1)
    assert len(world.cluster.writes) == 1


async def test_a_job_that_is_being_deleted_is_waited_for(world: World) -> None:
    await world.reconcile()
    going = world.cluster.jobs[world.job()]
    going["metadata"]["deletionTimestamp"] = show_time(NOW)
    world.engine.job_seen(going, gone=False)
    assert await world.reconcile() == NOW + timedelta(minutes=1), "without asking the API server round and round"


async def test_a_pod_that_cannot_start(world: World) -> None:
    await world.reconcile()
    job = world.job()
    world.pod(job, state=build.waiting("ImagePullBackOff", "no such image"))
    await world.reconcile()
    assert world.body().status.has_reason(RECONCILING, Reason.POD_NOT_STARTED)
    writes = len(world.cluster.writes)
    await world.reconcile()
    assert len(world.cluster.writes) == writes
    world.clock.advance(119)
    assert await world.reconcile() == world.clock.now(), "asked whether it is still so"
    assert await world.reconcile() == world.clock.now() + timedelta(seconds=1)
    world.clock.advance(1)
    await world.reconcile()
    assert verdict(world) == ("False", "PodNotStarted")
    assert world.cluster.jobs == {}
    assert len(world.cluster.writes) == writes + 1


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        pytest.param(None, "kubectl describe -n team job/", id="no pod at all"),
        pytest.param({"state": build.waiting("ContainerCreating")}, "nothing tells why", id="creating"),
        pytest.param({"conditions": UNSCHEDULABLE}, "0/1 nodes are available", id="no node"),
    ],
)
async def test_a_pod_that_does_not_start_gets_more_time(world: World, pod: dict[str, Any] | None, says: str) -> None:
    await world.reconcile()
    job = world.job()
    if pod is not None:
        world.pod(job, **pod)
    for _ in range(9):
        world.clock.advance(60)
        assert await world.reconcile() == world.clock.now()
        assert await world.reconcile() == world.clock.now() + timedelta(minutes=1)
    assert verdict(world) == ("Unknown", "Progressing")
    world.clock.advance(60)
    await world.reconcile()
    await world.reconcile()
    assert verdict(world) == ("False", "PodNotStarted")
    ready = world.body().status.condition(READY)
    assert ready is not None
    assert says in ready.message
    assert (world.cluster.jobs, world.slots.in_use()) == ({}, [])
    world.clock.advance(15)
    await world.reconcile()
    assert world.job() != job


async def test_the_successor_of_a_drained_pod_has_the_whole_time(world: World) -> None:
    await world.reconcile()
    job = world.job()
    world.pod(job, name="old", state={"running": {}})
    for _ in range(30):
        world.clock.advance(60)
        await world.reconcile()
        await world.reconcile()
    world.engine.pod_seen(world.cluster.pods.pop("old"), gone=True)
    await world.reconcile()
    world.pod(job, name="new", state=build.waiting("ContainerCreating"))
    world.clock.advance(590)
    await world.reconcile()
    await world.reconcile()
    assert job in world.cluster.jobs
    world.pod(job, name="new", state={"running": {}})
    world.synced()
    world.pod(job, name="new", state=build.terminated(0, build.report_text()))
    await world.reconcile()
    assert verdict(world) == ("True", "Synced")


# A first sync that fails.


async def test_a_failed_first_sync_leaves_no_empty_project(world: World) -> None:
    await world.reconcile()
    world.end(world.job(), exit_code=30)
    await world.reconcile()
    assert world.onedev.projects == {}
    assert world.body().status.target is None
    world.clock.advance(15)
    await world.reconcile()
    assert PATH in world.onedev.projects


async def test_a_failed_first_sync_never_takes_data_with_it(world: World) -> None:
    await world.reconcile()
    world.onedev.refs[PATH] = {"refs/heads/main": OID}
    world.end(world.job(), exit_code=30)
    await world.reconcile()
    assert PATH in world.onedev.projects
    assert world.body().status.target is not None


async def test_a_project_that_cannot_be_withdrawn_stays_known(world: World) -> None:
    await world.reconcile()
    world.onedev.trouble["delete_project"] = Retry(Reason.TARGET_UNAVAILABLE, "refused")
    world.end(world.job(), exit_code=30)
    await world.reconcile()
    assert world.body().status.target is not None


async def test_a_later_failure_withdraws_nothing(world: World) -> None:
    await first_sync(world)
    world.onedev.refs[PATH] = {}
    world.clock.advance(700)
    await world.reconcile()
    world.end(world.job(), exit_code=30)
    await world.reconcile()
    assert PATH in world.onedev.projects


# Looks that fail.


@pytest.mark.parametrize(
    ("error", "stalled", "wait"),
    [
        (Stalled(Reason.SOURCE_AUTHENTICATION_FAILED, "refused"), True, (500, 700)),
        (Retry(Reason.SOURCE_UNAVAILABLE, "502"), False, (10, 12)),
        (Waiting(Reason.RATE_LIMITED, "until 14:32", timedelta(minutes=7)), False, (420, 420)),
    ],
)
async def test_a_look_that_fails(world: World, error: Exception, stalled: bool, wait: tuple[int, int]) -> None:
    world.github.trouble["repository"] = error
    due = await world.reconcile()
    assert due is not None
    assert wait[0] <= (due - NOW).total_seconds() <= wait[1]
    assert world.body().status.is_true(STALLED) is stalled
    assert world.body().status.is_true(RECONCILING) is not stalled
    assert (len(world.cluster.writes), len(world.cluster.events)) == (1, 1)
    assert world.onedev.projects == {}

    del world.github.trouble["repository"]
    world.clock.advance(wait[1] + 1)
    await world.reconcile()
    assert len(world.cluster.jobs) == 1


@pytest.mark.parametrize(
    "error",
    [
        Stalled(Reason.SOURCE_AUTHENTICATION_FAILED, "refused"),
        Waiting(Reason.RATE_LIMITED, "until 14:32", timedelta(minutes=7)),
    ],
)
async def test_the_same_again_is_not_written_again(world: World, error: Exception) -> None:
    world.github.trouble["repository"] = error
    due = await world.reconcile()
    assert len(world.cluster.writes) == 1
    for looks in range(2, 6):
        assert due is not None
        world.clock.seconds = (due - NOW).total_seconds() + 0.01
        due = await world.reconcile()
        assert due is not None
        assert due - world.clock.now() > timedelta(minutes=6)
        assert await world.reconcile() == due, "woken for nothing it rests"
        assert (len(world.cluster.writes), world.github.calls["repository"]) == (1, looks)
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    await world.reconcile()
    assert world.body().status.last_handled_reconcile_at == "t1"
    world.edit(generation=2)
    world.watch_mirror()
    await world.reconcile()
    ready = world.body().status.condition(READY)
    assert ready is not None
    assert ready.observed_generation == 2


async def test_backoff_grows_and_is_visible(world: World) -> None:
    world.github.trouble["repository"] = Retry(Reason.SOURCE_UNAVAILABLE, "502")
    waits = []
    for _ in range(12):
        due = await world.reconcile()
        assert due is not None
        waits.append((due - world.clock.now()).total_seconds())
        world.clock.advance(waits[-1] + 1)
    assert all(later > earlier for earlier, later in itertools.pairwise(waits[:9]))
    assert 3600 <= waits[-1] <= 4320
    assert world.body().status.failures == 12
    assert len(world.cluster.events) == 1, "an Event for the transition, not for each try"


async def test_a_relay_that_shall_copy_lfs_objects_is_refused(world: World) -> None:
    """By the CRD, too; this is for one of an older version."""
    world.apply_mirror(build.mirror_body("other", lfs=True, engine="Relay"))
    await world.reconcile("other")
    ready = world.body("other").status.condition(READY)
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "NotSupported")
    assert "spec.engine: Relay" in ready.message
    assert "spec.lfs: true" in ready.message


async def test_the_worker_is_told_what_the_spec_says(world: World) -> None:
    world.github.found = replace(REPOSITORY, size_kb=77)
    world.apply_mirror(
        build.mirror_body("other", lfs=True, engine="Git", archive={"keepFor": "24h", "keepLast": 3}, onRewrite="Block")
    )
    await world.reconcile("other")
    (task,) = json.loads(environment(world))["tasks"]
    told = (task["engine"], task["lfs"], task["keep_for"], task["keep_last"], task["size_kb"], task["on_rewrite"])
    assert told == ("Git", True, 86400.0, 3, 77, "Block")


async def test_another_repository_under_the_same_name(world: World) -> None:
    await first_sync(world)
    world.github.found = SourceRepository(
        id=8821, full_name="pallets/click", clone_url=REPOSITORY.clone_url, default_branch="main"
    )
    world.refs.source = MOVED
    world.clock.advance(700)
    await world.reconcile()
    assert verdict(world) == ("False", "IdentityChanged")
    assert (world.cluster.jobs, world.onedev.refs[PATH]["refs/heads/main"]) == ({}, OID)

    world.edit(annotations={names.APPROVE: "8821"})
    world.watch_mirror()
    await world.reconcile()
    assert len(world.cluster.jobs) == 1
    assert "repository 8821" in (world.onedev.projects[PATH].description or "")


async def test_a_renamed_repository_stays_where_it_is(world: World) -> None:
    await first_sync(world)
    world.github.found = SourceRepository(
        id=build.REPOSITORY_ID, full_name="new/name", clone_url="https://github.com/new/name.git", default_branch="main"
    )
    world.refs.source = MOVED
    world.clock.advance(700)
    await world.reconcile()
    status = world.body().status
    assert status.source is not None
    assert status.source.full_name == "new/name"
    assert status.target is not None
    assert status.target.path == PATH


async def test_a_foreign_project_is_never_written_to(world: World) -> None:
    world.onedev.make(PATH, "ours since 2009", {"refs/heads/main": OTHER})
    await world.reconcile()
    assert verdict(world) == ("False", "TargetNotOurs")
    assert (world.cluster.jobs, world.onedev.projects[PATH].description) == ({}, "ours since 2009")


async def test_a_project_that_appears_between_look_and_launch(world: World) -> None:
    class Sudden(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            found = super().get(key, default)
            if key not in self:
                self[key] = world.onedev.make("elsewhere", "foreign")
            return found

    world.onedev.projects = Sudden()
    await world.reconcile()
    assert verdict(world) == ("False", "TargetNotOurs")
    assert world.cluster.jobs == {}


async def test_a_project_that_somebody_deleted_is_made_again(world: World) -> None:
    await first_sync(world)
    del world.onedev.projects[PATH], world.onedev.refs[PATH]
    world.clock.advance(700)
    await world.reconcile()
    assert len(world.cluster.jobs) == 1
    assert world.onedev.projects[PATH].description == describe(build.mark(), "pallets/click", None)


async def test_a_token_that_is_made_for_the_occasion(world: World) -> None:
    world.github.token, world.github.anonymous, world.github.mints_tokens = "ghs_x", False, True
    world.apply_mirror(build.mirror_body("app", source={"secretRef": {"name": "github"}}))
    await world.reconcile("app")
    (job,) = world.cluster.jobs
    assert world.cluster.secrets[job]["stringData"] == {"token": "ghs_x"}
    assert world.cluster.secrets[job]["metadata"]["ownerReferences"][0]["uid"] == f"uid-{job}"


# Servers.


async def test_without_a_server(world: World) -> None:
    world.delete_server()
    await world.reconcile()
    assert verdict(world) == ("False", "ServerNotFound")
    assert world.body().status.is_true(STALLED)


async def test_a_server_that_is_not_ready(world: World) -> None:
    await first_sync(world)
    down = {"conditions": [build.ready("False", Reason.TARGET_UNAVAILABLE, message="refused")]}
    world.apply_server(build.server_body(status=down))
    world.clock.advance(700)
    await world.reconcile()
    ready = world.body().status.condition(READY)
    assert ready is not None
    assert (ready.status, ready.reason) == ("False", "ServerNotReady")
    assert ready.message == 'OneDevServer "default" is not Ready: refused'
    world.apply_server()
    await world.reconcile()
    assert verdict(world) == ("True", "Synced")
    assert world.body().status.is_true(ConditionType.TARGET_AVAILABLE)


async def test_a_suspended_server_is_not_waited_for_aloud(world: World) -> None:
    await first_sync(world)
    before = world.body().status
    world.apply_server(build.server_body(suspend=True))
    world.clock.advance(700)
    world.edit(annotations={names.REQUESTED_AT: "t1"})
    world.watch_mirror()
    assert await world.reconcile() == world.clock.now() + timedelta(minutes=5)
    assert (world.body().status, world.cluster.writes, world.github.calls["repository"]) == (before, [], 1)
    world.apply_server()
    await world.reconcile()
    assert world.body().status.last_handled_reconcile_at == "t1", "handled as soon as the server is resumed"


async def test_a_mirror_of_a_suspended_server_says_so_once() -> None:
    world = World()
    world.apply_server(build.server_body(suspend=True))
    world.apply_mirror()
    for _ in range(3):
        assert await world.reconcile() == NOW + timedelta(minutes=5)
    assert verdict(world) == ("Unknown", "Suspended")
    assert (len(world.cluster.writes), world.connections.calls.total()) == (1, 0)


async def test_a_server_that_nobody_has_checked_yet_warns_nobody(world: World) -> None:
    world.apply_server(build.server_body(status={}))
    assert await world.reconcile() == NOW + timedelta(minutes=1)
    assert world.cluster.writes == []


# Slots.


async def test_no_slot_and_then_one() -> None:
    world = World(limit=1)
    world.apply_server()
    for name in ("a", "b"):
        world.apply_mirror(build.mirror_body(name, source={"repository": f"o/{name}"}))
    await world.reconcile("a")
    job = world.job()
    await world.reconcile("b")
    assert world.body("b").status.has_reason(READY, Reason.PROGRESSING)
    writes, looks = len(world.cluster.writes), world.github.calls["repository"]
    await world.reconcile("b")
    assert (len(world.cluster.writes), world.github.calls["repository"]) == (writes, looks), "waiting is quiet"
    assert world.slots.next_in_line() == []
    world.synced("github/o/a", "team/a")
    world.end(job, build.report_text(build.task(key="team/a")))
    await world.reconcile("a")
    assert [key for key, _ in world.slots.next_in_line()] == ["team/b"]
    await world.reconcile("b")
    assert world.job().startswith("b-")
    assert len(world.slots.line) == 0


async def test_a_new_spec_that_found_no_slot_is_looked_at_when_there_is_one() -> None:
    world = World(limit=1)
    world.apply_server()
    world.apply_mirror()
    await first_sync(world)
    world.store.put_job(build.job_body("other-aaaaaaaa", mirrors=("other",)))
    world.refs.source = MOVED
    world.edit(generation=2)
    world.watch_mirror()
    await world.reconcile()
    assert verdict(world) == ("Unknown", "Progressing")
    world.store.drop_job(build.job_body("other-aaaaaaaa", mirrors=("other",)))
    assert [key for key, _ in world.slots.next_in_line()] == ["team/click"]
    await world.reconcile()
    assert len(world.cluster.jobs) == 1, "and not only when the old spec would have been due"


async def test_a_mirror_in_line_that_is_suspended_leaves_it() -> None:
    world = World(limit=1)
    world.apply_server()
    world.store.put_job(build.job_body("other-aaaaaaaa", mirrors=("other",)))
    world.apply_mirror()
    await world.reconcile()
    assert len(world.slots.line) == 1
    body = world.cluster.resources[kind.PLURAL, "team/click"]
    world.apply_mirror({**body, "spec": {**body["spec"], "suspend": True}})
    await world.reconcile()
    assert len(world.slots.line) == 0


# The cluster.


async def conflict(world: World) -> None:
    """Somebody labels the mirror, and the watch is slow."""
    world.edit(labels={"by": "somebody"})
    writes = len(world.cluster.writes)
    assert await world.reconcile() == world.clock.now() + timedelta(seconds=1)
    assert len(world.cluster.writes) == writes
    world.watch_mirror()


async def test_a_conflict_at_the_start_makes_no_second_job(world: World) -> None:
    await conflict(world)
    job = world.job()
    await world.reconcile()
    assert (world.job(), world.body().status.last_run is not None) == (job, True)
    assert verdict(world) == ("Unknown", "Progressing")
    world.synced()
    world.end(job, build.report_text())
    assert await world.reconcile() == NOW, "source and target are not told yet"
    await world.reconcile()
    status = world.body().status
    assert status.source is not None
    assert status.target is not None
    assert verdict(world) == ("True", "Synced")


async def test_a_conflict_at_the_end_loses_no_report(world: World) -> None:
    await world.reconcile()
    world.synced()
    world.end(world.job(), build.report_text())
    await conflict(world)
    assert len(world.cluster.jobs) == 1, "the Job holds the only report"
    await world.reconcile()
    assert (verdict(world), world.cluster.jobs) == (("True", "Synced"), {})
    assert (
        world.metrics.registry.get_sample_value(
            "github_onedev_sync_runs_total", {"outcome": "Synced", "reason": "Synced"}
        )
        == 1.0
    ), "counted once"


async def test_a_conflict_while_healing_is_no_healing(world: World) -> None:
    await first_sync(world)
    world.onedev.trouble["find_project"] = Retry(Reason.TARGET_UNAVAILABLE, "refused")
    world.refs.trouble["target_refs"] = Retry(Reason.TARGET_UNAVAILABLE, "refused")
    world.clock.advance(700)
    await world.reconcile()
    assert verdict(world) == ("False", "TargetUnavailable")
    world.onedev.trouble.clear()
    world.refs.trouble.clear()
    world.clock.advance(15)
    await conflict(world)
    await world.reconcile()
    assert verdict(world) == ("True", "Synced")


async def test_a_cluster_that_is_away_is_left_to_the_engine(world: World) -> None:
    world.cluster.trouble["patch_status"] = UNAVAILABLE
    with pytest.raises(ClusterUnavailable):
        await world.reconcile()
    world.cluster.trouble.clear()
    await world.reconcile()
    assert len(world.cluster.jobs) == 1


async def test_a_spec_that_changes_during_a_run(world: World) -> None:
    await world.reconcile()
    world.edit(generation=2)
    world.watch_mirror()
    await world.reconcile()
    world.synced()
    world.end(world.job(), build.report_text())
    assert await world.reconcile() == NOW
    assert verdict(world) == ("Unknown", "Progressing")
    await world.reconcile()
    assert (verdict(world), world.body().status.observed_generation) == (("True", "Synced"), 2)


async def test_what_was_due_while_nobody_watched_is_spread(world: World) -> None:
    for number in range(5):
        late = build.synced_status(nextSyncTime=show_time(NOW - timedelta(hours=1)))
        world.apply_mirror(build.mirror_body(f"m{number}", status=late))
    due = [await world.reconcile(f"m{number}") for number in range(5)]
    assert len(set(due)) == 5
    assert all(one is not None and NOW < one <= NOW + timedelta(minutes=1) for one in due)
    assert world.cluster.writes == []


async def test_a_mirror_that_is_gone(world: World) -> None:
    mirror = world.watch_mirror()
    world.engine.mirror_gone(mirror)
    assert await world.reconcile() is None
    assert world.store.mirrors == {}


async def test_after_a_restart_a_mirror_may_be_seen_before_its_server(world: World) -> None:
    world.store.servers.clear()
    await world.reconcile()
    assert (verdict(world), len(world.cluster.jobs)) == (("Unknown", "Progressing"), 1)
