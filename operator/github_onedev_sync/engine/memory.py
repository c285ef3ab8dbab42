"""What this process knows of a sync beside its status. A restart costs a full listing, and loses nothing."""

from dataclasses import dataclass, field
from datetime import datetime

from ..api.observed import Account
from ..api.selection import Selector
from ..api.sync import ReposSync
from ..decide.children import Words
from .children import Applied
from .poller import Listed
from .ports import Source


@dataclass
class Memory:
    """`lists` are star lists by name. `proofs` tell of repositories that are not listed whether that was proven to be
    an un-starring (True), or they are gone or hidden (False). `deadlines` end the grace periods of marks.

    `due`, `deadlines` and `proofs_since` are monotonic seconds, so that no jump of the clock holds up a poll or cuts a
    grace period short; `due` is None until the first poll."""

    generation: int
    selector: Selector
    listed: Listed = field(default_factory=Listed)
    verdicts: dict[int, bool] = field(default_factory=dict)
    lists: dict[str, frozenset[int]] = field(default_factory=dict)
    proofs: dict[int, bool] = field(default_factory=dict)
    proofs_since: float = 0.0
    words: Words = field(default_factory=dict)
    applied: Applied = field(default_factory=Applied)
    account: Account | None = None
    polled_at: datetime | None = None
    due: float | None = None
    deadlines: dict[tuple[int, datetime], float] = field(default_factory=dict)

    @classmethod
    def of(cls, sync: ReposSync, before: "Memory | None") -> "Memory":
        """Of the same list, another spec makes other mirrors. Raises `Stalled` where its filter is not valid."""
        if before is not None and before.generation == sync.metadata.generation:
            return before
        memory = cls(sync.metadata.generation, Selector(sync.settings.filter))
        if before is not None:
            memory.listed, memory.lists = before.listed, before.lists
            memory.listed.changed.update(memory.listed.rows)
        return memory


@dataclass(frozen=True)
class Look:
    """One look at a sync: with whom it speaks, for whom, and what it remembers."""

    sync: ReposSync
    memory: Memory
    api: Source
    account: Account
    now: datetime
    monotonic: float
