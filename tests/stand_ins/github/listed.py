"""Repositories that exist in memory only, thousands at once: a list shows them as any other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from .repository import Repository

_PER_OWNER = 25
_LANGUAGES = ["Python", "Go", "Rust", "TypeScript", "C", None]
_TOPICS = [[], ["kubernetes"], ["cli", "automation"], ["kubernetes", "operator"], ["machine-learning"]]
_LICENSES = ["Apache-2.0", "MIT", "GPL-3.0", None]
_NEWEST = datetime(2026, 6, 1, tzinfo=UTC)


class Listed:
    """by_id: open to all, since a list of ten thousand looks into it ten thousand times a page."""

    def __init__(self) -> None:
        self._by_name: dict[str, Repository] = {}
        self.by_id: dict[int, Repository] = {}
        self._by_owner: dict[str, dict[int, Repository]] = {}
        self._former: dict[str, Repository] = {}

    def __contains__(self, repository: Repository) -> bool:
        return self.by_id.get(repository.id) is repository

    def __iter__(self) -> Iterator[Repository]:
        return iter(self.by_id.values())

    def add(self, repository: Repository) -> None:
        self._by_name[repository.full_name.lower()] = repository
        self.by_id[repository.id] = repository
        self._by_owner.setdefault(repository.owner.lower(), {})[repository.id] = repository

    def remove(self, repository: Repository) -> None:
        del self._by_name[repository.full_name.lower()], self.by_id[repository.id]
        owned = self._by_owner[repository.owner.lower()]
        del owned[repository.id]
        if not owned:
            del self._by_owner[repository.owner.lower()]

    def move(self, repository: Repository, full_name: str) -> None:
        self.remove(repository)
        repository.metadata.former_names.append(repository.full_name)
        self._former[repository.full_name.lower()] = repository
        repository.full_name = full_name
        self.add(repository)

    def find(self, full_name: str) -> Repository | None:
        return self._by_name.get(full_name.lower())

    def find_former(self, full_name: str) -> Repository | None:
        found = self._former.get(full_name.lower())
        return found if found is not None and found in self and found.metadata.former_names else None

    def of_owner(self, owner: str) -> list[Repository]:
        return list(self._by_owner.get(owner.lower(), {}).values())

    def owners(self) -> list[str]:
        return [next(iter(owned.values())).owner for owned in self._by_owner.values()]


def invent(number: int, owner_prefix: str, owner: str | None = None) -> tuple[str, dict[str, Any]]:
    """A name and metadata of every kind, the same ones each time: number 7 is always number 7.

    Of a hundred, five are archived, ten are forks, one is private; a third was pushed to within its last half year.
    """
    owner = owner or f"{owner_prefix}-{number // _PER_OWNER:04}"
    pushed = _NEWEST - timedelta(hours=(number * 37) % (24 * 540))
    return f"{owner}/project-{number:05}", {
        "description": f"Project number {number}",
        "private": number % 100 == 99,
        "archived": number % 20 == 19,
        "fork": number % 10 == 5,
        "stars": (number * 7919) % 50_000,
        "topics": list(_TOPICS[number % len(_TOPICS)]),
        "language": _LANGUAGES[number % len(_LANGUAGES)],
        "license": _LICENSES[number % len(_LICENSES)],
        "created_at": moment(pushed - timedelta(days=100 + number % 2000)),
        "pushed_at": moment(pushed),
        "size": (number * 131) % 200_000,
        "default_branch": "master" if number % 4 == 3 else "main",
    }


def moment(when: datetime) -> str:
    """As GitHub writes times."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
