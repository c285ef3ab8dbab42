"""The words that planner, engines and reports share: commands on refs, pushes of them, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..api.errors import SyncError


@dataclass(frozen=True)
class Command:
    """One ref of the target from `old` to `new`: `old` None creates it, `new` None deletes it."""

    name: str
    old: str | None
    new: str | None


class Kind(StrEnum):
    """What a push is for."""

    MARK = "mark"
    STAGED = "staged tips"
    ARCHIVE = "archive"
    DEFAULT_BRANCH = "default branch"
    REFS = "refs"
    SINGLE = "single ref"
    DELETIONS = "deletions"
    TAGS_OF_OTHER_OBJECTS = "tags that lead to no commit"
    EXPIRED = "archived tips whose time is over"


# Here a refusal concerns the refs themselves, so the run goes on and reports them.
TOLERANT = frozenset((Kind.SINGLE, Kind.TAGS_OF_OTHER_OBJECTS))


@dataclass(frozen=True)
class Push:
    """Commands for one `git push`, in this order.

    The objects behind them come from the source, except that those of `Kind.ARCHIVE` are the target's own and that
    `objects` (type and content) are made here. Deletions of staged tips ride along with whatever needed them.
    """

    kind: Kind
    commands: tuple[Command, ...]
    objects: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class SetHead:
    """Make `branch` (`refs/heads/main`) the target's default branch."""

    branch: str


@dataclass(frozen=True)
class MoveBranch:
    """A branch whose name breaks every push to OneDev, by its REST API, which can create and delete but not move."""

    command: Command


Step = Push | SetHead | MoveBranch


@dataclass(frozen=True)
class Knowledge:
    """What only objects tell.

    `forced` names the updates that are not known to be a fast-forward, `other_objects` the wanted tags that lead to
    a tree or a blob. `staged` are the refs, with their object ids, under which tips were brought to the target to be
    asked about.
    """

    forced: frozenset[str] = frozenset()
    other_objects: frozenset[str] = frozenset()
    staged: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PushResult:
    """`done` was carried out, `refused` maps the names that were not to the target's words.

    `error` is set where the push as a whole failed; whatever is in neither is then undone or unknown.
    """

    done: tuple[Command, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    error: SyncError | None = None
