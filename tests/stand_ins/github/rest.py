"""The part of GitHub's REST API that a mirror needs, as github.com and an Enterprise server (`/api/v3`) have it."""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from aiohttp import web

from ..misbehaviour import Entry
from . import documents
from .accounts import Accounts, BadAppToken, BadCredentials, Caller, Window
from .catalogue import NAME, Catalogue, Repository

ENTERPRISE = "/api/v3"
STAR_MEDIA_TYPE = "application/vnd.github.star+json"
PAGE_LIMIT = 100


@dataclass(frozen=True)
class Call:
    """One request, with what the answer depends on. `api` and `web` are base URLs without a trailing slash."""

    request: web.BaseRequest
    caller: Caller | None
    api: str
    web: str
    query: Mapping[str, str]

    @property
    def signed_in(self) -> bool:
        return self.caller is not None


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


class RestApi:
    """stars: login to the full names starred, newest last, with the time of each."""

    def __init__(self, catalogue: Catalogue, accounts: Accounts, public_url: str | None) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._public_url = public_url
        self.stars: dict[str, dict[int, str]] = {}
        routes: list[tuple[str, str, Callable[..., Page]]] = [
            ("GET", rf"/repos/({NAME})/({NAME})", self._repository),
            ("GET", r"/repositories/(\d+)", self._repository_by_id),
            ("GET", r"/user", self._user),
            ("GET", r"/users/([^/]+)", self._someone),
            ("GET", r"/rate_limit", self._rate_limit),
            ("GET", r"/meta", self._meta),
            ("GET", r"/user/starred", self._own_stars),
            ("GET", r"/users/([^/]+)/starred", self._stars_of),
            ("GET", rf"/user/starred/({NAME})/({NAME})", self._is_starred),
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
        if token_path := re.fullmatch(r"/app/installations/(\d+)/access_tokens", path):
            return self._installation_token(request, entry, int(token_path[1]))
        try:
            caller = self._accounts.of_rest(request.headers.get("Authorization"))
        except BadCredentials:
            return _json(request, 401, documents.message("Bad credentials", 401))
        entry.authenticated = caller is not None
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        call = Call(request, caller, base, site, query)
        return self._counted(call, path)

    def _counted(self, call: Call, path: str) -> web.Response:
        """Answers within the caller's limit; a 304 is free for those who sign in, `/rate_limit` for all."""
        window = self._accounts.window(call.caller, call.request.remote or "")
        free = path == "/rate_limit"
        if window is not None and not free and window.remaining == 0:
            return _json(call.request, 403, _exhausted(call), _limit_headers(window))
        try:
            page = self._dispatch(call, path)
            response = _json(call.request, page.status, page.document, page.headers)
        except Refused as refused:
            response = _json(call.request, refused.status, refused.document, refused.headers)
        if response.status == 200 and not free:
            response = _conditional(call, response)
        if window is not None:
            if not free and not (response.status == 304 and call.signed_in):
                window.used += 1
            response.headers.update(_limit_headers(window))
        if call.caller is not None and call.caller.scopes is not None:
            response.headers["X-OAuth-Scopes"] = ", ".join(call.caller.scopes)
        return response

    def _dispatch(self, call: Call, path: str) -> Page:
        for method, pattern, handler in self._routes:
            if (found := pattern.fullmatch(path)) and method in (call.request.method, _get_for(call.request.method)):
                return handler(call, *map(unquote, found.groups()))
        raise not_found("")

    def _visible(self, call: Call, found: Repository | None) -> Repository:
        """The repository, if this caller may know of it. Raises Refused: 404, or 403 and 451 with a block."""
        if found is None or (found.metadata.private and not _may_see(call.caller, found)):
            raise not_found()
        if found.metadata.block_status is not None:
            reason = found.metadata.block_reason
            page = f"{call.web}/github/{reason}/blob/master/2026/01/2026-01-01-{found.owner}.md"
            block = {"reason": reason, "created_at": "2026-01-01T00:00:00Z", "html_url": page}
            raise Refused(found.metadata.block_status, {"message": "Repository access blocked", "block": block})
        return found

    def _repository(self, call: Call, owner: str, name: str) -> Page:
        full_name = f"{owner}/{name}"
        found = self._catalogue.find(full_name)
        if found is None and (moved := self._catalogue.find_former(full_name)):
            self._visible(call, moved)
            url = f"{call.api}/repositories/{moved.id}"
            document = {"message": "Moved Permanently", "url": url, "documentation_url": _REDIRECTS}
            return Page(document, 301, {"Location": url})
        return self._page(call, self._visible(call, found))

    def _repository_by_id(self, call: Call, number: str) -> Page:
        return self._page(call, self._visible(call, self._catalogue.find_id(int(number))))

    def _page(self, call: Call, found: Repository) -> Page:
        return Page(documents.repository(found, call.api, call.web, signed_in=call.signed_in))

    def _user(self, call: Call) -> Page:
        if call.caller is None:
            raise Refused(401, documents.message("Requires authentication", 401, "/users/users"))
        if call.caller.login is None:
            text = "Resource not accessible by integration"
            raise Refused(403, documents.message(text, 403, "/users/users#get-the-authenticated-user"))
        profile = {"id": call.caller.user_id, "name": call.caller.login, "email": None, "public_repos": 0}
        return Page({**documents.user(call.caller.login, call.api, call.web), **profile})

    def _someone(self, call: Call, login: str) -> Page:
        return Page({**documents.user(login, call.api, call.web), "name": login, "public_repos": 0})

    def _rate_limit(self, call: Call) -> Page:
        window = self._accounts.window(call.caller, call.request.remote or "")
        if window is None:
            raise Refused(404, documents.message("Rate limiting is not enabled.", 404))
        core = {"limit": window.limit, "used": window.used, "remaining": window.remaining, "reset": window.reset}
        return Page({"resources": {"core": core}, "rate": core})

    def _meta(self, call: Call) -> Page:
        return Page(documents.meta(call.web))

    def _own_stars(self, call: Call) -> Page:
        login = self._user(call).document["login"]
        return self._star_page(call, login, f"{call.api}/user/starred")

    def _stars_of(self, call: Call, login: str) -> Page:
        return self._star_page(call, login, f"{call.api}/users/{login}/starred")

    def _is_starred(self, call: Call, owner: str, name: str) -> Page:
        login = self._user(call).document["login"]
        found = self._catalogue.find(f"{owner}/{name}")
        if found is None or found.id not in self.stars.get(login, {}):
            raise not_found("/activity/starring")
        return Page(None, 204)

    def _star_page(self, call: Call, login: str, url: str) -> Page:
        starred = list(self.stars.get(login, {}).items())
        if call.query.get("direction", "desc") == "desc":
            starred.reverse()
        found = [(self._catalogue.find_id(number), at) for number, at in starred]
        seen = [(one, at) for one, at in found if one and (not one.metadata.private or _may_see(call.caller, one))]
        size = min(PAGE_LIMIT, max(1, _integer(call.query.get("per_page"), 30)))
        number = max(1, _integer(call.query.get("page"), 1))
        chosen = seen[(number - 1) * size : number * size]
        rows: list[dict[str, Any]] = []
        for one, at in chosen:
            row = documents.repository(one, call.api, call.web, signed_in=call.signed_in, full=False)
            dated = STAR_MEDIA_TYPE in call.request.headers.get("Accept", "")
            rows.append({"starred_at": at, "repo": row} if dated else row)
        link = _links(url, call.query, number, max(1, -(-len(seen) // size)))
        return Page(rows, 200, {"Link": link} if link else None)

    def _installation_token(self, request: web.BaseRequest, entry: Entry, number: int) -> web.Response:
        page = "/apps/apps#create-an-installation-access-token-for-an-app"
        if request.method != "POST":
            return _json(request, 404, documents.message("Not Found", 404, page))
        try:
            granted = self._accounts.installation_token(request.headers.get("Authorization"), number)
        except BadAppToken as refused:
            return _json(request, 401, documents.message(str(refused), 401))
        entry.authenticated = True
        if granted is None:
            return _json(request, 404, documents.message("Not Found", 404, page))
        return _json(request, 201, granted)


_REDIRECTS = "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"


def _get_for(method: str) -> str:
    return "GET" if method == "HEAD" else method


def _may_see(caller: Caller | None, found: Repository) -> bool:
    return caller is not None and caller.may_see(found.full_name)


def _integer(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() else otherwise


def _exhausted(call: Call) -> dict[str, Any]:
    if call.caller is not None:
        text = f"API rate limit exceeded for user ID {call.caller.user_id}."
    else:
        text = (
            f"API rate limit exceeded for {call.request.remote}. (But here's the good news: Authenticated requests get "
            "a higher rate limit. Check out the documentation for more details.)"
        )
    page = "/overview/resources-in-the-rest-api#rate-limiting"
    return documents.message(text, 403, page)


def _limit_headers(window: Window) -> dict[str, str]:
    return {
        "X-RateLimit-Limit": str(window.limit),
        "X-RateLimit-Remaining": str(window.remaining),
        "X-RateLimit-Reset": str(window.reset),
        "X-RateLimit-Used": str(window.used),
        "X-RateLimit-Resource": "core",
    }


def _json(
    request: web.BaseRequest, status: int, document: Any, headers: Mapping[str, str] | None = None
) -> web.Response:
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


def _conditional(call: Call, response: web.Response) -> web.Response:
    """The ETag is weak and bound to the credential and to what was accepted, as GitHub's."""
    assert isinstance(response.body, bytes)
    bound = [call.request.headers.get(name, "") for name in ("Authorization", "Accept")]
    etag = 'W/"' + hashlib.sha256(response.body + "\0".join(bound).encode()).hexdigest() + '"'
    wanted = call.request.headers.get("If-None-Match", "")
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
