"""Takes out of a text what nobody may see, and what would do something to the terminal that shows it."""

import base64
import json
import re
from collections.abc import Iterable

HIDDEN = "[hidden]"

# Where a credential stands in a URL or a header, and GitHub's own token forms wherever they slip in.
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_AUTHORIZATION = re.compile(r"(?i)(authorization:?\s*(?:basic|bearer|token)\s+)\S+")
_GITHUB = re.compile(r"\b(?:gh[opsur]_|github_pat_)[A-Za-z0-9_.-]+")


def printable(text: str) -> str:
    """`text` without control characters, escape sequences' beginnings and marks that turn its direction."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


class Redactor:
    """Hides the given secrets in every form in which we send them, and whatever looks like a credential."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        self._secrets = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))
        return _GITHUB.sub(HIDDEN, text)


def _forms(secret: str) -> Iterable[str]:
    yield secret
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(f"x-access-token:{secret}".encode()).decode()
