"""Whether source and target differ in a way that a run could change."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ..api import refs, retention
from ..api.conditions import ConditionType, Reason
from ..api.mirror import RepositoryMirror
from ..api.refs import ARCHIVE, BRANCHES, STAGED, TAGS, Difference, Listing, RefFilter
from .step import approves_something_new, attempted


@dataclass(frozen=True)
class Comparison:
    """Both sides' selected refs, and what differs."""

    source: Listing
    target: Listing
    differences: tuple[Difference, ...]
    head_differs: bool

    @property
    def equal(self) -> bool:
        return not self.differences and not self.head_differs

    @property
    def digest(self) -> str:
        """Of the source's selected refs."""
        return refs.digest(self.source.refs)

    @property
    def count(self) -> int:
        return len(self.source.refs)

    @property
    def branches(self) -> int:
        return refs.count(self.target.refs, BRANCHES)

    @property
    def tags(self) -> int:
        return refs.count(self.target.refs, TAGS)


def filter_of(mirror: RepositoryMirror) -> RefFilter:
    return RefFilter(mirror.spec.refs.include, mirror.spec.refs.exclude)


def compare(mirror: RepositoryMirror, source: Listing, target: Listing) -> Comparison:
    wanted = filter_of(mirror)
    ours, theirs = source.select(wanted), target.select(wanted)
    theirs = replace(theirs, refs=refs.without_restored(theirs.refs, ours.refs))
    head = source.head if source.head in ours.refs else None
    return Comparison(
        ours, theirs, tuple(refs.differences(ours.refs, theirs.refs)), head is not None and head != target.head
    )


def has_leftovers(mirror: RepositoryMirror, ours: Iterable[str], now: datetime) -> bool:
    """Whether some refs of the project, given by all their names, are ours to take away."""
    names = list(ours)
    if any(name.startswith(STAGED) for name in names):
        return True
    archived, keep = [name for name in names if name.startswith(ARCHIVE)], mirror.spec.archive
    return bool(retention.expired(archived, now, keep.keep_for, keep.keep_last))


def wants_lfs(mirror: RepositoryMirror, comparison: Comparison, *, verify: bool) -> bool:
    """Whether a run is needed for LFS objects although the refs are equal: no listing tells of them."""
    if not mirror.spec.lfs or not comparison.count:
        return False
    return not attempted(mirror) or (verify and mirror.status.lfs is None)


# What a run told, and no further run changes by itself.
_FINAL = frozenset((Reason.REWRITE_BLOCKED, Reason.MASS_DISAPPEARANCE, Reason.REFS_REJECTED))


def waits_for_a_person(mirror: RepositoryMirror, comparison: Comparison) -> bool:
    """Whether the differences are just those that the last run could do nothing about, and nobody has approved them."""
    ready, seen = mirror.status.condition(ConditionType.READY), mirror.status.refs
    if not attempted(mirror) or ready is None or ready.reason not in _FINAL or seen is None:
        return False
    waiting = {difference.name for difference in comparison.differences}
    # HEAD cannot follow a branch that waits itself.
    head_alone_differs = comparison.head_differs and comparison.source.head not in waiting
    if head_alone_differs or approves_something_new(mirror):
        return False
    return bool(waiting) and seen.unequal_digest == refs.digest_differences(comparison.differences)
