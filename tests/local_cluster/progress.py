"""Progress of a long build: a bar on one line of a terminal, a plain line every half minute elsewhere."""

from __future__ import annotations

import os
import sys
import time

from .places import Say

_WIDTH = 25
_PLAIN_EVERY = 30.0
_BAR_EVERY = 0.2


class Progress:
    """Counts `total` things called `unit`; nothing is shown while it lasts less than a moment."""

    def __init__(self, total: int, unit: str, say: Say) -> None:
        self._total, self._unit, self._say = max(total, 1), unit, say
        self._done = 0
        self._began = self._shown = time.monotonic()
        self._terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self._drawn = False

    def step(self) -> None:
        self._done = min(self._done + 1, self._total)
        now = time.monotonic()
        if now - self._shown < (_BAR_EVERY if self._terminal else _PLAIN_EVERY):
            return
        self._shown = now
        text = f"{self._done:,} / {self._total:,} {self._unit}   {self._left(now)}"
        if not self._terminal:
            self._say(text)
            return
        filled = _WIDTH * self._done // self._total
        sys.stdout.write(f"\r\033[K  {'█' * filled}{'░' * (_WIDTH - filled)}  {text}")
        sys.stdout.flush()
        self._drawn = True

    def close(self) -> None:
        if self._drawn:
            sys.stdout.write("\r\033[K")
            sys.stdout.flush()

    def _left(self, now: float) -> str:
        seconds = (now - self._began) / self._done * (self._total - self._done)
        return f"about {seconds / 60:.0f} min left" if seconds >= 90 else f"about {max(seconds, 1):.0f} s left"
