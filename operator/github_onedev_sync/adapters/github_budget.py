"""How far the users of one credential may go into its limit: who is asked by a person first, sweeps last.

GitHub counts by the hour, and GraphQL apart from REST. Source: its page "Rate limits for the REST API".
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.errors import Waiting
from ..api.observed import RateLimit
from ..api.urgency import Urgency
from . import github_errors

# GitHub's own words in `x-ratelimit-resource`; what an App asks for itself, not for an installation, is counted apart.
CORE, GRAPHQL, APP = "core", "graphql", "app"

_KEPT = {Urgency.ASKED: 0.0, Urgency.ROUTINE: 0.05, Urgency.SWEEP: 0.20}
# Limits are renewed every hour: a reset farther away is from before a clock was put back.
_LONGEST = timedelta(hours=1, minutes=5)


@dataclass
class Budget:
    """`limits` is GitHub's word as of its last answers, by resource."""

    limits: dict[str, RateLimit] = field(default_factory=dict)
    _resume_at: datetime | None = None

    def refusal(self, resource: str, urgency: Urgency, now: datetime) -> Waiting | None:
        """Why GitHub is not asked now, or None where it may be. Asking on while limited may get one banned."""
        if self._resume_at is not None and now < self._resume_at <= now + _LONGEST:
            return github_errors.limit_reached(self._resume_at, now)
        known = self.limits.get(resource)
        if known is None or not now < known.reset <= now + _LONGEST or known.remaining > _kept(known, urgency):
            return None
        return github_errors.limit_reached(known.reset, now, known.remaining)

    def heed(self, waiting: Waiting, resource: str, now: datetime) -> None:
        """GitHub refused: unless that only was this resource's limit, nothing is asked until the time has passed."""
        if self.refusal(resource, Urgency.ASKED, now) is None:
            self._resume_at = now + waiting.after


def _kept(known: RateLimit, urgency: Urgency) -> int:
    """How many are left to the more urgent."""
    return int(known.limit * _KEPT[urgency])
