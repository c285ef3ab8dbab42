"""Which mirrors a sync makes, labels, changes and lets go of."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from ..api import children
from ..api.children import Manifest
from ..api.mirror import RepositoryMirror
from ..api.observed import ListedRepository
from ..api.sync import OnUnstar, ReposSync
from .unstar import Missing

# What a sync last said of a repository's mirror, and the digest of it, by GitHub's id.
Words = dict[int, tuple[tuple[object, ...], str]]


@dataclass(frozen=True, slots=True)
class Change:
    """What to apply to the mirror of that name. `known` is the mirror as it is, None where there is none yet.

    The manifest is made when it is wanted, for ten thousand of them may wait their turn.
    """

    name: str
    manifest: Callable[[], Manifest]
    known: RepositoryMirror | None = None
    take_over: bool = False


def digest_of(manifest: Manifest) -> str:
    """The same for the same word on a mirror."""
    return "/".join(sorted(manifest["metadata"].get("labels", {}).values()))


class Family:
    """Mirrors as one sync sees them: its `neighbours` are all of its namespace, `covered` those that carry its label.

    `mirrors` and `syncs` are all that there are. `words` remembers from one family to the next what the sync says of
    each repository, for there may be ten thousand, and most of the time nothing changes.
    """

    def __init__(
        self, sync: ReposSync, mirrors: Iterable[RepositoryMirror], syncs: Iterable[ReposSync], words: Words
    ) -> None:
        namespace, github = sync.metadata.namespace, sync.settings.source.github
        self.sync, self._words = sync, words
        self._others = [one for one in syncs if one.ref != sync.ref and one.metadata.namespace == namespace]
        self._items = {one.item for one in self._others}
        self._named = {one.metadata.name: one for one in mirrors if one.metadata.namespace == namespace}
        self.covered: dict[str, tuple[RepositoryMirror, int | None]] = {}
        self._by_id: dict[int, RepositoryMirror] = {}
        self._by_name: dict[str, RepositoryMirror] = {}
        for mirror in self.neighbours:
            if mirror.spec.source.github != github:
                continue
            number = children.repository_id(mirror)
            if children.covers(sync, mirror):
                self.covered[mirror.metadata.name] = mirror, number
            if number is None:
                self._by_name[mirror.spec.source.repository.lower()] = mirror
            elif number not in self._by_id or self._rank(mirror) < self._rank(self._by_id[number]):
                self._by_id[number] = mirror

    def _rank(self, mirror: RepositoryMirror) -> tuple[int, str]:
        """Of several mirrors of a repository the first is the sync's: its own, then another's, then a person's."""
        if children.holder_of(mirror) == self.sync.item:
            return 0, mirror.metadata.name
        return (1 if children.is_held(mirror) else 2), mirror.metadata.name

    @property
    def neighbours(self) -> Collection[RepositoryMirror]:
        return self._named.values()

    def find(self, row: ListedRepository) -> RepositoryMirror | None:
        return self._by_id.get(row.id) or self._by_name.get(row.full_name.lower())

    def named(self, name: str) -> RepositoryMirror | None:
        return self._named.get(name)

    def also_covered_by(self, mirror: RepositoryMirror) -> list[ReposSync]:
        return [one for one in self._others if children.covers(one, mirror)]

    def change(
        self, row: ListedRepository, known: RepositoryMirror | None, since: datetime | None = None
    ) -> Change | None:
        """How the sync's word on one mirror must change; None where it has said just this, or the mirror is going.

        `since` is when its repository was first seen to be un-starred.
        """
        if known is None:
            return Change(children.name_of(self.sync, row), partial(children.held, self.sync, row, gone_since=since))
        if known.metadata.deletion_timestamp is not None:
            return None
        holder, held, cascade = children.holder_of(known), children.is_held(known), self._cascades(known)
        take_over = held and holder != self.sync.item and holder not in self._items
        holds = take_over or holder == self.sync.item
        about = (row.full_name, known.metadata.name, known.spec.target.project, holds, cascade, since)
        if self._words.get(row.id) == (about, children.word_on(self.sync, known)):
            return None
        make = partial(children.held, self.sync, row) if holds else partial(children.covered, self.sync)
        make = partial(make, known, cascade=cascade, gone_since=since)
        word = children.word_in(self.sync, make())
        self._words[row.id] = about, word
        if word == children.word_on(self.sync, known):
            return None
        return Change(known.metadata.name, make, known, take_over)

    def _cascades(self, known: RepositoryMirror) -> bool:
        """Whether it goes when its syncs go: never a person's, and only where all of them would delete it."""
        if self.sync.settings.on_unstar is not OnUnstar.DELETE or not children.is_held(known):
            return False
        return all(one.settings.on_unstar is OnUnstar.DELETE for one in self.also_covered_by(known))

    def missing(
        self, listed: Collection[int], proofs: Mapping[int, bool]
    ) -> Iterator[tuple[RepositoryMirror, Missing]]:
        """The sync's mirrors whose repository is not among those `listed`, with what was found out about it."""
        for mirror, number in self.covered.values():
            if number is not None and number not in listed and mirror.metadata.deletion_timestamp is None:
                since = children.unstarred_at(self.sync, mirror)
                yield mirror, Missing(mirror.metadata.name, number, since, proofs.get(number))


def row_of(mirror: RepositoryMirror, number: int) -> ListedRepository:
    """As much of a row as a mirror remembers, for one that is listed no more."""
    return ListedRepository(number, mirror.spec.source.repository)
