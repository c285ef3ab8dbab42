"""The lists into which people sort their stars; only GraphQL shows them."""

import re
from dataclasses import dataclass, field

_WHEN = "2026-01-01T00:00:00Z"


@dataclass
class StarList:
    number: int
    name: str
    slug: str
    private: bool = False
    description: str | None = None
    items: list[int] = field(default_factory=list)
    created_at: str = _WHEN
    last_added_at: str = _WHEN


class Lists:
    def __init__(self) -> None:
        self._of: dict[str, list[StarList]] = {}
        self._made = 0

    def add(self, login: str, name: str, items: list[int], *, private: bool = False) -> StarList:
        """A list of this name; one that was there is replaced."""
        self._made += 1
        made = StarList(self._made, name, slug(name), private, items=items)
        kept = [one for one in self.of(login) if one.slug != made.slug]
        self._of[login.lower()] = [*kept, made]
        return made

    def remove(self, login: str, name: str) -> None:
        self._of[login.lower()] = [one for one in self.of(login) if one.slug != slug(name)]

    def of(self, login: str) -> list[StarList]:
        return self._of.get(login.lower(), [])

    def find(self, number: int) -> tuple[str, StarList] | None:
        """The list of that number, and whose it is."""
        found = ((login, one) for login, lists in self._of.items() for one in lists if one.number == number)
        return next(found, None)

    def forget(self, number: int, login: str | None = None) -> None:
        """What somebody (None: everybody) has not starred any more is in no list of theirs either."""
        for owner, lists in self._of.items():
            if login is None or login.lower() == owner:
                for one in lists:
                    one.items = [item for item in one.items if item != number]


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
