"""The image that ours begin with: the usual one where it can be pulled, otherwise one made of Debian packages."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from . import tools
from .engines import run
from .errors import ClusterError
from .places import Say, cache_root

PUBLIC = "python:3.13-slim"
_SUITE = "trixie"  # Python 3.13, git 2.47
_PACKAGES = "python3,git,ca-certificates"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
OWN = f"localhost/github-onedev-sync-base:{_SUITE}"
# Without it containerd gives none as soon as an image sets any other variable.
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LEAVE_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


def base_image(engine: str, say: Say) -> str:
    """The name of an image known to `engine` to build on."""
    for known in (PUBLIC, OWN):
        if _knows(engine, known):
            return known
    pulled = subprocess.run([engine, "pull", PUBLIC], check=False, capture_output=True, timeout=600)
    if pulled.returncode == 0:
        return PUBLIC
    began = time.monotonic()
    _import(engine, _root_filesystem(say))
    say(f"base image {OWN} in {engine} … {time.monotonic() - began:.0f} s")
    return OWN


def _knows(engine: str, image: str) -> bool:
    question = [engine, "inspect", "--type", "image", image]
    return subprocess.run(question, check=False, capture_output=True).returncode == 0


def _root_filesystem(say: Say) -> Path:
    kept = cache_root() / f"base-{_SUITE}.tar"
    if kept.exists():
        return kept
    tools.install({"mmdebstrap": "mmdebstrap", _KEYRING: "debian-archive-keyring"}, say)
    say(f"{PUBLIC} cannot be pulled here: making a base image of Debian packages, once")
    began = time.monotonic()
    part = kept.with_suffix(".part.tar")
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in _LEAVE_OUT]
    source = f"deb [signed-by={_KEYRING}] {_mirror()} {_SUITE} main"
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={_PACKAGES}", "--aptopt=Acquire::Languages none",
        *options, _SUITE, str(part), source)  # fmt: skip
    part.rename(kept)
    say(f"base image of Debian packages … {time.monotonic() - began:.0f} s")
    return kept


def _mirror() -> str:
    """The mirror this machine itself takes Debian from."""
    question = ["apt-get", "indextargets", "--format", "$(REPO_URI)|$(LABEL)|$(COMPONENT)", "Created-By: Packages"]
    listed = subprocess.run(question, check=False, capture_output=True, text=True).stdout.splitlines()
    mirrors = [line.split("|")[0] for line in listed if line.endswith("|Debian|main")]
    if not mirrors:
        raise ClusterError(
            "no base image",
            f"{PUBLIC} cannot be pulled and apt knows no Debian mirror",
            f"let the engine pull {PUBLIC}",
        )
    return mirrors[0]


def _import(engine: str, root_filesystem: Path) -> None:
    if engine != "buildah":
        run(engine, "import", "--change", f"ENV {_PATH}", str(root_filesystem), OWN)
        return
    container = run("buildah", "from", "scratch").strip()
    try:
        run("buildah", "add", "--quiet", container, str(root_filesystem), "/")
        run("buildah", "config", "--env", _PATH, container)
        run("buildah", "commit", "--quiet", container, OWN)
    finally:
        run("buildah", "rm", container)
