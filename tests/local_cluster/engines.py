"""Which container engines really work here: a command on the PATH alone proves nothing."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache

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
