"""Histories to mirror, the same every time: `python -m tests.stand_ins.repositories DIR [--with-big]`.

All belong to the owner `demo`. Every author date is fixed, so the object ids never change.
"""

import argparse
import contextlib
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from .processes import GitFailed, environment, run_git

OWNER = "demo"
EPOCH = 1_577_836_800
MANY = 500
BIG_BLOBS = 100
BLOB_BYTES = 1 << 20
PLAIN = {"README.md": "# A repository\n"}

# Names that git allows and that have broken mirrors; those in TROUBLESOME are more than OneDev's hooks can read.
ODD_BRANCHES = (
    "umlaut-äöüß",
    "hash#1",
    "at@home",
    "comma,semi;colon",
    "bang!dollar$paren(s)",
    "quote'double\"back`tick",
    "pipe|less<brace{",
    "UPPER/lower",
)
TROUBLESOME_BRANCHES = ("percent-%41", "percent-%zz", "a&b", "key=value", "release-2.43+stringlabels")
TROUBLESOME_TAGS = ("v1.28.2+k3s1", "v1.0.0+build.5", "100%", "r&d", "x=y")


class Import:
    """A `git fast-import` stream. Each commit is a second younger than the one before."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._seconds = EPOCH

    def commit(self, ref: str, message: str, files: Mapping[str, str | bytes], parent: str | None = None) -> None:
        """A commit on `ref`, on top of what it had, or of `parent` (any revision of the stream or repository)."""
        self._parts.append(f"commit {ref}\ncommitter {self._signature()}\n".encode() + _data(message.encode()))
        if parent is not None:
            self._parts.append(f"from {parent}\n".encode())
        for name, content in files.items():
            body = content if isinstance(content, bytes) else content.encode()
            self._parts.append(f"M 100644 inline {name}\n".encode() + _data(body))

    def point(self, ref: str, at: str) -> None:
        self._parts.append(f"reset {ref}\nfrom {at}\n\n".encode())

    def annotate(self, tag: str, at: str, message: str) -> None:
        self._parts.append(f"tag {tag}\nfrom {at}\ntagger {self._signature()}\n".encode() + _data(message.encode()))

    def _signature(self) -> str:
        self._seconds += 1
        return f"Mona Example <mona@example.com> {self._seconds} +0000"

    def run(self, repository: Path, settings: Mapping[str, str] | None = None) -> None:
        """Writes everything into the repository. Raises GitFailed."""
        command = ["git", "-C", str(repository), "fast-import", "--quiet", "--force"]
        with subprocess.Popen(
            command,
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin is not None
            # Piece by piece: the stream of a big history is not held twice.
            with contextlib.suppress(BrokenPipeError):
                for part in self._parts:
                    process.stdin.write(part)
            _, errors = process.communicate()
        if process.returncode:
            raise GitFailed(errors.decode(errors="replace"))


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def empty(path: Path) -> None:
    """A bare repository without a commit, HEAD naming the unborn `main`."""
    path.mkdir(parents=True)
    run_git(path, "init", "--quiet", "--bare", "--initial-branch=main", "--template=")


def one_commit(path: Path) -> None:
    empty(path)
    stream = Import()
    stream.commit("refs/heads/main", "First words", PLAIN)
    stream.run(path)


def many_refs(path: Path, count: int = MANY) -> None:
    """`count` branches beside main, and `count` tags, every other one annotated."""
    empty(path)
    stream = Import()
    stream.commit("refs/heads/main", "First words", PLAIN)
    for number in range(count):
        branch = f"refs/heads/topic/{number:04}"
        stream.point(branch, "refs/heads/main")
        stream.commit(branch, f"Topic {number}", {f"topics/{number:04}.txt": f"{number}\n"})
        if number % 2:
            stream.annotate(f"v0.{number}", branch, f"Release {number}\n")
        else:
            stream.point(f"refs/tags/v0.{number}", branch)
    stream.run(path)
    run_git(path, "pack-refs", "--all")


def nested(path: Path) -> None:
    """A branch `x`, which `switch_to_nested` replaces by `x/y`: a file that becomes a folder."""
    empty(path)
    stream = Import()
    stream.commit("refs/heads/main", "First words", PLAIN)
    stream.commit("refs/heads/x", "A branch in the way", {"x.txt": "x\n"}, parent="refs/heads/main")
    stream.run(path)


def switch_to_nested(path: Path) -> None:
    """The branch `x` goes, `x/y` comes at the same commit."""
    _replace(path, "refs/heads/x", "refs/heads/x/y")


def switch_to_flat(path: Path) -> None:
    """The way back."""
    _replace(path, "refs/heads/x/y", "refs/heads/x")


def _replace(path: Path, old: str, new: str) -> None:
    oid = run_git(path, "rev-parse", old)
    run_git(path, "update-ref", "-d", old)
    run_git(path, "update-ref", new, oid)


def odd_refs(path: Path) -> None:
    """Names and tags that are legal, rare and hard: see ODD_BRANCHES, the TROUBLESOME ones and `_odd_tags`."""
    empty(path)
    stream = Import()
    stream.commit("refs/heads/main", "First words", {**PLAIN, "src/main.py": "print('hello')\n"})
    for branch in (*ODD_BRANCHES, *TROUBLESOME_BRANCHES):
        stream.commit(f"refs/heads/{branch}", f"On {branch}", {"name.txt": branch}, parent="refs/heads/main")
    for tag in TROUBLESOME_TAGS:
        stream.point(f"refs/tags/{tag}", "refs/heads/main")
    stream.annotate("v1.0", "refs/heads/main", "The first\n")
    stream.run(path)
    _odd_tags(path)


def _odd_tags(path: Path) -> None:
    """Tags that lead to a tree, to a blob, to another tag."""
    targets = {
        "v1.0-tree": ("tree", "main^{tree}"),
        "public-key": ("blob", "main:README.md"),
        "v1.0-signed-off": ("tag", "refs/tags/v1.0"),
    }
    for name, (kind, revision) in targets.items():
        oid = run_git(path, "rev-parse", revision)
        head = f"object {oid}\ntype {kind}\ntag {name}\ntagger Mona Example <mona@example.com> {EPOCH} +0000\n\n"
        made = run_git(path, "mktag", data=f"{head}{name}\n".encode())
        run_git(path, "update-ref", f"refs/tags/{name}", made)
    run_git(path, "update-ref", "refs/tags/light-tree", run_git(path, "rev-parse", "main^{tree}"))
    run_git(path, "update-ref", "refs/tags/light-blob", run_git(path, "rev-parse", "main:README.md"))


def big(path: Path, blobs: int = BIG_BLOBS) -> None:
    """`blobs` MiB that do not compress, in as many files, ten of them in each commit."""
    empty(path)
    stream, noise = Import(), random.Random(1)
    for first in range(0, blobs, 10):
        files = {
            f"noise/{number:03}.bin": noise.randbytes(BLOB_BYTES) for number in range(first, min(first + 10, blobs))
        }
        stream.commit("refs/heads/main", f"Noise from {first}", files)
    # Nobody gains from zlib and delta search on noise.
    stream.run(path, {"core.compression": "0", "core.bigFileThreshold": "512k"})


def copy_of(path: Path, origin: Path) -> None:
    """A bare copy of a repository's branches and tags, without a word of where it came from. Raises GitFailed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    run_git(path.parent, "clone", "--quiet", "--bare", "--no-hardlinks", "--template=", str(origin), path.name)
    run_git(path, "remote", "remove", "origin")


