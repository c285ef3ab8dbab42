"""kubectl and helm for exactly one cluster; the user's own KUBECONFIG is never read."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.local_cluster import Cluster, ClusterError, environment

_USEFUL_LINES = 6


class Client:
    """Commands against `cluster`; each raises ClusterError with the command's last words."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self._environment = environment(cluster)

    def kubectl(self, *arguments: str, stdin: str | None = None, more: str = "") -> str:
        """What kubectl prints. `more` is the command that shows more, should this one fail."""
        return self._run(str(self.cluster.kubectl), *arguments, stdin=stdin, more=more)

    def helm(self, *arguments: str, more: str = "") -> str:
        return self._run(str(self.cluster.helm), *arguments, more=more)

    def apply(self, *documents: dict[str, Any]) -> None:
        together = {"apiVersion": "v1", "kind": "List", "items": documents}
        self.kubectl("apply", "--filename=-", stdin=json.dumps(together))

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def namespace(self, name: str, **labels: str) -> None:
        metadata = {"name": name, "labels": labels}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})

    def secret(self, namespace: str, name: str, **values: str) -> None:
        """`kubectl create secret generic`, also where it is there; the values never become arguments."""
        metadata = {"name": name, "namespace": namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values})

    def rollout(self, namespace: str, name: str, seconds: int) -> None:
        more = self.shown(f"kubectl --namespace={namespace} describe pods")
        self.kubectl("rollout", "status", f"deployment/{name}", f"--namespace={namespace}", f"--timeout={seconds}s",
                     more=more)  # fmt: skip

    def shown(self, command: str) -> str:
        """The command as a person types it."""
        return f"KUBECONFIG={self.cluster.kubeconfig} {command}"

    @contextmanager
    def forward(self, namespace: str, service: str) -> Iterator[str]:
        """The URL on this machine's loopback that leads to port 80 of a Service."""
        command = [str(self.cluster.kubectl), "port-forward", f"--namespace={namespace}", f"service/{service}", ":80"]
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as forwarding:
            try:
                assert forwarding.stdout is not None
                found = re.search(r"127\.0\.0\.1:(\d+)", forwarding.stdout.readline())
                if found is None:
                    forwarding.kill()
                    _, said = forwarding.communicate()
                    raise ClusterError(
                        f"cannot reach Service {service}", _last(said), self.shown(" ".join(command[1:]))
                    )
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                forwarding.kill()

    def _run(self, *command: str, stdin: str | None = None, more: str = "") -> str:
        done = subprocess.run(command, input=stdin, env=self._environment, capture_output=True, text=True, check=False)
        if done.returncode:
            words = " ".join([command[0].rpartition("/")[2], *command[1:4]])
            again = " ".join([command[0].rpartition("/")[2], *command[1:]])
            raise ClusterError(f"{words} failed", _last(done.stderr or done.stdout), more or self.shown(again))
        return done.stdout


def _last(text: str) -> str:
    return "\n       ".join(text.strip().splitlines()[-_USEFUL_LINES:])
