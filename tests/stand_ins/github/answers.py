"""One REST call and what it is answered with: documents, refusals, pages, conditional requests."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from aiohttp import web

from . import documents
from .accounts import Caller, Window

PAGE_LIMIT = 100
T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request, with what the answer depends on. `api` and `web` are base URLs without a trailing slash.

    longest: where set, a list of more rows seems to end after so many.
    """

    request: web.BaseRequest
    caller: Caller | None
    api: str
    web: str
    query: Mapping[str, str]
    longest: int | None = None
    body: Any = None

    @property
    def signed_in(self) -> bool:
        return self.caller is not None

    @property
    def accept(self) -> str:
        return self.request.headers.get("Accept", "")


class Refused(Exception):
    """An error answer: a status and GitHub's JSON."""

    def __init__(self, status: int, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(document["message"])
        self.status, self.document, self.headers = status, document, dict(headers or {})


def not_found(page: str = "/repos/repos#get-a-repository") -> Refused:
    return Refused(404, documents.message("Not Found", 404, page))


@dataclass
class Page:
    """What a handler found: a document, and how the client gets to the neighbouring pages."""

    document: Any
    status: int = 200
    headers: dict[str, str] | None = None


Handler = Callable[..., Page]
Route = tuple[str, str, Handler]


@dataclass
class Cut:
    """Lists whose path matches end early for the next `count` requests (None: all)."""

    path: str
    rows: int
    count: int | None


class Cuts:
    def __init__(self) -> None:
        self._cuts: list[Cut] = []

    def add(self, path: str, rows: int, count: int | None) -> None:
        self._cuts.append(Cut(path, rows, count))

    def clear(self) -> None:
        self._cuts.clear()

    def take(self, path: str) -> int | None:
        for cut in self._cuts:
            if cut.count != 0 and re.search(cut.path, path):
                cut.count = None if cut.count is None else cut.count - 1
                return cut.rows
        return None


def paged(
    call: Call,
    rows: Sequence[T],
    url: str,
    show: Callable[[T], Any],
    wrap: Callable[[list[Any], int], Any] | None = None,
) -> Page:
    """The page that was asked for, with links to its neighbours. wrap: makes the document of the rows and the total."""
    shown = rows if call.longest is None else rows[: call.longest]
    size = min(PAGE_LIMIT, max(1, integer(call.query.get("per_page"), 30)))
    number = max(1, integer(call.query.get("page"), 1))
    chosen = [show(row) for row in shown[(number - 1) * size : number * size]]
    link = _links(url, call.query, number, max(1, -(-len(shown) // size)))
    document = chosen if wrap is None else wrap(chosen, len(shown))
    return Page(document, 200, {"Link": link} if link else None)


def integer(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() else otherwise


def exhausted(call: Call) -> str:
    """What GitHub says to those who used their limit up."""
    if call.caller is not None:
        return f"API rate limit exceeded for user ID {call.caller.number}."
    return (
        f"API rate limit exceeded for {call.request.remote}. (But here's the good news: Authenticated requests get "
        "a higher rate limit. Check out the documentation for more details.)"
    )


def limit_headers(window: Window, resource: str = "core") -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(window.limit),
        "X-RateLimit-Remaining": str(window.remaining),
        "X-RateLimit-Reset": str(window.reset),
        "X-RateLimit-Used": str(window.used),
        "X-RateLimit-Resource": resource,
    }


def as_json(status: int, document: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    body = b"" if status == 204 else json.dumps(document, separators=(",", ":")).encode()
    common = {
        "Content-Type": "application/json; charset=utf-8",
        "Server": "github.com",
        "X-GitHub-Media-Type": "github.v3; format=json",
        "X-GitHub-Request-Id": secrets.token_hex(8).upper(),
        "Cache-Control": "private, max-age=60, s-maxage=60" if status == 200 else "no-cache",
        "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With",
    }
    return web.Response(status=status, body=body, headers={**common, **(headers or {})})


def conditional(call: Call, response: web.Response, bound_to: str = "Authorization") -> web.Response:
    """The ETag is weak and bound to the address, to the credential and to what was accepted, as GitHub's.

    bound_to: the header with the credential; an App signs each request anew.
    """
    assert isinstance(response.body, bytes)
    request = call.request
    bound = [request.raw_path, *(request.headers.get(name, "") for name in (bound_to, "Accept"))]
    etag = 'W/"' + hashlib.sha256(response.body + "\0".join(bound).encode()).hexdigest() + '"'
    wanted = request.headers.get("If-None-Match", "")
    response.headers["ETag"] = etag
    if etag.removeprefix("W/") not in wanted:
        return response
    kept = {name: value for name, value in response.headers.items() if name not in ("Content-Type", "Content-Length")}
    return web.Response(status=304, headers=kept)


def _links(url: str, query: Mapping[str, str], number: int, last: int) -> str:
    def link(page: int, relation: str) -> str:
        return f'<{url}?{urlencode({**query, "page": str(page)})}>; rel="{relation}"'

    links = []
    if number > 1:
        links.append(link(number - 1, "prev"))
    if number < last:
        links += [link(number + 1, "next"), link(last, "last")]
    if number > 1:
        links.append(link(1, "first"))
    return ", ".join(links)
