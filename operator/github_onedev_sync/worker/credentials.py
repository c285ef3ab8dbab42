"""Credentials come from files alone, read anew for every mirror because the kubelet replaces them in place."""

from dataclasses import dataclass, field
from pathlib import Path

from ..api.conditions import Reason
from ..api.errors import Stalled

TOKEN = "token"
CA = "ca.crt"
_TOKEN_LIMIT = 4096


@dataclass(frozen=True)
class Credentials:
    """A token and the PEM text of the only authorities to trust, each where there is one."""

    token: str | None = field(default=None, repr=False)
    ca: str | None = None
    ca_file: str | None = None


def read(directory: str, reason: Reason, side: str) -> Credentials:
    """What lies in `directory`. Raises `Stalled(reason)` for what cannot be used.

    An empty name means anonymous, and so does a source's `ca.crt` without a token.
    """
    if not directory:
        return Credentials()
    ca_file, token_file = Path(directory, CA), Path(directory, TOKEN)
    ca = _text(ca_file, reason, side) if ca_file.exists() else None
    if ca and side == "source" and not token_file.exists():
        return Credentials(None, ca, str(ca_file))
    token = _text(token_file, reason, side).strip()
    if not token or len(token) > _TOKEN_LIMIT or not all("!" <= character <= "~" for character in token):
        raise Stalled(reason, f"the {side}'s Secret has no usable key token: one line of visible ASCII is expected")
    return Credentials(token, ca, str(ca_file) if ca else None)


def _text(file: Path, reason: Reason, side: str) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        kind = "is not text" if isinstance(error, UnicodeDecodeError) else "is missing"
        raise Stalled(reason, f"the {side}'s Secret cannot be used: its key {file.name} {kind}") from error
