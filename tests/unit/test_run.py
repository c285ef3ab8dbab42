"""Reading a Job with its pod, and what comes of a run that ended."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError
from github_onedev_sync.api.report import ExitCode, Outcome, TaskReport
from github_onedev_sync.decide.run import members_of, read_run, result

from . import builders as build

HOUR = timedelta(hours=1)
RUNNING: dict[str, Any] = {"running": {}}
DRAINED = [{"type": "DisruptionTarget", "status": "True"}]
PENDING = [
    {"type": "Initialized", "status": "True"},
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"},
]


@pytest.mark.parametrize(
    ("job", "pod", "ended", "succeeded"),
    [
        pytest.param({}, None, False, False, id="no pod yet"),
        pytest.param({}, {}, False, False, id="a pod without containers"),
        pytest.param({}, {"state": build.waiting("ContainerCreating")}, False, False, id="starting"),
        pytest.param({}, {"state": RUNNING}, False, False, id="running"),
        pytest.param({}, {"state": build.terminated(0)}, True, True, id="the pod tells first"),
        pytest.param({}, {"state": build.terminated(40)}, True, False, id="the pod tells of a failure first"),
        pytest.param({}, {"phase": "Failed", "reason": "Evicted"}, True, False, id="evicted before it started"),
        pytest.param({"verdict": "Complete"}, None, True, True, id="complete, pod gone"),
        pytest.param({"verdict": "Failed", "reason": "DeadlineExceeded"}, None, True, False, id="too long"),
        pytest.param({"verdict": "FailureTarget"}, {"state": RUNNING}, True, False, id="about to fail"),
        pytest.param({}, {"state": build.terminated(143), "conditions": DRAINED}, False, False, id="drained node"),
        pytest.param(
            {"verdict": "Failed"},
            {"state": build.terminated(143), "conditions": DRAINED},
            True,
            False,
            id="drained, late",
        ),
    ],
)
def test_ended(job: dict[str, Any], pod: dict[str, Any] | None, ended: bool, succeeded: bool) -> None:
    run = read_run(build.job_body(**job), None if pod is None else build.pod_body(**pod))
    assert (run.ended, run.succeeded) == (ended, succeeded)


@pytest.mark.parametrize(
    ("pod", "says", "cannot_start"),
    [
        ({}, "", False),
        ({"state": RUNNING}, "", False),
        ({"state": build.waiting("ContainerCreating")}, "", False),
        ({"state": build.waiting("ImagePullBackOff", "no such image")}, "ImagePullBackOff: no such image", True),
        ({"state": build.waiting("CreateContainerConfigError")}, "CreateContainerConfigError: no message", True),
        ({"conditions": PENDING}, "Unschedulable: 0/1 nodes are available", False),
    ],
)
def test_why_a_pod_does_not_start(pod: dict[str, Any], says: str, cannot_start: bool) -> None:
    run = read_run(build.job_body(), build.pod_body(**pod))
    assert (run.waiting, run.cannot_start, run.ended) == (says, cannot_start, False)


def test_facts_of_a_run() -> None:
    run = read_run(build.job_body(generation=3), build.pod_body(), "uid-click")
    assert (run.job, run.run, run.generation, run.uid) == ("click-aaaaaaaa", "aaaaaaaa", "3", "uid-click-aaaaaaaa")
    assert run.started_at == build.NOW
    assert run.log_command == "kubectl logs -n team job/click-aaaaaaaa"


def test_each_mirror_has_its_own_generation_of_a_run() -> None:
    job = build.job_body(mirrors=("a", "b"), generation=4)
    run = read_run(job, None, "uid-b")
    assert (run.generation, run.shared) == ("4", True)
    assert [member.name for member in run.mirrors] == ["a", "b"]
    assert read_run(job, None, "uid-c").generation == ""


def test_a_run_of_version_0_1_0_is_found_by_its_label() -> None:
    labels = {names.MIRROR_UID: "uid-click", names.SERVER_UID: "uid-default", names.RUN: "aaaaaaaa"}
    job = build.job_body(labels=labels, annotations={names.GENERATION: "3"})
    run = read_run(job, None, "uid-click")
    assert (run.generation, run.shared, [member.uid for member in run.mirrors]) == ("3", False, ["uid-click"])


@pytest.mark.parametrize("text", ["", "{", "7", "[7]", '[{"uid":"a"}]', '{"uid":"a"}'])
def test_a_list_of_mirrors_that_somebody_spoilt_names_none(text: str) -> None:
    assert members_of(build.job_body(annotations={names.MIRRORS: text})) == ()
    assert members_of(build.job_body(annotations={}, labels={})) == ()


def test_an_exit_code_without_a_report_blames_none_of_many() -> None:
    """It tells which failed worst, not which one."""
    run = read_run(build.job_body(mirrors=("a", "b")), build.pod_body(state=build.terminated(ExitCode.SOURCE_GONE)))
    outcome = result(run, "team/a", HOUR)
    assert isinstance(outcome, Retry)
    assert outcome.reason is Reason.WORKER_FAILED


@pytest.mark.parametrize(
    ("pod", "started"),
    [
        (None, False),
        ({}, False),
        ({"state": build.waiting("ContainerCreating")}, False),
        ({"state": RUNNING}, True),
        ({"state": build.terminated(0)}, True),
        ({"phase": "Failed", "reason": "Evicted"}, True),
    ],
)
def test_whether_it_started(pod: dict[str, Any] | None, started: bool) -> None:
    assert read_run(build.job_body(), None if pod is None else build.pod_body(**pod)).started is started


def test_how_long_it_may_take_to_start() -> None:
    limit = timedelta(minutes=2)
    refused = read_run(build.job_body(), build.pod_body(state=build.waiting("ErrImagePull")))
    assert (refused.start_limit(limit), read_run(build.job_body(), None).start_limit(limit)) == (limit, limit * 5)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("worker", "sidecar", "ended", "report"),
    [
        pytest.param(build.terminated(0, build.report_text()), RUNNING, True, True, id="the sidecar goes on"),
        pytest.param(RUNNING, build.terminated(1, "x"), False, False, id="the sidecar died"),
        pytest.param(RUNNING, build.waiting("ImagePullBackOff"), False, False, id="the sidecar cannot start"),
    ],
)
def test_the_worker_is_found_beside_sidecars(
    worker: dict[str, Any], sidecar: dict[str, Any], ended: bool, report: bool, reverse: bool
) -> None:
    pod = build.pod_body(state=worker)
    pod["status"]["containerStatuses"].append({"name": "proxy", "state": sidecar})
    if reverse:
        pod["status"]["containerStatuses"].reverse()
    run = read_run(build.job_body(), pod)
    assert (run.ended, run.report is not None, run.started, run.cannot_start) == (ended, report, True, False)


GARBAGE = [None, "", "}", "null", '{"v":1}', '{"v":99,"run":"x","tasks":[]}', build.report_text()[:-20], "x" * 4096]


@pytest.mark.parametrize(
    ("job", "pod", "policy", "reason", "says"),
    [
        *(
            pytest.param(
                {}, {"state": build.terminated(code, text)}, policy, reason, "kubectl logs", id=f"exit {code}, {number}"
            )
            for number, text in enumerate(GARBAGE)
            for code, policy, reason in (
                (0, Retry, Reason.WORKER_FAILED),
                (1, Retry, Reason.WORKER_FAILED),
                (ExitCode.TRANSIENT, Retry, Reason.WORKER_FAILED),
                (ExitCode.OUR_BUG, Retry, Reason.WORKER_FAILED),
                (ExitCode.SOURCE_AUTHENTICATION, Stalled, Reason.SOURCE_AUTHENTICATION_FAILED),
                (ExitCode.SOURCE_GONE, Retry, Reason.PRIVATE_OR_GONE),
                (ExitCode.SOURCE_BLOCKED, Retry, Reason.BLOCKED),
                (ExitCode.TARGET_AUTHENTICATION, Stalled, Reason.TARGET_AUTHENTICATION_FAILED),
                (ExitCode.TARGET_REFUSED, Retry, Reason.TARGET_REFUSED),
            )
        ),
        pytest.param(
            {}, {"state": build.terminated(137, None, "OOMKilled")}, Retry, Reason.OUT_OF_MEMORY, "memory", id="OOM"
        ),
        pytest.param({}, {"state": build.terminated(137)}, Retry, Reason.OUT_OF_MEMORY, "memory", id="killed by -9"),
        pytest.param(
            {"verdict": "Failed", "reason": "DeadlineExceeded"},
            {"state": build.terminated(143)},
            Retry,
            Reason.TIMED_OUT,
            r"spec.timeout \(1h\)",
            id="deadline",
        ),
        pytest.param(
            {},
            {"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir exceeds the limit."},
            Retry,
            Reason.OUT_OF_SPACE,
            "EmptyDir exceeds the limit. Raise",
            id="evicted",
        ),
        pytest.param(
            {},
            {"phase": "Failed", "reason": "Evicted", "state": build.terminated(137)},
            Retry,
            Reason.OUT_OF_SPACE,
            "evicted",
            id="evicted while it worked",
        ),
        pytest.param({"verdict": "Complete"}, None, Retry, Reason.RUN_LOST, "deleted", id="pod gone, job complete"),
        pytest.param(
            {"verdict": "Failed", "reason": "BackoffLimitExceeded"},
            None,
            Retry,
            Reason.RUN_LOST,
            "BackoffLimitExceeded",
            id="pod gone, job failed",
        ),
        pytest.param({}, {"phase": "Failed", "reason": "NodeLost"}, Retry, Reason.RUN_LOST, "NodeLost", id="node lost"),
    ],
)
def test_a_run_without_a_report_gives_a_documented_reason(
    job: dict[str, Any], pod: dict[str, Any] | None, policy: type[SyncError], reason: Reason, says: str
) -> None:
    run = read_run(build.job_body(**job), None if pod is None else build.pod_body(**pod))
    with pytest.raises(policy, match=says) as caught:
        _raise(result(run, "team/click", HOUR))
    assert caught.value.reason is reason


def _raise(outcome: TaskReport | SyncError) -> None:
    assert isinstance(outcome, SyncError)
    raise outcome


def ended(*tasks: TaskReport, code: int = 0) -> TaskReport | SyncError:
    run = read_run(build.job_body(), build.pod_body(state=build.terminated(code, build.report_text(*tasks))))
    return result(run, "team/click", HOUR)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.FAILED])
def test_a_report_is_taken_at_its_word(outcome: Outcome) -> None:
    report = build.task(outcome, Reason.REFS_REJECTED)
    assert ended(build.task(key="team/other"), report) == report


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reported_failure_keeps_its_reason(reason: Reason) -> None:
    found = ended(build.task(Outcome.FAILED, reason, message="a sentence"), code=40)
    assert isinstance(found, Stalled | Retry)
    assert (found.reason, found.message) == (reason, "a sentence")


def test_only_a_person_mends_a_refused_token() -> None:
    assert isinstance(ended(build.task(Outcome.FAILED, Reason.TARGET_AUTHENTICATION_FAILED)), Stalled)
    assert isinstance(ended(build.task(Outcome.FAILED, Reason.SOURCE_UNAVAILABLE)), Retry)


def test_a_failure_without_words_points_at_the_log() -> None:
    found = ended(build.task(Outcome.FAILED, Reason.TIMED_OUT))
    assert isinstance(found, Retry)
    assert found.message == "See kubectl logs -n team job/click-aaaaaaaa"


def test_the_report_of_another_mirror_is_none() -> None:
    found = ended(build.task(key="team/other"))
    assert isinstance(found, Retry)
    assert found.reason is Reason.WORKER_FAILED


BITS = st.fixed_dictionaries(
    {},
    optional={
        "exitCode": st.integers(-1, 300),
        "message": st.none() | st.text(max_size=30),
        "reason": st.none() | st.text(max_size=10),
    },
)


@given(st.none() | BITS, st.sampled_from(["", "Pending", "Failed", "Succeeded"]), st.sampled_from(["", "Evicted"]))
def test_whatever_the_kubelet_says_ends_in_a_reason(bits: dict[str, Any] | None, phase: str, reason: str) -> None:
    state = {} if bits is None else {"terminated": bits}
    run = read_run(build.job_body(verdict="Failed"), build.pod_body(state=state, phase=phase, reason=reason))
    assert run.ended
    assert isinstance(result(run, "team/click", HOUR), SyncError)
