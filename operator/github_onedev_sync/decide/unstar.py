"""What becomes of mirrors whose repository is not in the list any more.

Absence has many causes: an un-star, a repository that was deleted or hidden, a wrong token, a broken answer. Only the
first is a reason to remove anything, and never in masses that nobody approved.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..api.mirror import DeletionPolicy
from ..api.sync import OnUnstar, SyncSpec

POLICIES = {OnUnstar.ARCHIVE: DeletionPolicy.ARCHIVE, OnUnstar.DELETE: DeletionPolicy.DELETE}


@dataclass(frozen=True)
class Missing:
    """A mirror's repository that is not listed: since when that is known, and whether it was proven to be un-starred
    (None: not asked yet)."""

    name: str
    repository_id: int
    since: datetime | None = None
    proven: bool | None = None


def allowed(percent: int, total: int) -> int:
    """How many may go missing at once: at least one, or `maxPrunePercent` would never let a short list change."""
    return max(1, total * percent // 100) if percent else 0


def digest(missing: Iterable[Missing]) -> str:
    """Names just these: what a person approves."""
    ids = ",".join(str(number) for number in sorted(one.repository_id for one in missing))
    return hashlib.sha256(ids.encode()).hexdigest()[:12]


def to_approve(spec: SyncSpec, missing: Iterable[Missing], total: int, approved: str) -> tuple[Missing, ...]:
    """Those that a person must approve, since so many went at once; none where it is within the limit, or approved.

    Those that are gone or hidden at GitHub do not count: they are no reason to remove anything.
    """
    fresh = tuple(one for one in missing if one.since is None and one.proven is not False)
    within = spec.on_unstar is OnUnstar.KEEP or len(fresh) <= allowed(spec.max_prune_percent, total)
    return () if within or digest(fresh) == approved else fresh
