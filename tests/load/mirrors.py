"""Mirrors that a benchmark declares in the demo's cluster, and takes away again with their projects."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from tests.demo.client import Client
from tests.demo.steps import CLUSTER, NAMESPACE
from tests.local_cluster import ClusterError, choose


def demo_client() -> Client:
    """Raises ClusterError where the demo does not run."""
    cluster = choose(CLUSTER, lambda _: None)
    if not cluster.running():
        raise ClusterError("the demo does not run", "figures are taken on its cluster", "make demo")
    return Client(cluster)


@contextmanager
def mirror(client: Client, repository: str) -> Iterator[str]:
    """Declares a mirror of `repository` under a new name, which it yields at once."""
    name = f"bench-{secrets.token_hex(4)}"
    spec = {
        "source": {
            "repository": repository,
            "apiURL": "http://github.stand-ins.svc/api/v3",
            "insecure": True,
            "secretRef": {"name": "github"},
        },
        "target": {"serverRef": {"name": "default"}, "project": f"bench/{name}"},
        "deletionPolicy": "Delete",
    }
    api_version = "github-onedev-sync.io/v1alpha1"
    metadata = {"name": name, "namespace": NAMESPACE}
    client.apply({"apiVersion": api_version, "kind": "RepositoryMirror", "metadata": metadata, "spec": spec})
    try:
        yield name
    finally:
        client.kubectl("delete", "repositorymirror", name, f"--namespace={NAMESPACE}", "--timeout=120s")


def await_ready(client: Client, name: str, seconds: int) -> None:
    more = client.shown(f"kubectl --namespace={NAMESPACE} describe rmir {name}")
    waiting = ("wait", "--for=condition=Ready", f"--timeout={seconds}s", f"repositorymirror/{name}")
    client.kubectl(*waiting, f"--namespace={NAMESPACE}", more=more)
