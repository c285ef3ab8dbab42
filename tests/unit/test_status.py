"""What a mirror's status says: a table of steps, and Flux's condition invariants over every sequence of them.

The invariants are those of fluxcd/pkg `runtime/conditions/check`, FAIL0001 to FAIL0009 and FAIL0011.
"""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from github_onedev_sync.api.mirror import MirrorStatus, Phase, RepositoryMirror, TargetStatus
from github_onedev_sync.api.observed import SourceRepository
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.api.report import Outcome
from github_onedev_sync.decide import ending, status
from github_onedev_sync.decide.compare import compare
from github_onedev_sync.decide.run import Run, read_run
from github_onedev_sync.decide.step import attempted

from . import builders as build
from .builders import EARLIER, NOW, OID, REPOSITORY

READY, RECONCILING, STALLED = ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED
TARGET = TargetStatus(server="default", project_id=7, path="github/pallets/click", web_url="https://onedev/x")
ONE = Listing({"refs/heads/main": OID}, "refs/heads/main")


def run_of(job: str = "click-aaaaaaaa", generation: int = 1, waiting: str = "", created: datetime = NOW) -> Run:
    state = build.waiting("ImagePullBackOff", waiting) if waiting else None
    job_body = build.job_body(job, created=created, generation=generation)
    return read_run(job_body, build.pod_body(job, state=state), "uid-click")


def words(after: MirrorStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in after.conditions}


def synced(**meta: object) -> RepositoryMirror:
    return build.mirror(status=build.synced_status(), meta=meta)


def test_suspended_before_the_first_look() -> None:
    after = status.suspended_before_first(build.mirror(suspend=True), NOW)
    assert words(after) == {"Ready": ("Unknown", "Suspended")}
    assert after.phase is Phase.PENDING


def test_waiting_for_a_slot_is_said_once_and_for_something_new_only() -> None:
    new = build.mirror()
    after = status.waiting_for_slot(new, NOW)
    assert words(after) == {"Ready": ("Unknown", "Progressing"), "Reconciling": ("True", "Progressing")}
    assert status.waiting_for_slot(build.with_status(new, after), NOW + timedelta(minutes=5)) == after
    assert not attempted(build.with_status(new, after))
    assert status.waiting_for_slot(synced(), NOW) == synced().status
    assert words(status.waiting_for_slot(synced(generation=2), NOW))["Ready"] == ("Unknown", "Progressing")


@pytest.mark.parametrize(
    ("before", "generation", "ready"),
    [
        pytest.param([], 1, ("Unknown", "Progressing"), id="first"),
        pytest.param([build.ready()], 1, ("True", "Synced"), id="routine: no alert flaps"),
        pytest.param([build.ready()], 2, ("Unknown", "Progressing"), id="new generation"),
        pytest.param([build.ready("False", Reason.TIMED_OUT)], 1, ("False", "TimedOut"), id="a retry tells no news"),
        pytest.param([build.ready("Unknown", Reason.SUSPENDED)], 2, ("Unknown", "Progressing"), id="resumed"),
    ],
)
def test_started(before: list[dict[str, object]], generation: int, ready: tuple[str, str]) -> None:
    mirror = build.mirror(status={"conditions": before}, meta={"generation": generation})
    after = status.started(mirror, NOW, "click-aaaaaaaa", REPOSITORY, TARGET, "t1")
    assert words(after) == {
        "Ready": ready,
        "Reconciling": ("True", "Progressing"),
        "SourceAvailable": ("True", "Available"),
        "TargetAvailable": ("True", "Available"),
    }
    assert after.phase is Phase.IN_PROGRESS
    assert after.last_run is not None
    assert (after.last_run.job, after.last_run.outcome, after.last_handled_reconcile_at) == (
        "click-aaaaaaaa",
        None,
        "t1",
    )
    assert (after.next_sync_time, after.observed_generation) == (None, mirror.status.observed_generation)


