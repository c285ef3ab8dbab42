"""One run: its mirrors one after the other, each reported on its own, none able to spoil its neighbours."""

import asyncio
import errno
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from ..api.assignment import Assignment, Task
from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.redact import Redactor, printable
from ..api.report import Outcome, Report, TaskReport
from ..transfer.engine import Endpoint, Engine, Progress
from ..transfer.git_engine import GitEngine
from ..transfer.git_words import out_of_space
from ..transfer.head import set_default_branch
from ..transfer.listing import RefReader
from ..transfer.sync import Tally, Ways, synchronize
from .clock import Clock
from .credentials import Credentials, read
from .log import JsonLog, ProgressLog

EngineFactory = Callable[[Path, Endpoint, Endpoint, Progress], Engine]


@dataclass
class Run:
    """`scratch` is a directory that holds one mirror's objects at a time."""

    assignment: Assignment
    scratch: Path
    log: JsonLog
    clock: Clock
    engine: EngineFactory = GitEngine

    def __post_init__(self) -> None:
        self._reports: list[TaskReport] = []
        self._tally = Tally()
        self._started = self.clock.monotonic()

    async def execute(self) -> None:
        """Carries the assignment out within its time. Cancelling it is fine: `report` tells how far it came."""
        try:
            async with asyncio.timeout(self.assignment.timeout_seconds):
                await self._all()
        except TimeoutError:
            limit = f"{self.assignment.timeout_seconds:g} s"
            self._end(Reason.TIMED_OUT, f"the run did not end within {limit}; raise spec.timeout if it needs longer")
        except asyncio.CancelledError:
            self._end(Reason.RUN_LOST, "the cluster ended the worker before it was done; it is tried again")
            raise

    async def _all(self) -> None:
        # A server's cookies would carry one mirror's session over to the next one's token.
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(trust_env=True, auto_decompress=False, cookie_jar=jar) as session:
            for number, task in enumerate(self.assignment.tasks):
                self._tally = Tally()
                self._started = self.clock.monotonic()
                self.log("started", mirror=task.key)
                report = await self._one(task, session, self.scratch / f"task-{number}")
                self._add(report)

    def _add(self, report: TaskReport) -> None:
        seconds = round(self.clock.monotonic() - self._started, 3)
        report = replace(report, seconds=seconds, message=printable(self.log.redact(report.message)))
        self._reports.append(report)
        self.log(
            "finished",
            level="error" if report.outcome is Outcome.FAILED else "info",
            mirror=report.key,
            outcome=report.outcome,
            reason=report.reason,
            message=report.message,
            seconds=seconds,
            bytes=report.bytes,
            created=report.created,
            updated=report.updated,
            deleted=report.deleted,
            archived=report.archived,
            rejected=report.rejected,
        )

    def _end(self, reason: Reason, message: str) -> None:
        """Reports the mirror that was being worked on, and those that were not begun."""
        for task in self.assignment.tasks[len(self._reports) :]:
            self._add(self._failed(task, reason, message))
            self._tally = Tally()
            self._started = self.clock.monotonic()

    def _failed(self, task: Task, reason: Reason, message: str) -> TaskReport:
        return self._tally.report(task.key, Outcome.FAILED, reason, message)

    async def _one(self, task: Task, session: aiohttp.ClientSession, scratch: Path) -> TaskReport:
        try:
            return await self._synchronize(task, session, scratch)
        except SyncError as error:
            return self._failed(task, error.reason, error.message)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return self._failed(task, Reason.OUT_OF_SPACE, str(out_of_space()))
            return self._bug(task, error)
        except Exception as error:  # noqa: BLE001 (the border that keeps a fault of ours from the other mirrors)
            return self._bug(task, error)

    def _bug(self, task: Task, error: Exception) -> TaskReport:
        self.log("bug", level="error", mirror=task.key, traceback="".join(traceback.format_exception(error)))
        return self._failed(task, Reason.WORKER_FAILED, f"a fault of the worker itself: {error!r}")

    async def _synchronize(self, task: Task, session: aiohttp.ClientSession, scratch: Path) -> TaskReport:
        source = read(task.source.credentials, Reason.SOURCE_AUTHENTICATION_FAILED, "source")
        target = read(task.target.credentials, Reason.TARGET_AUTHENTICATION_FAILED, "target")
        self.log.redact = Redactor(filter(None, (source.token, target.token)))
        engine = self.engine(
            scratch,
            Endpoint(task.source.url, source.token, source.ca_file),
            Endpoint(task.target.url, target.token, target.ca_file),
            ProgressLog(self.log, self.clock, task.key),
        )
        try:
            return await synchronize(task, _ways(task, session, source, target), engine, self._tally)
        finally:
            self._tally.bytes = engine.received
            await engine.close()

    def report(self) -> Report:
        return Report(self.assignment.run, tuple(self._reports))


def _ways(task: Task, session: aiohttp.ClientSession, source: Credentials, target: Credentials) -> Ways:
    reader = RefReader(session)
    return Ways(
        source=lambda: reader.source_refs(task.source.url, source.token, source.ca),
        target=lambda: reader.target_refs(task.target.url, target.token, target.ca),
        set_head=lambda branch: set_default_branch(
            session, task.api_url, task.project_id, branch, target.token, target.ca
        ),
    )
