"""What a mirror's status says after each step. Every function takes the status before and gives the one after."""

from datetime import datetime
from typing import Any

from ..api.conditions import ConditionType, Reason
from ..api.mirror import (
    MirrorStatus,
    Phase,
    RefsStatus,
    RepositoryMirror,
    RunStatus,
    SourceStatus,
    TargetStatus,
)
from ..api.model import Condition
from ..api.observed import SourceRepository
from .compare import Comparison
from .conditions import Conditions
from .run import Run
from .schedule import next_interval
from .step import attempted


def conditions_of(mirror: RepositoryMirror, now: datetime) -> Conditions:
    return Conditions(mirror.status.conditions, mirror.metadata.generation, now)


def phase_of(conditions: tuple[Condition, ...], running: bool) -> Phase:
    ready = next((c.status for c in conditions if c.type == ConditionType.READY), "Unknown")
    if running:
        return Phase.IN_PROGRESS
    return {"True": Phase.COMPLETED, "False": Phase.FAILED}.get(ready, Phase.PENDING)


def finish(status: MirrorStatus, conditions: Conditions, **fields: object) -> MirrorStatus:
    built = conditions.build()
    last_run = fields.get("last_run", status.last_run)
    running = isinstance(last_run, RunStatus) and last_run.outcome is None
    return status.changed(conditions=built, phase=phase_of(built, running), **fields)


def suspended_before_first(mirror: RepositoryMirror, now: datetime, whose: str = "its") -> MirrorStatus:
    """`whose` spec says so."""
    conditions = conditions_of(mirror, now).set(
        ConditionType.READY, None, Reason.SUSPENDED, f"Not looked at yet: {whose} spec.suspend is true"
    )
    return finish(mirror.status, conditions)


def waiting_for_slot(mirror: RepositoryMirror, now: datetime) -> MirrorStatus:
    """Said once, for a generation that was never tried; a routine run waits in silence."""
    if attempted(mirror):
        return mirror.status
    message = "Waiting for a free slot"
    conditions = (
        conditions_of(mirror, now)
        .set(ConditionType.READY, None, Reason.PROGRESSING, message)
        .set(ConditionType.RECONCILING, True, Reason.PROGRESSING, message)
    )
    return finish(mirror.status, conditions)


def started(
    mirror: RepositoryMirror, now: datetime, job: str, source: SourceRepository, target: TargetStatus, asked: str | None
) -> MirrorStatus:
    """A run is under way."""
    conditions = _running(mirror, now, job)
    facts = source_status(source)
    say_available(conditions, mirror, facts)
    return finish(
        mirror.status,
        conditions,
        source=facts,
        target=target,
        # Of another spec, what was copied before says nothing.
        lfs=mirror.status.lfs if attempted(mirror) else None,
        last_run=RunStatus(job=job, started_at=now),
        last_attempt_time=now,
        next_sync_time=None,
        last_handled_reconcile_at=asked or mirror.status.last_handled_reconcile_at,
    )


def _running(mirror: RepositoryMirror, now: datetime, job: str) -> Conditions:
    """Once tried, a mirror stays Ready or not: neither alerts nor Events shall flap with every run."""
    message = f"Job {job} is comparing and moving refs"
    conditions = conditions_of(mirror, now).set(ConditionType.RECONCILING, True, Reason.PROGRESSING, message)
    if not attempted(mirror):
        conditions.set(ConditionType.READY, None, Reason.PROGRESSING, message)
    return conditions


def source_status(source: SourceRepository) -> SourceStatus:
    return SourceStatus(
        id=source.id,
        node_id=source.node_id,
        full_name=source.full_name,
        clone_url=source.clone_url,
        default_branch=source.default_branch,
        private=source.private,
        archived=source.archived,
        admin=source.admin,
        size_kb=source.size_kb,
        pushed_at=source.pushed_at,
    )


