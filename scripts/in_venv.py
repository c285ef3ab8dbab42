"""Runs Python in the project's virtual environment, made first where it is missing: `scripts/in_venv.py -m pytest …`.

The environment lies in the cache, named by what it is made of, so a checkout stays clean and a changed lock makes a new
one. Only the standard library is used here: this runs on a machine where nothing is installed yet.
"""

# ruff: noqa: S603, T201 (a program of this checkout, which starts what it names itself)
from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
LOCK = CHECKOUT / "requirements-dev.txt"
AT_LEAST = (3, 11)
# What a bare Debian lacks, by what proves that it is there: a program on the PATH, or a module of this Python.
PROGRAMS = {"git": "git"}
MODULES = {"ensurepip": "python3-venv", "venv": "python3-venv"}


class Trouble(Exception):
    """What is wrong, why, and the command that mends it."""

    def __init__(self, what: str, why: str, fix: str) -> None:
        super().__init__(f"error: {what}\n  why: {why}\n  fix: {fix}")


def main(arguments: list[str]) -> int:
    """Becomes that Python; returns only where it cannot."""
    if sys.version_info < AT_LEAST:
        found = ".".join(map(str, sys.version_info[:3]))
        print(
            f"error: Python {found} is too old\n  why: Python 3.11 or later is needed\n"
            "  fix: make PYTHON=/path/to/a/newer/python3 …",
            file=sys.stderr,
        )
        return 1
    try:
        python = environment()
    except Trouble as trouble:
        print(f"\n{trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; the next run begins the environment anew", file=sys.stderr)
        return 130
    paths = [str(CHECKOUT / "operator"), str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    return os.execve(python, [str(python), *arguments], variables)  # noqa: S606


def environment() -> Path:
    """The Python of the complete environment. Raises Trouble."""
    install_system_packages()
    cache = _cache()
    folder = cache / f"venv-{_key()}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "venv.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            _make(folder, python)
            complete.touch()
    return python


def install_system_packages() -> None:
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program) is None}
    missing |= {package for module, package in MODULES.items() if importlib.util.find_spec(module) is None}
    if not missing:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *sorted(missing)]
    shown = " ".join(command)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Trouble(f"missing: {' '.join(sorted(missing))}", "not installed on this machine", f"sudo {shown}")
    began = time.monotonic()
    variables = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update"], command):
        done = subprocess.run(step, env=variables, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Trouble(f"cannot install {' '.join(sorted(missing))}", _last(done.stderr), shown)
    _say(f"installed {' '.join(sorted(missing))} (apt) … {time.monotonic() - began:.0f} s")


def _make(folder: Path, python: Path) -> None:
    """Without the file `complete` a folder counts for nothing, so whatever an interruption left is thrown away."""
    began = time.monotonic()
    _say(f"virtual environment from {LOCK.name}, once (kept in {folder.parent}) …", end="")
    shutil.rmtree(folder, ignore_errors=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-input"]
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "--require-hashes", "--requirement", str(LOCK)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            shown = " ".join(step).replace(" --quiet", "")
            raise Trouble("the virtual environment cannot be made", _last(done.stderr or done.stdout), shown)
    _say(f" {time.monotonic() - began:.0f} s")


def _cache() -> Path:
    # The XDG base directory specification: a relative path in the variable is invalid and must be ignored.
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "github-onedev-sync"


def _key() -> str:
    """Of the lock and the interpreter: a venv dies with the Python that made it."""
    made_of = LOCK.read_bytes() + f"{sys.executable} {sys.version}".encode()
    return hashlib.sha256(made_of).hexdigest()[:16]


def _last(text: str) -> str:
    return "\n       ".join(text.strip().splitlines()[-5:]) or "it said nothing"


def _say(text: str, end: str = "\n") -> None:
    # Standard output belongs to the program that is started.
    print(text, end=end, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
