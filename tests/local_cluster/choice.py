"""The one interface to a cluster, and which of the three ways serves it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from . import engines
from .build import kubernetes_version
from .errors import ClusterError
from .kind import KindCluster
from .named import VARIABLE, NamedCluster
from .node import NodeCluster
from .places import Say, state_root

WAY = "LOCAL_CLUSTER"


class Cluster(Protocol):
    """A cluster for the demo or the tests; each method raises ClusterError with a remedy."""

    @property
    def name(self) -> str: ...

    @property
    def kubeconfig(self) -> Path:
        """Set it as KUBECONFIG; the current context of the user is never touched."""
        ...

    @property
    def kubectl(self) -> Path: ...

    @property
    def helm(self) -> Path: ...

    def running(self) -> bool: ...

    def up(self) -> None:
        """Bring it up until its node is Ready and its DNS answers; does nothing where it runs."""
        ...

    def load_image(self, archive: Path) -> None:
        """Make the images in an OCI or Docker archive known to every node."""
        ...

    def down(self) -> None:
        """Remove it without a trace; no error where there is none."""
        ...


def environment(cluster: Cluster) -> dict[str, str]:
    """The process environment in which `kubectl` and `helm` mean this cluster and no other."""
    clients = {str(cluster.kubectl.parent): None, str(cluster.helm.parent): None}
    path = os.pathsep.join([*clients, os.environ.get("PATH", os.defpath)])
    return os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "PATH": path}


def choose(name: str, say: Say = print) -> Cluster:
    """The cluster `name` and the way it runs, said aloud.

    In this order: the cluster named by KUBECONFIG_FOR_TESTS; the way that a running `name` was made in; the way named
    by LOCAL_CLUSTER (`kind` or `node`); kind where Docker or Podman answers; the one-node cluster from source.
    """
    if os.environ.get(VARIABLE):
        say(f"using the cluster of {VARIABLE}={os.environ[VARIABLE]}")
        return NamedCluster(name, Path(os.environ[VARIABLE]), say)
    if not name.replace("-", "").isalnum() or name != name.lower() or len(name) > 30:
        raise ClusterError(f"{name!r} is no cluster name", "it names a node", "up to 30 lower-case letters, digits, -")
    way = os.environ.get(WAY, "")
    if way not in ("", "kind", "node"):
        raise ClusterError(f"{WAY}={way} is unknown", "", f"{WAY}=kind, {WAY}=node, or leave it out")
    if (state_root() / name / "slot").exists():
        say(f"using the one-node Kubernetes {kubernetes_version()} that {name} was made as")
        return NodeCluster(name, say)
    engine = engines.for_kind()
    if way == "kind" or (way == "" and engine is not None):
        if engine is None:
            raise ClusterError(
                "kind cannot run here", "neither Docker nor Podman answers", "start one, or LOCAL_CLUSTER=node"
            )
        say(f"using kind on {engine}")
        return KindCluster(name, engine, say)
    reason = "as asked" if way else "no Docker or Podman here"
    say(f"{reason}: using a one-node Kubernetes {kubernetes_version()} made of plain processes")
    return NodeCluster(name, say)
