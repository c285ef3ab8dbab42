"""The frames of git's wire protocol (gitprotocol-common(5)), parsed without I/O and with a cap on every length."""

from collections.abc import Iterable, Iterator
from enum import IntEnum

MAX_LENGTH = 65520  # git's LARGE_PACKET_MAX, the four length digits included

_HEADER = 4


class Marker(IntEnum):
    """Frames without content."""

    FLUSH = 0
    DELIMITER = 1
    RESPONSE_END = 2


class PktLineError(ValueError):
    """The bytes are not pkt-lines."""


class Parser:
    """Cuts a stream into frames as the bytes arrive; holds at most one incomplete frame."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes | Marker]:
        """Every frame that is complete now. Raises `PktLineError` at the first one that cannot be."""
        buffer = self._rest + data
        position, end = 0, len(buffer)
        try:
            while end - position >= _HEADER:
                begin = position + _HEADER
                length = _length(buffer[position:begin])
                if length < _HEADER:
                    position = begin
                    yield Marker(length)
                    continue
                if end - position < length:
                    break
                position += length
                yield buffer[begin:position]
        finally:
            self._rest = buffer[position:]

    def finish(self) -> None:
        """Raises `PktLineError` where the stream ended inside a frame."""
        if self._rest:
            raise PktLineError(f"ended inside a pkt-line, {len(self._rest)} bytes into it")


def _length(digits: bytes) -> int:
    # Python reads more as a number than git does: signs, spaces and underscores.
    try:
        length = int(digits, 16) if digits.isalnum() else -1
    except ValueError:
        length = -1
    if length < 0 or length == 3 or length > MAX_LENGTH:
        raise PktLineError(f"{digits!r} is not a pkt-line length")
    return length


def text(frame: bytes) -> bytes:
    """A frame's line without its optional line feed."""
    return frame.removesuffix(b"\n")


def encode(lines: Iterable[str | bytes | Marker]) -> bytes:
    """The frames for `lines`; text gets the line feed that git expects of it, bytes go as they are."""
    return b"".join(_frame(line) for line in lines)


def _frame(line: str | bytes | Marker) -> bytes:
    if isinstance(line, Marker):
        return b"%04x" % line
    content = line.encode() + b"\n" if isinstance(line, str) else line
    if len(content) + _HEADER > MAX_LENGTH:
        raise PktLineError(f"a line of {len(content)} bytes does not fit into a pkt-line")
    return b"%04x" % (len(content) + _HEADER) + content
