"""What a GitHub App asks for as itself, with its JWT: who has installed it, and tokens for these."""

import re
from typing import Any
from urllib.parse import unquote

from . import documents
from .accounts import Accounts, BadAppToken, Installation, Window
from .answers import Call, Handler, Page, Refused, Route, not_found, paged
from .people import People

_TOKENS = "/apps/apps#create-an-installation-access-token-for-an-app"


class AppApi:
    """Handlers get the App's id after the call."""

    def __init__(self, accounts: Accounts, people: People) -> None:
        self._accounts = accounts
        self._people = people
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self.add(
            [
                ("GET", r"/app", self._itself),
                ("GET", r"/app/installations", self._installations),
                ("GET", r"/app/installations/(\d+)", self._installation),
                ("POST", r"/app/installations/(\d+)/access_tokens", self._token),
            ]
        )

    def add(self, routes: list[Route]) -> None:
        self._routes += [(method, re.compile(pattern), handler) for method, pattern, handler in routes]

    @staticmethod
    def wants(path: str) -> bool:
        return path == "/app" or path.startswith("/app/")

    def answer(self, call: Call, path: str) -> Page:
        """Raises Refused."""
        app_id = self._app(call)
        wanted = "GET" if call.request.method == "HEAD" else call.request.method
        for method, pattern, handler in self._routes:
            if method == wanted and (found := pattern.fullmatch(path)):
                return handler(call, app_id, *map(unquote, found.groups()))
        raise not_found(_TOKENS)

    def window(self, call: Call) -> Window | None:
        """What is left to the App. Raises Refused."""
        return self._accounts.app_window(self._app(call))

    def _app(self, call: Call) -> str:
        try:
            return self._accounts.app_of(call.request.headers.get("Authorization"))
        except BadAppToken as refused:
            raise Refused(401, documents.message(str(refused), 401)) from refused

    def _itself(self, call: Call, app_id: str) -> Page:
        installed = [one for one in self._accounts.installations.values() if one.app_id == app_id]
        permissions = installed[0].permissions if installed else {}
        name = f"app-{app_id}"
        owner = documents.user(self._people.of("octocat"), call.api, call.web)
        document = {
            "id": _number(app_id),
            "slug": name,
            "node_id": documents.node_id("A", _number(app_id)),
            "owner": owner,
            "name": name,
            "description": None,
            "external_url": call.web,
            "html_url": f"{call.web}/apps/{name}",
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }
        return Page({**document, "permissions": permissions, "events": [], "installations_count": len(installed)})

    def _installations(self, call: Call, app_id: str) -> Page:
        found = [one for one in self._accounts.installations.values() if one.app_id == app_id]
        return paged(call, found, f"{call.api}/app/installations", lambda one: self._shown(call, one))

    def _installation(self, call: Call, app_id: str, number: str) -> Page:
        return Page(self._shown(call, self._found(app_id, number)))

    def _token(self, call: Call, app_id: str, number: str) -> Page:
        return Page(self._accounts.mint(self._found(app_id, number)), 201)

    def _found(self, app_id: str, number: str) -> Installation:
        found = self._accounts.installations.get(int(number))
        if found is None or found.app_id != app_id:
            raise not_found(_TOKENS)
        return found

    def _shown(self, call: Call, one: Installation) -> dict[str, Any]:
        account = documents.user(self._people.of(one.account or "octocat"), call.api, call.web)
        return documents.installation(one, account, call.api)


def _number(app_id: str) -> int:
    # An App may go by its client id as well, which is no number.
    return int(app_id) if app_id.isdigit() else 1
