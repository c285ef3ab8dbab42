"""The repositories that somebody owns: of the token's owner, of users, of organisations, of an App's installation."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import documents
from .answers import Call, Page, Refused, Route, not_found, paged
from .catalogue import Repository
from .people import Account
from .visibility import Visibility

_SORTS: dict[str, Callable[[Repository], str]] = {
    "created": lambda found: found.metadata.created_at,
    "updated": lambda found: found.pushed_at,
    "pushed": lambda found: found.pushed_at,
    "full_name": lambda found: found.full_name.lower(),
}
_TYPES: dict[str, Callable[[Repository], bool]] = {
    "all": lambda _: True,
    "owner": lambda _: True,
    "public": lambda found: not found.metadata.private,
    "private": lambda found: found.metadata.private,
    "forks": lambda found: found.metadata.fork,
    "sources": lambda found: not found.metadata.fork,
}


class OwnedRoutes:
    def __init__(self, visibility: Visibility) -> None:
        self._visibility = visibility

    def routes(self) -> Iterator[Route]:
        yield "GET", r"/user/repos", self._own
        yield "GET", r"/users/([^/]+)/repos", self._of
        yield "GET", r"/user/(\d+)/repos", self._of_number
        yield "GET", r"/orgs/([^/]+)/repos", self._of_organization
        yield "GET", r"/organizations/(\d+)/repos", self._of_organization_number
        yield "GET", r"/installation/repositories", self._of_installation

    def _own(self, call: Call) -> Page:
        """By default those of one's organisations as well."""
        page = "/repos/repos#list-repositories-for-the-authenticated-user"
        who = self._visibility.myself(call)
        if "type" in call.query and call.query.keys() & {"visibility", "affiliation"}:
            text = "If you specify visibility or affiliation, you cannot specify type."
            raise Refused(422, documents.message(text, 422, page))
        kind = call.query.get("type", "all")
        parts = {"owner": "owner", "member": "organization_member"}.get(kind, "owner,collaborator,organization_member")
        wanted = call.query.get("affiliation", parts).split(",")
        found: list[Repository] = []
        if "owner" in wanted:
            found += self._visibility.catalogue.of_owner(who.login)
        if "organization_member" in wanted:
            for organization in self._visibility.people.organizations_of(who.login):
                found += self._visibility.catalogue.of_owner(organization.login)
        shown = _TYPES.get(call.query.get("visibility", kind), _TYPES["all"])
        return self._page(call, filter(shown, found), f"{call.api}/user/repos", "full_name")

    def _of(self, call: Call, login: str) -> Page:
        return self._public(call, self._visibility.somebody(login))

    def _of_number(self, call: Call, number: str) -> Page:
        return self._public(call, self._visibility.somebody_of_id(int(number)))

    def _public(self, call: Call, who: Account) -> Page:
        """Public ones only, even for their owner: `/user/repos` has the others."""
        own = call.query.get("type", "owner") != "member"
        found = filter(_TYPES["public"], self._visibility.catalogue.of_owner(who.login)) if own else ()
        return self._page(call, found, f"{call.api}/user/{who.id}/repos", "full_name")

    def _of_organization(self, call: Call, login: str) -> Page:
        return self._all(call, self._visibility.somebody(login))

    def _of_organization_number(self, call: Call, number: str) -> Page:
        return self._all(call, self._visibility.somebody_of_id(int(number)))

    def _all(self, call: Call, who: Account) -> Page:
        if not who.organization:
            raise not_found("/repos/repos#list-organization-repositories")
        shown = _TYPES.get(call.query.get("type", "all"), _TYPES["all"])
        found = filter(shown, self._visibility.catalogue.of_owner(who.login))
        return self._page(call, found, f"{call.api}/organizations/{who.id}/repos", "created")

    def _of_installation(self, call: Call) -> Page:
        installation = None if call.caller is None else call.caller.installation
        page = "/apps/installations#list-repositories-accessible-to-the-app-installation"
        if call.caller is None:
            raise Refused(401, documents.message("Requires authentication", 401, page))
        if installation is None:
            text = (
                "You must authenticate with an installation access token in order to list repositories for an "
                "installation."
            )
            raise Refused(403, documents.message(text, 403, page))
        catalogue = self._visibility.catalogue
        if installation.repositories is not None:
            given = (catalogue.find(name) for name in sorted(installation.repositories))
            found = [one for one in given if one is not None]
        else:
            found = list(catalogue.of_owner(installation.account) if installation.account else catalogue.all())
        selection = "all" if installation.repositories is None else "selected"

        def wrap(rows: list[Any], total: int) -> dict[str, Any]:
            return {"total_count": total, "repository_selection": selection, "repositories": rows}

        # It has an order of its own, and no parameters for another one.
        found.sort(key=lambda one: one.id)
        return paged(call, found, f"{call.api}/installation/repositories", self._shown(call), wrap)

    def _page(self, call: Call, found: Iterable[Repository], url: str, default: str) -> Page:
        sort = call.query.get("sort", default)
        order = _SORTS.get(sort, _SORTS[default])
        backwards = call.query.get("direction", "asc" if sort == "full_name" else "desc") == "desc"
        seen = [one for one in found if self._visibility.may_list(call.caller, one)]
        seen.sort(key=lambda one: (order(one), one.id), reverse=backwards)
        return paged(call, seen, url, self._shown(call))

    def _shown(self, call: Call) -> Callable[[Repository], dict[str, Any]]:
        return lambda one: self._visibility.show(call, one, full=False)
