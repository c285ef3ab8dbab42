"""What the repair knows of the webhooks of one credential. It lives in memory: a restart costs reading three days."""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter

from ..api.errors import SyncError, Waiting
from ..api.hooks import Hook, HookPlace, RepositoryHooks
from ..api.mirror import Access
from ..decide.deliveries import Log

# Who may not see the webhooks of a repository today may hardly do so in an hour.
_HIDDEN_LASTS = timedelta(hours=24)
# GitHub refused so many in a row: it would not be different with the next one.
_REFUSALS = 3
# What fails so often holds up all else.
_TRIES = 3


@dataclass(eq=False)
class Known:
    """One webhook that leads to us. `asked` are the attempts that were asked to be made again, by GUID, of which it is
    not known yet what came of them; `mended` is how many were taken since that was last told."""

    hook: Hook
    log: Log = field(default_factory=Log)
    etag: str = ""
    asked: dict[str, int] = field(default_factory=dict)
    mended: int = 0
    refusals: int = 0
    cursor: str = ""
    newest: datetime | None = None
    next_etag: str = ""

    @property
    def gives_up(self) -> bool:
        return self.refusals >= _REFUSALS

    def settle(self) -> tuple[int, int]:
        """How many of those that were asked for have been taken, and how many have failed once more."""
        taken = failed = 0
        for guid, attempt in list(self.asked.items()):
            story = self.log.stories.get(guid)
            if story is not None and story.taken is None and story.attempt == attempt:
                continue
            del self.asked[guid]
            if story is not None:
                taken, failed = taken + (story.taken is not None), failed + (story.taken is None)
        self.mended += taken
        return taken, failed


@dataclass
class Place:
    etag: str = ""
    webhooks: dict[int, Known] = field(default_factory=dict)

    def lists(self, found: list[Hook], etag: str) -> None:
        self.etag = etag
        known = {number: one for number, one in self.webhooks.items() if number in {hook.id for hook in found}}
        self.webhooks = {hook.id: known.get(hook.id) or Known(hook) for hook in found}


@dataclass
class Round:
    """What is still to be read, and the attempts that are then to be made again: None before all is read.

    `told` are the places that were seen. A `last` one only looks what came of what the one before has sent.
    """

    tasks: "deque[HookPlace | Known]"
    last: bool = False
    lost: "deque[tuple[Known, str, int]] | None" = None
    told: set[HookPlace] = field(default_factory=set)
    asked: set[Known] = field(default_factory=set)
    sent: int = 0


@dataclass
class Desk:
    """One credential, and what was seen with it. `shut` are places whose webhooks are hidden, until when."""

    access: Access
    namespace: str
    places: dict[HookPlace, Place] = field(default_factory=dict)
    looked: dict[RepositoryHooks, datetime] = field(default_factory=dict)
    shut: dict[str, datetime] = field(default_factory=dict)
    round: Round | None = None
    failures: int = 0

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.namespace}/{self.access.secret_ref.name}" if self.access.secret_ref else ""

    def keep(self, there: Collection[HookPlace]) -> None:
        self.places = {place: known for place, known in self.places.items() if place in there}
        self.looked = {place: time for place, time in self.looked.items() if place in there}

    def hooked(self) -> set[HookPlace]:
        return {place for place, known in self.places.items() if known.webhooks}

    def is_shut(self, place: RepositoryHooks, now: datetime) -> bool:
        return any(self.shut.get(word, now) > now for word in (str(place), place.owner))

    def shuts(self, place: HookPlace, now: datetime, *, denied: bool) -> bool:
        """Its webhooks are hidden; where that was denied, so are those of all its owner's. Whether that is new."""
        word = place.owner if denied and isinstance(place, RepositoryHooks) else str(place)
        new = word not in self.shut
        self.shut[word] = now + _HIDDEN_LASTS
        return new

    def tries_again(self, error: SyncError) -> bool:
        return isinstance(error, Waiting) or self.failures + 1 < _TRIES

    def lost(self, most: int, now: datetime) -> list[tuple[Known, str, int]]:
        """What nobody has taken: the oldest first, for GitHub forgets these first."""
        found = [
            (story.since, story.attempt, known, guid)
            for place in self.places.values()
            for known in place.webhooks.values()
            for guid, story in known.log.kept(now).lost.items()
        ]
        return [(known, guid, attempt) for _, attempt, known, guid in sorted(found, key=itemgetter(0, 1))[:most]]
