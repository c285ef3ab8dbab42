"""Kubernetes in a container of Docker or Podman, by kind."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import build, tools
from .errors import ClusterError
from .places import Say, cache_root, locked, state_root

_MODULE = "sigs.k8s.io/kind@v0.33.0"


@dataclass(frozen=True)
class KindCluster:
    """The kind cluster `name` on `engine` (`docker` or `podman`)."""

    name: str
    engine: str
    say: Say = print

    @property
    def kubeconfig(self) -> Path:
        return state_root() / self.name / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        return build.client("kubectl", self.say)

    @property
    def helm(self) -> Path:
        return build.client("helm", self.say)

    def running(self) -> bool:
        return self.name in self._kind("get", "clusters").split()

    def up(self) -> None:
        with locked(state_root() / f"{self.name}.lock", lambda: self.say(f"waiting for another up of {self.name}")):
            self.kubeconfig.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self.running():
                self._kind("export", "kubeconfig", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
                self.say(f"cluster {self.name} is up already: {self.kubeconfig}")
                return
            options = ("--name", self.name, "--kubeconfig", str(self.kubeconfig), "--wait", "180s")
            self._kind("create", "cluster", *options)
            self._run(str(self.kubectl), "--kubeconfig", str(self.kubeconfig), "--namespace", "kube-system",
                      "rollout", "status", "deployment/coredns", "--timeout=120s")  # fmt: skip

    def load_image(self, archive: Path) -> None:
        self._kind("load", "image-archive", str(archive), "--name", self.name)

    def down(self) -> None:
        if self.running():
            self._kind("delete", "cluster", "--name", self.name, "--kubeconfig", str(self.kubeconfig))
        shutil.rmtree(self.kubeconfig.parent, ignore_errors=True)

    def _kind(self, *words: str) -> str:
        return self._run(str(_program(self.say)), *words)

    def _run(self, *command: str) -> str:
        environment = os.environ | {"KIND_EXPERIMENTAL_PROVIDER": self.engine}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            fix = "LOCAL_CLUSTER=node takes the one-node cluster instead (Linux, root)"
            raise ClusterError(f"{' '.join(command[:3])} failed on {self.engine}", done.stderr.strip(), fix)
        return done.stdout


def _program(say: Say) -> Path:
    found = shutil.which("kind")
    if found:
        return Path(found)
    folder = cache_root() / _MODULE.rpartition("/")[2]
    with locked(cache_root() / "kind.lock"):
        if not (folder / "kind").exists():
            say(f"no kind here: building {_MODULE}, once")
            environment = os.environ | {"GOBIN": str(folder), "CGO_ENABLED": "0"}
            command = [tools.go(say), "install", _MODULE]
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
            if done.returncode:
                raise ClusterError("cannot build kind", done.stderr.strip(), "install kind and put it on the PATH")
    return folder / "kind"
