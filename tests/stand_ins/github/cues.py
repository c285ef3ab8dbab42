"""What is to happen between two requests: somebody stars while a list is walked, a token is revoked after page 3."""

import re
from dataclasses import dataclass
from typing import Any


@dataclass
class Cue:
    """path: as a fault's. after: the number of the matching request after whose answer `then` is done."""

    path: str
    after: int
    then: dict[str, Any]


class Cues:
    def __init__(self) -> None:
        self._waiting: list[Cue] = []

    def add(self, path: str, after: int, then: dict[str, Any]) -> None:
        self._waiting.append(Cue(path, after, then))

    def answered(self, path: str) -> list[dict[str, Any]]:
        """The actions that are due after the answer to this request, in the order in which they were cued."""
        due = []
        for cue in list(self._waiting):
            if re.search(cue.path, path):
                cue.after -= 1
                if cue.after == 0:
                    self._waiting.remove(cue)
                    due.append(cue.then)
        return due