def test_following_tells_only_what_is_new() -> None:
    mirror = synced()
    running = build.with_status(mirror, status.started(mirror, NOW, "click-aaaaaaaa", REPOSITORY, TARGET, None))
    assert status.following(running, run_of(), NOW + timedelta(minutes=1)) == running.status
    stuck = status.following(running, run_of(waiting="no such image"), NOW)
    assert words(stuck)["Reconciling"] == ("True", "PodNotStarted")
    assert words(stuck)["Ready"] == ("True", "Synced")
    freed = status.following(build.with_status(running, stuck), run_of(), NOW)
    assert words(freed)["Reconciling"] == ("True", "Progressing"), "an image that came at last is told, too"


def test_a_run_that_a_crash_left_untold_is_adopted() -> None:
    after = status.following(build.mirror(), run_of(), NOW)
    assert words(after) == {"Ready": ("Unknown", "Progressing"), "Reconciling": ("True", "Progressing")}
    assert after.last_run is not None
    assert (after.last_run.job, after.phase) == ("click-aaaaaaaa", Phase.IN_PROGRESS)


def test_an_adopted_run_is_followed_by_a_look_that_tells_source_and_target() -> None:
    after = ending.collected(build.mirror(), run_of(), build.task(), NOW)
    assert after.next_sync_time == NOW


def equal(
    mirror: RepositoryMirror, *, fresh: bool = True, asked: str | None = None, source: Listing = ONE
) -> MirrorStatus:
    repository = REPOSITORY if fresh else None
    return status.equal(mirror, compare(mirror, source, source), NOW, asked, repository, TARGET)


@pytest.mark.parametrize("fresh", [True, False])
def test_a_quiet_look_changes_nothing(fresh: bool) -> None:
    assert equal(synced(), fresh=fresh) is synced().status or equal(synced(), fresh=fresh) == synced().status


def test_figures_that_always_move_are_no_change() -> None:
    mirror = synced()
    moved = SourceRepository(
        id=REPOSITORY.id,
        full_name=REPOSITORY.full_name,
        clone_url=REPOSITORY.clone_url,
        default_branch="main",
        size_kb=99,
        pushed_at=NOW,
    )
    assert status.equal(mirror, compare(mirror, ONE, ONE), NOW, None, moved, TARGET) == mirror.status


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    "error",
    [
        Waiting(Reason.SERVER_NOT_READY, "OneDev starts", timedelta(minutes=5)),
        Waiting(Reason.RATE_LIMITED, "wait", timedelta(minutes=5)),
        Retry(Reason.TARGET_UNAVAILABLE, "refused"),
        Stalled(Reason.TARGET_NOT_OURS, "foreign"),
    ],
)
def test_equal_after_a_failure_clears_all_that_said_so(error: SyncError, fresh: bool) -> None:
    mirror = synced()
    failed = build.with_status(mirror, ending.failed(mirror, error, EARLIER, None, None))
    after = equal(failed, fresh=fresh)
    assert words(after) == {
        "Ready": ("True", "Synced"),
        "SourceAvailable": ("True", "Available"),
        "TargetAvailable": ("True", "Available"),
        "Verified": ("True", "RefsEqual"),
    }
    assert (after.failures, after.last_sync_time, after.phase) == (0, NOW, Phase.COMPLETED)


def test_an_empty_source_is_ready() -> None:
    after = equal(build.mirror(), source=Listing({}))
    assert words(after)["Ready"] == ("True", "Empty")
    assert after.refs is not None
    assert after.refs.total == 0


def test_a_rename_and_a_request_are_written_down() -> None:
    assert equal(synced(), asked="t1").last_handled_reconcile_at == "t1"
    named = build.synced_status()
    named["source"]["fullName"] = "old/name"
    after = equal(build.mirror(status=named))
    assert after.source is not None
    assert after.source.full_name == "pallets/click"


READY_NOW = {"Ready": ("True", "Synced"), "Verified": ("True", "RefsEqual")}


def unequal(reason: str, other: str, said: str) -> dict[str, tuple[str, str]]:
    return {"Ready": ("False", reason), "Verified": ("False", "RefsUnequal"), other: ("True", said)}


