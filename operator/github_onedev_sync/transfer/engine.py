"""The contract of everything that can carry out a plan, so that a second way to move packs is a second file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import urlsplit

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


class Engine(Protocol):
    """Moves objects and refs of one repository. Used by one run only; `close` ends whatever it started."""

    name: str
    """What `TaskReport.engine` says."""

    @property
    def received(self) -> int:
        """Bytes of pack data that the source sent so far."""
        ...

    async def prepare(self, wanted: Sequence[Command], url: str) -> Knowledge:
        """Gets the objects of these creations and updates ready, as far as the engine must, and tells about them.

        `url` is where the source's refs were read; an engine follows no redirect of its own.
        Raises `SyncError`; nothing has changed at the target then.
        """
        ...

    async def push(self, push: Push) -> PushResult:
        """Never overwrites a ref that is not at the command's `old`. Failures are told, not raised."""
        ...

    async def close(self) -> None: ...
