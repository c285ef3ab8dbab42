"""Writing down what became of a mirror, and when it is looked at next."""

import logging
from dataclasses import dataclass, field
from datetime import datetime

from ..api.errors import SyncError
from ..api.mirror import PLURAL, MirrorStatus, RepositoryMirror
from ..api.report import Outcome
from ..decide import ending
from ..decide.run import Run
from ..decide.schedule import next_interval
from ..observability.logs import event
from ..observability.metrics import Metrics
from .ports import Clock
from .recorder import Recorder
from .removal import Remover
from .store import Store

log = logging.getLogger(__name__)


class TooLate(Exception):
    """Somebody changed the resource meanwhile: nothing was written, and nothing that builds on it may be done."""


@dataclass
class Teller:
    """`due` is when this process planned to look at a mirror next, None where status tells."""

    clock: Clock
    store: Store
    remover: Remover
    recorder: Recorder
    metrics: Metrics
    due: dict[str, datetime | None] = field(default_factory=dict)

    async def write(self, mirror: RepositoryMirror, after: MirrorStatus, due: datetime | None) -> datetime | None:
        """Writes what differs, if anything does, tells of a transition, and passes `due` on; raises TooLate."""
        written = await self.recorder.write(PLURAL, mirror, after)
        if written is None:
            raise TooLate
        if written:
            self.store.put_mirror(RepositoryMirror.read(written))
        return due

    def next(self, mirror: RepositoryMirror, now: datetime) -> datetime:
        due = self.due[mirror.key] = next_interval(mirror.metadata.uid, mirror.spec.interval, now)
        return due

    async def failed(
        self,
        mirror: RepositoryMirror,
        error: SyncError,
        now: datetime,
        *,
        run: Run | None = None,
        asked: str | None = None,
        told: RepositoryMirror | None = None,
    ) -> datetime | None:
        """A look or a run failed. `told` is the mirror as it would be, had the beginning of the run been written."""
        if run is None and asked is None and ending.says_so_already(mirror, error):
            self.due[mirror.key] = ending.due_after(mirror, error, mirror.status.failures, now)
            return self.due[mirror.key]
        before = told or mirror
        after = ending.failed(before, error, now, run, asked)
        event(
            log,
            "reconcile",
            level=logging.WARNING,
            mirror=mirror.key,
            run=run.run if run else None,
            decision=type(error).__name__,
            reason=error.reason,
            message=error.message,
        )
        if run is not None and mirror.status.last_sync_time is None:
            after = await self.remover.withdraw(before, after)
        due = await self.write(mirror, after, after.next_sync_time)
        self.due[mirror.key] = None
        if run is not None:
            self.metrics.run_ended(Outcome.FAILED, error.reason, (now - run.started_at).total_seconds(), 0)
        return due
