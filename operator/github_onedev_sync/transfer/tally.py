"""What a run has done so far."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..api.conditions import Reason
from ..api.refs import STAGED
from ..api.report import Outcome, TaskReport
from .engine import Engine
from .steps import Command, Kind, Push, PushResult

if TYPE_CHECKING:
    from .lfs import LfsCounts


@dataclass
class Tally:
    """Counts that survive whatever ends the run. `refused` is of the present attempt, the rest of all together.

    `tried`: whether anything was to be done, for what was abandoned may have been done, uncounted. `lfs` is None until
    all LFS objects are where they should be.
    """

    engine: str = "Relay"
    fallback: str = ""
    bytes: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    archived: int = 0
    pruned: int = 0
    tried: bool = False
    refused: dict[str, str] = field(default_factory=dict)
    lfs: "LfsCounts | None" = None

    _before: int = 0

    def use(self, engine: Engine) -> None:
        """From now on this one moves the data."""
        self.engine, self._before = engine.name, self.bytes

    def note(self, engine: Engine) -> None:
        """Counts what `engine` received."""
        self.bytes = self._before + engine.received

    def add(self, push: Push, result: PushResult) -> None:
        self.refused.update(result.refused)
        if push.kind in (Kind.MARK, Kind.STAGED):
            return
        for command in result.done:
            if push.kind is Kind.ARCHIVE:
                self.archived += 1
            elif push.kind is Kind.EXPIRED:
                self.pruned += 1
            elif not command.name.startswith(STAGED):
                self.moved(command)

    def moved(self, command: Command) -> None:
        if command.new is None:
            self.deleted += 1
        elif command.old is None:
            self.created += 1
        else:
            self.updated += 1

    def report(self, key: str, outcome: Outcome, reason: Reason, message: str) -> TaskReport:
        return TaskReport(
            key,
            outcome,
            reason,
            message,
            engine=self.engine,
            bytes=self.bytes,
            created=self.created,
            updated=self.updated,
            deleted=self.deleted,
            archived=self.archived,
            rejected=len(self.refused),
            fallback=self.fallback,
            pruned=self.pruned,
            lfs_objects=self.lfs.objects if self.lfs else None,
            lfs_bytes=self.lfs.bytes if self.lfs else None,
            lfs_missing=self.lfs.missing if self.lfs else None,
        )
