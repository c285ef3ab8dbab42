"""The cgroup folder of one node: without its own, two kubelets would remove each other's pods as orphans."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .errors import ClusterError

_MOUNTS = Path("/sys/fs/cgroup")
_CONTROLLERS_V2 = "+cpuset +cpu +memory +pids"


def _hierarchies() -> list[Path]:
    if (_MOUNTS / "cgroup.controllers").exists():
        return [_MOUNTS]
    folders = {path.resolve() for path in _MOUNTS.iterdir() if path.is_dir()}
    return sorted(path for path in folders if (path / "cgroup.procs").exists())


def make(name: str) -> None:
    """Make `/NAME` in every hierarchy; the kubelet wants its cgroupRoot to exist."""
    for hierarchy in _hierarchies():
        folder = hierarchy / name
        try:
            folder.mkdir(exist_ok=True)
            if hierarchy == _MOUNTS:
                (folder / "cgroup.subtree_control").write_text(_CONTROLLERS_V2)
            # cgroup v1: a cpuset folder without cpus and memory nodes accepts no process.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                if hierarchy != _MOUNTS and (folder / setting).exists():
                    (folder / setting).write_text((hierarchy / setting).read_text())
        except OSError as error:
            raise ClusterError(
                f"cannot make the control group {folder}",
                str(error),
                "run as root on a machine whose /sys/fs/cgroup is writable, or use Docker or Podman with kind",
            ) from error


def present(name: str) -> list[Path]:
    return [hierarchy / name for hierarchy in _hierarchies() if (hierarchy / name).exists()]


def remove(name: str, within: float = 10.0) -> None:
    """Remove `/NAME` everywhere, bottom up; waits `within` seconds for the kernel to let the last process go."""
    deadline = time.monotonic() + within
    while (folders := present(name)) and time.monotonic() < deadline:
        for folder in folders:
            _remove_tree(folder)
        if present(name):
            time.sleep(0.1)


def _remove_tree(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        try:
            Path(path).rmdir()
        except OSError:  # still busy: the caller comes back
            return
