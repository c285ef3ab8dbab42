"""The operator installed with Helm, in a namespace of its own; GitHub and OneDev as pods in another."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.local_cluster.choice import Cluster, environment
from tests.local_cluster.images import stand_ins_image

from .world import ROOT, Controller, StandIn, World

MANIFESTS = ROOT / "tests/stand_ins/manifests.yaml"


@dataclass
class Installed:
    """The release `name` in the namespace of the same name; its mirrors live in `world`, both servers in `outside`."""

    cluster: Cluster
    name: str
    outside: str
    world: World

    @property
    def account(self) -> str:
        return f"system:serviceaccount:{self.name}:{self.name}-controller"

    def run(self, *command: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        done = subprocess.run(
            command, env=environment(self.cluster), input=input, capture_output=True, text=True, timeout=200
        )
        assert not (check and done.returncode), f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def steer(self, server: str, path: str, members: dict[str, Any]) -> Any:
        """The admin API of a stand-in in its pod, by way of the API server."""
        address = f"/api/v1/namespaces/{self.outside}/services/{server}:http/proxy/_stand-in/{path}"
        return json.loads(self.run("kubectl", "create", "--raw", address, "-f", "-", input=json.dumps(members)))

    def act(self, server: str, action: str, **members: Any) -> Any:
        return self.steer(server, "actions", {"action": action, **members})["result"]

    def may(self, verb: str, resource: str, namespace: str, account: str | None = None) -> bool:
        asked = ["kubectl", "auth", "can-i", verb, *resource.split(), "-n", namespace]
        return self.run(*asked, f"--as={account or self.account}", check=False).strip() == "yes"

    def secret(self, name: str, **texts: str) -> None:
        """In the namespace of the release."""
        metadata = {"name": name, "namespace": self.name}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}
        self.run("kubectl", "apply", "-f", "-", input=json.dumps(secret))

    def install(self, image: str, **values: Any) -> None:
        """Waits until it is ready, and GitHub and OneDev as well."""
        repository, _, tag = image.rpartition(":")
        told = {
            "image": {"repository": repository, "tag": tag},
            "fullnameOverride": self.name,
            "crds": {"enabled": False},
            "watchNamespaces": [self.world.namespace],
            "aggregateClusterRoles": False,
            **values,
        }
        chart = str(ROOT / "charts/github-onedev-sync")
        installing = ["helm", "install", self.name, chart, "--namespace", self.name, "--wait"]
        self.run(*installing, "--timeout=180s", "--values=-", input=json.dumps(told))
        self.run("kubectl", "-n", self.outside, "rollout", "status", "deployment", "--timeout=120s")


@contextmanager
def installation(cluster: Cluster, kind: str, folder: Path) -> Iterator[Installed]:
    """Its namespaces and both servers; what is in them goes in the end. `install` does the rest."""
    name = f"e2e-{kind}-{os.getpid()}"
    outside, mirrors = f"{name}-outside", f"{name}-mirrors"
    unused = Controller({}, folder / "none")
    github, onedev = (StandIn(f"http://{server}.{outside}.svc", (), folder / "none") for server in ("github", "onedev"))
    found = Installed(cluster, name, outside, World(cluster, mirrors, github, onedev, "github", unused))
    manifests = MANIFESTS.read_text().replace("stand-ins", outside).replace(", --with-big", "")
    try:
        found.run("kubectl", "apply", "-f", "-", input=manifests.replace("${IMAGE}", stand_ins_image().reference))
        for namespace in (name, mirrors):
            found.run("kubectl", "create", "namespace", namespace)
            found.run("kubectl", "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield found
    finally:
        found.run("helm", "uninstall", name, "--namespace", name, "--ignore-not-found")
        found.run("kubectl", "delete", "namespace", name, outside, mirrors, "--wait=false", "--ignore-not-found")
