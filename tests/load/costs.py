"""What a process and everything that it starts costs: wall time, processor time, memory, disk."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.local_cluster.processes import every

from .errors import NotMeasured

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SAMPLE_SECONDS = 0.1
_LIMIT_SECONDS = 1800.0
_SHOWN = 2000


@dataclass(frozen=True)
class Cost:
    """`wall` and `cpu` (user and system) in seconds; `peak` bytes resident at once in all processes together, pages
    that they share counted in each; `disk` bytes of files in its folder at once, the largest that was seen.
    """

    wall: float
    cpu: float
    peak: int
    disk: int


def cost(command: Sequence[str], variables: Mapping[str, str], folder: Path) -> Cost:
    """Runs the command, which keeps its files in `folder`, to its end. Raises NotMeasured where it fails."""
    log = folder.with_suffix(".log")
    with log.open("wb") as said:
        began = time.perf_counter()
        # In a session of its own, so that an interrupted benchmark can end all of it.
        process = subprocess.Popen(
            command, env=variables, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True
        )
        watch = _Watch(process.pid, folder)
        watch.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watch.stop()
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        words = log.read_text(errors="replace")[-_SHOWN:]
        raise NotMeasured(f"{command[0]} ended with {process.returncode}: {words}")
    return Cost(wall, used.ru_utime + used.ru_stime, watch.peak, watch.disk)


class _Watch(threading.Thread):
    """Looks again and again at a process, its descendants and its folder."""

    def __init__(self, pid: int, folder: Path) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.disk = 0
        self._pid, self._folder = pid, folder
        self._ended = threading.Event()

    def run(self) -> None:
        deadline = time.monotonic() + _LIMIT_SECONDS
        while not self._ended.wait(_SAMPLE_SECONDS):
            family = descendants(self._pid)
            # The kernel's own high-water mark catches for each process what falls between two looks.
            together = sum(map(resident, family))
            self.peak = max(self.peak, together, *map(high_water, family))
            self.disk = max(self.disk, used_bytes(self._folder))
            if time.monotonic() > deadline:
                os.killpg(self._pid, signal.SIGKILL)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def descendants(pid: int) -> list[int]:
    """The process and everything below it."""
    parents = {child: parent for child in every() if (parent := _parent(child))}
    found = [pid]
    for known in found:
        found += [child for child, parent in parents.items() if parent == known]
    return found


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def high_water(pid: int) -> int:
    """The most that was ever resident of the program that `pid` runs now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


def used_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`, without the folders themselves."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:  # gone meanwhile
                continue
    return total
