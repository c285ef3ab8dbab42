"""A plan in the making: the steps, given which differences may be dealt with."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

from ..api.refs import BRANCHES, ENCODED, MARKS, STAGED, TAGS, Difference, Listing
from ..api.retention import expired, moment
from .archiving import Lost, keep
from .chunks import breaks_pushes, conflicts, encoded_name, is_delicate, pushes, refusal
from .mark import mark_objects, mark_oid
from .steps import Command, Kind, Knowledge, MoveBranch, Push, SetHead, Step

if TYPE_CHECKING:
    from .plan import Wish

_LAST_BRANCH = "it is OneDev's default branch and no other branch is left to take its place"
_FIXED_HEAD = "it is OneDev's default branch, and OneDev takes no push of its name and cannot move it otherwise"


def place(diff: Difference, target: Listing) -> Command | None:
    """What `diff` asks of the target, by the name under which it can hold it; None where there is nothing to do."""
    name = encoded_name(diff.name) if diff.name.startswith(TAGS) and breaks_pushes(diff.name) else diff.name
    command = Command(name, target.refs.get(name), diff.source)
    return None if refusal(name) or command.old == command.new else command


def is_destructive(diff: Difference, known: Knowledge) -> bool:
    """Whether the target loses something: a deletion, a moved tag, an update that is no fast-forward."""
    if diff.target is None:
        return False
    return diff.source is None or diff.name.startswith(TAGS) or diff.name in known.forced


class Draft:
    """What may be done of `diffs`, all of which have a place, given what is in the way. Names are the target's."""

    def __init__(
        self, wish: Wish, source: Listing, target: Listing, known: Knowledge, diffs: Iterable[Difference]
    ) -> None:
        self._wish = wish
        self._source = source
        self._target = target
        self._known = known
        placed = [(diff, command) for diff in diffs if (command := place(diff, target))]
        self._diffs = {command.name: diff for diff, command in placed}
        self._writes = {command.name: command for _, command in placed if command.new}
        self._deletions = {command.name: command for _, command in placed if not command.new}
        self._staged = {name: oid for name, oid in target.refs.items() if name.startswith(STAGED)}
        self._staged |= known.staged
        self._room: dict[str, list[str]] = {}
        self.rejected: dict[str, str] = {}
        self.head: str | None = None

    def settle(self) -> None:
        """Takes out what cannot be done until the rest can. Each turn takes out a name or ends it."""
        while True:
            self._make_room()
            self.head = self._choose_head()
            old = self._target.head
            if old in self._writes and breaks_pushes(old) and self.head == old:
                del self._writes[old]
                self.rejected[old] = _FIXED_HEAD
            elif old in self._deletions and not self.head:
                del self._deletions[old]
                self.rejected[old] = _LAST_BRANCH
            else:
                return

    def _make_room(self) -> None:
        creations = [name for name, command in self._writes.items() if command.old is None]
        self._room = conflicts(creations, self._target.refs)
        for name, obstacles in list(self._room.items()):
            staying = [obstacle for obstacle in obstacles if obstacle not in self._deletions]
            if staying:
                del self._room[name], self._writes[name]
                self.rejected[self._diffs[name].name] = (
                    f"it cannot exist at the target beside {staying[0]}, which stays"
                )

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
        needed = self._needed_room()
        yield from self._moves(name for name in needed if breaks_pushes(name) and name != self._target.head)
        yield from self._default_branch()
        yield from self._moves(name for name in needed if breaks_pushes(name) and name in self._deletions)
        room = [self._deletions.pop(name) for name in needed if name in self._deletions and not breaks_pushes(name)]
        yield from pushes(Kind.REFS, (command for command in room if is_delicate(command.name)))
        moved = [name for name in self._writes if breaks_pushes(name)]
        moving = [self._writes[name] for name in moved]
        writes = [w for w in self._writes.values() if not breaks_pushes(w.name) and not self._leads_nowhere(w)]
        together = [*room, *writes]
        batch = [command for command in together if not is_delicate(command.name)]
        if batch and not moving:
            batch += self._unstage()
        yield from pushes(Kind.REFS, batch)
        yield from pushes(Kind.REFS, (command for command in writes if is_delicate(command.name)))
        last = [w for w in self._writes.values() if self._leads_nowhere(w)]
        yield from self._stage(moving)
        yield from self._moves(moved)
        yield from self._moves([name for name in self._deletions if breaks_pushes(name)])
        yield from pushes(Kind.DELETIONS, self._deletions.values())
        yield from pushes(Kind.TAGS_OF_OTHER_OBJECTS, last)
        yield from pushes(Kind.STAGED, self._unstage())
        yield from pushes(Kind.EXPIRED, self._expired())

    def _leads_nowhere(self, command: Command) -> bool:
        return command.name in self._known.other_objects

    def _needed_room(self) -> list[str]:
        """In the order of names, what goes before the creations that it is in the way of."""
        needed = chain.from_iterable(obstacles for name, obstacles in self._room.items() if name in self._writes)
        return sorted(set(needed) & self._deletions.keys())

    def _mark(self) -> Iterable[Push]:
        if self._wish.mark_ref in self._target.refs:
            return
        old = [Command(name, oid, None) for name, oid in self._target.refs.items() if name.startswith(MARKS)]
        new = Command(self._wish.mark_ref, None, mark_oid(self._wish.mark))
        yield Push(Kind.MARK, (*old, new), mark_objects(self._wish.mark))

    def _archive(self) -> Iterable[Push]:
        if self._wish.on_rewrite != "Archive":
            return ()
        lost = [
            Lost(self._diffs[command.name].name, command.old, command.name.startswith(ENCODED))
            for command in (*self._writes.values(), *self._deletions.values())
            if command.old and is_destructive(self._diffs[command.name], self._known)
        ]
        return pushes(Kind.ARCHIVE, keep(lost, self._target.refs, self._wish.archive_time))

    def _expired(self) -> Iterable[Command]:
        names = expired(self._target.refs, moment(self._wish.archive_time), self._wish.keep_for, self._wish.keep_last)
        return [Command(name, self._target.refs[name], None) for name in names]

    def _stage(self, moving: Iterable[Command]) -> Iterable[Push]:
        """A branch that REST makes needs its commit at the target first."""
        there = {*self._target.refs.values(), *self._staged.values()}
        tips = {command.new for command in moving if command.new and command.new not in there}
        self._staged |= {STAGED + tip: tip for tip in tips}
        return pushes(Kind.STAGED, [Command(STAGED + tip, None, tip) for tip in sorted(tips)])

    def _unstage(self) -> list[Command]:
        staged, self._staged = self._staged, {}
        return [Command(name, oid, None) for name, oid in sorted(staged.items())]

    def _moves(self, names: Iterable[str]) -> Iterable[Step]:
        for name in list(names):
            yield MoveBranch((self._writes if name in self._writes else self._deletions).pop(name))

    def _default_branch(self) -> Iterable[Step]:
        """The default branch with what is in its way, and HEAD.

        Where the old default branch itself is in the way, HEAD rests on an interim branch for that moment.
        """
        head = self.head
        write = self._writes.pop(head, None) if head else None
        room = [
            self._deletions.pop(name) for name in self._room.get(head or "", ()) if write and name in self._deletions
        ]
        blocked_by_head = write is not None and any(command.name == self._target.head for command in room)
        interim = f"{BRANCHES}github-onedev-sync-{self._wish.archive_time}"
        if write and blocked_by_head:
            yield Push(Kind.DEFAULT_BRANCH, (Command(interim, None, write.new),))
            yield SetHead(interim)
        yield from (MoveBranch(command) for command in room if breaks_pushes(command.name))
        room = [command for command in room if not breaks_pushes(command.name)]
        if write and breaks_pushes(write.name):
            yield from pushes(Kind.DEFAULT_BRANCH, room)
            yield from self._stage([write])
            yield MoveBranch(write)
        elif write:
            alone = not self._writes and not is_delicate(write.name)
            yield from pushes(Kind.DEFAULT_BRANCH, (*room, write, *(self._unstage() if alone else ())))
        if head and head != self._target.head:
            yield SetHead(head)
        if write and blocked_by_head:
            yield Push(Kind.DELETIONS, (Command(interim, write.new, None),))
