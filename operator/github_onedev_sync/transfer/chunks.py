"""Which names OneDev takes, and how many in one push.

OneDev's hooks send git's list of refs as a form that they do not encode (`GitPreReceiveCallback`): `+` breaks every
push that holds it, and so does `%` unless two hex digits follow; `%`, `&` and `=` break or truncate the list after
them; and the form may have 5,000,000 bytes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from ..api.refs import ARCHIVE, BRANCHES, ENCODED, TAGS
from .steps import Command, Kind, Push

REFS_PER_PUSH = 5000
HOOK_BYTES_PER_PUSH = 4_000_000
_HOOK_BYTES_PER_REF = 82
_FILE_NAME_LIMIT = 255 - len(".lock")
_PATH_LIMIT = 3800


_BREAKS = re.compile(r"\+|%(?![0-9A-Fa-f]{2})")
_CODE = re.compile(r"!([0-9A-F]{2})")


def refusal(name: str) -> str | None:
    """Why the target can never hold `name`, or None."""
    encoded = name.encode()
    if len(encoded) > _PATH_LIMIT or any(len(part) > _FILE_NAME_LIMIT for part in encoded.split(b"/")):
        return "the name is too long for a file at the target"
    if breaks_pushes(name) and name.startswith(TAGS):
        return f"OneDev refuses every push of a name with + or a bare %; it is kept as {encoded_name(name)}"
    if breaks_pushes(name) and not name.startswith(BRANCHES):
        return "OneDev refuses every push of a name with + or a bare %"
    return None


def breaks_pushes(name: str) -> bool:
    """Whether OneDev refuses every push with `name` in it."""
    return _BREAKS.search(name) is not None


def encoded_name(name: str) -> str:
    """Where a tag is kept whose own name OneDev does not take."""
    return ENCODED + _encode(name)


def decoded_name(name: str) -> str | None:
    """The tag that is kept as `name`, or None where no tag is."""
    if not name.startswith(ENCODED):
        return None
    tag = "refs/" + _CODE.sub(lambda code: chr(int(code[1], 16)), name.removeprefix(ENCODED))
    return tag if tag.startswith(TAGS) and encoded_name(tag) == name else None


def is_delicate(name: str) -> bool:
    """Whether `name` must be alone in its push."""
    return any(character in name for character in "%&=")


def archive_name(name: str, time: str) -> str:
    """Where a tip of `name` is kept. What OneDev's hooks do not take is written as `!` and two hex digits."""
    return f"{ARCHIVE}{time}/{_encode(name)}"


def _encode(name: str) -> str:
    return "".join(f"!{ord(c):02X}" if c in "!+%&=" else c for c in name.removeprefix("refs/"))


def pushes(kind: Kind, commands: Iterable[Command]) -> Iterator[Push]:
    """`commands` in their order, cut into pushes that OneDev takes; each delicate name alone."""
    chunk: list[Command] = []
    size = 0
    for command in commands:
        cost = _HOOK_BYTES_PER_REF + len(command.name.encode())
        alone = is_delicate(command.name)
        if chunk and (alone or len(chunk) == REFS_PER_PUSH or size + cost > HOOK_BYTES_PER_PUSH):
            yield Push(kind, tuple(chunk))
            chunk, size = [], 0
        if alone:
            yield Push(Kind.SINGLE, (command,))
        else:
            chunk.append(command)
            size += cost
    if chunk:
        yield Push(kind, tuple(chunk))


def parents(name: str) -> Iterator[str]:
    """Every name that cannot exist beside `name` because it would be its directory."""
    position = name.find("/", len("refs/"))
    while position != -1:
        yield name[:position]
        position = name.find("/", position + 1)


def conflicts(names: Sequence[str], existing: Iterable[str]) -> dict[str, list[str]]:
    """For each of `names` that needs it: those of `existing` that must go before it can be made."""
    if not names:
        return {}
    there = set(existing)
    wanted = set(names)
    found: dict[str, list[str]] = {}
    for name in names:
        for parent in parents(name):
            if parent in there:
                found.setdefault(name, []).append(parent)
    for name in sorted(there):
        for parent in parents(name):
            if parent in wanted:
                found.setdefault(parent, []).append(name)
    return found
