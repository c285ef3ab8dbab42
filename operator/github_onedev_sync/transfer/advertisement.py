"""Ref lists as git servers send them, protocol v0 and v2, turned into a `Listing`. No I/O.

Formats: gitprotocol-http(5), gitprotocol-pack(5), gitprotocol-v2(5).
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from ..api.conditions import Reason
from ..api.errors import Stalled
from ..api.refs import Listing
from .pktline import Marker, text

Frames = Iterable[bytes | Marker]

NAME_LIMIT = 4096  # bytes; git's file system limit for one loose ref is lower still

_OID_LENGTH = 40
_OID = re.compile(r"[0-9a-f]{40}")
_NO_HEX = re.compile(r"[^0-9a-f]")
_UNBORN = "capabilities^{}"
_PEELED = "^{}"
# git-check-ref-format(1)
_ILLEGAL = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|^\.|^/|/$|\.$|\.lock(/|$)")
# The same for names in lines, with what no ref name may lack.
_ILLEGAL_LINE = re.compile(
    r"[\x00-\x09\x0b-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|/$|\.$|\.lock(/|$)|^(?!refs/)", re.MULTILINE
)


class AdvertisementError(ValueError):
    """The frames are not a ref list."""


def is_legal(name: str) -> bool:
    """Whether git itself would take `name` as a full ref name."""
    return name.startswith("refs/") and not _ILLEGAL.search(name)


def is_version_2(lines: list[bytes]) -> bool:
    return b"version 2" in lines[:2]


class Answer:
    """One answer as it arrives: a header of its own, where the server sends one, then lines up to a flush.

    HTTP tells of a cut only where the length was announced, and a list without its end would look like deletions.
    """

    def __init__(self) -> None:
        self._in_header = False
        self._ended = False

    def lines(self, frames: Frames) -> Iterator[bytes]:
        """The text lines, without markers and the `# service=` header. An `ERR` line raises."""
        for frame in frames:
            if self._ended:
                raise AdvertisementError("it goes on after its end")
            if isinstance(frame, Marker):
                self._ended = frame is Marker.FLUSH and not self._in_header
                self._in_header = False
                continue
            line = text(frame)
            if line[:1] not in b"E#":  # as nearly all are
                yield line
            elif line.startswith(b"ERR "):
                raise AdvertisementError(f"the server says: {line[4:200].decode(errors='replace')}")
            elif line.startswith(b"# service="):
                self._in_header = True
            else:
                yield line

    def finish(self) -> None:
        """Raises where the list was cut."""
        if not self._ended:
            raise AdvertisementError("it was cut before its end")


def check_object_format(capabilities: Iterable[bytes]) -> None:
    """OneDev keeps SHA-1 repositories only; a SHA-256 source cannot be mirrored."""
    for capability in capabilities:
        if capability.startswith(b"object-format=") and capability != b"object-format=sha1":
            raise Stalled(
                Reason.NOT_SUPPORTED,
                f"the source repository uses {capability.decode(errors='replace')}; OneDev stores SHA-1 only",
            )


def parse_v0(lines: Iterable[bytes]) -> Listing:
    """An `info/refs` answer: `<oid> <name>`, the first one followed by NUL and the capabilities."""
    refs: dict[str, str] = {}
    peeled: dict[str, str] = {}
    symref_head: str | None = None
    born = False
    for number, line in enumerate(lines):
        if number == 0:
            line, _, capabilities = line.partition(b"\0")
            check_object_format(capabilities.split(b" "))
            symref_head = _symref_head(capabilities)
        oid, _, name = _decode(line).partition(" ")
        if oid == "shallow":
            continue
        if name == "HEAD":
            born = True
        elif name.endswith(_PEELED) and name != _UNBORN:
            peeled[name.removesuffix(_PEELED)] = oid
        elif name not in (_UNBORN, ".have"):
            refs[name] = oid
    _check(refs, peeled)
    return Listing(refs, symref_head if born and symref_head in refs else None, peeled)


def _symref_head(capabilities: bytes) -> str | None:
    for capability in capabilities.split(b" "):
        if capability.startswith(b"symref=HEAD:"):
            return _decode(capability.removeprefix(b"symref=HEAD:"))
    return None


def parse_ls_refs(lines: Iterable[bytes]) -> Listing:
    """A v2 `ls-refs` answer: `<oid> <name>[ symref-target:<name>][ peeled:<oid>]`."""
    refs: dict[str, str] = {}
    peeled: dict[str, str] = {}
    head: str | None = None
    for line in lines:
        oid, _, rest = _decode(line).partition(" ")
        if oid == "unborn":
            continue
        name, _, more = rest.partition(" ")
        attributes = dict(word.partition(":")[::2] for word in more.split(" ")) if more else {}
        if name == "HEAD":
            head = attributes.get("symref-target")
            continue
        refs[name] = oid
        if "peeled" in attributes:
            peeled[name] = attributes["peeled"]
    _check(refs, peeled)
    return Listing(refs, head if head in refs else None, peeled)


def _check(refs: Mapping[str, str], peeled: Mapping[str, str]) -> None:
    """There may be 100,000: all are checked in one go, and one by one only to name the first that is wrong."""
    oids = [*refs.values(), *peeled.values()]
    if any(len(oid) != _OID_LENGTH for oid in oids) or _NO_HEX.search("".join(oids)):
        wrong = next(oid for oid in oids if not _OID.fullmatch(oid))
        raise AdvertisementError(f"{wrong[:80]!r} is not an object id")
    names = "\n".join(refs)
    in_one = names.count("\n") == max(len(refs) - 1, 0) and len(max(refs, key=len, default="")) <= NAME_LIMIT // 4
    if not in_one or _ILLEGAL_LINE.search(names):
        for name in refs:
            if len(name.encode()) > NAME_LIMIT or not is_legal(name):
                raise AdvertisementError(f"{name[:80]!r} is not a legal ref name")


def _decode(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError as error:
        raise Stalled(
            Reason.NOT_SUPPORTED, f"the ref name {word[:80]!r} is not UTF-8 text and cannot be mirrored; rename the ref"
        ) from error
