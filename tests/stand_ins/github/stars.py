"""Who starred what and when, and the lists of it."""

import re
from collections.abc import Iterator
from typing import Any

from .answers import Call, Page, Route, not_found, paged
from .catalogue import NAME, Repository
from .people import Account
from .visibility import Visibility

STAR_MEDIA_TYPE = re.compile(r"application/vnd\.github\.(v3\.)?star\+json")


class Stars:
    """What everybody starred; a list is newest first, and of two in the same second the later one comes first."""

    def __init__(self) -> None:
        self._of: dict[str, dict[int, str]] = {}
        self._sorted: dict[str, list[tuple[int, str]]] = {}

    def add(self, login: str, number: int, at: str) -> None:
        starred = self._of.setdefault(login.lower(), {})
        starred.pop(number, None)
        starred[number] = at
        self._sorted.pop(login.lower(), None)

    def remove(self, login: str, number: int) -> str | None:
        """When it had been starred; None where it was not."""
        self._sorted.pop(login.lower(), None)
        return self._of.get(login.lower(), {}).pop(number, None)

    def forget(self, number: int) -> None:
        """The repository is gone, and its stars with it."""
        for login in self._of:
            self.remove(login, number)

    def when(self, login: str, number: int) -> str | None:
        return self._of.get(login.lower(), {}).get(number)

    def of(self, login: str) -> list[tuple[int, str]]:
        """The numbers of the repositories and the times, newest first."""
        key = login.lower()
        if key not in self._sorted:
            starred = list(self._of.get(key, {}).items())
            starred.reverse()
            self._sorted[key] = sorted(starred, key=lambda star: star[1], reverse=True)
        return self._sorted[key]


class StarRoutes:
    def __init__(self, stars: Stars, visibility: Visibility) -> None:
        self._stars = stars
        self._visibility = visibility

    def routes(self) -> Iterator[Route]:
        yield "GET", r"/user/starred", self._own
        yield "GET", r"/users/([^/]+)/starred", self._of
        yield "GET", r"/user/(\d+)/starred", self._of_number
        yield "GET", rf"/user/starred/({NAME})/({NAME})", self._is_starred

    def _own(self, call: Call) -> Page:
        who = self._visibility.myself(call, "starring")
        return self._page(call, who, f"{call.api}/user/starred")

    def _of(self, call: Call, login: str) -> Page:
        # The links of GitHub's pages name the number, so that they outlive a rename.
        who = self._visibility.somebody(login)
        return self._page(call, who, f"{call.api}/user/{who.id}/starred")

    def _of_number(self, call: Call, number: str) -> Page:
        who = self._visibility.somebody_of_id(int(number))
        return self._page(call, who, f"{call.api}/user/{who.id}/starred")

    def _is_starred(self, call: Call, owner: str, name: str) -> Page:
        who = self._visibility.myself(call, "starring")
        found = self._visibility.catalogue.find(f"{owner}/{name}")
        if found is None or self._stars.when(who.login, found.id) is None:
            raise not_found("/activity/starring")
        return Page(None, 204)

    def _page(self, call: Call, who: Account, url: str) -> Page:
        visibility = self._visibility
        in_memory, catalogue = visibility.catalogue.listed.by_id, visibility.catalogue
        seen = [
            (found, at)
            for number, at in self._stars.of(who.login)
            if (found := in_memory.get(number) or catalogue.find_id(number)) is not None
            and (not found.metadata.private or visibility.may_list(call.caller, found))
        ]
        if call.query.get("sort") == "updated":
            seen.sort(key=lambda row: row[0].pushed_at, reverse=True)
        if call.query.get("direction") == "asc":
            seen.reverse()
        dated = STAR_MEDIA_TYPE.search(call.accept) is not None

        def show(row: tuple[Repository, str]) -> dict[str, Any]:
            document = visibility.show(call, row[0], full=False)
            return {"starred_at": row[1], "repo": document} if dated else document

        return paged(call, seen, url, show)
