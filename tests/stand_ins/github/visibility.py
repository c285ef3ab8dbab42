"""Who may see what: accounts and repositories as this caller is shown them."""

from typing import Any

from . import documents
from .accounts import Caller
from .answers import Call, Refused, not_found
from .catalogue import Catalogue, Repository
from .people import Account, People

NOT_BY_TOKEN = "Resource not accessible by personal access token"
NOT_BY_APP = "Resource not accessible by integration"


class Visibility:
    def __init__(self, catalogue: Catalogue, people: People) -> None:
        self.catalogue = catalogue
        self.people = people

    def myself(self, call: Call, permission: str | None = None) -> Account:
        """Whose token it is. permission: what a fine-grained one needs. Raises Refused: 401 or 403."""
        page = "/users/users#get-the-authenticated-user"
        if call.caller is None:
            raise Refused(401, documents.message("Requires authentication", 401, page))
        if call.caller.login is None:
            raise Refused(403, documents.message(NOT_BY_APP, 403, page))
        if permission is not None and not call.caller.is_permitted(permission):
            needed = {"X-Accepted-GitHub-Permissions": f"{permission}=read"}
            raise Refused(403, documents.message(NOT_BY_TOKEN, 403, page), needed)
        return self.people.of(call.caller.login)

    def somebody(self, login: str) -> Account:
        """Raises Refused: 404 for a login that nobody has."""
        found = self.people.find(login)
        if found is None:
            raise not_found("/users/users#get-a-user")
        return found

    def somebody_of_id(self, number: int) -> Account:
        found = self.people.find_id(number)
        if found is None:
            raise not_found("/users/users#get-a-user-using-their-id")
        return found

    def may_list(self, caller: Caller | None, found: Repository) -> bool:
        """Whether lists show it: what is withheld is in them, as a row without a way in."""
        return not found.metadata.private or (caller is not None and caller.may_see(found.full_name))

    def visible(self, call: Call, found: Repository | None) -> Repository:
        """The repository, if this caller may know of it. Raises Refused: 404, or 403 and 451 with a block."""
        if found is None or not self.may_list(call.caller, found):
            raise not_found()
        if found.metadata.block_status is not None:
            reason = found.metadata.block_reason
            page = f"{call.web}/github/{reason}/blob/master/2026/01/2026-01-01-{found.owner}.md"
            block = {"reason": reason, "created_at": "2026-01-01T00:00:00Z", "html_url": page}
            raise Refused(found.metadata.block_status, {"message": "Repository access blocked", "block": block})
        return found

    def show(self, call: Call, found: Repository, *, full: bool = True) -> dict[str, Any]:
        owner = self.people.of(found.owner)
        mine = call.caller is not None and (call.caller.login or "").lower() == found.owner.lower()
        rights = None if call.caller is None else documents.rights(owner=mine)
        return documents.repository(found, owner, call.api, call.web, rights=rights, full=full)
