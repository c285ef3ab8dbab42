"""Who leads: the rules of a `coordination.k8s.io` Lease, seen from one candidate.

Times written by another machine are never compared with ours (clocks differ): a lease counts as expired only when
this process itself saw it unchanged for its whole duration. This is client-go's rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Body = Mapping[str, Any]


@dataclass
class Observer:
    """What one candidate has seen: the lease's last change, and when (monotonic seconds)."""

    identity: str
    seen: tuple[str, str] = ("", "")
    since: float = 0.0

    def may_take(self, lease: Body, now: float) -> bool:
        """Whether the lease is ours, released, or expired. Remembers what it saw."""
        spec = lease.get("spec") or {}
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if (holder, renewed) != self.seen:
            self.seen, self.since = (holder, renewed), now
        duration = float(spec.get("leaseDurationSeconds") or 0)
        return holder in ("", self.identity) or now - self.since > duration
