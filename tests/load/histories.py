"""Histories to measure with, made once by `git fast-import` and kept in the cache: the same every time.

Each is a bare repository. `big` and `wide` look like real projects: text that is edited a little again and again, so
that most of a pack is deltas. `huge` is noise, for memory only.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.local_cluster.places import cache_root, locked
from tests.stand_ins.processes import GitFailed, environment, run_git
from tests.stand_ins.repositories import BLOB_BYTES, EPOCH, empty

# Part of every name in the cache: raise it when a history changes.
VERSION = 2
_PERSON = "Mona Example <mona@example.com>"
_LINES = 200_000
_WORDS = 20_000
# Nobody gains from zlib and delta search on noise.
_NOISE = {"core.compression": "0", "core.bigFileThreshold": "512k"}


@dataclass(frozen=True)
class Shape:
    """A history of text: every commit edits `edits` files and adds `additions`; `branches` and `tags` besides main."""

    commits: int
    additions: int
    edits: int
    branches: int
    tags: int


# Of the size and depth of a large Java server project: 120 MB in 300,000 objects.
BIG = Shape(commits=7800, additions=2, edits=6, branches=150, tags=400)
WIDE = Shape(commits=2000, additions=1, edits=2, branches=5000, tags=15_000)
SMALL = Shape(commits=20, additions=1, edits=2, branches=1, tags=2)
HUGE_BLOBS = 1024


def big(shape: Shape = BIG) -> Path:
    return _kept("big", lambda path: text(path, shape))


def wide(shape: Shape = WIDE) -> Path:
    return _kept("wide", lambda path: text(path, shape))


def small(shape: Shape = SMALL) -> Path:
    return _kept("small", lambda path: text(path, shape))


def huge(blobs: int = HUGE_BLOBS) -> Path:
    return _kept("huge", lambda path: noise(path, blobs))


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    folder = cache_root() / "histories"
    path = folder / f"{name}-{VERSION}.git"
    with locked(folder / "lock"):
        if not path.exists():
            print(f"making the history {name}, once (kept in {folder}) …", file=sys.stderr, flush=True)
            unfinished = path.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            make(unfinished)
            unfinished.rename(path)
    return path


def copy(origin: Path, path: Path) -> None:
    """A repository of its own that shares the pack files, which git never writes to, where the file system can."""
    shutil.copytree(origin, path, copy_function=_linked, ignore=shutil.ignore_patterns("*.lock"))


def _linked(origin: str, path: str) -> None:
    if origin.endswith((".pack", ".idx")):
        try:
            os.link(origin, path)
        except OSError:  # another file system
            shutil.copy2(origin, path)
    else:
        shutil.copy2(origin, path)


def pack_bytes(path: Path) -> int:
    return sum(pack.stat().st_size for pack in (path / "objects/pack").glob("*.pack"))


def text(path: Path, shape: Shape) -> None:
    """Raises GitFailed."""
    empty(path)
    _import(path, _Writer(shape).stream())
    # fast-import compares each file with the one it wrote before; a server's pack is made of better deltas.
    run_git(path, "repack", "-a", "-d", "-f", "--quiet", "--write-bitmap-index")
    run_git(path, "pack-refs", "--all")


def noise(path: Path, blobs: int) -> None:
    """`blobs` commits with 1 MiB each that does not compress. Raises GitFailed."""
    empty(path)
    made = random.Random(1)

    def stream() -> Iterator[bytes]:
        for number in range(blobs):
            yield _commit("refs/heads/main", EPOCH + number, f"Noise {number}")
            yield _file(f"noise/{number:04}.bin", made.randbytes(BLOB_BYTES))

    _import(path, stream(), _NOISE)


def _import(path: Path, parts: Iterable[bytes], settings: dict[str, str] | None = None) -> None:
    command = ["git", "-C", str(path), "fast-import", "--quiet"]
    with subprocess.Popen(
        command,
        env=environment({"fastimport.unpackLimit": "0", **(settings or {})}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        for part in parts:
            process.stdin.write(part)
        process.stdin.close()
    if process.returncode:
        raise GitFailed(f"git fast-import ended with {process.returncode}")


class _Writer:
    """Writes the history of a project: folders, files of a few hundred lines, small edits all over them."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._random = random.Random(shape.commits)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "er", "in", "on")]
        words = ["".join(self._random.choices(syllables, k=self._random.randint(1, 4))) for _ in range(_WORDS)]
        self._lines = [self._line(words) for _ in range(min(_LINES, shape.commits * 100))]
        self._files: list[tuple[str, list[str]]] = []

    def _line(self, words: list[str]) -> str:
        # Squared, because some words of a language are far more frequent than others.
        chosen = [words[int(len(words) * self._random.random() ** 2)] for _ in range(self._random.randint(2, 9))]
        return "    " * self._random.randint(0, 3) + self._random.choice((" ", ".", "(", " = ")).join(chosen)

    def stream(self) -> Iterator[bytes]:
        shape = self._shape
        for number in range(1, shape.commits + 1):
            yield _commit("refs/heads/main", EPOCH + 60 * number, self._random.choice(self._lines).strip(), number)
            yield from self._edit()
            yield from self._add()
        for number in range(shape.branches):
            yield _commit(f"refs/heads/topic/{number:05}", EPOCH + number, f"Topic {number}", parent=self._any())
            yield _file("topic.txt", b"%d\n" % number)
        for number in range(shape.tags):
            if number % 2:
                yield _tag(f"v0.{number}", self._any(), EPOCH + number)
            else:
                yield b"reset refs/tags/v0.%d\nfrom :%d\n\n" % (number, self._any())

    def _any(self) -> int:
        """The mark of a commit of main."""
        return self._random.randint(1, self._shape.commits)

    def _edit(self) -> Iterator[bytes]:
        for _ in range(min(self._shape.edits, len(self._files))):
            name, lines = self._random.choice(self._files)
            for _ in range(self._random.randint(1, 12)):
                lines[self._random.randrange(len(lines))] = self._random.choice(self._lines)
            lines.insert(self._random.randrange(len(lines)), self._random.choice(self._lines))
            yield _file(name, "\n".join(lines).encode())

    def _add(self) -> Iterator[bytes]:
        for _ in range(self._shape.additions):
            lines = self._random.choices(self._lines, k=self._random.randint(40, 400))
            folder = f"src/part{self._random.randrange(30):02}/main/room{self._random.randrange(20):02}"
            name = f"{folder}/file{len(self._files):05}.txt"
            self._files.append((name, lines))
            yield _file(name, "\n".join(lines).encode())


def _commit(ref: str, seconds: int, message: str, mark: int = 0, parent: int = 0) -> bytes:
    """Its files follow it."""
    return b"".join(
        [
            b"commit %s\n" % ref.encode(),
            b"mark :%d\n" % mark if mark else b"",
            b"committer %s %d +0000\n" % (_PERSON.encode(), seconds),
            _data(message.encode()),
            b"from :%d\n" % parent if parent else b"",
        ]
    )


def _tag(name: str, at: int, seconds: int) -> bytes:
    head = f"tag {name}\nfrom :{at}\ntagger {_PERSON} {seconds} +0000\n"
    return head.encode() + _data(f"Release {name}\n".encode())


def _file(name: str, content: bytes) -> bytes:
    return b"M 100644 inline %s\n" % name.encode() + _data(content)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)
