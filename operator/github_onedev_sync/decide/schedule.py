"""When a resource is looked at again."""

import hashlib
from datetime import UTC, datetime, timedelta

BACKOFF_FIRST = timedelta(seconds=10)
BACKOFF_LIMIT = timedelta(hours=1)
STALLED_LIMIT = timedelta(hours=1)
VERIFICATION = timedelta(hours=24)
_INTERVAL_JITTER = 0.05
_BACKOFF_JITTER = 0.2
_RESTART_SPREAD = timedelta(minutes=1)
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


def spread(*parts: object) -> float:
    """A number in [0, 1) that is the same for the same parts: jitter that a restart does not reshuffle."""
    seed = "\0".join(map(str, parts)).encode()
    return float(int.from_bytes(hashlib.sha256(seed).digest()[:6]) / 2**48)


def next_interval(uid: str, interval: timedelta, now: datetime) -> datetime:
    """One interval from now, give or take 5 %, so that mirrors declared together drift apart."""
    return now + interval * (1 + _INTERVAL_JITTER * (2 * spread(uid, now.isoformat()) - 1))


def next_attempt(uid: str, failures: int, now: datetime) -> datetime:
    """Exponential backoff with jitter: 10 s, 20 s, 40 s … up to one hour, up to 20 % later."""
    doublings: int = 2 ** min(max(failures, 1) - 1, 20)
    delay = min(BACKOFF_FIRST * doublings, BACKOFF_LIMIT)
    return now + delay * (1 + _BACKOFF_JITTER * spread(uid, failures))


def next_stalled(uid: str, interval: timedelta, now: datetime) -> datetime:
    """What only a person can mend is looked at once an interval, and at least once an hour."""
    return next_interval(uid, min(interval, STALLED_LIMIT), now)


def after_restart(uid: str, interval: timedelta, now: datetime) -> datetime:
    """Where a due time passed while no controller ran: soon, but not all at once."""
    return now + min(interval / 10, _RESTART_SPREAD) * spread(uid)


def is_verification_due(uid: str, last: datetime, now: datetime) -> bool:
    """Whether a mirror's own time of the day has come since `last`: nothing to write down, and no two together."""
    phase = _EPOCH + VERIFICATION * spread(uid, "verification")
    return (now - phase) // VERIFICATION > (last - phase) // VERIFICATION