@pytest.mark.parametrize(
    ("outcome", "reason", "expected", "failures"),
    [
        (Outcome.SYNCED, Reason.SYNCED, READY_NOW, 0),
        (Outcome.UNCHANGED, Reason.SYNCED, READY_NOW, 0),
        (Outcome.PARTIAL, Reason.REFS_UNEQUAL, unequal("RefsUnequal", "Reconciling", "ProgressingWithRetry"), 1),
        (Outcome.PARTIAL, Reason.REFS_REJECTED, unequal("RefsRejected", "Stalled", "RefsRejected"), 0),
        (Outcome.BLOCKED, Reason.REWRITE_BLOCKED, unequal("RewriteBlocked", "Stalled", "RewriteBlocked"), 0),
    ],
)
def test_collected(outcome: Outcome, reason: Reason, expected: dict[str, tuple[str, str]], failures: int) -> None:
    mirror = synced()
    running = build.with_status(mirror, status.started(mirror, NOW, "click-aaaaaaaa", REPOSITORY, TARGET, None))
    report = build.task(
        outcome, reason, message="one", unequal=("refs/heads/a+b",), unequal_count=3, created=2, updated=1
    )
    after = ending.collected(running, run_of(), report, NOW)
    available = {"SourceAvailable": ("True", "Available"), "TargetAvailable": ("True", "Available")}
    assert words(after) == {**expected, **available}
    phase = Phase.COMPLETED if expected is READY_NOW else Phase.FAILED
    assert (after.failures, after.phase, after.last_sync_time) == (failures, phase, NOW)
    assert after.next_sync_time is not None
    assert (after.next_sync_time - NOW < timedelta(minutes=1)) == (failures > 0)
    assert after.last_run is not None
    assert (after.last_run.outcome, after.last_run.seconds) == (outcome.value, 1.5)
    assert (after.history[0].outcome, after.history[0].refs_changed) == (outcome.value, 3)
    if outcome is Outcome.PARTIAL:
        verified = after.condition(ConditionType.VERIFIED)
        assert verified is not None
        assert verified.message == "3 refs differ: refs/heads/a+b and 2 more"


def test_what_a_run_may_mend_waits_no_longer_than_an_interval() -> None:
    mirror = build.mirror(status=build.synced_status(failures=9))
    after = ending.collected(mirror, run_of(), build.task(Outcome.PARTIAL, Reason.REFS_UNEQUAL), NOW)
    assert after.next_sync_time is not None
    assert timedelta(minutes=9) < after.next_sync_time - NOW < timedelta(minutes=11)


@pytest.mark.parametrize("failing", [True, False])
def test_a_run_that_outlives_a_suspension_has_the_last_word(failing: bool) -> None:
    mirror, run = build.mirror(status=build.synced_status(), meta={"generation": 2}, suspend=True), run_of(generation=1)
    if failing:
        after = ending.failed(mirror, Retry(Reason.TIMED_OUT, "x"), NOW, run, None)
        assert words(after)["Ready"] == ("False", "TimedOut")
    else:
        after = ending.collected(mirror, run, build.task(), NOW)
        assert words(after)["Ready"] == ("True", "Synced")
        assert "Reconciling" not in words(after)


def test_an_adopted_run_that_went_well_leaves_nothing_unavailable() -> None:
    before = build.mirror()
    failed = build.with_status(before, ending.failed(before, Retry(Reason.SOURCE_UNAVAILABLE, "x"), NOW, None, None))
    after = ending.collected(failed, run_of(), build.task(), NOW)
    assert words(after) == {"Ready": ("True", "Synced"), "Verified": ("True", "RefsEqual")}


def test_an_approval_is_readable_in_full() -> None:
    report = build.task(Outcome.BLOCKED, Reason.REWRITE_BLOCKED, message="cut", approval="sha256:abc")
    ready = ending.collected(synced(), run_of(), report, NOW).condition(READY)
    assert ready is not None
    assert ready.message.endswith("approve=sha256:abc")


def test_history_is_short_and_the_newest_comes_first() -> None:
    mirror = synced()
    for number in range(15):
        mirror = build.with_status(mirror, ending.collected(mirror, run_of(f"click-{number:08}"), build.task(), NOW))
    assert [entry.job for entry in mirror.status.history] == [f"click-{number:08}" for number in range(14, 4, -1)]


