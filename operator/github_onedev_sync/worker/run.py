"""One run: its mirrors, several at once but one push at a time, each reported on its own, none able to spoil its
neighbours."""

import asyncio
import errno
import traceback
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from ..api.assignment import Assignment, Task
from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.redact import Redactor, printable
from ..api.report import Outcome, Report, TaskReport
from ..transfer.engine import Endpoint
from ..transfer.git_words import out_of_space
from ..transfer.listing import RefReader
from ..transfer.onedev import Repository
from ..transfer.sync import Engines, Ways, synchronize
from ..transfer.tally import Tally
from .clock import Clock
from .credentials import read
from .engines import EngineFactory, Kit, make_copier, make_engine
from .log import JsonLog, ProgressLog

# While one mirror's objects move, others list and compare.
_AT_ONCE = 4


@dataclass
class _Work:
    """One mirror's part."""

    task: Task
    scratch: Path
    started: float
    tally: Tally = field(default_factory=Tally)
    report: TaskReport | None = None


@dataclass
class Run:
    """`scratch` is a directory for the objects of mirrors that git moves."""

    assignment: Assignment
    scratch: Path
    log: JsonLog
    clock: Clock
    engine: EngineFactory = make_engine

    def __post_init__(self) -> None:
        now = self.clock.monotonic()
        self._work = [
            _Work(task, self.scratch / f"task-{number}", now) for number, task in enumerate(self.assignment.tasks)
        ]
        self._secrets: set[str] = set()
        # One Job is one slot of its server's.
        self._slots: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(1))

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
        jar, at_once = aiohttp.DummyCookieJar(), asyncio.Semaphore(_AT_ONCE)
        async with (
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=jar, read_bufsize=1 << 15) as session,
            asyncio.TaskGroup() as group,
        ):
            for work in self._work:
                group.create_task(self._one(work, session, at_once))

    async def _one(self, work: _Work, session: aiohttp.ClientSession, at_once: asyncio.Semaphore) -> None:
        async with at_once:
            work.started = self.clock.monotonic()
            self.log("started", mirror=work.task.key)
            self._add(work, await self._reported(work, session))

    def _add(self, work: _Work, report: TaskReport) -> None:
        seconds = round(self.clock.monotonic() - work.started, 3)
        message, fallback = printable(self.log.redact(report.message)), printable(self.log.redact(report.fallback))
        work.report = report = replace(report, seconds=seconds, message=message, fallback=fallback)
        self.log(
            "finished",
            level="error" if report.outcome is Outcome.FAILED else "info",
            mirror=report.key,
            outcome=report.outcome,
            reason=report.reason,
            message=report.message,
            engine=report.engine,
            **({"fallback": report.fallback} if report.fallback else {}),
            seconds=seconds,
            bytes=report.bytes,
            created=report.created,
            updated=report.updated,
            deleted=report.deleted,
            archived=report.archived,
            pruned=report.pruned,
            rejected=report.rejected,
            **({} if report.lfs_objects is None else {"lfs": report.lfs_objects, "lfs_missing": report.lfs_missing}),
        )

    def _end(self, reason: Reason, message: str) -> None:
        """Reports the mirrors that were being worked on, and those that were not begun."""
        for work in self._work:
            if work.report is None:
                self._add(work, _failed(work, reason, message))

    async def _reported(self, work: _Work, session: aiohttp.ClientSession) -> TaskReport:
        try:
            return await self._synchronize(work, session)
        except SyncError as error:
            return _failed(work, error.reason, error.message)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                return _failed(work, Reason.OUT_OF_SPACE, str(out_of_space()))
            return self._bug(work, error)
        except Exception as error:  # noqa: BLE001 (the border that keeps a fault of ours from the other mirrors)
            return self._bug(work, error)

    def _bug(self, work: _Work, error: Exception) -> TaskReport:
        self.log("bug", level="error", mirror=work.task.key, traceback="".join(traceback.format_exception(error)))
        return _failed(work, Reason.WORKER_FAILED, f"a fault of the worker itself: {error!r}")

    async def _synchronize(self, work: _Work, session: aiohttp.ClientSession) -> TaskReport:
        task = work.task
        source = read(task.source.credentials, Reason.SOURCE_AUTHENTICATION_FAILED, "source")
        target = read(task.target.credentials, Reason.TARGET_AUTHENTICATION_FAILED, "target")
        self._secrets.update(filter(None, (source.token, target.token)))
        self.log.redact = Redactor(self._secrets)
        reader = RefReader(session)
        repository = Repository(session, task.api_url, task.project_id, target.token, target.ca)
        kit = Kit(
            task,
            session,
            Endpoint(task.source.url, source.token, source.ca_file, source.ca),
            Endpoint(task.target.url, target.token, target.ca_file, target.ca),
            repository,
            work.scratch,
            ProgressLog(self.log, self.clock, task.key),
        )
        ways = Ways(
            source=lambda: reader.source_refs(task.source.url, source.token, source.ca),
            target=lambda: reader.target_refs(task.target.url, target.token, target.ca),
            repository=repository,
            slot=self._slots[urlsplit(task.target.url).netloc],
            lfs=make_copier(kit),
        )
        engines = Engines(lambda name: self.engine(name, kit), self.assignment.pauses)
        return await synchronize(task, ways, engines, work.tally)

    def report(self) -> Report:
        return Report(self.assignment.run, tuple(work.report for work in self._work if work.report))


def _failed(work: _Work, reason: Reason, message: str) -> TaskReport:
    return work.tally.report(work.task.key, Outcome.FAILED, reason, message)
