"""What each event is good for: a pure function from a delivery to what shall be done in the cluster.

A delivery is never the last word. It may be late, out of order or not the newest of its kind, so all that comes of it
is a look, or an offer that a sync's filter decides on; nothing is ever deleted by it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..api.delivery import Account, Payload, Repository
from ..api.observed import ListedRepository


class Unreadable(Exception):
    """The delivery lacks what its event cannot do without; the text says what."""


@dataclass(frozen=True)
class Look:
    """Every mirror of that repository is asked to look now; with `starrer` only where that account's stars matter."""

    repository: int
    starrer: int = 0


@dataclass(frozen=True)
class Offer:
    """A repository for the syncs of an account: a new star of its, or a new repository that it owns.

    `account` and `login` are its number and its name. `detailed` is whether the row has all that a filter may ask for.
    `installed` tells that it came to a GitHub App's hook, so that the App may read it.
    """

    account: int
    starred: bool
    row: ListedRepository
    detailed: bool
    host: str
    installed: bool = False
    login: str = ""


Intent = Look | Offer
_Reading = Callable[[Payload], Iterator[Intent]]

_NEWS_OF_A_REPOSITORY = frozenset(
    ("renamed", "transferred", "archived", "unarchived", "privatized", "publicized", "deleted", "edited")
)


def intents(event: str, payload: Payload) -> tuple[Intent, ...]:
    """Raises `Unreadable`. Of an event that is not handled comes nothing."""
    reading = _READINGS.get(event)
    # Of one repository one look is enough, and the first place is as good as any.
    return tuple(dict.fromkeys(reading(payload))) if reading else ()


def _look(payload: Payload) -> Iterator[Intent]:
    yield Look(_repository(payload).id)


def _repository_event(payload: Payload) -> Iterator[Intent]:
    repository = _repository(payload)
    if payload.action in _NEWS_OF_A_REPOSITORY:
        yield Look(repository.id)
    if payload.action in ("created", "transferred"):
        yield _offer(
            payload, "repository.owner", repository.owner, repository, installed=payload.installation is not None
        )


def _star(payload: Payload) -> Iterator[Intent]:
    repository, account = _repository(payload), _account("sender", payload.sender)
    if payload.action == "created":
        row, login = repository.listed(payload.starred_at), _login(payload.sender)
        yield Offer(account, True, row, repository.detailed, payload.api_host, login=login)
    elif payload.action == "deleted":
        yield Look(repository.id, starrer=account)


def _installation(payload: Payload) -> Iterator[Intent]:
    for repository in (*payload.repositories, *payload.repositories_added):
        if payload.action in ("created", "added"):
            installed = payload.installation.account if payload.installation else None
            yield _offer(payload, "installation.account", installed, repository, installed=True)
        elif payload.action == "deleted":
            yield Look(repository.id)
    for repository in payload.repositories_removed:
        yield Look(repository.id)


_READINGS: dict[str, _Reading] = {
    "push": _look,
    "create": _look,
    "delete": _look,
    "public": _look,
    "repository": _repository_event,
    "star": _star,
    "installation": _installation,
    "installation_repositories": _installation,
}
HANDLED = frozenset(_READINGS)


def _offer(payload: Payload, place: str, account: Account | None, repository: Repository, *, installed: bool) -> Offer:
    number, row = _account(place, account), repository.listed()
    return Offer(number, False, row, repository.detailed, payload.api_host, installed, _login(account))


def _repository(payload: Payload) -> Repository:
    if payload.repository is None:
        raise Unreadable("it has no repository")
    return payload.repository


def _account(place: str, account: Account | None) -> int:
    if account is None or account.id is None:
        raise Unreadable(f"it has no {place}.id")
    return account.id


def _login(account: Account | None) -> str:
    return (account and account.login) or ""