@pytest.mark.parametrize("failing", [True, False])
def test_a_run_for_an_older_spec_settles_nothing(failing: bool) -> None:
    mirror, run = synced(generation=2), run_of(generation=1)
    if failing:
        after = ending.failed(mirror, Stalled(Reason.TARGET_NOT_OURS, "x"), NOW, run, None)
    else:
        after = ending.collected(mirror, run, build.task(), NOW)
    assert words(after)["Ready"] == ("Unknown", "Progressing")
    assert (after.next_sync_time, after.observed_generation) == (NOW, 1)
    assert not attempted(build.with_status(mirror, after))
    assert after.last_run is not None
    assert after.last_run.outcome is not None


@pytest.mark.parametrize(
    ("error", "other", "domain", "failures", "wait", "observed"),
    [
        pytest.param(
            Stalled(Reason.TARGET_NOT_OURS, "x"),
            ("Stalled", "TargetNotOurs"),
            "TargetAvailable",
            4,
            (timedelta(minutes=9), timedelta(minutes=11)),
            2,
            id="stalled",
        ),
        pytest.param(
            Waiting(Reason.RATE_LIMITED, "x", timedelta(minutes=7)),
            ("Reconciling", "ProgressingWithRetry"),
            "SourceAvailable",
            3,
            (timedelta(minutes=7), timedelta(minutes=7)),
            1,
            id="waiting",
        ),
        pytest.param(
            Retry(Reason.OUT_OF_MEMORY, "x"),
            ("Reconciling", "ProgressingWithRetry"),
            None,
            4,
            (timedelta(seconds=80), timedelta(seconds=96)),
            1,
            id="retry",
        ),
    ],
)
def test_failed(
    error: SyncError,
    other: tuple[str, str],
    domain: str | None,
    failures: int,
    wait: tuple[timedelta, timedelta],
    observed: int,
) -> None:
    mirror = build.mirror(status=build.synced_status(failures=3), meta={"generation": 2})
    after = ending.failed(mirror, error, NOW, None, "t1")
    expected = {"Ready": ("False", error.reason.value), other[0]: ("True", other[1])}
    assert words(after) == expected | ({domain: ("False", error.reason.value)} if domain else {})
    assert (after.failures, after.observed_generation, after.last_handled_reconcile_at) == (failures, observed, "t1")
    assert after.next_sync_time is not None
    assert wait[0] <= after.next_sync_time - NOW <= wait[1]
    assert (after.last_attempt_time, after.phase) == (NOW, Phase.FAILED)


def test_a_lost_run_is_told_as_failed() -> None:
    mirror = build.mirror(status=build.synced_status(lastRun=build.run_status()))
    after = ending.failed(mirror, Retry(Reason.RUN_LOST, "x"), NOW, None, None)
    assert after.last_run is not None
    assert (after.last_run.outcome, after.phase) == ("Failed", Phase.FAILED)


# The invariants.


def check(mirror: RepositoryMirror, before: MirrorStatus) -> None:
    """Flux's rules for a status that was just written. `running` states may be Ready and Reconciling at once."""
    after, generation = mirror.status, mirror.metadata.generation
    found = {c.type: c for c in after.conditions}
    ready, reconciling, stalled = found.get("Ready"), found.get("Reconciling"), found.get("Stalled")
    running = after.last_run is not None and after.last_run.outcome is None
    assert len(found) == len(after.conditions), "one of each type"
    assert ready is not None, "FAIL0002"
    assert not (reconciling and stalled), "FAIL0005"
    for abnormal in (reconciling, stalled):
        assert abnormal is None or abnormal.status == "True", "abnormal-true: present only while true"
        assert abnormal is None or running or ready.status != "True", "FAIL0001"
    if stalled:
        assert ready.status == "False", "FAIL0004"
    if reconciling and not running:
        assert ready.status == "False" or ready.reason == Reason.PROGRESSING, "FAIL0003"
    if ready.status == "Unknown" and ready.reason != Reason.SUSPENDED:
        assert reconciling is not None, "FAIL0011"
    observed = after.observed_generation or 0
    assert observed <= generation, "FAIL0006"
    if ready.status == "True":
        assert observed == generation, "FAIL0007"
        assert all(c.observed_generation == generation for c in after.conditions), "FAIL0008 and FAIL0009"
    for one in after.conditions:
        old = next((c for c in before.conditions if c.type == one.type), None)
        assert one.reason in list(Reason), "reasons are documented words"
        if old is not None and old.status == one.status:
            assert one.last_transition_time == old.last_transition_time, "moves only with the status"
    assert (after.phase is Phase.IN_PROGRESS) == running
    assert after.failures >= 0
    assert len(after.history) <= ending.HISTORY_LIMIT


