"""What a mirror's status says after each step. Every function takes the status before and gives the one after."""

from datetime import datetime

from ..api.conditions import SOURCE_REASONS, TARGET_REASONS, ConditionType, Reason
from ..api.errors import Stalled, SyncError, Waiting
from ..api.mirror import (
    HistoryEntry,
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
from ..api.report import Outcome, TaskReport
from .compare import Comparison
from .conditions import Conditions
from .run import Run
from .schedule import next_attempt, next_interval, next_stalled
from .step import attempted

HISTORY_LIMIT = 10


def _conditions(mirror: RepositoryMirror, now: datetime) -> Conditions:
    return Conditions(mirror.status.conditions, mirror.metadata.generation, now)


def phase_of(conditions: tuple[Condition, ...], running: bool) -> Phase:
    ready = next((c.status for c in conditions if c.type == ConditionType.READY), "Unknown")
    if running:
        return Phase.IN_PROGRESS
    return {"True": Phase.COMPLETED, "False": Phase.FAILED}.get(ready, Phase.PENDING)


def _finish(status: MirrorStatus, conditions: Conditions, **fields: object) -> MirrorStatus:
    built = conditions.build()
    last_run = fields.get("last_run", status.last_run)
    running = isinstance(last_run, RunStatus) and last_run.outcome is None
    return status.changed(conditions=built, phase=phase_of(built, running), **fields)


def suspended_before_first(mirror: RepositoryMirror, now: datetime) -> MirrorStatus:
    conditions = _conditions(mirror, now).set(
        ConditionType.READY, None, Reason.SUSPENDED, "Not looked at yet: spec.suspend is true"
    )
    return _finish(mirror.status, conditions)


def waiting_for_slot(mirror: RepositoryMirror, now: datetime) -> MirrorStatus:
    """Said once, for a generation that was never tried; a routine run waits in silence."""
    if attempted(mirror):
        return mirror.status
    message = "Waiting for a free slot"
    conditions = (
        _conditions(mirror, now)
        .set(ConditionType.READY, None, Reason.PROGRESSING, message)
        .set(ConditionType.RECONCILING, True, Reason.PROGRESSING, message)
    )
    return _finish(mirror.status, conditions)


def started(
    mirror: RepositoryMirror, now: datetime, job: str, source: SourceRepository, target: TargetStatus, asked: str | None
) -> MirrorStatus:
    """A run is under way. A mirror that is Ready stays so: alerts shall not flap with every routine run."""
    message = f"Job {job} is comparing and moving refs"
    conditions = _conditions(mirror, now).set(ConditionType.RECONCILING, True, Reason.PROGRESSING, message)
    if not (attempted(mirror) and mirror.status.is_true(ConditionType.READY)):
        conditions.set(ConditionType.READY, None, Reason.PROGRESSING, message)
    _available(conditions, source)
    return _finish(
        mirror.status,
        conditions,
        source=source_status(source),
        target=target,
        last_run=RunStatus(job=job, started_at=now),
        last_attempt_time=now,
        next_sync_time=None,
        last_handled_reconcile_at=asked or mirror.status.last_handled_reconcile_at,
    )


def source_status(source: SourceRepository) -> SourceStatus:
    return SourceStatus(
        id=source.id,
        full_name=source.full_name,
        clone_url=source.clone_url,
        default_branch=source.default_branch,
        private=source.private,
        archived=source.archived,
        size_kb=source.size_kb,
        pushed_at=source.pushed_at,
    )


def _available(conditions: Conditions, source: SourceRepository) -> None:
    conditions.set(
        ConditionType.SOURCE_AVAILABLE, True, Reason.AVAILABLE, f"{source.full_name} (id {source.id}) can be read"
    )
    conditions.set(ConditionType.TARGET_AVAILABLE, True, Reason.AVAILABLE, "The OneDev project can be written")


def following(mirror: RepositoryMirror, run: Run, now: datetime) -> MirrorStatus:
    """While a run goes on, only a pod that cannot start is worth a word."""
    conditions = _conditions(mirror, now)
    if run.waiting:
        conditions.set(
            ConditionType.RECONCILING, True, Reason.POD_NOT_STARTED, f"The worker's pod does not start: {run.waiting}"
        )
    last = mirror.status.last_run
    if last is None or last.job != run.job:
        return _finish(mirror.status, conditions, last_run=RunStatus(job=run.job, started_at=run.started_at))
    return _finish(mirror.status, conditions)


def equal(
    mirror: RepositoryMirror,
    seen: Comparison,
    now: datetime,
    asked: str | None,
    source: SourceRepository | None,
    target: TargetStatus,
) -> MirrorStatus:
    """A look found nothing to move. Where nothing that people care about changed, the status stays as it is.

    `source` is None where this look did without GitHub's REST API.
    """
    status = mirror.status
    facts = source_status(source) if source else status.source
    known = status.source.changed(pushed_at=None, size_kb=0) if status.source else None
    same_facts = facts is None or facts.changed(pushed_at=None, size_kb=0) == known
    if asked is None and same_facts and attempted(mirror) and status.is_true(ConditionType.READY):
        return status
    conditions = _conditions(mirror, now)
    _ready(conditions, _equal_message(seen.count, seen.digest), seen.count == 0)
    if source is not None:
        _available(conditions, source)
    return _finish(
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
        observed_generation=mirror.metadata.generation,
        failures=0,
        last_sync_time=now,
        next_sync_time=next_interval(mirror.metadata.uid, mirror.spec.interval, now),
        last_handled_reconcile_at=asked or status.last_handled_reconcile_at,
    )


def unchanged(mirror: RepositoryMirror, asked: str | None) -> MirrorStatus:
    """A look found what the last run already told; only a request needs an answer."""
    return mirror.status.changed(last_handled_reconcile_at=asked) if asked else mirror.status


def _equal_message(count: int, digest: str) -> str:
    return f"{count} refs equal, digest {digest[:19]}…" if count else "The source has no refs yet"


def _ready(conditions: Conditions, message: str, empty: bool) -> None:
    conditions.set(ConditionType.READY, True, Reason.SOURCE_EMPTY if empty else Reason.SYNCED, message)
    conditions.set(ConditionType.VERIFIED, True, Reason.REFS_EQUAL, message)
    conditions.drop(ConditionType.RECONCILING, ConditionType.STALLED)


def collected(mirror: RepositoryMirror, run: Run, report: TaskReport, now: datetime) -> MirrorStatus:
    """A run ended with a report: Synced, Unchanged, Partial or Blocked."""
    conditions = _conditions(mirror, now).drop(ConditionType.RECONCILING, ConditionType.STALLED)
    count = report.branches + report.tags
    failures = 0
    if report.outcome in (Outcome.SYNCED, Outcome.UNCHANGED):
        _ready(conditions, _equal_message(count, report.digest), count == 0)
    else:
        conditions.set(ConditionType.READY, False, report.reason, report.message)
        conditions.set(ConditionType.VERIFIED, False, Reason.REFS_UNEQUAL, _unequal_message(report))
    if report.outcome is Outcome.BLOCKED:
        conditions.set(ConditionType.STALLED, True, report.reason, report.message)
    if report.outcome is Outcome.PARTIAL:
        failures = mirror.status.failures + 1
        conditions.set(ConditionType.RECONCILING, True, Reason.PROGRESSING_WITH_RETRY, report.message)
    uid, interval = mirror.metadata.uid, mirror.spec.interval
    return _finish(
        mirror.status,
        conditions,
        observed_generation=mirror.metadata.generation,
        refs=RefsStatus(
            branches=report.branches,
            tags=report.tags,
            total=count,
            archived=report.archives,
            digest=report.digest,
            unequal=report.unequal_count,
            unequal_digest=report.unequal_digest,
        ),
        last_sync_time=now,
        next_sync_time=next_attempt(uid, failures, now) if failures else next_interval(uid, interval, now),
        failures=failures,
        **_ending(mirror, run, now, report.outcome, report.reason, report.message, report),
    )


def _unequal_message(report: TaskReport) -> str:
    more = report.unequal_count - len(report.unequal)
    return f"{report.unequal_count} refs differ: {', '.join(report.unequal)}" + (
        f" and {more} more" if more > 0 else ""
    )


def failed(
    mirror: RepositoryMirror, error: SyncError, now: datetime, run: Run | None, asked: str | None
) -> MirrorStatus:
    """A look or a run failed. The policy of `error` says what comes next."""
    status, uid = mirror.status, mirror.metadata.uid
    conditions = _conditions(mirror, now).set(ConditionType.READY, False, error.reason, error.message)
    if error.reason in SOURCE_REASONS:
        conditions.set(ConditionType.SOURCE_AVAILABLE, False, error.reason, error.message)
    if error.reason in TARGET_REASONS:
        conditions.set(ConditionType.TARGET_AVAILABLE, False, error.reason, error.message)
    failures, observed = status.failures + 1, status.observed_generation
    if isinstance(error, Stalled):
        conditions.set(ConditionType.STALLED, True, error.reason, error.message)
        due, observed = next_stalled(uid, mirror.spec.interval, now), mirror.metadata.generation
    else:
        conditions.set(ConditionType.RECONCILING, True, Reason.PROGRESSING_WITH_RETRY, error.message)
        if isinstance(error, Waiting):
            due, failures = now + error.after, status.failures
        else:
            due = next_attempt(uid, failures, now)
    fields: dict[str, object] = {}
    if run is not None:
        fields = _ending(mirror, run, now, Outcome.FAILED, error.reason, error.message)
    elif status.last_run is not None and status.last_run.outcome is None:
        fields["last_run"] = status.last_run.changed(outcome=Outcome.FAILED)
    return _finish(
        status,
        conditions,
        observed_generation=observed,
        failures=failures,
        last_attempt_time=now,
        next_sync_time=due,
        last_handled_reconcile_at=asked or status.last_handled_reconcile_at,
        **fields,
    )


def _ending(
    mirror: RepositoryMirror,
    run: Run,
    now: datetime,
    outcome: Outcome,
    reason: Reason,
    message: str,
    report: TaskReport | None = None,
) -> dict[str, object]:
    """`lastRun` and `history` after a run; the newest entry comes first."""
    seconds = round(report.seconds if report else (now - run.started_at).total_seconds(), 1)
    last = RunStatus(job=run.job, started_at=run.started_at, outcome=outcome, seconds=seconds)
    if report is not None:
        last = last.changed(
            engine=report.engine,
            bytes=report.bytes,
            created=report.created,
            updated=report.updated,
            deleted=report.deleted,
            rejected=report.rejected,
        )
    entry = HistoryEntry(
        job=run.job,
        started_at=run.started_at,
        seconds=seconds,
        outcome=outcome,
        reason=reason,
        message=message,
        refs_changed=report.created + report.updated + report.deleted if report else 0,
        bytes=report.bytes if report else 0,
    )
    return {"last_run": last, "history": (entry, *mirror.status.history)[:HISTORY_LIMIT]}
