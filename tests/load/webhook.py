"""The webhook pod under load, as a process on one core of its own, against the API server of the cluster `tests`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from github_onedev_sync.api import names
from github_onedev_sync.api.mirror import KIND
from tests.local_cluster import Cluster, choose, environment

from .costs import high_water
from .deliveries import Deliveries, Sender, Sent
from .errors import NotMeasured
from .figures import Figure

Say = Callable[[str], None]

ROOT = Path(__file__).parents[2]
SECRET = b"a-secret-of-the-load"
_READY_SECONDS = 60
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Load:
    """How much of it. `one_in`: of so many deliveries at `rate`, one is a push to a mirror, which costs the API server
    several milliseconds of its processor; the others end in the pod."""

    mirrors: int = 200
    rate: int = 500
    seconds: int = 30
    one_in: int = 10
    pushes: int = 3_000
    burst: int = 10_000
    connections: int = 200


def measure(load: Load, say: Say) -> list[Figure]:
    """Raises NotMeasured and ClusterError."""
    cluster = choose("tests", say)
    ours = not cluster.running()
    cluster.up()
    try:
        with _mirrors(cluster, load.mirrors, say) as namespace, tempfile.TemporaryDirectory() as folder:
            return asyncio.run(_measure(cluster, namespace, Path(folder), load, say))
    finally:
        if ours:
            cluster.down()


async def _measure(cluster: Cluster, namespace: str, folder: Path, load: Load, say: Say) -> list[Figure]:
    with _replica(cluster, namespace, folder) as (process, url):
        deliveries = Deliveries(SECRET, url, range(1, load.mirrors + 1))
        sender, pushes = Sender(url), deliveries.pushes()
        say("each mirror once, so that all are known")
        await sender.as_taken(pushes, load.mirrors, 4)
        say(f"{load.rate} deliveries a second for {load.seconds} s, one in {load.one_in} a push to a mirror")
        with _Busy(process.pid) as mixed_busy:
            mixed = await sender.at_rate(deliveries.mixed(load.one_in), load.rate, load.seconds)
        say(f"{load.pushes:,} pushes to mirrors as fast as 16 connections get them taken")
        with _Busy(process.pid) as closed_busy:
            closed = await sender.as_taken(pushes, load.pushes, 16)
        say(f"a burst of {load.burst:,} pushes over {load.connections} connections")
        burst = await sender.as_taken(pushes, load.burst, load.connections)
        await sender.close()
        tokens = _tokens(cluster, namespace)
        peak = high_water(process.pid)
    if strange := set(tokens) - set(deliveries.ids[-load.burst :]):
        raise NotMeasured(f"after the burst {len(strange)} of {load.mirrors} mirrors were asked by none of it")
    each = closed_busy.seconds / load.pushes * 1000
    return [
        Figure(f"p99 at {load.rate} deliveries/s", mixed.percentile(0.99), "ms", 25, _spread(mixed, mixed_busy)),
        Figure(f"not taken at {load.rate} deliveries/s", mixed.not_taken, "", 0),
        Figure("processor time of the pod for a push to a mirror", each, "ms", 1000 / load.rate, _spread(closed)),
        Figure(f"not taken of a burst of {load.burst:,} pushes", burst.not_taken, "", 0, _spread(burst)),
        Figure("webhook pod, peak resident memory", peak / _MEGABYTE, "MB", 256),
    ]


def _spread(sent: Sent, busy: _Busy | None = None) -> str:
    rate, core = sent.answers.total() / sent.wall, f", {busy.seconds / sent.wall:.0%} of a core" if busy else ""
    return f"{rate:.0f}/s, p50 {sent.percentile(0.5):.1f} ms, p99 {sent.percentile(0.99):.1f} ms{core}"


class _Busy:
    """How many seconds of processor a process used meanwhile."""

    seconds = 0.0

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def __enter__(self) -> _Busy:
        self.seconds = -_cpu(self._pid)
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds += _cpu(self._pid)


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _mirrors(cluster: Cluster, count: int, say: Say) -> Iterator[str]:
    """So many mirrors in a namespace of their own, as if each had been synced."""
    namespace = f"load-{uuid.uuid4().hex[:8]}"
    say(f"making {count} mirrors")
    crds = [f"--filename={crd}" for crd in sorted((ROOT / "crds").glob("*.yaml"))]
    _kubectl(cluster, "apply", "--server-side", "--force-conflicts", *crds)
    _kubectl(cluster, "wait", "--for=condition=Established", "--timeout=30s", *crds)
    _kubectl(cluster, "create", "namespace", namespace)
    try:
        items = [
            {
                "apiVersion": names.API_VERSION,
                "kind": KIND,
                "metadata": {
                    "name": f"repository-{number}",
                    "namespace": namespace,
                    "labels": {names.REPOSITORY_ID: str(number)},
                },
                "spec": {
                    "source": {"repository": f"load/repository-{number}"},
                    "target": {"serverRef": {"name": "default"}},
                },
            }
            for number in range(1, count + 1)
        ]
        everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        _kubectl(cluster, "create", "--filename=-", stdin=everything)
        yield namespace
    finally:
        _kubectl(cluster, "delete", "namespace", namespace, "--wait=false")


def _tokens(cluster: Cluster, namespace: str) -> list[str]:
    found = json.loads(_kubectl(cluster, "get", "repositorymirrors", f"--namespace={namespace}", "--output=json"))
    return [item["metadata"].get("annotations", {}).get(names.REQUESTED_AT, "") for item in found["items"]]


@contextlib.contextmanager
def _replica(cluster: Cluster, namespace: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """On the first core; whoever sends, and the API server, have the others."""
    (folder / "secret").write_bytes(SECRET)
    port, admin = _free_port(), _free_port()
    variables = os.environ | {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PYTHONPATH": str(ROOT / "operator"),
        "WATCH_NAMESPACES": namespace,
        "WEBHOOK_SECRET_FOLDER": str(folder),
        "WEBHOOK_PORT": str(port),
        "HTTP_PORT": str(admin),
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_FORMAT": "json",
    }
    first = min(os.sched_getaffinity(0))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "github_onedev_sync", "webhook"], env=variables, stderr=log)
    try:
        os.sched_setaffinity(process.pid, {first})
        _await_ready(f"http://127.0.0.1:{admin}/readyz", process, folder / "log")
        yield process, f"http://127.0.0.1:{port}/webhook"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(_READY_SECONDS * 10):
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if urllib.request.urlopen(url, timeout=5).status == 200:
                return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            break
    raise NotMeasured(f"the webhook process is not ready: {log.read_text()[-2000:]}")


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _kubectl(cluster: Cluster, *arguments: str, stdin: str = "") -> str:
    command = [str(cluster.kubectl), *arguments]
    done = subprocess.run(command, input=stdin, env=environment(cluster), capture_output=True, text=True)
    if done.returncode:
        raise NotMeasured(f"kubectl {arguments[0]} failed: {done.stderr}")
    return done.stdout
