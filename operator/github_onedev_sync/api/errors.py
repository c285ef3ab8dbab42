"""Errors that carry the policy for what comes next, so that no caller needs a ladder of `except`.

    SyncError
    ├── Stalled   only a person can mend it: stop, say so, look again rarely
    ├── Waiting   it mends itself at a known time: come back then
    └── Retry     it may mend itself: come back with exponential backoff

Adapters raise them with a documented `Reason` and a sentence that names the thing and the remedy. A message
never holds a credential.
"""

from datetime import timedelta

from .conditions import Reason
from .redact import printable


class SyncError(Exception):
    """Base of every failure that a resource's conditions can show."""

    def __init__(self, reason: Reason, message: str) -> None:
        # Part of it may be a server's own words, and whoever reads it may read it in a terminal.
        message = printable(message)
        super().__init__(message)
        self.reason = reason
        self.message = message


class Stalled(SyncError):
    """Only a person can mend this: a wrong token, a foreign project, an illegal spec."""


class Waiting(SyncError):
    """Worth another try after `after`, and not before: a rate limit, a server that is starting."""

    def __init__(self, reason: Reason, message: str, after: timedelta) -> None:
        super().__init__(reason, message)
        self.after = after


class Retry(SyncError):
    """May pass by itself: a time-out, a refused connection, an answer of 5xx."""


class ClusterUnavailable(Exception):
    """The API server could not be reached, or answered 401, 429 or 5xx: nothing was decided, ask again later.

    No mirror's condition: a status could not be written either.
    """


class ClusterRefused(Exception):
    """The API server understood and refused: a right is missing (the message names verb and resource), or a manifest
    of ours is illegal. The chart or the program must be mended."""
