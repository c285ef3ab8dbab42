"""What the relay says and hears: requests for packs, the pack in its bands, and OneDev's word on a push. No I/O.

Formats: gitprotocol-v2(5) for fetch, gitprotocol-pack(5) for the bands and the report of a push.
"""

import hashlib
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .pktline import Marker, Parser, PktLineError, encode, text
from .side import AGENT
from .steps import Command

ZERO = "0" * 40
# What receive-pack may be asked for, where it offers it.
_WANTED = ("report-status-v2", "side-band-64k", "ofs-delta", "delete-refs", "quiet", "object-format=sha1")
_REPORT_LIMIT = 32 * 1024 * 1024
# A push has half as many refs at most, and slices are cut at fewer commits.
_STATUSES = 10_000
_ENDS = 10_000
_SAID_LINES = 100
_SAID_LENGTH = 1000
_TYPES = {"commit": 1, "tree": 2, "blob": 3, "tag": 4}
_OID = re.compile(rb"[0-9a-f]{40}")
# So much of a pack is looked at in one piece, and so much of its contents: a commit is smaller.
_PIECE = 4096
_CONTENTS = 256 * 1024 * 1024


class WireError(ValueError):
    """The other side's bytes are not what the protocol says."""


def fetch_request(wants: Iterable[str], haves: Iterable[str] = (), *, shallow: str = "") -> bytes:
    """One whole `fetch`, with no second round: unknown haves are ignored.

    With a `shallow` line such as `deepen 1` it is a question, for commits and tags alone. Only a complete fetch may be
    thin, for only OneDev has what the deltas of a thin pack build on.
    """
    kind = [shallow, "filter tree:0"] if shallow else ["thin-pack", "ofs-delta"]
    return encode(
        [
            "command=fetch",
            AGENT,
            "object-format=sha1",
            Marker.DELIMITER,
            "no-progress",
            *kind,
            *(f"want {oid}" for oid in wants),
            *(f"have {oid}" for oid in haves),
            "done",
            Marker.FLUSH,
        ]
    )


