"""From how the mirrors of a run ended to the one number that the Job's failure policy reads."""

from collections.abc import Iterable

from ..api.conditions import Reason
from ..api.report import ExitCode, Outcome, TaskReport

_CODES = {
    Reason.SOURCE_AUTHENTICATION_FAILED: ExitCode.SOURCE_AUTHENTICATION,
    Reason.GONE: ExitCode.SOURCE_GONE,
    Reason.PRIVATE_OR_GONE: ExitCode.SOURCE_GONE,
    Reason.TAKEN_DOWN: ExitCode.SOURCE_BLOCKED,
    Reason.BLOCKED: ExitCode.SOURCE_BLOCKED,
    Reason.DISABLED: ExitCode.SOURCE_BLOCKED,
    Reason.NOT_SUPPORTED: ExitCode.SOURCE_BLOCKED,
    Reason.TARGET_AUTHENTICATION_FAILED: ExitCode.TARGET_AUTHENTICATION,
    Reason.SECRET_INVALID: ExitCode.TARGET_AUTHENTICATION,
    Reason.TARGET_NOT_PERMITTED: ExitCode.TARGET_REFUSED,
    Reason.TARGET_REFUSED: ExitCode.TARGET_REFUSED,
    Reason.TARGET_NOT_OURS: ExitCode.TARGET_REFUSED,
    Reason.WORKER_FAILED: ExitCode.OUR_BUG,
    Reason.INVALID_SPEC: ExitCode.OUR_BUG,
}


def exit_code(reports: Iterable[TaskReport]) -> ExitCode:
    """The highest code of all: one mirror that failed for good must not hide behind one that may recover."""
    return max((_code(report) for report in reports), default=ExitCode.OK)


def _code(report: TaskReport) -> ExitCode:
    if report.outcome is not Outcome.FAILED:
        return ExitCode.OK
    return _CODES.get(report.reason, ExitCode.TRANSIENT)
