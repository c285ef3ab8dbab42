"""A run as the cluster shows it: one Job with its pod, read into a plain value."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..api import duration, names
from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from ..api.report import ExitCode, Outcome, Report, TaskReport

Body = Mapping[str, Any]

# Reasons that a worker reports and that no retry mends.
_PERMANENT = frozenset(
    (
        Reason.SOURCE_AUTHENTICATION_FAILED,
        Reason.TARGET_AUTHENTICATION_FAILED,
        Reason.TARGET_NOT_PERMITTED,
        Reason.TARGET_NOT_OURS,
        Reason.NOT_SUPPORTED,
    )
)

_BY_EXIT_CODE: Mapping[int, Reason] = {
    ExitCode.SOURCE_AUTHENTICATION: Reason.SOURCE_AUTHENTICATION_FAILED,
    ExitCode.SOURCE_GONE: Reason.PRIVATE_OR_GONE,
    ExitCode.SOURCE_BLOCKED: Reason.BLOCKED,
    ExitCode.TARGET_AUTHENTICATION: Reason.TARGET_AUTHENTICATION_FAILED,
    ExitCode.TARGET_REFUSED: Reason.TARGET_REFUSED,
}

# What the kubelet says of a container that can't start; most pass when a person mends the cause, so none is final.
_CANNOT_START = frozenset(
    (
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    )
)


CONTAINER = "worker"
_PATIENCE = 5


@dataclass(frozen=True)
class Member:
    """A mirror that a Job works for, and the generation of its spec that the run goes by, empty where nothing tells."""

    uid: str
    name: str
    generation: str


def members_of(job: Body) -> tuple[Member, ...]:
    metadata = job["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    try:
        told = json.loads(annotations.get(names.MIRRORS, "[]"))
        members = tuple(Member(str(one["uid"]), str(one["name"]), str(one["generation"])) for one in told)
    except (ValueError, KeyError, TypeError):
        members = ()
    alone = labels.get(names.MIRROR_UID)
    return members or ((Member(alone, "", annotations.get(names.GENERATION, "")),) if alone else ())


@dataclass(frozen=True)
class Run:
    """`ended` is told by the pod, some 2 s before the Job tells it, or by the Job where the pod is gone. A pod that its
    node gave up ends nothing: the Job makes another.

    `exit_code` and `termination` (message, then the kubelet's reason) are the worker container's; `job_reason` is the
    failed Job's, such as DeadlineExceeded; `waiting` is why a container has not started, or empty. `mirrors` are all
    that the run works for, and `generation` is the one of the spec of the mirror whose run this is.
    """

    job: str
    namespace: str
    run: str
    started_at: datetime
    ended: bool
    mirrors: tuple[Member, ...] = ()
    generation: str = ""
    succeeded: bool = False
    exit_code: int | None = None
    report: Report | None = None
    container_reason: str = ""
    pod_reason: str = ""
    pod_message: str = ""
    job_reason: str = ""
    uid: str = ""
    started: bool = False
    waiting: str = ""
    cannot_start: bool = False

    @property
    def shared(self) -> bool:
        return len(self.mirrors) > 1

    def start_limit(self, limit: timedelta) -> timedelta:
        """How long the container may take to start: `limit` where the kubelet says that it cannot, else longer, for
        an image may be large and a node may have to be found."""
        return limit if self.cannot_start else limit * _PATIENCE

    @property
    def no_start(self) -> str:
        return self.waiting or f"nothing tells why. See kubectl describe -n {self.namespace} job/{self.job}"

    @property
    def log_command(self) -> str:
        return f"kubectl logs -n {self.namespace} job/{self.job}"


def read_run(job: Body, pod: Body | None, mirror_uid: str = "") -> Run:
    """The run as it concerns one mirror, where one is named."""
    metadata, status, members = job["metadata"], job.get("status") or {}, members_of(job)
    verdict = _true_conditions(status)
    failed = verdict.get("Failed") or verdict.get("FailureTarget")
    pod_status = (pod or {}).get("status") or {}
    statuses: list[Body] = pod_status.get("containerStatuses") or []
    # Others may have put a sidecar beside it.
    container = next((status for status in statuses if status.get("name") == CONTAINER), {})
    state = container.get("state") or {}
    terminated, waiting = state.get("terminated"), state.get("waiting") or {}
    pod_ended = terminated is not None or pod_status.get("phase") in ("Succeeded", "Failed")
    given_up = "DisruptionTarget" in _true_conditions(pod_status)
    blocked = waiting.get("reason") if waiting.get("reason") in _CANNOT_START else ""
    return Run(
        job=metadata["name"],
        uid=metadata.get("uid", ""),
        started=state.get("running") is not None or pod_ended,
        namespace=metadata["namespace"],
        run=(metadata.get("labels") or {}).get(names.RUN, ""),
        started_at=datetime.fromisoformat(metadata["creationTimestamp"]),
        ended=(pod_ended and not given_up) or failed is not None or "Complete" in verdict,
        mirrors=members,
        generation=next((member.generation for member in members if member.uid == mirror_uid), ""),
        succeeded=(terminated or {}).get("exitCode") == 0 or "Complete" in verdict,
        exit_code=(terminated or {}).get("exitCode"),
        report=Report.from_json((terminated or {}).get("message")),
        container_reason=(terminated or {}).get("reason") or "",
        pod_reason=pod_status.get("reason") or "",
        pod_message=pod_status.get("message") or "",
        job_reason=(failed or {}).get("reason") or "",
        waiting=f"{blocked}: {waiting.get('message') or 'no message'}" if blocked else _unscheduled(pod_status),
        cannot_start=bool(blocked),
    )


def _true_conditions(status: Body) -> dict[str, Body]:
    return {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}


def _unscheduled(pod_status: Body) -> str:
    for condition in pod_status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"
    return ""


def result(run: Run, key: str, timeout: timedelta) -> TaskReport | SyncError:
    """What a run that ended brought for one mirror: its report, or the failure with its policy."""
    task = run.report.of(key) if run.report else None
    if task is not None and task.outcome is not Outcome.FAILED:
        return task
    if task is not None:
        return (Stalled if task.reason in _PERMANENT else Retry)(task.reason, task.message or f"See {run.log_command}")
    return _without_report(run, timeout)


def _without_report(run: Run, timeout: timedelta) -> SyncError:
    if run.job_reason == "DeadlineExceeded":
        return Retry(
            Reason.TIMED_OUT,
            f"The run did not end within spec.timeout ({duration.show(timeout)}). "
            f"Raise it if the repository is large. See {run.log_command}",
        )
    if run.container_reason == "OOMKilled" or (run.exit_code == 137 and not run.pod_reason):
        return Retry(
            Reason.OUT_OF_MEMORY,
            "The worker was ended at its memory limit. Raise the chart's worker.resources.limits.memory.",
        )
    if run.pod_reason == "Evicted":
        return Retry(
            Reason.OUT_OF_SPACE,
            f"The worker's pod was evicted: {run.pod_message} Raise the chart's worker.scratchSizeLimit.",
        )
    # Of several mirrors the exit code tells which failed worst, and not which one.
    reason = None if run.shared else _BY_EXIT_CODE.get(run.exit_code or 0)
    if reason is not None:
        return (Stalled if reason in _PERMANENT else Retry)(reason, f"The worker left no report. See {run.log_command}")
    if run.exit_code is None:
        return Retry(
            Reason.RUN_LOST,
            f"The run ended without a trace of its pod ({run.job_reason or run.pod_reason or 'deleted'}).",
        )
    return Retry(
        Reason.WORKER_FAILED, f"The worker ended with exit code {run.exit_code} and no report. See {run.log_command}"
    )
