"""Whom the stand-in knows: users and organisations, each with a number that outlives its name."""

import hashlib
from dataclasses import dataclass, field, replace

from .catalogue import Catalogue


@dataclass(frozen=True)
class Account:
    login: str
    id: int
    organization: bool = False
    members: frozenset[str] = field(default=frozenset())


class People:
    """Those who own a repository, and those who were declared; everybody else answers 404."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._declared: dict[str, Account] = {}

    def declare(
        self,
        login: str,
        *,
        organization: bool = False,
        number: int | None = None,
        members: frozenset[str] | None = None,
    ) -> Account:
        """Makes the login known, or changes what is known of it; who is known stays what it is unless told."""
        key = login.lower()
        known = self._declared.get(key, Account(login, _number(login)))
        self._declared[key] = replace(
            known,
            id=known.id if number is None else number,
            organization=organization or known.organization,
            members=known.members if members is None else frozenset(name.lower() for name in members),
        )
        return self._declared[key]

    def forget(self, login: str) -> None:
        """The account is gone, as far as it owns nothing."""
        self._declared.pop(login.lower(), None)

    def rename(self, login: str, to: str) -> None:
        """The login changes, the number stays."""
        known = self.of(login)
        self._declared.pop(login.lower(), None)
        self._declared[to.lower()] = replace(known, login=to)

    def of(self, login: str) -> Account:
        """The account of that login, made up where it was not declared."""
        return self._declared.get(login.lower()) or Account(login, _number(login))

    def find(self, login: str) -> Account | None:
        if declared := self._declared.get(login.lower()):
            return declared
        owner = self._catalogue.owner(login)
        return None if owner is None else Account(owner, _number(owner))

    def find_id(self, number: int) -> Account | None:
        declared = next((one for one in self._declared.values() if one.id == number), None)
        if declared is not None:
            return declared
        return next((Account(one, number) for one in self._catalogue.owners() if _number(one) == number), None)

    def organizations_of(self, login: str) -> list[Account]:
        return [one for one in self._declared.values() if login.lower() in one.members]


def _number(login: str) -> int:
    return int.from_bytes(hashlib.sha256(login.lower().encode()).digest()[:4], "big") % 900_000_000