class FetchAnswer:
    """The answer to a `fetch` as it arrives. `shallow` holds the commits at which a shallow history ends."""

    def __init__(self) -> None:
        self._parser = Parser()
        self._section = b""
        self.shallow: list[str] = []
        self.ended = False

    @property
    def in_pack(self) -> bool:
        return self._section == b"packfile"

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces of the pack in `data`. Raises WireError."""
        pieces: list[bytes] = []
        try:
            for frame in self._parser.feed(data):
                if self.ended:
                    raise WireError("it goes on after its end")
                if isinstance(frame, bytes) and self.in_pack:
                    self._band(frame, pieces)
                else:
                    self._line(frame)
        except PktLineError as error:
            raise WireError(str(error)) from error
        return pieces

    def _band(self, frame: bytes, pieces: list[bytes]) -> None:
        if frame[:1] == b"\x01":
            if len(frame) > 1:  # an empty one keeps the connection alive while the server counts objects
                pieces.append(frame[1:])
        elif frame[:1] == b"\x03":
            raise WireError(f"the server says: {_readable(frame[1:])}")
        elif frame[:4] == b"ERR ":
            raise WireError(f"the server says: {_readable(frame[4:])}")
        elif frame[:1] != b"\x02":
            raise WireError(f"{frame[:20]!r} is on no band")

    def _line(self, frame: bytes | Marker) -> None:
        if isinstance(frame, Marker):
            if frame is Marker.FLUSH:
                if not self.in_pack:
                    raise WireError("it has no pack")
                self.ended = True
            elif self.in_pack:
                raise WireError("the pack is interrupted")
            self._section = self._section if self.in_pack else b""
            return
        line = text(frame)
        if line.startswith(b"ERR "):
            raise WireError(f"the server says: {_readable(line[4:])}")
        if not self._section:
            self._section = line
        elif self._section == b"shallow-info" and line.startswith(b"shallow "):
            if not _OID.fullmatch(line, 8):
                raise WireError(f"{line[:60]!r} is no end of a history")
            if len(self.shallow) < _ENDS:
                self.shallow.append(line[8:].decode())

    def finish(self) -> None:
        """Raises WireError where the answer was cut."""
        if not self.ended:
            raise WireError("it was cut before its end")


def object_count(pack: bytes) -> int:
    """How many objects a pack with these first 12 bytes says it holds. Raises WireError where it is no pack."""
    if len(pack) < 12 or pack[:4] != b"PACK" or struct.unpack_from(">L", pack, 4)[0] not in (2, 3):
        raise WireError(f"{pack[:12]!r} is not the beginning of a pack")
    return int(struct.unpack_from(">L", pack, 8)[0])


def build_pack(objects: Sequence[tuple[str, bytes]] = ()) -> bytes:
    """A pack of these objects (type and content), each whole."""
    body = b"PACK" + struct.pack(">LL", 2, len(objects))
    body += b"".join(_entry(_TYPES[kind], content) for kind, content in objects)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _entry(kind: int, content: bytes) -> bytes:
    """Type and length with seven bits a byte, four in the first (gitformat-pack(5)), then the content."""
    head, length = bytearray(), len(content)
    byte, length = (kind << 4) | (length & 15), length >> 4
    while length:
        head.append(byte | 0x80)
        byte, length = length & 0x7F, length >> 7
    head.append(byte)
    return bytes(head) + zlib.compress(content)


def holds_trees_or_blobs(pack: bytes) -> bool:
    """Whether a whole pack that is not thin has an entry of these types. Raises WireError.

    A delta is of its base's type, and all bases are in the pack, so entries that are no deltas tell.
    """
    left, position, budget = object_count(pack), 12, _CONTENTS
    while left:
        try:
            kind, start = _type_and_start(pack, position)
            if kind in (_TYPES["tree"], _TYPES["blob"]):
                return True
            position, size = _end_and_size(pack, start, budget)
        except (IndexError, zlib.error) as error:
            raise WireError("the pack is damaged") from error
        left, budget = left - 1, budget - size
    return False


def _type_and_start(pack: bytes, position: int) -> tuple[int, int]:
    first = byte = pack[position]
    position += 1
    while byte & 0x80:
        byte, position = pack[position], position + 1
    kind = (first >> 4) & 7
    if kind == 7:  # the base is named; the other kind of delta was not asked for
        position += 20
    elif kind not in _TYPES.values():
        raise WireError(f"the pack holds an entry of type {kind}")
    return kind, position


def _end_and_size(pack: bytes, position: int, budget: int) -> tuple[int, int]:
    """Where the entry whose content begins here ends, and how long its content is."""
    unpacker, size = zlib.decompressobj(), 0
    # In pieces, for zlib copies whatever follows an entry.
    while not unpacker.eof:
        if not (piece := pack[position : position + _PIECE]):
            raise IndexError(position)
        position += len(piece)
        while piece and not unpacker.eof:
            size += len(unpacker.decompress(piece, 1 << 16))
            piece = unpacker.unconsumed_tail
            if size > budget:
                raise WireError("its commits are larger than any commit is")
    return position - len(unpacker.unused_data), size


def capabilities_in(line: bytes) -> frozenset[str]:
    """What receive-pack offers, from the first line of its ref list."""
    return frozenset(text(line).partition(b"\0")[2].decode(errors="replace").split())


def push_request(commands: Sequence[Command], offered: frozenset[str]) -> bytes:
    """The command list that goes before the pack."""
    asked = [name for name in _WANTED if name in offered]
    if "report-status-v2" not in offered:
        asked.insert(0, "report-status")
    lines: list[bytes] = []
    for command in commands:
        line = f"{command.old or ZERO} {command.new or ZERO} {command.name}".encode()
        lines.append(line if lines else line + b"\0 " + " ".join(asked).encode())
    return encode([*lines, Marker.FLUSH])


@dataclass
class PushAnswer:
    """OneDev's answer to a push as it arrives.

    `unpack` is `ok` or an error, `refs` maps each name to None for ok, else to why not; `said` is what hooks printed.
    """

    unpack: str = ""
    refs: dict[str, str | None] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._bands, self._report = Parser(), Parser()
        self._size = 0
        self._ended = False
        self._half = b""

    def feed(self, data: bytes) -> None:
        """Raises WireError."""
        self._size += len(data)
        if self._size > _REPORT_LIMIT:
            raise WireError(f"its report is longer than {_REPORT_LIMIT} bytes")
        try:
            for frame in self._bands.feed(data):
                if self._ended:
                    raise WireError("it goes on after its end")
                self._frame(frame)
        except PktLineError as error:
            raise WireError(str(error)) from error

    def _frame(self, frame: bytes | Marker) -> None:
        if isinstance(frame, Marker):
            self._ended = frame is Marker.FLUSH
        elif frame[:1] == b"\x01":
            for line in self._report.feed(frame[1:]):
                if isinstance(line, bytes):
                    self._status(text(line).decode(errors="replace"))
        elif frame[:1] == b"\x02":
            self._say(frame[1:])
        elif frame[:1] == b"\x03":
            raise WireError(f"the server says: {_readable(frame[1:])}")
        else:
            raise WireError(f"{frame[:20]!r} is on no band")

    def _status(self, line: str) -> None:
        word, _, rest = line.partition(" ")
        if word == "unpack":
            self.unpack = rest[:_SAID_LENGTH]
        elif word == "ok":
            self.refs[rest] = None
        elif word == "ng":
            name, _, why = rest.partition(" ")
            self.refs[name] = why[:_SAID_LENGTH] or "no reason given"
        elif word != "option":
            raise WireError(f"{line[:80]!r} is no line of a report")
        if len(self.refs) > _STATUSES:
            raise WireError("it reports on more refs than were pushed")

    def _say(self, data: bytes) -> None:
        *lines, self._half = (self._half + data).split(b"\n")
        self._half = self._half[:_SAID_LENGTH]
        self.said += [line[:_SAID_LENGTH].decode(errors="replace") for line in lines]
        del self.said[:-_SAID_LINES]

    def finish(self) -> None:
        """Raises WireError where there is no whole report."""
        if not self._ended or not self.unpack:
            raise WireError("its report was cut" if self._size else "it sent no report")


def _readable(data: bytes) -> str:
    return " ".join(data[:200].decode(errors="replace").split())
