"""The measurements, each a function that returns figures."""

from __future__ import annotations

import re
import statistics
import threading
import zlib
from pathlib import Path

from tests.demo.client import Client
from tests.demo.screen import Stopwatch
from tests.demo.steps import NAMESPACE, OPERATOR_NAMESPACE
from tests.local_cluster import ClusterError, images

from .figures import Figure
from .mirrors import await_ready, demo_client, mirror

_TRIES = 5
_PIECE = 1 << 20
_MEGABYTE = 1_000_000
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def first_sync() -> list[Figure]:
    """From `kubectl apply` to Ready for a repository of one commit, the pod's start included."""
    client, taken = demo_client(), []
    for _ in range(_TRIES):
        watch = Stopwatch()
        with mirror(client, "demo/one-commit") as name:
            await_ready(client, name, 120)
            taken.append(watch.seconds)
    return [
        Figure(f"first sync of one commit, median of {_TRIES}", statistics.median(taken), "s", 8),
        Figure(f"first sync of one commit, worst of {_TRIES}", max(taken), "s", 12),
    ]


def memory() -> list[Figure]:
    """Peak resident memory: of the controller since it started, of a worker while it mirrors 100 MB in one pack."""
    client = demo_client()
    with mirror(client, "demo/big") as name:
        worker = _WorkerPeak(client, name)
        worker.start()
        try:
            await_ready(client, name, 600)
        finally:
            worker.stop()
    status = client.kubectl(
        "exec", f"--namespace={OPERATOR_NAMESPACE}", "deployment/github-onedev-sync-controller", "--", "cat",
        "/proc/1/status",
    )  # fmt: skip
    controller = int(_PEAK.findall(status)[0]) * 1024 / _MEGABYTE
    return [
        Figure("controller, peak resident memory", controller, "MB", 256),
        Figure("worker of a 100 MB repository, peak resident memory", worker.peak / _MEGABYTE, "MB", 512),
    ]


class _WorkerPeak(threading.Thread):
    """Adds up the processes of the worker's pod again and again; `peak` is in bytes."""

    def __init__(self, client: Client, mirror_name: str) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._client, self._mirror, self._ended = client, mirror_name, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.1):
            pods = self._client.kubectl("get", "pods", f"--namespace={NAMESPACE}", "--output=name").split()
            for pod in pods:
                if pod.startswith(f"pod/{self._mirror}-"):
                    self.peak = max(self.peak, self._resident(pod))

    def _resident(self, pod: str) -> int:
        try:
            status = self._client.kubectl(
                "exec", f"--namespace={NAMESPACE}", pod, "--", "sh", "-c", "cat /proc/[0-9]*/status 2> /dev/null; true"
            )
        except ClusterError:  # not started yet, or over already
            return 0
        return sum(map(int, _RSS.findall(status))) * 1024

    def stop(self) -> None:
        self._ended.set()
        self.join()


def image() -> list[Figure]:
    """The operator's image as a registry would hold it."""
    operator = images.build(lambda _: None)[0]
    size = compressed(operator.archive) / _MEGABYTE
    return [Figure("image, compressed", size, "MB", 150)]


def compressed(archive: Path) -> int:
    """Bytes after gzip. Layers that are compressed already hardly change."""
    packer, size = zlib.compressobj(6), 0
    with archive.open("rb") as reading:
        while piece := reading.read(_PIECE):
            size += len(packer.compress(piece))
    return size + len(packer.flush())
