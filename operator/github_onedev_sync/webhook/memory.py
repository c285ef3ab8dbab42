"""What this process remembers of deliveries: which are finished, so that a second copy does nothing, and what the
newest of them wanted, so that they can be replayed. All of it is bounded, and may be forgotten."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from .intents import Intent

T = TypeVar("T")

_FINISHED = 20_000
_REPLAYABLE = 1_000
# An installation may bring thousands of repositories at once; the log and the next poll have them.
_INTENTS = 100


@dataclass
class Memory:
    _finished: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    _wanted: "OrderedDict[str, tuple[Intent, ...]]" = field(default_factory=OrderedDict)

    def finish(self, delivery: str, wanted: Sequence[Intent]) -> None:
        _put(self._finished, delivery, None, _FINISHED)
        if wanted and len(wanted) <= _INTENTS:
            _put(self._wanted, delivery, tuple(wanted), _REPLAYABLE)

    def is_finished(self, delivery: str) -> bool:
        return delivery in self._finished

    def wanted(self, delivery: str) -> tuple[Intent, ...] | None:
        """None of one that is not remembered, or that wanted nothing."""
        return self._wanted.get(delivery)

    def __len__(self) -> int:
        return len(self._finished)


def _put(kept: "OrderedDict[str, T]", key: str, value: T, limit: int) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > limit:
        kept.popitem(last=False)
