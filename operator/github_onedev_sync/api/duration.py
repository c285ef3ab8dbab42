"""Durations as people write them in manifests: `30s`, `10m`, `1h30m`, `1.5h`, `250ms`.

The grammar is the one of Go's `time.ParseDuration` that Flux and cert-manager accept, without signs and with the
units ms, s, m and h.
"""

import re
from datetime import timedelta
from functools import lru_cache

PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@lru_cache
def parse(text: str) -> timedelta:
    """Read `text`; raises ValueError where it is not a duration."""
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is not a duration such as 30s, 10m or 1h30m")
    try:
        return timedelta(seconds=sum(float(n) * _SECONDS[unit] for n, unit in _PART.findall(text)))
    except OverflowError:
        raise ValueError(f"{text!r} is not a duration such as 30s, 10m or 1h30m: it is too long") from None


def spell(delta: timedelta) -> str:
    """Write `delta` for a manifest: `parse` reads the same length, to the millisecond."""
    left = round(delta.total_seconds() * 1000)
    parts = []
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def show(delta: timedelta) -> str:
    """Write `delta` for people, with its two largest units: `1h 5m`, `45s`, `3d 2h`."""
    left = max(0, round(delta.total_seconds()))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
