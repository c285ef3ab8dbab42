"""One mirror's part of a run, from two ref listings to a verified report."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from ..api.assignment import Task
from ..api.conditions import Reason
from ..api.names import APPROVE
from ..api.refs import ARCHIVE, BRANCHES, TAGS, Listing, count, differences, digest, digest_differences
from ..api.report import Outcome, TaskReport
from .engine import Engine
from .plan import Plan, Wish, fetches, make_plan, mirrored
from .steps import TOLERANT, Kind, Knowledge, Push, PushResult, SetHead

_NAMED = 8
_SHOWN = 120  # characters of names in a message whose end is a command to copy


@dataclass(frozen=True)
class Ways:
    """How a run reaches both sides: what lists their refs now, and what sets the target's default branch."""

    source: Callable[[], Awaitable[Listing]]
    target: Callable[[], Awaitable[Listing]]
    set_head: Callable[[str], Awaitable[None]]


@dataclass
class Tally:
    """What a run has done so far; it survives whatever ends the run."""

    engine: str = "Git"
    bytes: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    archived: int = 0
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, push: Push, result: PushResult) -> None:
        self.refused.update(result.refused)
        if push.kind is Kind.MARK:
            return
        for command in result.done:
            if push.kind is Kind.ARCHIVE:
                self.archived += 1
            elif command.new is None:
                self.deleted += 1
            elif command.old is None:
                self.created += 1
            else:
                self.updated += 1

    def report(self, key: str, outcome: Outcome, reason: Reason, message: str) -> TaskReport:
        return TaskReport(
            key,
            outcome,
            reason,
            message,
            engine=self.engine,
            bytes=self.bytes,
            created=self.created,
            updated=self.updated,
            deleted=self.deleted,
            archived=self.archived,
            rejected=len(self.refused),
        )


async def synchronize(task: Task, ways: Ways, engine: Engine, tally: Tally) -> TaskReport:
    """Makes the target equal to the source as far as `task` lets it; `tally` counts along.

    Raises `SyncError` where the run could not go on. The target then holds whole refs, old or new.
    """
    tally.engine = engine.name
    source, target = await asyncio.gather(ways.source(), ways.target())
    wish = _wish(task, source)
    wanted = fetches(wish, source, target)
    known = await engine.prepare(wanted, source.url) if wanted else Knowledge()
    tally.bytes = engine.received
    plan = make_plan(wish, source, target, known)
    tally.refused.update(plan.rejected)
    for step in plan.steps:
        if isinstance(step, SetHead):
            await ways.set_head(step.branch)
            continue
        result = await engine.push(step)
        tally.add(step, result)
        if result.error and not (result.refused and step.kind in TOLERANT):
            raise result.error
    now = source
    if plan.steps:
        now, target = await asyncio.gather(ways.source(), ways.target())
    return _Verdict(task, wish, plan, source, now, target, tally).report()


def _wish(task: Task, source: Listing) -> Wish:
    """HEAD as the source advertises it is newer than what GitHub's API said when the run was planned."""
    default = source.head or (BRANCHES + task.default_branch if task.default_branch else None)
    return Wish(
        task.refs, task.on_rewrite, task.archive_time, task.mark_ref, task.mark, default, approved=task.approved
    )


class _Verdict:
    """Compares what the target holds now with the listing that the run worked from."""

    def __init__(
        self, task: Task, wish: Wish, plan: Plan, source: Listing, now: Listing, target: Listing, tally: Tally
    ) -> None:
        self._task = task
        self._plan = plan
        self._tally = tally
        self._source = mirrored(wish.refs, source.refs)
        self._moved = mirrored(wish.refs, now.refs) != self._source
        self._target = target
        self._kept = mirrored(wish.refs, target.refs)
        self._unequal = differences(self._source, self._kept)
        self._head_differs = plan.head is not None and target.head != plan.head

    def report(self) -> TaskReport:
        outcome, reason, message = self._outcome()
        names = [diff.name for diff in self._unequal] + ["HEAD"] * self._head_differs
        return replace(
            self._tally.report(self._task.key, outcome, reason, message),
            branches=count(self._kept, BRANCHES),
            tags=count(self._kept, TAGS),
            archives=count(self._target.refs, ARCHIVE),
            digest=digest(self._source),
            unequal=tuple(names[:_NAMED]),
            unequal_count=len(names),
            unequal_digest=digest_differences(self._unequal),
            head=self._target.head.removeprefix(BRANCHES) if self._target.head else None,
            approval=self._plan.digest,
        )

    def _outcome(self) -> tuple[Outcome, Reason, str]:
        if self._plan.reason:
            return Outcome.BLOCKED, self._plan.reason, self._blocked_message(self._plan.reason)
        if self._unequal or self._head_differs:
            return Outcome.PARTIAL, *self._partial()
        if not self._source:
            return Outcome.SYNCED, Reason.SOURCE_EMPTY, "the source is empty: it has no refs to mirror"
        later = "; the source moved on meanwhile, the next run takes that" if self._moved else ""
        outcome = Outcome.SYNCED if self._plan.steps else Outcome.UNCHANGED
        return outcome, Reason.SYNCED, f"{len(self._source)} refs are equal{later}"

    def _partial(self) -> tuple[Reason, str]:
        equal = len(self._source) - sum(diff.source is not None for diff in self._unequal)
        summary = f"{equal} of {len(self._source)} refs are equal"
        unexplained = [diff.name for diff in self._unequal if diff.name not in self._tally.refused]
        if unexplained or not self._unequal:
            name = unexplained[0] if unexplained else "the default branch"
            return Reason.REFS_UNEQUAL, f"{summary}; {name} differs although it was pushed, the next run tries again"
        first = self._unequal[0].name
        more = f" (and {len(self._unequal) - 1} more)" if len(self._unequal) > 1 else ""
        return Reason.REFS_REJECTED, f"{first}{more} cannot be mirrored: {self._tally.refused[first]}; {summary}"

    def _blocked_message(self, reason: Reason) -> str:
        blocked = self._plan.blocked
        gone = sum(diff.source is None for diff in blocked)
        first = ", ".join(diff.name for diff in blocked[:3])[:_SHOWN] + (", …" if len(blocked) > 3 else "")
        if not self._plan.digest:
            return (
                f"the source has no refs any more, and {gone} that it had are kept at the target ({first}); "
                "they are never deleted for an empty source: delete them in OneDev where that is meant"
            )
        what = (
            f"{gone} refs vanished from the source at once and are kept at the target ({first})"
            if reason is Reason.MASS_DISAPPEARANCE
            else f"{len(blocked)} refs were rewritten or deleted at the source and are kept as they were ({first})"
        )
        namespace, _, name = self._task.key.partition("/")
        return (
            f"{what}; let exactly this through with: "
            f"kubectl annotate rmir -n {namespace} {name} --overwrite {APPROVE}={self._plan.digest}"
        )
