"""One mirror's part of a run, from two ref listings to a verified report."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from ..api.assignment import Task
from ..api.conditions import Reason
from ..api.errors import Retry, Stalled
from ..api.refs import BRANCHES, Listing
from ..api.report import TaskReport
from .engine import Engine, Moved, Trouble, Unfit
from .onedev import Repository
from .plan import Plan, Survey, Wish, make_plan
from .steps import TOLERANT, Command, Knowledge, MoveBranch, SetHead, Step
from .tally import Tally
from .verdict import Verdict

if TYPE_CHECKING:
    from .lfs import LfsCounts

# Seconds after which what was seen is looked at again. No push overwrites a ref that is not where it was seen.
_FRESH = 10.0
_MAY_PASS = (Reason.SOURCE_UNAVAILABLE, Reason.TARGET_UNAVAILABLE)


@dataclass(frozen=True)
class Ways:
    """How a run reaches both sides: what lists their refs now, and OneDev's REST API.

    `slot` is held while objects move. OneDev lets few pushes in at once, and one that waits for its turn would let
    the source wait, too. `lfs` copies the LFS objects behind these tips of the source's listing to the target,
    whose listing is the third; None where they are not asked for.
    """

    source: Callable[[], Awaitable[Listing]]
    target: Callable[[], Awaitable[Listing]]
    repository: Repository
    slot: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    lfs: "Callable[[Listing, Collection[str], Listing], Awaitable[LfsCounts]] | None" = None


@dataclass(frozen=True)
class Engines:
    """Makes an engine by its name, `Relay` or `Git`. `pauses`: seconds before each further attempt with it."""

    make: Callable[[str], Engine]
    pauses: Sequence[float]


async def synchronize(task: Task, ways: Ways, engines: Engines, tally: Tally) -> TaskReport:
    """Makes the target equal to the source as far as `task` lets it; `tally` counts along.

    Raises `SyncError` where the run could not go on. The target then holds whole refs, old or new.
    """
    if task.engine == "Git" or task.lfs:
        return await _with("Git", task, ways, engines, tally)
    try:
        return await _with("Relay", task, ways, engines, tally)
    except (Unfit, Trouble) as why:
        if task.engine == "Relay" and isinstance(why, Unfit):
            raise Stalled(Reason.NOT_SUPPORTED, f"{why}; set spec.engine: Auto, which lets git do it") from why
        if task.engine == "Relay":
            raise
        tally.fallback = str(why)
    return await _with("Git", task, ways, engines, tally)


async def _with(name: str, task: Task, ways: Ways, engines: Engines, tally: Tally) -> TaskReport:
    """A few attempts with one engine, each with fresh listings: what was abandoned may yet have been done."""
    engine = engines.make(name)
    tally.use(engine)
    try:
        for pause in engines.pauses:
            try:
                return await _Attempt(task, ways, engine, tally).run()
            except Retry as error:
                if not isinstance(error, Moved) and error.reason not in _MAY_PASS:
                    raise
            await asyncio.sleep(pause)
        return await _Attempt(task, ways, engine, tally).run()
    finally:
        tally.note(engine)
        await engine.close()


class _Attempt:
    def __init__(self, task: Task, ways: Ways, engine: Engine, tally: Tally) -> None:
        self._task = task
        self._ways = ways
        self._engine = engine
        self._tally = tally

    async def run(self) -> TaskReport:
        self._tally.refused.clear()
        survey = await self._look()
        plan = make_plan(survey, Knowledge())
        if plan.steps or self._ways.lfs or survey.fetches:
            loop = asyncio.get_running_loop()
            seen = loop.time()
            async with self._ways.slot:
                if loop.time() - seen > _FRESH:
                    survey = await self._look()
                plan = await self._move(survey)
        self._tally.refused = {**plan.rejected, **self._tally.refused}
        self._tally.note(self._engine)
        target = await self._ways.target() if plan.steps else survey.target
        return Verdict(self._task, survey, plan, target, self._tally).report()

    async def _look(self) -> Survey:
        source, target = await asyncio.gather(self._ways.source(), self._ways.target())
        return Survey(_wish(self._task, source), source, target)

    async def _move(self, survey: Survey) -> Plan:
        source, target = survey.source, survey.target
        if self._ways.lfs:
            # Before the refs that need them, and in every run: OneDev takes refs whose objects it does not have.
            self._tally.lfs = await self._ways.lfs(source, set(survey.wanted.values()), target)
        plan = make_plan(survey, await self._engine.prepare(survey.fetches, source, target))
        for step in plan.steps:
            await self._take(step)
        return plan

    async def _take(self, step: Step) -> None:
        self._tally.tried = True
        if isinstance(step, SetHead):
            await self._ways.repository.set_default_branch(step.branch)
            return
        if isinstance(step, MoveBranch):
            await self._move_branch(step.command)
            return
        result = await self._engine.push(step)
        self._tally.add(step, result)
        if result.error and not (result.refused and step.kind in TOLERANT):
            raise result.error

    async def _move_branch(self, command: Command) -> None:
        """OneDev's REST API has no move. A tip that only this branch leads to was archived, or the new one does."""
        try:
            if command.old:
                await self._ways.repository.delete_branch(command.name)
            if command.new:
                await self._ways.repository.create_branch(command.name, command.new)
            self._tally.moved(command)
        except Stalled as error:
            if error.reason is not Reason.TARGET_REFUSED:
                raise
            self._tally.refused[command.name] = error.message


def _wish(task: Task, source: Listing) -> Wish:
    """HEAD as the source advertises it is newer than what GitHub's API said when the run was planned."""
    return Wish(
        task.refs,
        task.on_rewrite,
        task.archive_time,
        task.mark_ref,
        task.mark,
        source.head or (BRANCHES + task.default_branch if task.default_branch else None),
        task.approved,
        timedelta(seconds=task.keep_for),
        task.keep_last,
    )
