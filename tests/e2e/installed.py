"""The operator installed with Helm, in a namespace of its own; GitHub and OneDev as pods in another."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.local_cluster.choice import Cluster, environment
from tests.local_cluster.images import stand_ins_image

from .world import ROOT, Controller, StandIn, World

MANIFESTS = ROOT / "tests/stand_ins/manifests.yaml"


@dataclass
class Installed:
    """The release `name` in the namespace of the same name; its mirrors live in `world`, both servers in `outside`.

    `api` is the API server, over connections that stay open.
    """

    cluster: Cluster
    name: str
    outside: str
    world: World
    api: httpx.Client

    @property
    def account(self) -> str:
        return f"system:serviceaccount:{self.name}:{self.name}-controller"

    def run(self, *command: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        done = subprocess.run(
            command, env=environment(self.cluster), input=input, capture_output=True, text=True, timeout=200
        )
        assert not (check and done.returncode), f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def steer(self, server: str, path: str, members: dict[str, Any] | None = None) -> Any:
        """The admin API of a stand-in in its pod, by way of the API server; without `members` it is only asked."""
        path = f"/api/v1/namespaces/{self.outside}/services/{server}:http/proxy/_stand-in/{path}"
        answer = self.api.get(path) if members is None else self.api.post(path, json=members)
        assert answer.status_code == 200, answer.text
        return answer.json()

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

    def prepare(self, outside: str) -> None:
        """The namespaces, and what is `outside`."""
        self.run("kubectl", "apply", "-f", "-", input=outside)
        for namespace in (self.name, self.world.namespace):
            self.run("kubectl", "create", "namespace", namespace)
            self.run("kubectl", "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")

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

    def remove(self) -> None:
        self.run("helm", "uninstall", self.name, "--namespace", self.name, "--ignore-not-found")
        namespaces = (self.name, self.outside, self.world.namespace)
        self.run("kubectl", "delete", "namespace", *namespaces, "--wait=false", "--ignore-not-found")


@contextmanager
def api_of(cluster: Cluster) -> Iterator[httpx.Client]:
    """Where kubectl would be a process for each request."""
    command = [str(cluster.kubectl), "proxy", "--port=0"]
    with subprocess.Popen(command, env=environment(cluster), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            # Starting to serve on 127.0.0.1:PORT
            address = process.stdout.readline().split()[-1]
            with httpx.Client(base_url=f"http://{address}", timeout=60, trust_env=False) as client:
                yield client
        finally:
            process.terminate()


@contextmanager
def installation(cluster: Cluster, kind: str, folder: Path) -> Iterator[Installed]:
    """Its namespaces and both servers; what is in them goes in the end. `install` does the rest."""
    name = f"e2e-{kind}-{os.getpid()}"
    outside, mirrors = f"{name}-outside", f"{name}-mirrors"
    unused = Controller({}, folder / "none")
    github, onedev = (StandIn(f"http://{server}.{outside}.svc", (), folder / "none") for server in ("github", "onedev"))
    world = World(cluster, mirrors, github, onedev, "github", unused)
    manifests = MANIFESTS.read_text().replace("stand-ins", outside).replace(", --with-big", "")
    with api_of(cluster) as api:
        found = Installed(cluster, name, outside, world, api)
        try:
            found.prepare(manifests.replace("${IMAGE}", stand_ins_image().reference))
            yield found
        finally:
            found.remove()
