"""What a run pushes, in which order, and what it leaves alone: one pure function for every engine.

The order follows what OneDev was seen to do: the default branch goes first and alone because OneDev links HEAD to
what it sees first; HEAD moves before its old branch is deleted; a deletion that makes room for a directory or a file
goes before what it makes room for; everything else that deletes goes late; never atomic.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from ..api.conditions import Reason
from ..api.refs import (
    ARCHIVE,
    MARKS,
    STAGED,
    Difference,
    Listing,
    RefFilter,
    Refs,
    differences,
    digest_differences,
    without_restored,
)
from .chunks import decoded_name, refusal
from .draft import Draft, is_destructive, place
from .steps import Command, Knowledge, Step

# Namespaces that belong to OneDev, to GitHub or to us, whatever a filter says.
RESERVED = (ARCHIVE, MARKS, STAGED, "refs/pulls/", "refs/updates/", "refs/onedev/", "refs/pull/")
MASS_MINIMUM = 10

_WAITS = "new refs wait until a person has decided about those that vanished"


@dataclass(frozen=True)
class Wish:
    """What is wanted of the target, apart from the refs themselves.

    `default_branch` is a full ref name. `archive_time` names the place of this run's archived tips, and is its time.
    `keep_for` and `keep_last` let older ones go: `api.retention`.
    """

    refs: RefFilter
    on_rewrite: str
    archive_time: str
    mark_ref: str
    mark: str
    default_branch: str | None = None
    approved: str = ""
    keep_for: timedelta = timedelta(0)
    keep_last: int = 0


@dataclass(frozen=True)
class Plan:
    """`rejected` maps names that cannot be mirrored to why; `blocked` waits for a person, `reason` says why.

    `digest` is what the person approves, empty where no approval helps. `head` is the default branch to be.
    """

    steps: tuple[Step, ...] = ()
    rejected: dict[str, str] = field(default_factory=dict)
    blocked: tuple[Difference, ...] = ()
    reason: Reason | None = None
    digest: str = ""
    head: str | None = None


def mirrored(wanted: RefFilter, refs: Refs) -> dict[str, str]:
    """The refs that a mirror with this filter is about."""
    return {name: oid for name, oid in wanted.select(refs).items() if not name.startswith(RESERVED)}


class Survey:
    """Both sides of a mirror as `wish` sees them: `wanted` of the source, `held` at the target, and how they differ.

    `held` includes tags that are kept under an encoded name, by their own.
    """

    def __init__(self, wish: Wish, source: Listing, target: Listing) -> None:
        self.wish, self.source, self.target = wish, source, target
        self.wanted = mirrored(wish.refs, source.refs)
        there = mirrored(wish.refs, target.refs)
        encoded = {tag: oid for name, oid in target.refs.items() if (tag := decoded_name(name))}
        self.held = without_restored(mirrored(wish.refs, encoded) | there, self.wanted)
        self.differences = differences(self.wanted, self.held)
        unequal = differences(self.wanted, there) if encoded else self.differences
        self.rejected = {diff.name: why for diff in unequal if (why := refusal(diff.name))}

    @property
    def fetches(self) -> list[Command]:
        """The creations and updates that an engine should prepare for, by the names that they get at the target."""
        return [command for diff in self.differences if (command := place(diff, self.target)) and command.new]


def make_plan(survey: Survey, known: Knowledge) -> Plan:
    """The plan from the target as it is to the source as it is wanted."""
    rejected = survey.rejected
    possible = [diff for diff in survey.differences if place(diff, survey.target)]
    blocked, reason, digest = _blocked(survey, known, possible)
    held = {diff.name for diff in blocked}
    if reason is Reason.MASS_DISAPPEARANCE:
        # Else the new refs of a doubtful source would count as survivors, and the next run would let the rest go.
        waiting = {diff.name: _WAITS for diff in possible if diff.target is None}
        rejected = rejected | waiting
        held |= waiting.keys()
    acceptable = [diff for diff in possible if diff.name not in held]
    draft = Draft(survey.wish, survey.source, survey.target, known, acceptable)
    draft.settle()
    return Plan(tuple(draft.steps()), rejected | draft.rejected, blocked, reason, digest, draft.head)


def _blocked(
    survey: Survey, known: Knowledge, diffs: list[Difference]
) -> tuple[tuple[Difference, ...], Reason | None, str]:
    deletions = [diff for diff in diffs if diff.source is None]
    if deletions and not survey.wanted:
        return tuple(deletions), Reason.MASS_DISAPPEARANCE, ""
    wish, there = survey.wish, len(survey.held)
    mass = there >= MASS_MINIMUM and 2 * len(deletions) > there
    blocked = [
        diff
        for diff in diffs
        if (mass and diff.source is None) or (wish.on_rewrite == "Block" and is_destructive(diff, known))
    ]
    digest = digest_differences(blocked)
    if not blocked or digest == wish.approved:
        return (), None, ""
    return tuple(blocked), Reason.MASS_DISAPPEARANCE if mass else Reason.REWRITE_BLOCKED, digest
