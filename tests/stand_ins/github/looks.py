"""Single repositories and accounts, and what the server says of itself."""

from collections.abc import Iterator

from . import documents
from .accounts import Accounts
from .answers import Call, Page, Refused, Route, not_found
from .catalogue import NAME
from .people import Account
from .visibility import Visibility

_REDIRECTS = "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects"


class LookRoutes:
    """hook_ranges: from where `/meta` says that hooks come."""

    def __init__(self, accounts: Accounts, visibility: Visibility) -> None:
        self._accounts = accounts
        self._visibility = visibility
        self.hook_ranges = list(documents.RANGES)

    def routes(self) -> Iterator[Route]:
        yield "GET", rf"/repos/({NAME})/({NAME})", self._repository
        yield "GET", r"/repositories/(\d+)", self._repository_by_id
        yield "GET", r"/user", self._user
        yield "GET", r"/user/(\d+)", self._someone_by_id
        yield "GET", r"/users/([^/]+)", self._someone
        yield "GET", r"/orgs/([^/]+)", self._organization
        yield "GET", r"/rate_limit", self._rate_limit
        yield "GET", r"/meta", self._meta

    def _repository(self, call: Call, owner: str, name: str) -> Page:
        full_name = f"{owner}/{name}"
        catalogue = self._visibility.catalogue
        found = catalogue.find(full_name)
        if found is None and (moved := catalogue.find_former(full_name)):
            self._visibility.visible(call, moved)
            url = f"{call.api}/repositories/{moved.id}"
            document = {"message": "Moved Permanently", "url": url, "documentation_url": _REDIRECTS}
            return Page(document, 301, {"Location": url})
        return Page(self._visibility.show(call, self._visibility.visible(call, found)))

    def _repository_by_id(self, call: Call, number: str) -> Page:
        found = self._visibility.visible(call, self._visibility.catalogue.find_id(int(number)))
        return Page(self._visibility.show(call, found))

    def _user(self, call: Call) -> Page:
        return self._profile(call, self._visibility.myself(call))

    def _someone(self, call: Call, login: str) -> Page:
        return self._profile(call, self._visibility.somebody(login))

    def _someone_by_id(self, call: Call, number: str) -> Page:
        return self._profile(call, self._visibility.somebody_of_id(int(number)))

    def _profile(self, call: Call, who: Account) -> Page:
        return Page(documents.profile(who, call.api, call.web))

    def _organization(self, call: Call, login: str) -> Page:
        who = self._visibility.somebody(login)
        if not who.organization:
            raise not_found("/orgs/orgs#get-an-organization")
        return Page(documents.organization(who, call.api, call.web))

    def _rate_limit(self, call: Call) -> Page:
        window = self._accounts.window(call.caller, call.request.remote or "")
        if window is None:
            raise Refused(404, documents.message("Rate limiting is not enabled.", 404))
        resources = {"core": window.shown(), "search": {**window.shown(), "limit": 30, "used": 0, "remaining": 30}}
        if call.caller is not None:
            resources["graphql"] = call.caller.graphql.shown()
        return Page({"resources": resources, "rate": window.shown()})

    def _meta(self, call: Call) -> Page:
        return Page(documents.meta(call.web, self.hook_ranges))
