"""GitHub's GraphQL endpoint: `/graphql`, and `/api/graphql` on an Enterprise server."""

import json
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from ..bodies import request_body
from ..misbehaviour import Entry
from . import documents
from .accounts import Accounts, BadCredentials, Caller
from .answers import as_json, limit_headers
from .graph import Graph
from .graphql_query import QueryError, parse
from .graphql_run import Run, cost
from .listed import moment
from .lists import Lists
from .stars import Stars
from .visibility import Visibility

PATHS = ("/graphql", "/api/graphql")
_LARGEST = 1 << 20


class GraphQL:
    """lists: the star lists, which REST does not have. hidden: fields that this server is too old for."""

    def __init__(self, accounts: Accounts, visibility: Visibility, stars: Stars, public_url: str | None) -> None:
        self._accounts = accounts
        self._visibility = visibility
        self._stars = stars
        self._public_url = public_url
        self.lists = Lists()
        self.hidden: frozenset[str] = frozenset()

    @staticmethod
    def wants(request: web.BaseRequest) -> bool:
        return request.path in PATHS

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.Response:
        if request.method != "POST":
            return as_json(404, documents.message("Not Found", 404))
        if not request.headers.get("User-Agent"):
            return as_json(403, documents.message("Request forbidden by administrative rules.", 403))
        body = b"".join([piece async for piece in request_body(request)])
        try:
            caller = self._accounts.of_rest(request.headers.get("Authorization"))
        except BadCredentials:
            return as_json(401, documents.message("Bad credentials", 401))
        if caller is None:
            return as_json(401, documents.message("This endpoint requires you to be authenticated.", 401))
        entry.authenticated = True
        caller.graphql.roll()
        response = self._answered(caller, body, self._public_url or f"http://{request.host}")
        response.headers.update(limit_headers(caller.graphql, "graphql"))
        if caller.scopes is not None:
            response.headers["X-OAuth-Scopes"] = ", ".join(caller.scopes)
        return response

    def _answered(self, caller: Caller, body: bytes, site: str) -> web.Response:
        try:
            asked = json.loads(body)
        except ValueError:
            return as_json(400, documents.message("Problems parsing JSON", 400))
        query = asked.get("query") if isinstance(asked, dict) else None
        if not isinstance(query, str):
            return as_json(400, documents.message("A query attribute must be specified and must be a string.", 400))
        if caller.graphql.remaining == 0:
            # The status is 200 all the same.
            text = f"API rate limit already exceeded for user ID {caller.number}."
            return as_json(200, {"errors": [{"type": "RATE_LIMIT", "code": "graphql_rate_limit", "message": text}]})
        try:
            return as_json(200, self._result(caller, query, asked, site))
        except QueryError as refused:
            error: dict[str, Any] = {"message": str(refused), "locations": [{"line": 1, "column": 1}]}
            if refused.extensions:
                error |= {"path": ["query"], "extensions": refused.extensions}
            return as_json(200, {"errors": [error]})

    def _result(self, caller: Caller, query: str, asked: dict[str, Any], site: str) -> dict[str, Any]:
        document = parse(query)
        name = asked.get("operationName")
        chosen = [one for one in document.operations if name in (None, "", one.name)]
        if len(chosen) != 1:
            raise QueryError("An operation name is required" if chosen else f"No operation named {name!r}")
        if chosen[0].kind != "query":
            raise QueryError(f"This server has no {chosen[0].kind}s")
        run = Run(document, asked.get("variables") or {}, self.hidden)
        points = max(1, round(cost(run, chosen[0].selections)))
        caller.graphql.used += points

        def rate() -> dict[str, Any]:
            window = caller.graphql
            reset = moment(datetime.fromtimestamp(window.reset, UTC))
            shown = {name: value for name, value in window.shown().items() if name != "reset"}
            return {**shown, "cost": points, "resetAt": reset, "nodeCount": 0}

        graph = Graph(caller, self._visibility, self._stars, self.lists, rate, site)
        return run.result(chosen[0], graph.root())
