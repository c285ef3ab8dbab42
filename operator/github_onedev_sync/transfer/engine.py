"""The contract of everything that can carry out a plan, so that a second way to move packs is a second file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

from ..api.errors import Retry
from ..api.refs import Listing
from .steps import Command, Knowledge, Push, PushResult

Progress = Callable[[str, int], None]
"""Called with a phase (`Receiving objects`) and a percentage; from any thread."""


@dataclass(frozen=True)
class Endpoint:
    """A repository over HTTP. `ca_file` and `ca` are a PEM file of the only authorities to trust, and its text; None
    for the system's."""

    url: str
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    ca: str | None = field(default=None, repr=False)

    def at(self, url: str) -> "Endpoint":
        """The same repository where a redirect led to. The token stays with the host that it is meant for."""
        here, there = urlsplit(self.url), urlsplit(url)
        same = (here.scheme, here.netloc) == (there.scheme, there.netloc)
        return replace(self, url=url, token=self.token if same else None)


class Unfit(Exception):
    """This engine cannot mirror this repository; another one may. The text says why."""


class Trouble(Retry):
    """The conversation itself went wrong. Where it does so again, another engine is worth a try."""


class Moved(Retry):
    """A ref was not where it had been seen: worth another look at once."""


class Engine(Protocol):
    """Moves objects and refs of one repository. Used by one run only; `close` ends whatever it started.

    Every method may raise Unfit.
    """

    name: str
    """What `TaskReport.engine` says."""

    @property
    def received(self) -> int:
        """Bytes of pack data that the source sent so far."""
        ...

    async def prepare(self, wanted: Sequence[Command], source: Listing, target: Listing) -> Knowledge:
        """Gets ready for these creations and updates, as far as the engine must, and tells what it learned of them.

        It is called once an attempt, with that attempt's listings. Refs of the mirror do not change at the target.
        An engine follows no redirect of its own: `source.url` is where the source's refs were read. Raises `SyncError`.
        """
        ...

    async def push(self, push: Push) -> PushResult:
        """Never overwrites a ref that is not at the command's `old`. Failures are told, not raised."""
        ...

    async def close(self) -> None: ...
