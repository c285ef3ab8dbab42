"""The part of GitHub's REST API that a mirror needs, as github.com and an Enterprise server (`/api/v3`) have it."""

import json
import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from ..bodies import request_body
from ..misbehaviour import Entry
from . import documents
from .accounts import Accounts, BadCredentials
from .answers import Call, Cuts, Page, Refused, as_json, conditional, exhausted, limit_headers, not_found
from .app import AppApi
from .catalogue import Catalogue
from .deliveries import Deliveries
from .events import Events
from .hook_routes import HookRoutes
from .hooks import Hooks
from .looks import LookRoutes
from .owned import OwnedRoutes
from .people import People
from .stars import StarRoutes, Stars
from .visibility import Visibility

ENTERPRISE = "/api/v3"


class RestApi:
    """cuts: lists that end early, told by a test."""

    def __init__(
        self,
        catalogue: Catalogue,
        accounts: Accounts,
        people: People,
        hooks: Hooks,
        deliveries: Deliveries,
        events: Events,
        public_url: str | None,
    ) -> None:
        self._accounts = accounts
        self._public_url = public_url
        self.stars = Stars()
        self.cuts = Cuts()
        self.visibility = Visibility(catalogue, people)
        self.looks = LookRoutes(accounts, self.visibility)
        self.app = AppApi(accounts, people)
        hook_routes = HookRoutes(hooks, deliveries, events, self.visibility)
        self.app.add(hook_routes.app_routes())
        routes = [
            *self.looks.routes(),
            *StarRoutes(self.stars, self.visibility).routes(),
            *OwnedRoutes(self.visibility).routes(),
            *hook_routes.routes(),
        ]
        self._routes = [(method, re.compile(pattern), handler) for method, pattern, handler in routes]

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.Response:
        split = urlsplit(request.raw_path)
        path, enterprise = split.path, split.path.startswith(ENTERPRISE + "/")
        site = self._public_url or f"http://{request.host}"
        base = site + (ENTERPRISE if enterprise else "")
        path = path.removeprefix(ENTERPRISE) if enterprise else path
        if not request.headers.get("User-Agent"):
            text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header"
            return web.Response(status=403, text=text + ".\r\n", content_type="text/html")
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        if AppApi.wants(path):
            return self._as_app(Call(request, None, base, site, query), path, entry)
        try:
            caller = self._accounts.of_rest(request.headers.get("Authorization"))
        except BadCredentials:
            return as_json(401, documents.message("Bad credentials", 401))
        entry.authenticated = caller is not None
        longest = self.cuts.take(request.raw_path)
        return self._counted(Call(request, caller, base, site, query, longest, await _body(request)), path)

    def _counted(self, call: Call, path: str) -> web.Response:
        """Answers within the caller's limit; a 304 is free for those who sign in, `/rate_limit` for all."""
        window = self._accounts.window(call.caller, call.request.remote or "")
        free = path == "/rate_limit"
        if window is not None and not free and window.remaining == 0:
            document = documents.message(exhausted(call), 403, "/overview/resources-in-the-rest-api#rate-limiting")
            return as_json(403, document, limit_headers(window))
        try:
            page = self._dispatch(call, path)
            response = as_json(page.status, page.document, page.headers)
        except Refused as refused:
            response = as_json(refused.status, refused.document, refused.headers)
        if response.status == 200 and not free:
            response = conditional(call, response)
        if window is not None:
            if not free and not (response.status == 304 and call.signed_in):
                window.used += 1
            response.headers.update(limit_headers(window))
        if call.caller is not None and call.caller.scopes is not None:
            response.headers["X-OAuth-Scopes"] = ", ".join(call.caller.scopes)
        return response

    def _dispatch(self, call: Call, path: str) -> Page:
        wanted = "GET" if call.request.method == "HEAD" else call.request.method
        for method, pattern, handler in self._routes:
            if method == wanted and (found := pattern.fullmatch(path)):
                return handler(call, *map(unquote, found.groups()))
        raise not_found("")

    def _as_app(self, call: Call, path: str, entry: Entry) -> web.Response:
        """What counts on no limit but the App's own, if it has one."""
        try:
            window = self.app.window(call)
            if window is not None and window.remaining == 0:
                return as_json(403, documents.message("API rate limit exceeded.", 403), limit_headers(window))
            page = self.app.answer(call, path)
            entry.authenticated = True
            response = as_json(page.status, page.document, page.headers)
            if response.status == 200:
                response = conditional(call, response, bound_to="")
        except Refused as refused:
            return as_json(refused.status, refused.document, refused.headers)
        if window is not None:
            window.used += response.status != 304
            response.headers.update(limit_headers(window))
        return response


async def _body(request: web.BaseRequest) -> Any:
    """The JSON that was sent, None for anything else."""
    whole = b"".join([piece async for piece in request_body(request)])
    try:
        return json.loads(whole)
    except ValueError:
        return None
