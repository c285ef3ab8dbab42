"""The batch API of Git LFS: which objects a server has or wants, and where each is got or put."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled, SyncError
from .answers import public
from .lfs_pointers import Pointer
from .side import BROKEN, Side, Target

MEDIA_TYPE = "application/vnd.git-lfs+json"
OBJECTS = 100  # what GitHub takes in one request
_PATH = "/info/lfs/objects/batch"
_BODY = 4 * 1024 * 1024

_VISIBLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_VALUE = re.compile(r"[ -~]{0,8192}")
_NOT_THEIRS = frozenset(("connection", "content-length", "host", "transfer-encoding"))

Operation = Literal["download", "upload"]


class BatchError(ValueError):
    """The answer is not what the batch API promises."""


@dataclass(frozen=True)
class Action:
    """Where an object is got or put, and the headers to send along."""

    href: URL
    header: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Offer:
    """What a server says about one object: where it is got or put, or the `code` of the error that stands in the way.

    Neither means for an upload that the server has it.
    """

    size: int
    action: Action | None = None
    code: int | None = None


class LfsSource(Side):
    """GitHub's LFS server."""

    def refusal(self, response: aiohttp.ClientResponse, body: str) -> SyncError:
        where, status = public(self.base), response.status
        if status in (507, 509) or (status == 403 and "quota" in body.lower()):
            return Retry(
                Reason.BLOCKED,
                f"the quota for LFS objects of {where} is used up ({status}); its owner must raise it, or set "
                "spec.lfs: false to mirror without them",
            )
        if status in (410, 501):
            return Stalled(
                Reason.NOT_SUPPORTED, f"{where} serves no LFS objects ({status}); set spec.lfs: false to mirror without"
            )
        return super().refusal(response, body)


class LfsTarget(Target):
    """OneDev's LFS server."""

    def refusal(self, response: aiohttp.ClientResponse, body: str) -> SyncError:
        # OneDev's LFS filter takes a token that is not its owner's for nobody; a wrong one does not get that far.
        if response.status == 401 and response.content_type == MEDIA_TYPE:
            return Stalled(
                Reason.TARGET_NOT_PERMITTED,
                f"{public(self.base)} does not let the token write LFS objects (401); give it a role with code write "
                "permission",
            )
        return super().refusal(response, body)


def portions(pointers: Iterable[Pointer], most_bytes: float = math.inf) -> Iterable[list[Pointer]]:
    """`pointers` as they go into one request each."""
    portion: list[Pointer] = []
    size = 0
    for pointer in pointers:
        if portion and (len(portion) == OBJECTS or size + pointer.size > most_bytes):
            yield portion
            portion, size = [], 0
        portion.append(pointer)
        size += pointer.size
    if portion:
        yield portion


async def batch(side: Side, operation: Operation, pointers: Sequence[Pointer]) -> dict[Pointer, Offer]:
    """Asks about at most `OBJECTS` pointers. Raises `SyncError`."""
    body = {
        "operation": operation,
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": pointer.oid, "size": pointer.size} for pointer in pointers],
    }
    headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
    try:
        async with side.request("POST", _PATH, headers, json.dumps(body).encode()) as response:
            await side.expect(response, MEDIA_TYPE)
            # Of the target's addresses only the path counts, so it does not matter which one it is configured with.
            scheme = urlsplit(side.base).scheme if isinstance(side, LfsSource) else "http"
            return parse_batch(await _body(response), operation, pointers, scheme)
    except BROKEN as error:
        raise side.broken(error) from error
    except BatchError as error:
        words = f"{public(side.base)} did not answer with a list of LFS objects: {error}"
        raise Retry(side.reason, words) from error


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _BODY:
            raise BatchError(f"more than {_BODY} bytes")
    return bytes(body)


def parse_batch(
    body: bytes, operation: Operation, pointers: Sequence[Pointer], scheme: str = "https"
) -> dict[Pointer, Offer]:
    """What the answer says about each of `pointers`. From `https` nothing leads to `http`. Raises `BatchError`."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BatchError("no JSON") from error
    if _member(data, "transfer", str, "basic") != "basic":
        raise BatchError("another transfer than basic")
    wanted = {pointer.oid: pointer for pointer in pointers}
    offers: dict[Pointer, Offer] = {}
    for told in _member(data, "objects", list, []):
        if pointer := wanted.get(_member(told, "oid", str, "")):
            offers[pointer] = _offer(told, operation, pointer, scheme)
    if len(offers) < len(wanted):
        raise BatchError(f"{len(wanted) - len(offers)} of {len(wanted)} objects are left out")
    return offers


def _offer(told: Any, operation: Operation, pointer: Pointer, scheme: str) -> Offer:
    size = _member(told, "size", int, pointer.size)
    error = _member(told, "error", dict, None)
    if error is not None:
        return Offer(size, code=_member(error, "code", int, 0))
    action = _member(_member(told, "actions", dict, None) or {}, operation, dict, None)
    if action is None and operation == "download":
        raise BatchError("an object is neither offered nor refused")
    return Offer(size, _action(action, scheme) if action is not None else None)


def _action(told: Any, scheme: str) -> Action:
    header = {}
    for name, value in (_member(told, "header", dict, None) or {}).items():
        if not isinstance(value, str) or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BatchError("a header that HTTP does not allow")
        if name.lower() not in _NOT_THEIRS:
            header[name] = value
    return Action(safe_url(_member(told, "href", str, ""), scheme), header)


def safe_url(text: str, scheme: str) -> URL:
    """`text` as an address that requests may go to, exactly as it is written. Raises `BatchError`."""
    allowed = ("https",) if scheme == "https" else ("http", "https")
    try:
        # A signed address is good only as it is, so nothing of it is quoted anew.
        url = URL(text if _VISIBLE.fullmatch(text) else "", encoded=True)
        good = url.scheme in allowed and bool(url.host) and bool(url.port) and url.user is url.password is None
    except ValueError:
        good = False
    if not good:
        raise BatchError(f"an address that is not {' or '.join(allowed)}")
    return url


def _member(data: Any, name: str, kind: type, default: Any) -> Any:
    value = data.get(name) if isinstance(data, dict) else data
    if not isinstance(data, dict) or (value is not None and (not isinstance(value, kind) or isinstance(value, bool))):
        raise BatchError(f"{name} is not what it should be")
    return default if value is None else value