def this_project() -> Path | None:
    """The repository this file is checked out from, if it is complete."""
    here = Path(__file__).resolve().parent
    try:
        shallow = run_git(here, "rev-parse", "--is-shallow-repository")
        return None if shallow == "true" else Path(run_git(here, "rev-parse", "--show-toplevel"))
    except GitFailed:
        return None


HISTORIES: dict[str, Callable[[Path], None]] = {
    "empty": empty,
    "one-commit": one_commit,
    "many-refs": many_refs,
    "nested": nested,
    "odd-refs": odd_refs,
}


def write(directory: Path, *, with_big: bool = False, project: Path | None = None) -> Iterable[Path]:
    """Makes what is missing below `directory`/demo and yields each repository's path once it is complete.

    project: a complete repository to copy as `this-project`.
    """
    histories = dict(HISTORIES)
    if with_big:
        histories["big"] = big
    if project is not None:
        histories["this-project"] = lambda path: copy_of(path, project)
    for name, make in histories.items():
        path = directory / OWNER / f"{name}.git"
        if not path.exists():
            # A half-made one must not look like a whole one after a crash.
            unfinished = path.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(path)
        yield path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stand_ins.repositories", description="Histories to mirror.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--with-big", action="store_true", help="add a repository of 100 MB")
    parser.add_argument("--project", type=Path, help="what to copy as this-project; default: the enclosing checkout")
    chosen = parser.parse_args()
    project = chosen.project or this_project()
    for path in write(chosen.directory, with_big=chosen.with_big, project=project):
        print(path, flush=True)
    if project is None:
        print("no complete checkout around this file: this-project is left out", flush=True)


if __name__ == "__main__":
    main()
