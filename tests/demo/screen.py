"""What the demo prints: numbered steps, and a line that is drawn anew while a step has nothing to say yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_INDENT = 16
_CLEAR_LINE = "\r\033[K"


class Screen:
    """Lines on `out`; it draws over what it drew only where `live` (a terminal)."""

    def __init__(self, steps: int, out: TextIO = sys.stdout, live: bool | None = None) -> None:
        self._steps, self._out = steps, out
        self.live = out.isatty() if live is None else live
        self.step_name = ""
        self._number = 0
        self._head = ""
        self._block = 0

    @contextmanager
    def step(self, name: str, otherwise: str = "") -> Iterator[None]:
        """One numbered step; `otherwise` is said where the step itself said nothing."""
        self._number += 1
        self.step_name = f"{self._number}/{self._steps} {name}"
        self._head = f" {self._number}/{self._steps} {name}".ljust(_INDENT)
        if self.live:
            self._write(f"{self._head}…")
        yield
        if self._head and otherwise:
            self.say(otherwise)
        self._head = ""

    def say(self, text: str) -> None:
        """A line of the step, under its name."""
        self._line((self._head or " " * _INDENT) + text.replace("\n", "\n" + " " * _INDENT))
        self._head = ""

    def also(self, name: str, text: str) -> None:
        """A line of the step under another name."""
        self._head = ""
        self._line(f"     {name}".ljust(_INDENT) + text)

    def plain(self, text: str = "") -> None:
        self._line(text)

    def redraw(self, lines: Sequence[str]) -> None:
        """Replaces the block of lines that the last `redraw` drew; only where live."""
        up = f"\033[{self._block}A\033[J" if self._block else _CLEAR_LINE
        self._write(up + "".join(f"{line}\n" for line in lines))
        self._block = len(lines)

    def _line(self, text: str) -> None:
        self._block = 0
        self._write((_CLEAR_LINE if self.live else "") + text + "\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s"


def shorten(path: Path) -> str:
    """A path as people write it."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)
