"""The controller as a process of this machine on the cluster of the tests, and GitHub as a stand-in beside it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from github_onedev_sync.adapters.cluster import Cluster as ClusterClient
from github_onedev_sync.api import names
from tests.e2e.world import ROOT, Controller, StandIn
from tests.local_cluster import choose
from tests.local_cluster.choice import Cluster, environment

from .costs import high_water, resident

TOKEN = "ghp_stars-token-of-the-figures"
_CLUSTER = "tests"


class Plain(ClusterClient):
    """The API server with nothing between: what a loop of creates takes is the least that mirrors can take."""

    async def create(self, plural: str, manifest: Mapping[str, Any]) -> None:
        path = f"/apis/{names.API_VERSION}/namespaces/{manifest['metadata']['namespace']}/{plural}"
        await self._call("POST", path, manifest)

    async def count(self, plural: str, namespace: str) -> int:
        """How many there are, without reading them all."""
        path = f"/apis/{names.API_VERSION}/namespaces/{namespace}/{plural}?limit=1"
        found = await self._call("GET", path) or {"items": [], "metadata": {}}
        return len(found["items"]) + int(found["metadata"].get("remainingItemCount", 0))


class Operator:
    """A namespace that a controller of its own watches; GitHub knows the token of `octocat`."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster, self.namespace = cluster, namespace
        options = ("--repositories", str(folder / "repositories"), "--token", f"octocat={TOKEN}")
        self.github = StandIn.on("github", "127.0.0.1", folder / "github.log", *options)
        # Tests bring pygments, the image has none, and where it is there, httpx makes 10 MB of it.
        self._absent = folder / "absent"
        self._absent.mkdir()
        (self._absent / "pygments.py").write_text('raise ImportError("the image has none")\n')
        self._controller = Controller(self._variables(), folder / "controller.log")

    def _variables(self) -> dict[str, str]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        return {
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "PYTHONPATH": os.pathsep.join((str(self._absent), str(ROOT / "operator"), str(ROOT))),
            "POD_NAMESPACE": self.namespace,
            "POD_NAME": "bench",
            "WATCH_NAMESPACES": self.namespace,
            "WORKER_IMAGE": "none",
            "HTTP_PORT": str(port),
            "LOG_FORMAT": "json",
            "MALLOC_ARENA_MAX": "1",  # as in the image
        }

    def kubectl(self, *words: str, manifest: Mapping[str, Any] | None = None) -> str:
        """Raises subprocess.CalledProcessError."""
        command = [str(self.cluster.kubectl), *words]
        text = None if manifest is None else json.dumps(manifest)
        return subprocess.run(
            command, env=environment(self.cluster), input=text, check=True, capture_output=True, text=True
        ).stdout

    def apply(self, manifest: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", manifest=manifest)

    @contextmanager
    def another_namespace(self, name: str) -> Iterator[None]:
        """With the Secret that mirrors read GitHub with; what is in it goes with it."""
        self.kubectl("create", "namespace", name)
        try:
            metadata = {"name": "github", "namespace": name}
            self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": TOKEN}})
            yield
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def start(self) -> None:
        self._controller.start()
        self._controller.wait_until_ready()

    def restart(self) -> None:
        self._controller.restart()

    def resident(self) -> int:
        return resident(self._pid)

    def peak(self) -> int:
        """The most that was resident of the controller since it started."""
        return high_water(self._pid)

    @property
    def _pid(self) -> int:
        process = self._controller.process
        return process.pid if process else 0

    def last_words(self) -> str:
        lines = self._controller.log.read_text(errors="replace").splitlines()
        return f"the controller's last words: {lines[-1] if lines else 'none'}"

    def stop(self) -> None:
        if self._controller.running:
            self._controller.stop()
        self.github.stop()


@contextmanager
def operator_running(namespace: str) -> Iterator[Operator]:
    """On the cluster of the tests, which is brought up where it does not run, and left. Raises ClusterError."""
    cluster = choose(_CLUSTER, lambda _: None)
    cluster.up()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        operator = Operator(cluster, namespace, Path(folder))
        try:
            operator.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
            with operator.another_namespace(namespace):
                yield operator
        finally:
            operator.stop()
