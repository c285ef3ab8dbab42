"""The machine's clock: the only place that reads it."""

import time
from datetime import UTC, datetime


class SystemClock:
    """`ports.Clock`."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()
