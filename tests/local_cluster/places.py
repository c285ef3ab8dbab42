"""Where a cluster keeps what it needs: state a cluster dies with, cache that outlives it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OURS = "github-onedev-sync"
CHECKOUT = Path(__file__).resolve().parents[2]

Say = Callable[[str], None]


def _xdg(variable: str, default: str) -> Path:
    # The XDG base directory specification: a relative path in the variable is invalid and must be ignored.
    given = Path(os.environ.get(variable, ""))
    return (given if given.is_absolute() else Path.home() / default) / OURS


def state_root() -> Path:
    return _xdg("XDG_STATE_HOME", ".local/state")


def cache_root() -> Path:
    return _xdg("XDG_CACHE_HOME", ".cache")


@contextmanager
def locked(path: Path, busy: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold `path` alone; calls `busy` once if another process holds it. The lock ends with the process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if busy is not None:
                busy()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
