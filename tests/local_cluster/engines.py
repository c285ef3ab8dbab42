"""Which container engines really work here: a command on the PATH alone proves nothing."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

from .errors import ClusterError

_ANSWER_WITHIN = 15.0


@cache
def answers(engine: str) -> bool:
    """Whether `docker`, `podman` or `buildah` is there and can reach what it needs."""
    if shutil.which(engine) is None:
        return False
    # `docker info` ends with 0 although no server answers; the server's version does not.
    question = {"docker": ["version", "--format", "{{.Server.Version}}"]}.get(engine, ["info"])
    try:
        done = subprocess.run([engine, *question], check=False, capture_output=True, timeout=_ANSWER_WITHIN)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def for_kind() -> str | None:
    """`docker` or `podman` if one of them answers."""
    return next((engine for engine in ("docker", "podman") if answers(engine)), None)


def for_building() -> str | None:
    """The first of `docker`, `podman` and `buildah` that answers."""
    return next((engine for engine in ("docker", "podman", "buildah") if answers(engine)), None)


def run(*command: str) -> str:
    """Run a build command and return what it prints; ClusterError with its last words if it fails."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-8:]
        raise ClusterError(f"{' '.join(command[:2])} failed", "\n       ".join(last), " ".join(command))
    return done.stdout
