"""Hooks and their deliveries over REST: of repositories and organisations to those who administer them, of Apps."""

import base64
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from . import documents
from .answers import PAGE_LIMIT, Call, Page, Refused, Route, integer, not_found, paged
from .catalogue import NAME, Repository
from .deliveries import Deliveries
from .events import Events
from .hooks import CONTENT_TYPES, Hook, Hooks
from .visibility import NOT_BY_APP, NOT_BY_TOKEN, Visibility

_PAGE = "/webhooks"
_REPOSITORY = rf"/repos/({NAME})/({NAME})/hooks"
_BY_ID = r"/repositories/(\d+)/hooks"
_ORGANIZATION = r"/orgs/([^/]+)/hooks"
_ORGANIZATION_BY_ID = r"/organizations/(\d+)/hooks"
# Of a classic token, any of these; one of reading is no good for writing.
_SCOPES = {
    "repository_hooks": ("admin:repo_hook", "public_repo", "read:repo_hook", "repo", "write:repo_hook"),
    "organization_hooks": ("admin:org_hook",),
}
_READING = {"read:repo_hook"}

# Finds whose hooks they are: scope, number, name.
Place = tuple[str, int, str]


class HookRoutes:
    def __init__(self, hooks: Hooks, deliveries: Deliveries, events: Events, visibility: Visibility) -> None:
        self._hooks = hooks
        self._deliveries = deliveries
        self._events = events
        self._visibility = visibility

    def routes(self) -> Iterator[Route]:
        for base, find in (
            (_REPOSITORY, self._of_repository),
            (_BY_ID, self._of_repository_id),
            (_ORGANIZATION, self._of_organization),
            (_ORGANIZATION_BY_ID, self._of_organization_id),
        ):
            for method, rest, handler in (
                ("GET", "", self._list),
                ("POST", "", self._create),
                ("GET", r"/(\d+)", self._one),
                ("DELETE", r"/(\d+)", self._delete),
                ("POST", r"/(\d+)/pings", self._ping),
                ("GET", r"/(\d+)/deliveries", self._log),
                ("GET", r"/(\d+)/deliveries/(\d+)", self._delivery),
                ("POST", r"/(\d+)/deliveries/(\d+)/attempts", self._again),
            ):
                yield method, base + rest, _placed(find, handler)

    def app_routes(self) -> list[Route]:
        return [
            ("GET", r"/app/hook/config", lambda call, app: Page(self._of_app(app).config())),
            ("GET", r"/app/hook/deliveries", lambda call, app: self._logged(call, self._of_app(app))),
            (
                "GET",
                r"/app/hook/deliveries/(\d+)",
                lambda call, app, number: self._shown(self._of_app(app), number),
            ),
            (
                "POST",
                r"/app/hook/deliveries/(\d+)/attempts",
                lambda call, app, number: self._attempted(self._of_app(app), number),
            ),
        ]

    def _of_app(self, app: str) -> Hook:
        found = next((one for one in self._hooks if one.scope == "app" and one.name == app), None)
        if found is None:
            raise not_found("/apps/webhooks")
        return found

    def _of_repository(self, call: Call, owner: str, name: str) -> Place:
        catalogue, full_name = self._visibility.catalogue, f"{owner}/{name}"
        found = catalogue.find(full_name)
        if found is None and (moved := catalogue.find_former(full_name)):
            self._administers(call, moved.owner, "repository_hooks", moved)
            path = call.request.path.partition("/hooks")[2]
            url = f"{call.api}/repositories/{moved.id}/hooks{path}"
            status = 301 if call.request.method in ("GET", "HEAD") else 307
            raise Refused(status, {"message": "Moved Permanently", "url": url}, {"Location": url})
        return self._repository_place(call, found)

    def _of_repository_id(self, call: Call, number: str) -> Place:
        return self._repository_place(call, self._visibility.catalogue.find_id(int(number)))

    def _repository_place(self, call: Call, found: Repository | None) -> Place:
        seen = self._visibility.visible(call, found)
        self._administers(call, seen.owner, "repository_hooks", seen)
        return "repository", seen.id, seen.full_name

    def _of_organization(self, call: Call, login: str) -> Place:
        who = self._visibility.somebody(login)
        if not who.organization:
            raise not_found(_PAGE)
        self._administers(call, who.login, "organization_hooks", None)
        return "organization", who.id, who.login

    def _of_organization_id(self, call: Call, number: str) -> Place:
        return self._of_organization(call, self._visibility.somebody_of_id(int(number)).login)

    def _administers(self, call: Call, owner: str, permission: str, found: Repository | None) -> None:
        """Who may not is told that there is nothing. Raises Refused."""
        caller, writes = call.caller, call.request.method not in ("GET", "HEAD")
        needed = {"X-Accepted-GitHub-Permissions": f"{permission}={'write' if writes else 'read'}"}
        if caller is None:
            raise not_found(_PAGE)
        if (installed := caller.installation) is not None:
            covered = installed.account == owner.lower() if found is None else installed.has(found.full_name)
            if not covered:
                raise not_found(_PAGE)
        else:
            login = (caller.login or "").lower()
            if login != owner.lower() and login not in self._visibility.people.of(owner).members:
                raise not_found(_PAGE)
        if caller.scopes is not None:
            accepted = [scope for scope in _SCOPES[permission] if not writes or scope not in _READING]
            if not set(caller.scopes) & set(accepted):
                missing = documents.message("Not Found", 404, _PAGE)
                raise Refused(404, missing, {"X-Accepted-OAuth-Scopes": ", ".join(accepted)})
        elif not caller.is_permitted(permission, write=writes):
            text = NOT_BY_TOKEN if caller.installation is None else NOT_BY_APP
            raise Refused(403, documents.message(text, 403, _PAGE), needed)

    def _list(self, call: Call, place: Place) -> Page:
        found = self._hooks.of(place[0], place[1])
        return paged(call, found, _home(call, place), lambda one: one.shown(f"{_home(call, place)}/{one.id}"))

    def _create(self, call: Call, place: Place) -> Page:
        asked = call.body if isinstance(call.body, dict) else {}
        config = asked.get("config") or {}
        if not str(config.get("url", "")).startswith(("http://", "https://")):
            errors = [{"resource": "Hook", "code": "custom", "message": "url is missing a scheme"}]
            raise Refused(422, documents.message("Validation Failed", 422, _PAGE, errors=errors))
        kind = config.get("content_type", "form")
        members: dict[str, Any] = {
            "secret": config.get("secret"),
            "content_type": kind if kind in CONTENT_TYPES else "form",
            "events": asked.get("events", ["push"]),
            "active": asked.get("active", True),
        }
        hook = self._hooks.add(*place, config["url"], **members)
        self._events.ping(hook, self._visibility.catalogue.find_id(place[1]) if place[0] == "repository" else None)
        return Page(hook.shown(f"{_home(call, place)}/{hook.id}"), 201)

    def _hook(self, place: Place, number: str) -> Hook:
        found = self._hooks.find(int(number))
        if found is None or (found.scope, found.target) != place[:2]:
            raise not_found(_PAGE)
        return found

    def _one(self, call: Call, place: Place, number: str) -> Page:
        return Page(self._hook(place, number).shown(f"{_home(call, place)}/{number}"))

    def _delete(self, _: Call, place: Place, number: str) -> Page:
        self._hooks.remove(self._hook(place, number).id)
        return Page(None, 204)

    def _ping(self, _: Call, place: Place, number: str) -> Page:
        hook = self._hook(place, number)
        self._events.ping(hook, self._visibility.catalogue.find_id(place[1]) if place[0] == "repository" else None)
        return Page(None, 204)

    def _log(self, call: Call, place: Place, number: str) -> Page:
        return self._logged(call, self._hook(place, number), _home(call, place, by_id=True))

    def _delivery(self, _: Call, place: Place, number: str, delivery: str) -> Page:
        return self._shown(self._hook(place, number), delivery)

    def _again(self, _: Call, place: Place, number: str, delivery: str) -> Page:
        return self._attempted(self._hook(place, number), delivery)

    def _logged(self, call: Call, hook: Hook, home: str | None = None) -> Page:
        """Newest first. The cursor is in the link to the next page, which is the only one there is."""
        found = list(self._deliveries.of(hook.id))
        if (outcome := call.query.get("status")) in ("success", "failure"):
            found = [one for one in found if one.failed is (outcome == "failure")]
        before = _position(call.query.get("cursor"))
        found = [one for one in found if before is None or one.id < before]
        size = min(PAGE_LIMIT, max(1, integer(call.query.get("per_page"), 30)))
        rows = [one.shown() for one in found[:size]]
        if len(found) <= size:
            return Page(rows)
        url = f"{call.api}/app/hook/deliveries" if home is None else f"{home}/{hook.id}/deliveries"
        query = urlencode({**call.query, "cursor": _cursor(found[size - 1].id)})
        return Page(rows, 200, {"Link": f'<{url}?{query}>; rel="next"'})

    def _shown(self, hook: Hook, number: str) -> Page:
        found = self._deliveries.find(hook.id, int(number))
        if found is None:
            raise not_found(_PAGE)
        return Page(found.shown(full=True))

    def _attempted(self, hook: Hook, number: str) -> Page:
        found = self._deliveries.find(hook.id, int(number))
        if found is None:
            raise not_found(_PAGE)
        self._deliveries.again(hook, found)
        return Page({}, 202)


def _placed(find: Callable[..., Place], handler: Callable[..., Page]) -> Callable[..., Page]:
    """Hands the place instead of the names that lead to it."""
    names = 2 if find.__name__ == "_of_repository" else 1
    return lambda call, *parts: handler(call, find(call, *parts[:names]), *parts[names:])


def _home(call: Call, place: Place, *, by_id: bool = False) -> str:
    scope, number, name = place
    if by_id:
        return f"{call.api}/{'repositories' if scope == 'repository' else 'organizations'}/{number}/hooks"
    return f"{call.api}/{'repos' if scope == 'repository' else 'orgs'}/{name}/hooks"


def _cursor(number: int) -> str:
    return "v1_" + base64.urlsafe_b64encode(str(number).encode()).decode().rstrip("=")


def _position(cursor: str | None) -> int | None:
    if not cursor:
        return None
    text = cursor.removeprefix("v1_")
    try:
        return int(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError as error:
        raise Refused(400, documents.message("Invalid cursor", 400, _PAGE)) from error
