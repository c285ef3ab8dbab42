"""What a run pushes, in which order, and what it leaves alone: one pure function for every engine.

The order follows what OneDev was seen to do: the default branch goes first and alone because OneDev links HEAD to
what it sees first; HEAD moves before its old branch is deleted; a deletion that makes room for a directory or a file
goes before what it makes room for; everything else that deletes goes late; never atomic.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from ..api.conditions import Reason
from ..api.refs import (
    ARCHIVE,
    BRANCHES,
    MARKS,
    TAGS,
    Difference,
    Listing,
    RefFilter,
    Refs,
    differences,
    digest_differences,
)
from .chunks import archive_name, conflicts, is_delicate, pushes, refusal
from .mark import mark_objects, mark_oid
from .steps import Command, Kind, Knowledge, Push, SetHead, Step

# Namespaces that belong to OneDev, to GitHub or to us, whatever a filter says.
RESERVED = (ARCHIVE, MARKS, "refs/pulls/", "refs/updates/", "refs/onedev/", "refs/pull/")
MASS_MINIMUM = 10

_WAITS = "new refs wait until a person has decided about those that vanished"
_LAST_BRANCH = "it is OneDev's default branch and no other branch is left to take its place"


@dataclass(frozen=True)
class Wish:
    """What is wanted of the target, apart from the refs themselves.

    `default_branch` is a full ref name. `archive_time` names the place of this run's archived tips.
    """

    refs: RefFilter
    on_rewrite: str
    archive_time: str
    mark_ref: str
    mark: str
    default_branch: str | None = None
    approved: str = ""


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


def fetches(wish: Wish, source: Listing, target: Listing) -> list[Command]:
    """The creations and updates that an engine should prepare for."""
    return [
        Command(diff.name, diff.target, diff.source)
        for diff in _differences(wish, source, target)
        if diff.source and not refusal(diff.name)
    ]


def _differences(wish: Wish, source: Listing, target: Listing) -> list[Difference]:
    return differences(mirrored(wish.refs, source.refs), mirrored(wish.refs, target.refs))


def make_plan(wish: Wish, source: Listing, target: Listing, known: Knowledge) -> Plan:
    """The plan from `target` as it is to `source` as it is wanted."""
    diffs = _differences(wish, source, target)
    rejected = {diff.name: why for diff in diffs if (why := refusal(diff.name))}
    possible = [diff for diff in diffs if diff.name not in rejected]
    blocked, reason, digest = _blocked(wish, source, target, known, possible)
    held = {diff.name for diff in blocked}
    if reason is Reason.MASS_DISAPPEARANCE:
        # Else the new refs of a doubtful source would count as survivors, and the next run would let the rest go.
        waiting = {diff.name: _WAITS for diff in possible if diff.target is None}
        rejected |= waiting
        held |= waiting.keys()
    draft = _Draft(wish, source, target, known, [diff for diff in possible if diff.name not in held])
    draft.settle()
    return Plan(tuple(draft.steps()), rejected | draft.rejected, blocked, reason, digest, draft.head)


def is_destructive(diff: Difference, known: Knowledge) -> bool:
    """Whether the target loses something: a deletion, a moved tag, an update that is no fast-forward."""
    if diff.target is None:
        return False
    return diff.source is None or diff.name.startswith(TAGS) or diff.name in known.forced


def _blocked(
    wish: Wish, source: Listing, target: Listing, known: Knowledge, diffs: list[Difference]
) -> tuple[tuple[Difference, ...], Reason | None, str]:
    deletions = [diff for diff in diffs if diff.source is None]
    if deletions and not mirrored(wish.refs, source.refs):
        return tuple(deletions), Reason.MASS_DISAPPEARANCE, ""
    there = len(mirrored(wish.refs, target.refs))
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


class _Draft:
    """A plan in the making: what may be done of `diffs`, given what is in the way."""

    def __init__(
        self, wish: Wish, source: Listing, target: Listing, known: Knowledge, diffs: Iterable[Difference]
    ) -> None:
        self._wish = wish
        self._source = source
        self._target = target
        self._known = known
        self._writes = {d.name: Command(d.name, d.target, d.source) for d in diffs if d.source}
        self._deletions = {d.name: Command(d.name, d.target, None) for d in diffs if not d.source}
        self._room: dict[str, list[str]] = {}
        self.rejected: dict[str, str] = {}
        self.head: str | None = None

    def settle(self) -> None:
        """Takes out what cannot be done until the rest can. Each turn takes out a name or ends it."""
        while True:
            self._make_room()
            self.head = self._choose_head()
            old = self._target.head
            if old not in self._deletions or self.head:
                return
            del self._deletions[old]
            self.rejected[old] = _LAST_BRANCH

    def _make_room(self) -> None:
        creations = [name for name, command in self._writes.items() if command.old is None]
        self._room = conflicts(creations, self._target.refs)
        for name, obstacles in list(self._room.items()):
            staying = [obstacle for obstacle in obstacles if obstacle not in self._deletions]
            if staying:
                del self._room[name], self._writes[name]
                self.rejected[name] = f"it cannot exist at the target beside {staying[0]}, which stays"

    def _choose_head(self) -> str | None:
        there = {name for name in self._target.refs if name not in self._deletions} | self._writes.keys()
        if self._wish.default_branch in there:
            return self._wish.default_branch
        if self._target.head not in self._deletions:
            return self._target.head
        mirrored_branches = [n for n in sorted(there & self._source.refs.keys()) if n.startswith(BRANCHES)]
        usual = (BRANCHES + "main", BRANCHES + "master")
        return next((n for n in usual if n in mirrored_branches), next(iter(mirrored_branches), None))

    def steps(self) -> Iterable[Step]:
        yield from self._mark()
        yield from self._archive()
        yield from self._default_branch()
        room = [self._deletions.pop(name) for name in sorted(self._needed_room()) if name in self._deletions]
        yield from pushes(Kind.REFS, (command for command in room if is_delicate(command.name)))
        writes = [w for w in self._writes.values() if w.name not in self._known.other_objects]
        together = [*room, *writes]
        yield from pushes(Kind.REFS, (command for command in together if not is_delicate(command.name)))
        yield from pushes(Kind.REFS, (command for command in writes if is_delicate(command.name)))
        yield from pushes(Kind.DELETIONS, self._deletions.values())
        last = (w for w in self._writes.values() if w.name in self._known.other_objects)
        yield from pushes(Kind.TAGS_OF_OTHER_OBJECTS, last)

    def _needed_room(self) -> set[str]:
        return {obstacle for name, obstacles in self._room.items() if name in self._writes for obstacle in obstacles}

    def _mark(self) -> Iterable[Push]:
        if self._wish.mark_ref in self._target.refs:
            return
        old = [Command(name, oid, None) for name, oid in self._target.refs.items() if name.startswith(MARKS)]
        new = Command(self._wish.mark_ref, None, mark_oid(self._wish.mark))
        yield Push(Kind.MARK, (*old, new), mark_objects(self._wish.mark))

    def _archive(self) -> Iterable[Push]:
        if self._wish.on_rewrite != "Archive":
            return ()
        time = self._free_archive_time()
        lost = [
            command
            for command in (*self._writes.values(), *self._deletions.values())
            if is_destructive(Difference(command.name, command.new, command.old), self._known)
        ]
        return pushes(Kind.ARCHIVE, (Command(archive_name(c.name, time), None, c.old) for c in lost))

    def _free_archive_time(self) -> str:
        """The run's time, or one with a number where an earlier attempt of the same run has left something."""
        taken = {name.removeprefix(ARCHIVE).partition("/")[0] for name in self._target.refs if name.startswith(ARCHIVE)}
        time = self._wish.archive_time
        number = 1
        while time in taken:
            number += 1
            time = f"{self._wish.archive_time}-{number}"
        return time

    def _default_branch(self) -> Iterable[Step]:
        """The default branch with what is in its way, and HEAD.

        Where the old default branch itself is in the way, HEAD rests on an interim branch for that moment.
        """
        head = self.head
        write = self._writes.pop(head, None) if head else None
        room = [self._deletions.pop(name) for name in self._room.get(head or "", ()) if write]
        blocked_by_head = write is not None and any(command.name == self._target.head for command in room)
        interim = f"{BRANCHES}github-onedev-sync-{self._wish.archive_time}"
        if write and blocked_by_head:
            yield Push(Kind.DEFAULT_BRANCH, (Command(interim, None, write.new),))
            yield SetHead(interim)
        if write:
            yield from pushes(Kind.DEFAULT_BRANCH, (*room, write))
        if head and head != self._target.head:
            yield SetHead(head)
        if write and blocked_by_head:
            yield Push(Kind.DELETIONS, (Command(interim, write.new, None),))
