"""Whether source and target differ in a way that a run could change."""

from dataclasses import dataclass

from ..api import refs
from ..api.mirror import RepositoryMirror
from ..api.refs import BRANCHES, TAGS, Difference, Listing, RefFilter
from .step import approves_something_new


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
    head = source.head if source.head in ours.refs else None
    return Comparison(
        ours, theirs, tuple(refs.differences(ours.refs, theirs.refs)), head is not None and head != target.head
    )


def needs_run(mirror: RepositoryMirror, comparison: Comparison) -> bool:
    """Differences that the last run reported, without a failure since, wait until something else changes."""
    status = mirror.status
    if comparison.equal:
        return False
    if status.refs is None or status.failures or comparison.head_differs or not status.refs.unequal_digest:
        return True
    left = refs.digest_differences(comparison.differences)
    return left != status.refs.unequal_digest or approves_something_new(mirror)
