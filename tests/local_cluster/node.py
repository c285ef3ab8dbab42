"""A real one-node Kubernetes as plain processes in namespaces of their own: the way where no engine can run kind.

Linux and root only. The whole node hangs on one `unshare` process; ending that ends all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import answers, build, cgroups, network, processes, tools
from .configuration import Layout, write
from .errors import ClusterError
from .places import CHECKOUT, Say, locked, state_root

_READY_WITHIN = 180.0
# Ends the child, and with it the node, when unshare itself is ended (unshare ignores SIGTERM while it waits).
_UNSHARE = ("unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "private")


@dataclass(frozen=True)
class NodeCluster:
    """The cluster `name` of the third way; `say` is told each step."""

    name: str
    say: Say = print

    @property
    def root(self) -> Path:
        return state_root() / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.root / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        return build.programs_folder() / "kubectl"

    @property
    def helm(self) -> Path:
        return build.programs_folder() / "helm"

    @property
    def logs(self) -> Path:
        """One file for each component."""
        return self.root / "logs"

    def running(self) -> bool:
        process = self._process()
        return process is not None and processes.started(process[0]) == process[1]

    def up(self) -> None:
        """Bring the cluster up to a ready node with DNS; says so and does nothing where it runs.

        Raises:
            ClusterError: what is missing on this machine, or the component's last words.
        """
        with locked(state_root() / f"{self.name}.lock", lambda: self.say(f"waiting for another up of {self.name}")):
            if self.running() and answers.node_ready(self._layout()):
                self.say(f"cluster {self.name} is up already: {self.kubeconfig}")
                return
            tools.for_node(self.say)
            programs = build.node_programs(self.say)
            self._clean()
            began = time.monotonic()
            try:
                layout = self._start(programs)
                self._await(layout)
            except BaseException:
                self._end()  # the logs stay until the next up or down
                raise
            self.say(f"node Ready, DNS answers … {time.monotonic() - began:.0f} s")

    def load_image(self, archive: Path) -> None:
        """Make the images of an OCI or Docker archive known to the node, under the names they have in it."""
        if not archive.is_file():
            raise ClusterError(f"no image archive {archive}", "", "python -m tests.local_cluster image builds ours")
        if not self.running():
            raise ClusterError(
                f"cluster {self.name} is not up", "", f"python -m tests.local_cluster up --name {self.name}"
            )
        loaded, found = self.root / f"loaded-{archive.name}", archive.stat()
        mark = f"{archive.resolve()} {found.st_size} {found.st_mtime_ns}"
        if loaded.exists() and loaded.read_text() == mark:
            return
        socket = str(self._layout().containerd_socket)
        command = ["ctr", "--address", socket, "--namespace", "k8s.io", "images", "import", str(archive)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError(f"cannot load {archive}", done.stderr.strip(), f"see {self.logs / 'containerd.log'}")
        loaded.write_text(mark)

    def down(self) -> None:
        """End the cluster and remove everything it made on the machine; no error where there is none."""
        with locked(state_root() / f"{self.name}.lock"):
            self._clean()

    def component_pids(self) -> dict[str, int]:
        """Process ids, as the machine counts them, of the running components by name (`kube-apiserver`, …).

        A component that is killed is started again a second later: that is a restart.
        """
        process = self._process()
        first = processes.children(process[0]) if process and self.running() else []
        return {processes.program(pid): pid for parent in first for pid in processes.children(parent)}

    def _process(self) -> tuple[int, str] | None:
        try:
            stored = json.loads((self.root / "process.json").read_text())
        except (OSError, ValueError):
            return None
        return int(stored["pid"]), str(stored["started"])

    def _layout(self) -> Layout:
        slot = int((self.root / "slot").read_text())
        return Layout(self.name, self.root, network.Network(slot), build.programs_folder())

    def _start(self, programs: Path) -> Layout:
        self.root.mkdir(parents=True, mode=0o700)
        with locked(state_root() / "slots.lock"):
            taken = {int(path.read_text()) for path in state_root().glob("*/slot")}
            chosen = network.free(taken)
            (self.root / "slot").write_text(str(chosen.slot))
        layout = Layout(self.name, self.root, chosen, programs)
        write(layout)
        cgroups.make(layout.cgroup)
        command = [*_UNSHARE, sys.executable, "-m", f"{__package__}.inside", str(self.root)]
        command += [chosen.node, chosen.machine, str(build.pause_archive())]
        environment = {"PATH": tools.PATH, "HOME": os.environ.get("HOME", "/"), "PYTHONDONTWRITEBYTECODE": "1"}
        with (layout.logs / "node.log").open("ab") as log:
            unshare = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=CHECKOUT, env=environment,
                start_new_session=True,
            )  # fmt: skip
        stored = {"pid": unshare.pid, "started": processes.started(unshare.pid)}
        (self.root / "process.json").write_text(json.dumps(stored))
        unshare.returncode = 0  # it outlives this process on purpose
        self._until(lambda: bool(processes.children(unshare.pid)), "unshare started nothing")
        network.connect(chosen, processes.children(unshare.pid)[0])
        return layout

    def _await(self, layout: Layout) -> None:
        self._until(lambda: answers.node_ready(layout), "the node did not become Ready")
        self._until(lambda: answers.dns_ready(layout), "the cluster's DNS did not answer")
        self._until(lambda: answers.pods_welcome(layout), "the namespace default got no ServiceAccount")

    def _until(self, done: Callable[[], bool], trouble: str) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while not done():
            if time.monotonic() > deadline or not self.running():
                last = (self.logs / "node.log").read_text().strip().splitlines()[-5:]
                raise ClusterError(f"{trouble} (cluster {self.name})", "\n       ".join(last), f"see {self.logs}")
            time.sleep(0.1)

    def _end(self) -> None:
        process = self._process()
        if process is None:
            return
        node = processes.children(process[0]) if self.running() else []
        births = {pid: processes.started(pid) for pid in node}
        if not processes.kill(*process) or not all(processes.kill(pid, born) for pid, born in births.items()):
            raise ClusterError(f"process {process[0]} of cluster {self.name} does not end", "", f"kill -9 {process[0]}")

    def _clean(self) -> None:
        if not self.root.exists():
            return
        self._end()
        if (self.root / "slot").exists():
            layout = self._layout()
            network.disconnect(layout.network)
            cgroups.remove(layout.cgroup)
        shutil.rmtree(self.root)
