"""The process: assignment in, log along the way, report and exit code out."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ..api.assignment import ENVIRONMENT_VARIABLE, WORK_DIRECTORY, Assignment
from ..api.report import TERMINATION_LOG, ExitCode, Report
from .clock import Clock
from .exit_codes import exit_code
from .log import JsonLog
from .run import Run

# Where the report and the scratch data go, for a worker outside a pod.
TERMINATION_LOG_VARIABLE = "GITHUB_ONEDEV_SYNC_TERMINATION_LOG"
WORK_DIRECTORY_VARIABLE = "GITHUB_ONEDEV_SYNC_WORK_DIRECTORY"


def main() -> int:
    """Runs the assignment in the environment; returns an `api.report.ExitCode`."""
    clock = Clock()
    _forget_gits_variables()
    try:
        assignment = Assignment.from_json(os.environ.get(ENVIRONMENT_VARIABLE, ""))
    except ValueError as error:
        JsonLog(sys.stdout, clock, "")("bad-assignment", level="error", message=str(error))
        return ExitCode.OUR_BUG
    log = JsonLog(sys.stdout, clock, assignment.run)
    work = Path(os.environ.get(WORK_DIRECTORY_VARIABLE, WORK_DIRECTORY))
    with TemporaryDirectory(dir=work if work.is_dir() else None, ignore_cleanup_errors=True) as scratch:
        run = Run(assignment, Path(scratch), log, clock)
        asyncio.run(_until_told(run))
    report = run.report()
    _leave(report, log)
    return exit_code(report.tasks)


def _forget_gits_variables() -> None:
    """Whatever the pod's environment tells git (GIT_SSL_NO_VERIFY, GIT_TRACE_CURL, ...) is not meant for our git."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]


async def _until_told(run: Run) -> None:
    """SIGTERM and SIGINT end the run early, with a report."""
    task = asyncio.ensure_future(run.execute())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def _leave(report: Report, log: JsonLog) -> None:
    path = Path(os.environ.get(TERMINATION_LOG_VARIABLE, TERMINATION_LOG))
    text = report.to_json()
    try:
        path.write_text(text)
    except OSError as error:
        log("no-termination-log", level="warning", path=str(path), message=str(error))
