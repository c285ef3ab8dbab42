"""What every REST resource of OneDev has in common: routing, parameters, media types, credentials, JSON."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from ..misbehaviour import Entry
from ..smart_http import compressed
from .refusals import Refused, server_error
from .security import FORGET, Principal, Security

BASE = "/~api"
HEADER_LIMIT = 16 * 1024
BY_PASSWORD: web.RequestKey[bool] = web.RequestKey("by_password", bool)
OFFSET_AND_COUNT = frozenset(("offset", "count"))


@dataclass(frozen=True)
class Call:
    """One request that got past the filters."""

    principal: Principal
    path: tuple[str, ...]
    query: Mapping[str, str]
    body: bytes

    def number(self, position: int = 0) -> int:
        """A numeric piece of the path. Raises Refused (404) as Jersey does for anything else."""
        return _number(self.path[position])


@dataclass(frozen=True)
class Raw:
    """A Java String: written as it is, though it is labelled as JSON."""

    text: str


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """required, optional: query parameters. typed: whether the class takes nothing but JSON, on any method."""

    method: str
    pattern: str
    handler: Handler
    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    typed: bool = True


def _number(text: str) -> int:
    if not re.fullmatch(r"-?\d+", text):
        raise Refused(404, "HTTP 404 Not Found")
    return int(text)


def integer(call: Call, name: str) -> int:
    """A required numeric parameter. Raises Refused: 404 where it is no number, 500 where it is negative."""
    value = _number(call.query[name])
    if value < 0:
        raise server_error(f"{name} cannot be negative")
    return value


class Resources:
    """The dispatcher. A handler returns JSON, `Raw`, or None for 204; "" stands for an empty 200."""

    def __init__(self, security: Security, routes: list[Route]) -> None:
        self._security = security
        self._routes = [(re.compile(route.pattern), route) for route in routes]

    async def answer(self, request: web.BaseRequest, entry: Entry, ready: bool) -> web.Response:
        try:
            response = _success(await self._call(request, entry, ready))
        except Refused as refused:
            response = refused.response()
            # Jersey's mapper copies status, type and text, but no headers; cookies are set further out.
            response.headers.popall("WWW-Authenticate", None)
        if request.get(BY_PASSWORD):
            # Shiro's remember-me manager speaks up whenever a password was tried.
            response.headers["Set-Cookie"] = FORGET
        return compressed(request, response)

    async def _call(self, request: web.BaseRequest, entry: Entry, ready: bool) -> Any:
        # The security filter stands before Jersey: wrong credentials lose at once, on any path.
        principal = self._security.principal(request.headers)
        entry.authenticated = principal is not None
        request[BY_PASSWORD] = principal is not None and principal.by_password
        split = urlsplit(request.raw_path)
        route, path = self._route(request.method, unquote(split.path).removeprefix(BASE))
        self._negotiate(request, route)
        if principal is None:
            raise Refused(401, "Not authenticated")
        if not ready:
            raise Refused(503, "Server not ready")
        given = parse_qs(split.query, keep_blank_values=True)
        query = {name: values[-1].strip() for name, values in given.items()}
        _check_parameters(route, query)
        body = await request.read()
        return await route.handler(Call(principal, path, {k: v for k, v in query.items() if v}, body))

    def _route(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        found = [(route, matched.groups()) for pattern, route in self._routes if (matched := pattern.fullmatch(path))]
        if not found:
            raise Refused(404, "HTTP 404 Not Found")
        for route, groups in found:
            if route.method == method:
                return route, groups
        raise Refused(405, "HTTP 405 Method Not Allowed")

    def _negotiate(self, request: web.BaseRequest, route: Route) -> None:
        kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        missing = not kind and request.method == "POST" and request.can_read_body
        if route.typed and (missing or kind not in ("", "application/json")):
            raise Refused(415, "HTTP 415 Unsupported Media Type")
        accepted = request.headers.get("Accept", "*/*").lower()
        if not any(one in accepted for one in ("application/json", "*/*", "application/*")):
            raise Refused(406, "HTTP 406 Not Acceptable")


def _check_parameters(route: Route, query: Mapping[str, str]) -> None:
    missing = [name for name in sorted(route.required, reverse=True) if not query.get(name)]
    if missing:
        raise Refused(406, f"Missing query params: [{', '.join(missing)}]")
    unexpected = [name for name in query if name not in route.required | route.optional]
    if unexpected:
        raise Refused(406, f"Unexpected query params: [{', '.join(unexpected)}]")


def _success(result: Any) -> web.Response:
    if result is None:
        return web.Response(status=204)
    if result == "":
        return web.Response(status=200)
    text = result.text if isinstance(result, Raw) else json.dumps(result, indent=2)
    return web.Response(status=200, body=text.encode(), content_type="application/json")
