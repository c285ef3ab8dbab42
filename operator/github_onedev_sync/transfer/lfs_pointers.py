"""Which Git LFS objects a set of commits needs: the pointers among their files, found without the files' content.

The search has a repository of its own, into which only commits, trees and files small enough to be a pointer are
fetched, so it is the same for every engine. A server that cannot leave the large files out sends them, too.
"""

import re
import secrets
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import aiohttp

from ..api.conditions import Reason
from ..api.errors import Stalled
from ..api.refs import Listing
from .answers import public
from .engine import Endpoint, Progress
from .git_engine import environment
from .git_words import fetch_error, shallow
from .pktline import Marker, encode
from .relay_fetch import Fetcher, Timings
from .side import AGENT

if TYPE_CHECKING:
    from .git_process import GitProcess

# A pointer is smaller than this: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
_LIMIT = 1024
_VERSIONS = frozenset(
    f"version {url}"
    for url in ("https://git-lfs.github.com/spec/v1", "https://hawser.github.com/spec/v1", "http://git-media.io/v/2")
)
_OID = re.compile(r"oid sha256:([0-9a-f]{64})")
_SIZE = re.compile(r"size ([0-9]{1,18})")
_EXTENSION = re.compile(r"ext-[0-9]-\S+ sha256:[0-9a-f]{64}")
_READ_AT_ONCE = 20_000  # files whose content is held in memory
_PACK = "objects/pack/pack-from-the-source.pack"
_SMALL_FILES = (
    "rev-list", "--stdin", "--objects", "--no-object-names", "--missing=allow-any", "--filter-provided-objects",
    f"--filter=combine:object:type=blob+blob:limit={_LIMIT}",
)  # fmt: skip


@dataclass(frozen=True, order=True)
class Pointer:
    """An object by its SHA-256, and its size in bytes."""

    oid: str
    size: int


@dataclass(frozen=True)
class Found:
    """`fresh` are those of `pointers` that nothing leads to at the target yet."""

    pointers: frozenset[Pointer] = frozenset()
    fresh: frozenset[Pointer] = frozenset()


def parse_pointer(lines: Iterable[str]) -> Pointer | None:
    """The pointer that a file with these lines is, None where it is none.

    As lenient as git-lfs: the older addresses of the specification, extensions, blank lines.
    """
    told = [line for line in (line.rstrip() for line in lines) if line]
    if not told or told[0] not in _VERSIONS:
        return None
    rest = [line for line in told[1:] if not _EXTENSION.fullmatch(line)]
    if len(rest) != 2:
        return None
    oid, size = _OID.fullmatch(rest[0]), _SIZE.fullmatch(rest[1])
    return Pointer(oid[1], int(size[1])) if oid and size else None


async def find_pointers(
    session: aiohttp.ClientSession,
    scratch: Path,
    source: Endpoint,
    listing: Listing,
    tips: Collection[str],
    held: Collection[str],
    progress: Progress,
) -> Found:
    """The pointers in the history of `tips`, object ids in the source's `listing`; `held` are the target's own tips.

    `scratch` must not exist; the caller removes it. What a file `.lfsconfig` says is not looked at: whoever can write
    it would choose where we send requests. Raises `SyncError`, and OSError where the disk is full.
    """
    if not tips:
        return Found()
    source = source.at(listing.url)
    if listing.features is None:
        words = f"{public(source.url)} does not speak git's protocol version 2, which finding LFS objects takes"
        raise Stalled(Reason.NOT_SUPPORTED, f"{words}; set spec.lfs: false to mirror without them")
    (scratch / "objects" / "pack").mkdir(parents=True)
    (scratch / "home").mkdir()
    pack, wants = scratch / _PACK, sorted(set(tips))
    with pack.open("wb") as file:
        await _fetch(Fetcher(session, source, Timings()), source, _request(wants, listing.features), file)
    # GitPython is a quarter of a worker's start.
    from .git_process import GitProcess

    git = GitProcess(scratch, environment(scratch, source, source), progress)
    return await _Search(git, source).pointers(wants, held)


def _request(wants: Iterable[str], features: frozenset[str]) -> bytes:
    # By git itself a fetch that leaves something out would go on about what is missing, from some servers for ever.
    small = [f"filter blob:limit={_LIMIT}"] if "filter" in features else []
    asked = ["ofs-delta", "no-progress", *small, *(f"want {oid}" for oid in wants), "done"]
    return encode(["command=fetch", AGENT, "object-format=sha1", Marker.DELIMITER, *asked, Marker.FLUSH])


async def _fetch(fetcher: Fetcher, source: Endpoint, request: bytes, file: BinaryIO) -> None:
    timings = Timings()
    async with fetcher.fetch(request) as incoming:
        seconds = timings.counting
        try:
            while piece := await incoming.read(seconds):
                file.write(piece)
                seconds = timings.silence
        except TimeoutError as error:
            raise incoming.silent(seconds) from error
        if incoming.shallow:
            raise shallow(source.url)


class _Search:
    """The search in a repository whose one pack has just arrived."""

    def __init__(self, git: "GitProcess", source: Endpoint) -> None:
        self._git = git
        self._source = source

    async def pointers(self, tips: Iterable[str], held: Iterable[str]) -> Found:
        await self._run("init", "--quiet", "--bare", "--template=")
        await self._run("index-pack", _PACK)
        files = await self._run(*_SMALL_FILES, stdin=_lines(tips))
        pointers: dict[str, Pointer] = {}
        for start in range(0, len(files), _READ_AT_ONCE):
            pointers |= await self._read(files[start : start + _READ_AT_ONCE])
        told = await self._run("cat-file", "--batch-check=%(objectname)", stdin=_lines(held))
        known = [f"^{line}" for line in told if not line.endswith(" missing")]
        fresh = await self._run(*_SMALL_FILES, stdin=_lines((*tips, *known))) if known else files
        return Found(frozenset(pointers.values()), frozenset(pointers[file] for file in fresh if file in pointers))

    async def _read(self, files: Sequence[str]) -> dict[str, Pointer]:
        # No file can hold a line that begins with this, so none can pass for another.
        border = secrets.token_hex(16)
        lines = await self._run("cat-file", f"--batch={border} %(objectname)", stdin=_lines(files))
        return {name: pointer for name, lines in _contents(lines, border) if (pointer := parse_pointer(lines))}

    async def _run(self, *arguments: str, stdin: str = "") -> list[str]:
        done = await self._git.run(*arguments, stdin=stdin)
        if done.status:
            raise fetch_error(self._source.url, done.stderr, authenticated=self._source.token is not None)
        return done.stdout


def _lines(items: Iterable[str]) -> str:
    return "".join(f"{item}\n" for item in items)


def _contents(output: Iterable[str], border: str) -> Iterator[tuple[str, list[str]]]:
    """Each file's object id and lines."""
    name, lines = "", list[str]()
    for line in output:
        if line.startswith(border):
            yield name, lines
            name, lines = line.removeprefix(border).strip(), []
        else:
            lines.append(line)
    yield name, lines
