"""Reads a request's body: with a limit on its own size and on what all of them hold in memory together."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from .answers import Refused, Result
from .secret import Verifier

# GitHub's own cap: a larger event is not sent at all.
LIMIT = 25 * 1024 * 1024
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
_FIELD = b"payload="
_PIECE = 1 << 16


@dataclass
class Room:
    """Memory for the bodies that are being read or worked on, in bytes."""

    size: int
    taken: int = 0

    def take(self, count: int) -> None:
        """Raises `Refused` where there is no more."""
        if self.taken + count > self.size:
            raise Refused(Result.BUSY, f"bodies hold {self.taken} bytes already")
        self.taken += count

    def give_back(self, count: int) -> None:
        self.taken -= count


def check_head(content_type: str | None, encoding: str | None, length: str | None) -> str:
    """The type of what can be read, from the headers alone. Raises `Refused`."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind not in (JSON, FORM):
        raise Refused(Result.WRONG_TYPE, f"the content type must be {JSON} or {FORM}")
    if (encoding or "identity").strip().lower() != "identity":
        raise Refused(Result.WRONG_TYPE, "GitHub sends no content encoding")
    if length is not None and length.isdecimal() and int(length[:20]) > LIMIT:
        raise Refused(Result.TOO_LARGE, f"it says that it has {length[:20]} bytes")
    return kind


async def read(pieces: AsyncIterator[bytes], verifier: Verifier, room: Room) -> bytearray:
    """The whole body, through the verifier; what it holds of `room` the caller gives back. Raises `Refused`."""
    body = bytearray()
    try:
        async for piece in pieces:
            # Whatever the length was said to be.
            if len(body) + len(piece) > LIMIT:
                raise Refused(Result.TOO_LARGE, f"it has more than {LIMIT} bytes")
            room.take(len(piece))
            body += piece
            verifier.update(piece)
    except BaseException:
        room.give_back(len(body))
        raise
    return body


def payload_of(kind: str, body: bytearray) -> bytes | bytearray:
    """The JSON of a verified body. Raises `Refused`."""
    if kind == JSON:
        return body
    # parse_qs would take thirty times the size of the form: a pod has less than that.
    fields = [bytes(field) for field in body.split(b"&", 10) if field.startswith(_FIELD)]
    if len(fields) != 1:
        raise Refused(Result.UNREADABLE, "the form has no field payload")
    return _unquoted(fields[0][len(_FIELD) :])


def _unquoted(text: bytes) -> bytes:
    """Piece by piece, for each takes many times its size while it is read."""
    pieces, begin = [], 0
    while begin < len(text):
        end = begin + _PIECE
        # No piece ends within a %XX.
        end -= next((back for back in (1, 2) if text[end - back : end - back + 1] == b"%"), 0) if end < len(text) else 0
        pieces.append(unquote_to_bytes(text[begin:end].replace(b"+", b" ")))
        begin = end
    return b"".join(pieces)
