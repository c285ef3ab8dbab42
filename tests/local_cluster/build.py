"""The node's programs: one Go binary, built once from the pinned module beside this file and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from . import tools
from .configuration import PAUSE
from .errors import ClusterError
from .oci import write_single_file_image
from .places import Say, cache_root, locked
from .progress import Progress

_MODULE = Path(__file__).with_name("node")
_COMPONENTS = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "coredns",
    "kubectl", "helm",
)  # fmt: skip
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def _key() -> str:
    """Names what the programs are made of, so that a changed pin makes new ones beside the old."""
    digest = hashlib.sha256(platform.machine().encode())
    for source in ("go.mod", "go.sum", "main.go", "pause/main.go"):
        digest.update((_MODULE / source).read_bytes())
    return digest.hexdigest()[:16]


def _folder() -> Path:
    return cache_root() / f"node-{_key()}"


def programs_folder() -> Path:
    """Where the components, kubectl and helm are once they are built."""
    return _folder() / "bin"


def pause_archive() -> Path:
    return _folder() / "pause.tar"


def kubernetes_version() -> str:
    """Such as `1.37.2`, from the pinned module."""
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", (_MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ClusterError(f"{_MODULE / 'go.mod'} does not require k8s.io/kubernetes", "", "restore the file")
    return found[1]


def node_programs(say: Say) -> Path:
    """Build the node's programs unless the cache has them; returns their folder.

    An interrupted build leaves nothing that counts as built; Go's own cache keeps what it had compiled.
    """
    with locked(cache_root() / "build.lock", lambda: say("waiting for another build of the node")):
        if programs_folder().exists():
            return programs_folder()
        for killed in cache_root().glob("part-*"):
            shutil.rmtree(killed)
        compiler = tools.go(say)
        version = kubernetes_version()
        minor = ".".join(version.split(".")[:2])
        say(f"building a one-node Kubernetes {minor} from source, once (kept in {cache_root()})")
        with tempfile.TemporaryDirectory(prefix="part-", dir=cache_root()) as temporary:
            made = Path(temporary) / "made"
            (made / "bin").mkdir(parents=True)
            _compile(compiler, ".", made / "bin" / "node", version, say)
            _compile(compiler, "./pause", made / "pause", version, say)
            architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
            write_single_file_image(made / "pause.tar", PAUSE, made / "pause", architecture)
            for component in _COMPONENTS:
                (made / "bin" / component).symlink_to("node")
            made.rename(_folder())
    return programs_folder()


def client(name: str, say: Say) -> Path:
    """`kubectl` or `helm`: the one on the PATH, otherwise built from the pinned module."""
    found = shutil.which(name)
    if found:
        return Path(found)
    if (programs_folder() / name).exists():
        return programs_folder() / name
    packages = {"kubectl": "k8s.io/kubernetes/cmd/kubectl", "helm": "helm.sh/helm/v4/cmd/helm"}
    target = cache_root() / f"clients-{_key()}" / name
    with locked(cache_root() / "build.lock", lambda: say("waiting for another build")):
        if not target.exists():
            say(f"no {name} here: building it from source, once (kept in {cache_root()})")
            target.parent.mkdir(exist_ok=True)
            _compile(tools.go(say), packages[name], target.with_suffix(".part"), kubernetes_version(), say)
            target.with_suffix(".part").rename(target)
    return target


def _compile(compiler: str, package: str, target: Path, version: str, say: Say) -> None:
    stamp = "k8s.io/component-base/version.git"
    major, minor, _ = version.split(".")
    flags = f"-s -w -X {stamp}Version=v{version} -X {stamp}Major={major} -X {stamp}Minor={minor}"
    environment = os.environ | {"CGO_ENABLED": "0"}
    listed = subprocess.run(
        [compiler, "list", "-deps", package], cwd=_MODULE, env=environment, check=False, capture_output=True, text=True
    )
    progress = Progress(listed.stdout.count("\n"), "packages", say)
    command = [compiler, "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(target), package]
    with subprocess.Popen(
        command, cwd=_MODULE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as building:
        last: list[str] = []
        for line in building.stderr or ():
            last = [*last[-4:], line.rstrip()]
            progress.step()
        progress.close()
    if building.returncode:
        raise ClusterError(
            f"go build of {package} failed", "\n       ".join(last),
            f"cd {_MODULE} && go build {package}   (the network must reach a Go module proxy)",
        )  # fmt: skip
