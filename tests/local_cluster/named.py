"""The cluster that the user names: never touched but by what is applied to it."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import build
from .errors import ClusterError
from .places import Say

VARIABLE = "KUBECONFIG_FOR_TESTS"
LOADER = "LOAD_IMAGE_COMMAND"


@dataclass(frozen=True)
class NamedCluster:
    """A cluster that is there already; `up` only asks whether it answers, `down` leaves it as it is."""

    name: str
    kubeconfig: Path
    say: Say = print

    @property
    def kubectl(self) -> Path:
        return build.client("kubectl", self.say)

    @property
    def helm(self) -> Path:
        return build.client("helm", self.say)

    def running(self) -> bool:
        return self._ask().returncode == 0

    def up(self) -> None:
        if not self.kubeconfig.is_file():
            raise ClusterError(
                f"{VARIABLE} names no file: {self.kubeconfig}", "", f"export {VARIABLE}=PATH, or unset it"
            )
        asked = self._ask()
        if asked.returncode:
            raise ClusterError(f"the cluster of {VARIABLE} does not answer", asked.stderr.strip(), f"unset {VARIABLE}")
        self.say(f"the cluster of {VARIABLE} answers")

    def load_image(self, archive: Path) -> None:
        """Hand the archive to the command in LOAD_IMAGE_COMMAND: how a cluster of others takes images is theirs."""
        command = shlex.split(os.environ.get(LOADER, ""))
        if not command:
            fix = f"export {LOADER}='kind load image-archive --name NAME' or such; the archive's path is appended"
            raise ClusterError(f"cannot load {archive.name}", f"the cluster of {VARIABLE} is not ours", fix)
        done = subprocess.run([*command, str(archive)], check=False, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(
                f"cannot load {archive.name}", done.stderr.strip(), f"check {LOADER}={shlex.join(command)}"
            )

    def down(self) -> None:
        self.say(f"the cluster of {VARIABLE} is left as it is")

    def _ask(self) -> subprocess.CompletedProcess[str]:
        command = [str(self.kubectl), "--kubeconfig", str(self.kubeconfig), "get", "--raw", "/readyz"]
        return subprocess.run([*command, "--request-timeout=10s"], check=False, capture_output=True, text=True)
