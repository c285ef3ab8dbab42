"""The secret that GitHub signs with, and whether a body was signed with it.

The signature is an HMAC-SHA256 over the raw bytes, for JSON that was read and written again is not the same.
"""

import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from pathlib import Path

CURRENT, PREVIOUS = "secret", "previousSecret"

_SIGNATURE = re.compile(r"sha256=([0-9a-fA-F]{64})")


def signature_of(header: str | None) -> bytes | None:
    """The digest in `X-Hub-Signature-256`, or None where it is missing or no such thing."""
    found = _SIGNATURE.fullmatch(header or "")
    return bytes.fromhex(found[1]) if found else None


class Verifier:
    """Fed with a body piece by piece; then tells whether any of the secrets signed it."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._digests = [hmac.new(secret, digestmod=hashlib.sha256) for secret in secrets]

    def update(self, piece: bytes) -> None:
        for digest in self._digests:
            digest.update(piece)

    def matches(self, signature: bytes) -> bool:
        # All of them, so that the time tells nothing of which.
        found = [hmac.compare_digest(digest.digest(), signature) for digest in self._digests]
        return any(found)


@dataclass
class Secrets:
    """The files `secret` and, while it is rotated, `previousSecret` in `folder`: a mounted Secret, read anew when it
    has changed."""

    folder: Path
    # Why there is none, empty where there is.
    trouble: str = ""
    _seen: tuple[object, ...] = ()
    _secrets: tuple[bytes, ...] = ()

    def current(self) -> tuple[bytes, ...]:
        """None at all where none can be read."""
        # Before they are read: what changes meanwhile is seen the next time.
        seen = mark(f"{self.folder}/{CURRENT}"), mark(f"{self.folder}/{PREVIOUS}")
        if seen != self._seen or self.trouble:
            self._secrets, self.trouble = self._read()
            self._seen = seen
        return self._secrets

    def _read(self) -> tuple[tuple[bytes, ...], str]:
        found = []
        for name in (CURRENT, PREVIOUS):
            path = self.folder / name
            try:
                # An editor or `--from-file` leaves a line's end that nobody typed into GitHub.
                word = path.read_bytes().rstrip(b"\r\n")
            except FileNotFoundError:
                word = b""
            except OSError as error:
                return (), f"the file {path} cannot be read: {error.strerror}"
            if word:
                found.append(word)
            elif name == CURRENT:
                return (), f"the file {path} is missing or empty: mount a Secret with the key {CURRENT}"
        return tuple(found), ""


def mark(path: Path | str) -> object:
    """Differs where the file was written or exchanged."""
    try:
        told = os.stat(path)
    except OSError:
        return None
    return told.st_ino, told.st_mtime_ns, told.st_size