ERRORS = st.one_of(
    st.builds(Stalled, st.sampled_from(Reason), st.just("x")),
    st.builds(Retry, st.sampled_from(Reason), st.just("x")),
    st.builds(Waiting, st.sampled_from(Reason), st.just("x"), st.timedeltas(timedelta(0), timedelta(hours=2))),
)
FINISHED = st.sampled_from([outcome for outcome in Outcome if outcome is not Outcome.FAILED])
ASKED = st.none() | st.sampled_from(["t1", "t2"])


def at_rest(draw: st.DrawFn, mirror: RepositoryMirror, now: datetime) -> MirrorStatus:
    """One of the steps of a mirror without a run."""
    asked = draw(ASKED)
    match draw(st.sampled_from(["waiting", "started", "started", "equal", "equal", "failed"])):
        case "waiting":
            return status.waiting_for_slot(mirror, now)
        case "started":
            job = f"click-{draw(st.integers(0, 10**7)):08}"
            return status.started(mirror, now, job, REPOSITORY, TARGET, asked)
        case "equal":
            fresh = mirror.status.source is None or draw(st.booleans())
            source = draw(st.sampled_from([ONE, Listing({})]))
            repository = REPOSITORY if fresh else None
            return status.equal(mirror, compare(mirror, source, source), now, asked, repository, TARGET)
        case _:
            return ending.failed(mirror, draw(ERRORS), now, None, asked)


def running(draw: st.DrawFn, mirror: RepositoryMirror, now: datetime, job: str, worked_on: int) -> MirrorStatus:
    """One of the steps of a mirror with a run."""
    run = run_of(job, worked_on, created=now)
    match draw(st.sampled_from(["following", "stuck", "collected", "collected", "failed", "lost"])):
        case "following":
            return status.following(mirror, run, now)
        case "stuck":
            return status.following(mirror, run_of(job, worked_on, "no image"), now)
        case "collected":
            return ending.collected(mirror, run, build.task(draw(FINISHED), draw(st.sampled_from(Reason))), now)
        case "failed":
            return ending.failed(mirror, draw(ERRORS), now, run, None)
        case _:
            return ending.failed(mirror, Retry(Reason.RUN_LOST, "x"), now, None, None)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[RepositoryMirror, MirrorStatus]]:
    """(a mirror after a step, its status before) for a random life."""
    mirror, now, told, worked_on = build.mirror(), NOW, [], 1
    if draw(st.booleans()):
        mirror = build.mirror(suspend=True)
        before, mirror = mirror.status, build.with_status(mirror, status.suspended_before_first(mirror, now))
        told.append((mirror, before))
        mirror = mirror.changed(metadata=mirror.metadata.changed(generation=2))
    for _ in range(draw(st.integers(1, 12))):
        now += timedelta(seconds=draw(st.integers(0, 4000)))
        last = mirror.status.last_run
        if last is None or last.outcome is not None:
            worked_on = mirror.metadata.generation
            adopted = draw(st.integers(0, 9)) == 0
            after = running(draw, mirror, now, "click-zzzzzzzz", worked_on) if adopted else at_rest(draw, mirror, now)
        else:
            after = running(draw, mirror, now, last.job, worked_on)
        before, mirror = mirror.status, build.with_status(mirror, after)
        told.append((mirror, before))
        if draw(st.integers(0, 3)) == 0:
            mirror = mirror.changed(metadata=mirror.metadata.changed(generation=mirror.metadata.generation + 1))
    return told


@settings(max_examples=300, deadline=None)
@given(lives())
def test_every_status_of_every_life_keeps_the_rules(life: list[tuple[RepositoryMirror, MirrorStatus]]) -> None:
    for mirror, before in life:
        if mirror.status != before:
            check(mirror, before)
