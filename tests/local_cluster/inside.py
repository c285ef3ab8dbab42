"""The first process of a node, inside its own mount, network and process namespaces.

Started by `node.py` as `python -m tests.local_cluster.inside ROOT ADDRESS GATEWAY PAUSE_ARCHIVE`. It prepares the
namespaces, starts the components group by group and starts again what ends. As process 1 it also reaps every orphan;
when it ends, the kernel ends everything else of the node.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_START_WITHIN = 120.0
_RESTART_AFTER = 1.0
# What the kubelet would set for the whole machine; it is shown these files instead and finds its wishes fulfilled.
_SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
# Where components write whatever they are told: there they see the machine's files, and what they write ends with them.
_PRIVATE = ("/etc", "/run", "/var/lib", "/var/log")
_SCRATCH = Path("/mnt")


def main(arguments: list[str]) -> None:
    root, address, gateway, pause = Path(arguments[0]), arguments[1], arguments[2], arguments[3]
    _own_mounts(root, [root, Path(pause).parent])
    _own_network(address, gateway)
    node = _Node(root)
    groups = json.loads((root / "etc" / "components.json").read_text())
    control = str(root / "containerd.sock")
    ready: list[Callable[[], bool]] = [
        lambda: _listens("127.0.0.1", 2379) and os.path.exists(control),
        lambda: _api_ready(root, address),
        lambda: True,
    ]
    for group, is_ready in zip(groups, ready, strict=True):
        for name, command in group.items():
            node.start(name, command)
        _until(is_ready, f"{', '.join(group)} not ready")
        if "containerd" in group:
            _import(control, pause)
    node.watch()


class _Node:
    """The components by process id; each is started again one second after it ends."""

    def __init__(self, root: Path) -> None:
        self._logs = root / "logs"
        self._running: dict[int, tuple[str, list[str]]] = {}

    def start(self, name: str, command: list[str]) -> None:
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        # Popen would wait for it on its own; here one loop waits for every child, adopted ones too.
        process.returncode = 0
        self._running[process.pid] = (name, command)

    def watch(self) -> None:
        while True:
            pid, status = os.waitpid(-1, 0)
            if pid in self._running:
                name, command = self._running.pop(pid)
                print(f"{name} ended with {os.waitstatus_to_exitcode(status)}; starting it again", flush=True)
                time.sleep(_RESTART_AFTER)
                self.start(name, command)


def _own_mounts(root: Path, kept: list[Path]) -> None:
    """Cover the folders that components write to, except `kept`, and the settings that the kubelet would change."""
    _run("mount", "-t", "tmpfs", "-o", "mode=0755", "node", str(_SCRATCH))
    for number, folder in enumerate(kept):
        (_SCRATCH / f"kept{number}").mkdir()
        _run("mount", "--bind", str(folder), str(_SCRATCH / f"kept{number}"))
    for number, covered in enumerate(_PRIVATE):
        upper, work = _SCRATCH / f"upper{number}", _SCRATCH / f"work{number}"
        upper.mkdir()
        work.mkdir()
        _run("mount", "-t", "overlay", "-o", f"lowerdir={covered},upperdir={upper},workdir={work}", "node", covered)
    for number, folder in enumerate(kept):
        _run("mount", "--bind", str(_SCRATCH / f"kept{number}"), str(folder))
    shown = root / "sysctl"
    shown.mkdir()
    for name, value in _SYSCTLS.items():
        setting = Path("/proc/sys") / name
        if setting.exists():
            file = shown / name.replace("/", ".")
            file.write_text(f"{value}\n")
            _run("mount", "--bind", str(file), str(setting))


def _own_network(address: str, gateway: str) -> None:
    _until(lambda: Path("/proc/self/net/dev").read_text().count("eth0:") > 0, "the link to the machine did not come")
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{address}/24", "dev", "eth0")
    _run("ip", "link", "set", "eth0", "up")
    _run("ip", "route", "add", "default", "via", gateway)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def _import(control: str, archive: str) -> None:
    # The socket appears a moment before the image service answers on it.
    command = ["ctr", "--address", control, "--namespace", "k8s.io", "images", "import", archive]
    _until(lambda: subprocess.run(command, check=False).returncode == 0, "cannot import the pause image")


def _listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def _api_ready(root: Path, address: str) -> bool:
    certificates = root / "certificates"
    context = ssl.create_default_context(cafile=str(certificates / "ca.crt"))
    context.load_cert_chain(certificates / "admin.crt", certificates / "admin.key")
    try:
        with urllib.request.urlopen(f"https://{address}:6443/readyz", context=context, timeout=2) as answer:
            return int(answer.status) == 200
    except (urllib.error.URLError, OSError):
        return False


def _until(done: Callable[[], bool], trouble: str) -> None:
    deadline = time.monotonic() + _START_WITHIN
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"{trouble} within {_START_WITHIN:.0f} s")
        time.sleep(0.05)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