def say_available(conditions: Conditions, mirror: RepositoryMirror, source: SourceStatus) -> None:
    reason, message = _available(mirror, source)
    conditions.set(ConditionType.SOURCE_AVAILABLE, True, reason, message)
    conditions.set(ConditionType.TARGET_AVAILABLE, True, Reason.AVAILABLE, "The OneDev project can be written")


def _available(mirror: RepositoryMirror, source: SourceStatus) -> tuple[Reason, str]:
    declared = mirror.spec.source.repository
    if source.full_name.lower() != declared.lower():
        return Reason.RENAMED, f"{declared} is now {source.full_name}; update spec.source.repository"
    if source.archived:
        return Reason.ARCHIVED_UPSTREAM, f"{source.full_name} (id {source.id}) is archived on GitHub, and can be read"
    return Reason.AVAILABLE, f"{source.full_name} (id {source.id}) can be read"


def following(mirror: RepositoryMirror, run: Run, now: datetime) -> MirrorStatus:
    """While a run goes on, only a pod that cannot start is worth a word; a run that was not told of yet is told now."""
    last = mirror.status.last_run
    told = last is not None and last.job == run.job and last.outcome is None
    conditions = _running(mirror, now, run.job)
    if run.waiting:
        conditions.set(
            ConditionType.RECONCILING, True, Reason.POD_NOT_STARTED, f"The worker's pod does not start: {run.waiting}"
        )
    return finish(
        mirror.status, conditions, last_run=last if told else RunStatus(job=run.job, started_at=run.started_at)
    )


def equal(
    mirror: RepositoryMirror,
    seen: Comparison,
    now: datetime,
    asked: str | None,
    source: SourceRepository | None,
    target: TargetStatus,
    *,
    thorough: bool = False,
) -> MirrorStatus:
    """A look found nothing to move. Where nothing that people care about changed, the status stays as it is.

    `source` is None where this look did without GitHub's REST API. What people do not care about, such as the node's
    id, waits for a `thorough` look.
    """
    status = mirror.status
    facts = source_status(source) if source else status.source
    waiting = {} if thorough else {"node_id": None, "admin": False}
    moving: dict[str, Any] = {"pushed_at": None, "size_kb": 0, **waiting}
    known = status.source.changed(**moving) if status.source else None
    same_facts = facts is None or facts.changed(**moving) == known
    if asked is None and same_facts and attempted(mirror) and status.is_true(ConditionType.READY):
        return status
    conditions = conditions_of(mirror, now)
    say_ready(conditions, equal_message(seen.count, seen.digest), seen.count == 0)
    if facts is not None:
        say_available(conditions, mirror, facts)
    if not mirror.spec.lfs:
        conditions.drop(ConditionType.LFS_COMPLETE)
    return finish(
        status,
        conditions,
        source=facts,
        target=target,
        refs=(status.refs or RefsStatus()).changed(
            branches=seen.branches,
            tags=seen.tags,
            total=seen.branches + seen.tags,
            digest=seen.digest,
            unequal=0,
            unequal_digest="",
        ),
        lfs=status.lfs if mirror.spec.lfs else None,
        observed_generation=mirror.metadata.generation,
        failures=0,
        last_sync_time=now,
        next_sync_time=next_interval(mirror.metadata.uid, mirror.spec.interval, now),
        last_handled_reconcile_at=asked or status.last_handled_reconcile_at,
    )


def equal_message(count: int, digest: str) -> str:
    words = "1 ref equal" if count == 1 else f"{count} refs equal"
    return f"{words}, digest {digest[:19]}…" if count else "The source has no refs yet"


def say_ready(conditions: Conditions, message: str, empty: bool) -> None:
    conditions.set(ConditionType.READY, True, Reason.SOURCE_EMPTY if empty else Reason.SYNCED, message)
    conditions.set(ConditionType.VERIFIED, True, Reason.REFS_EQUAL, message)
    conditions.drop(ConditionType.RECONCILING, ConditionType.STALLED)
