"""The worker's log: one JSON object a line on stdout, which the console and `kubectl mirror` read along."""

import json
import threading
from typing import Protocol, TextIO

from ..api.redact import Redactor
from .clock import Clock

PROGRESS_SECONDS = 1.0


class Log(Protocol):
    """Writes one line."""

    def __call__(self, event: str, *, level: str = "info", **fields: object) -> None: ...


class JsonLog:
    """Every line carries time, level, event and run; no line ever holds a secret."""

    def __init__(self, stream: TextIO, clock: Clock, run: str) -> None:
        self._stream = stream
        self._clock = clock
        self._run = run
        self._lock = threading.Lock()
        self.redact = Redactor()

    def __call__(self, event: str, *, level: str = "info", **fields: object) -> None:
        time = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": time, "level": level, "event": event, "run": self._run, **fields}
        text = self.redact(json.dumps(line, default=str, ensure_ascii=False))
        with self._lock:
            self._stream.write(text.encode(errors="backslashreplace").decode() + "\n")
            self._stream.flush()


class ProgressLog:
    """A transfer's progress: a line a second, and the end of a phase that was seen on its way. From any thread."""

    def __init__(self, log: Log, clock: Clock, mirror: str) -> None:
        self._log = log
        self._clock = clock
        self._mirror = mirror
        self._last = clock.monotonic()
        self._shown: tuple[str, int] | None = None

    def __call__(self, phase: str, percent: int) -> None:
        now = self._clock.monotonic()
        step = (phase, percent)
        seen = self._shown is not None and self._shown[0] == phase
        if step == self._shown or (now - self._last < PROGRESS_SECONDS and not (seen and percent == 100)):
            return
        self._last, self._shown = now, step
        self._log("progress", mirror=self._mirror, phase=phase, percent=percent)
