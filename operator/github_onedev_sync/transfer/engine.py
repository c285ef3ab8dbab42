"""The contract of everything that can carry out a plan, so that a second way to move packs is a second file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .steps import Command, Knowledge, Push, PushResult

Progress = Callable[[str, int], None]
"""Called with a phase (`Receiving objects`) and a percentage; from any thread."""


@dataclass(frozen=True)
class Endpoint:
    """A repository over HTTP. `ca_file` is a PEM file of the only authorities to trust, None for the system's."""

    url: str
    token: str | None = field(default=None, repr=False)
    ca_file: str | None = None


class Engine(Protocol):
    """Moves objects and refs of one repository. Used by one run only; `close` ends whatever it started."""

    name: str
    """What `TaskReport.engine` says."""

    @property
    def received(self) -> int:
        """Bytes of pack data that the source sent so far."""
        ...

    async def prepare(self, wanted: Sequence[Command]) -> Knowledge:
        """Gets the objects of these creations and updates ready, as far as the engine must, and tells about them.

        Raises `SyncError`; nothing has changed at the target then.
        """
        ...

    async def push(self, push: Push) -> PushResult:
        """Never overwrites a ref that is not at the command's `old`. Failures are told, not raised."""
        ...

    async def close(self) -> None: ...
