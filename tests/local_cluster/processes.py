"""Processes seen through /proc: who lives, who descends from whom."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

_STATE, _PARENT, _STARTED = 0, 1, 19  # fields of /proc/PID/stat after the command name, proc_pid_stat(5)


def _stat(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def started(pid: int) -> str:
    """The moment process `pid` started, which tells it from a later one of the same id; empty when it is gone."""
    fields = _stat(pid)
    return fields[_STARTED] if fields and fields[_STATE] not in "ZX" else ""


def every() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def children(pid: int) -> list[int]:
    return [child for child in every() if (fields := _stat(child)) and int(fields[_PARENT]) == pid]


def program(pid: int) -> str:
    """The name that process `pid` was started under; empty when it is gone."""
    try:
        first = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return ""
    return os.path.basename(first.decode(errors="replace"))


def kill(pid: int, since: str, within: float = 15.0) -> bool:
    """End process `pid` if it is the one started at `since`; says whether it is gone after `within` seconds."""
    deadline = time.monotonic() + within
    while started(pid) == since:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
