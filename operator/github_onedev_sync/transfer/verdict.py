"""What a run ends with: the listing that it worked from, compared with what the target holds now."""

from dataclasses import replace

from ..api.assignment import Task
from ..api.conditions import Reason
from ..api.names import APPROVE
from ..api.refs import (
    ARCHIVE,
    BRANCHES,
    ENCODED,
    TAGS,
    Listing,
    count,
    differences,
    digest,
    digest_differences,
    without_restored,
)
from ..api.report import Outcome, TaskReport
from .plan import Plan, Survey, mirrored
from .tally import Tally

_NAMED = 8
_SHOWN = 120  # characters of names in a message whose end is a command to copy


class Verdict:
    """`survey` is what the run worked from, and `target` what OneDev holds after it."""

    def __init__(self, task: Task, survey: Survey, plan: Plan, target: Listing, tally: Tally) -> None:
        self._task = task
        self._plan = plan
        self._tally = tally
        self._source = survey.wanted
        self._target = target
        self._kept = without_restored(mirrored(survey.wish.refs, target.refs), self._source)
        self._unequal = differences(self._source, self._kept)
        self._head_differs = plan.head is not None and target.head != plan.head

    def report(self) -> TaskReport:
        outcome, reason, message = self._outcome()
        names = [diff.name for diff in self._unequal] + ["HEAD"] * self._head_differs
        return replace(
            self._tally.report(self._task.key, outcome, reason, message),
            branches=count(self._kept, BRANCHES),
            tags=count(self._kept, TAGS),
            archives=count(self._target.refs, ARCHIVE) - count(self._target.refs, ENCODED),
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
        outcome = Outcome.SYNCED if self._tally.tried else Outcome.UNCHANGED
        return outcome, Reason.SYNCED, f"{len(self._source)} refs are equal"

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
