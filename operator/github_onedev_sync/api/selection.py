"""Which of the repositories that GitHub lists a sync mirrors, and which of them OneDev has no place for."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from . import names
from .children import project_of, repository_id
from .conditions import Reason
from .mirror import RepositoryMirror
from .observed import ListedRepository
from .refs import RefFilter
from .starred import StarFilter
from .sync import Presence, RepositoryFilter, ReposSync, Visibility

if TYPE_CHECKING:
    from .expression import Expression

_KB_PER_MB = 1024
_PATH = re.compile(f"{names.PROJECT_SEGMENT}(/{names.PROJECT_SEGMENT})*")


class Selector:
    """A compiled filter. Raises Stalled where its expression is not valid, or cannot be answered for a repository."""

    def __init__(self, wanted: RepositoryFilter) -> None:
        self._wanted = wanted
        self._names = RefFilter(_lower(wanted.include), _lower(wanted.exclude))
        self._languages = frozenset(_lower(wanted.languages))
        self._topics = frozenset(_lower(wanted.topics))
        self._lists = frozenset(_lower(wanted.lists)) if isinstance(wanted, StarFilter) else frozenset()
        self._expression = _compiled(wanted.expression)

    def matches(self, row: ListedRepository, now: datetime, lists: Mapping[str, frozenset[int]]) -> bool:
        """`lists` are the star lists of the person, by name: ids of the repositories in each."""
        wanted = self._wanted
        return (
            self._names.matches(row.full_name.lower())
            and (not self._languages or (row.language or "").lower() in self._languages)
            and (not self._topics or not self._topics.isdisjoint(_lower(row.topics)))
            and _is_welcome(wanted.archived, row.archived)
            and _is_welcome(wanted.forks, row.fork)
            and wanted.visibility in (Visibility.ALL, Visibility.PRIVATE if row.private else Visibility.PUBLIC)
            and row.stars >= wanted.min_stars
            and (not wanted.max_size_mb or row.size_kb <= wanted.max_size_mb * _KB_PER_MB)
            and (wanted.pushed_within is None or _is_since(row.pushed_at, now - wanted.pushed_within))
            and (not self._lists or self._is_listed(row, lists))
            and (self._expression is None or self._expression.matches(row, now))
        )

    def _is_listed(self, row: ListedRepository, lists: Mapping[str, frozenset[int]]) -> bool:
        return any(row.id in ids for name, ids in lists.items() if name.lower() in self._lists)


def needs_details(wanted: RepositoryFilter) -> bool:
    """Whether it asks for more than id, name and visibility, which is all that some webhooks tell."""
    defaults = type(wanted)()
    plain = {"include", "exclude", "visibility"}
    return any(getattr(wanted, name) != getattr(defaults, name) for name in wanted.__pydantic_fields__.keys() - plain)


def unknown_lists(wanted: RepositoryFilter, lists: Mapping[str, frozenset[int]]) -> tuple[str, ...]:
    """The star lists of a filter that the person does not have."""
    known = set(_lower(lists))
    return tuple(name for name in wanted.lists if name.lower() not in known) if isinstance(wanted, StarFilter) else ()


def collisions(
    sync: ReposSync, rows: Iterable[ListedRepository], mirrors: Iterable[RepositoryMirror]
) -> dict[int, tuple[Reason, str]]:
    """The repositories, by id, that cannot be mirrored because of their OneDev path: found before anything is created.

    `mirrors` are all of the namespace, of whatever GitHub. One that is there keeps its path; of several repositories
    that would get the same, the one with the lowest id does. OneDev takes paths that differ by case for the same.
    """
    server, github = sync.settings.template.target.server_ref.name, sync.settings.source.github
    taken: dict[str, str] = {}
    mirrored: set[int | str] = set()
    for mirror in mirrors:
        if mirror.spec.target.server_ref.name == server:
            taken.setdefault(
                project_of(mirror).lower(), f"mirror {mirror.metadata.name} of {mirror.spec.source.repository}"
            )
        if mirror.spec.source.github == github:
            number = repository_id(mirror)
            mirrored.add(mirror.spec.source.repository.lower() if number is None else number)
    refused: dict[int, tuple[Reason, str]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        if row.id in mirrored or row.full_name.lower() in mirrored:
            continue
        path = names.project_of(sync.settings.project_template, row.full_name)
        if len(path) > names.TARGET_PATH_LIMIT or not _PATH.fullmatch(path):
            refused[row.id] = Reason.TARGET_PATH_ILLEGAL, _illegal(row, path)
        elif path.lower() in taken:
            refused[row.id] = Reason.PROJECT_COLLISION, _shared(row, path, taken[path.lower()])
        else:
            taken[path.lower()] = row.full_name
    return refused


def _compiled(text: str | None) -> "Expression | None":
    if not text:
        return None
    from .expression import Expression  # costs 18 MB and 0.1 s, and few filters have one

    return Expression(text)


def _lower(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.lower() for word in words)


def _is_welcome(wanted: Presence, trait: bool) -> bool:
    return wanted is Presence.INCLUDE or trait is (wanted is Presence.ONLY)


def _is_since(moment: datetime | None, earliest: datetime) -> bool:
    return moment is not None and moment >= earliest


def _illegal(row: ListedRepository, path: str) -> str:
    if len(path) > names.TARGET_PATH_LIMIT:
        why = f"its OneDev path would have {len(path)} characters, and {names.TARGET_PATH_LIMIT} are allowed"
    else:
        why = f"{path!r} is no OneDev path"
    return (
        f"{row.full_name} is not mirrored: {why}. Shorten spec.projectTemplate, leave the repository out with "
        "spec.filter.exclude, or give it a RepositoryMirror of its own with a spec.target.project"
    )


def _shared(row: ListedRepository, path: str, holder: str) -> str:
    return (
        f"{row.full_name} is not mirrored: its OneDev project {path} is that of {holder}. Make spec.projectTemplate "
        "tell them apart, such as {owner}/{name}, leave one out with spec.filter.exclude, or give it a "
        "RepositoryMirror of its own with another spec.target.project"
    )
