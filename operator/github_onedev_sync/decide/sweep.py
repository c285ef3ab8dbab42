"""What a sweep goes by: which mirrors may be asked for many at a time, and whether all is as it was when last equal."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ..api import refs
from ..api.conditions import ConditionType
from ..api.mirror import RepositoryMirror, SourceStatus
from ..api.observed import Change, SourceRepository
from ..api.refs import BRANCHES, Listing
from .compare import filter_of
from .step import attempted

# GitHub tells whole seconds: after a look so soon after a push, a second push may look like the first.
_SETTLED = timedelta(minutes=1)


class Verdict(StrEnum):
    """What came of asking for a mirror."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    MISSING = "missing"  # gone, or hidden from this credential
    LIMITED = "limited"  # others need the requests that are left
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Seen:
    """How GitHub's repository stood when both sides' refs were found, or made, equal, and the digest of these refs."""

    node_id: str
    source: Change
    digest: str
    at: datetime

    @classmethod
    def of(cls, source: SourceStatus | SourceRepository, digest: str, at: datetime) -> "Seen":
        stood = Change(
            id=source.id,
            full_name=source.full_name,
            pushed_at=source.pushed_at,
            archived=source.archived,
            private=source.private,
            disabled=False,
            default_branch=source.default_branch or "",
        )
        return cls(source.node_id or "", stood, digest, at)

    def says_the_same_as(self, other: "Seen") -> bool:
        return (self.node_id, self.source, self.digest) == (other.node_id, other.source, other.digest)


def basis(mirror: RepositoryMirror, seen: Seen | None) -> Seen | None:
    """What GitHub's word of now is compared with: the newer of what this process has seen and what status tells.

    None where only a look will do.
    """
    if not _is_well(mirror):
        return None
    known = _told(mirror)
    if seen is not None and (known is None or known.at <= seen.at):
        known = seen
    if known is None or not known.node_id:
        return None
    pushed = known.source.pushed_at
    return None if pushed is not None and known.at - pushed < _SETTLED else known


def _is_well(mirror: RepositoryMirror) -> bool:
    status, last = mirror.status, mirror.status.last_run
    # Anonymous calls of GraphQL are refused.
    quiet = mirror.spec.source.secret_ref is not None and mirror.requested is None and not mirror.spec.suspend
    at_rest = last is None or last.outcome is not None
    return quiet and at_rest and status.failures == 0 and status.is_true(ConditionType.READY) and attempted(mirror)


def _told(mirror: RepositoryMirror) -> Seen | None:
    """What status tells was seen no later than the refs were listed: by the last run, or where none was by a look."""
    status = mirror.status
    at = status.last_attempt_time or status.last_sync_time
    if status.source is None or status.refs is None or at is None:
        return None
    return Seen.of(status.source, status.refs.digest, at)


def judge(known: Seen, change: Change | None) -> Verdict:
    if change is None:
        return Verdict.MISSING
    return Verdict.UNCHANGED if change == known.source else Verdict.CHANGED


def holds(mirror: RepositoryMirror, known: Seen, target: Listing) -> bool:
    """Whether the target has the refs of then. What a person restored there is no difference, as in a comparison."""
    kept = filter_of(mirror).select(target.refs)
    head = BRANCHES + known.source.default_branch
    if head in kept and head != target.head:
        return False
    return known.digest in (refs.digest(kept), refs.digest(refs.without_restored(kept, {})))
