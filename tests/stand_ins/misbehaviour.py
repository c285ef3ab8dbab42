"""What a stand-in is told to do wrong, and what it has seen: both steered over the admin API or from a test."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

JOURNAL_LENGTH = 20_000


class BadFault(ValueError):
    """The description of a fault does not hold together; the text says why."""


@dataclass
class Fault:
    """One way to misbehave, for the requests whose method and path match.

    method, path: regular expressions; `path` is searched in the path as sent, query included.
    skip: requests that match and still pass; count: requests that are hit after these, None for all.
    status, headers, body: answer this and do nothing else.
    delay: seconds before anything happens.
    drop: "before" closes the connection without doing anything, "after" does the work and loses the answer.
    cut_after, stall_after: bytes of the answer's body after which the connection is closed, or silent for
    `stall_seconds` (None: as long as the connection lives).
    cut_request_after, stall_request_after: the same for the request's body; a stalled one is not read any more.
    """

    method: str = ".*"
    path: str = ""
    skip: int = 0
    count: int | None = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    delay: float = 0.0
    drop: str | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    cut_request_after: int | None = None
    stall_request_after: int | None = None
    stall_seconds: float | None = None
    id: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        if self.drop not in (None, "before", "after"):
            raise BadFault(f"drop is 'before' or 'after', not {self.drop!r}")
        try:
            re.compile(self.method), re.compile(self.path)
        except re.error as error:
            raise BadFault(f"not a regular expression: {error}") from error

    def matches(self, method: str, path: str) -> bool:
        return re.fullmatch(self.method, method) is not None and re.search(self.path, path) is not None


class Faults:
    """The faults that are armed, oldest first: the first that matches a request is the one that hits it."""

    def __init__(self) -> None:
        self._armed: list[Fault] = []
        self._ids = count(1)

    def add(self, **members: Any) -> Fault:
        """Arms a fault; the members are those of `Fault`. Raises BadFault."""
        unknown = members.keys() - Fault.__dataclass_fields__.keys()
        if unknown:
            raise BadFault(f"a fault has no {', '.join(sorted(unknown))}")
        fault = Fault(**{**members, "id": next(self._ids), "hits": 0})
        self._armed.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        self._armed = [fault for fault in self._armed if fault_id is not None and fault.id != fault_id]

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, counted."""
        for fault in self._armed:
            if not fault.matches(method, path):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.count is None or fault.hits < fault.count:
                fault.hits += 1
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._armed]


@dataclass
class Entry:
    """One request. `status` is None while it runs and 0 where no answer went out."""

    number: int
    method: str
    path: str
    authenticated: bool = False
    status: int | None = None
    user_agent: str = ""
    fault: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Journal:
    """The requests seen, oldest first, without those of the admin API and without credentials."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=JOURNAL_LENGTH)
        self._numbers = count(1)

    def open(self, method: str, path: str, headers: Mapping[str, str]) -> Entry:
        shown = {name.lower(): value for name, value in headers.items() if "authorization" not in name.lower()}
        agent = shown.get("user-agent", "")
        entry = Entry(next(self._numbers), method, path, user_agent=agent, headers=shown)
        self._entries.append(entry)
        return entry

    def entries(self, method: str = ".*", path: str = "", since: int = 0) -> list[Entry]:
        """Those with a number above `since` whose method and path match."""
        return [
            entry
            for entry in self._entries
            if entry.number > since and re.fullmatch(method, entry.method) and re.search(path, entry.path)
        ]

    def clear(self) -> None:
        self._entries.clear()
