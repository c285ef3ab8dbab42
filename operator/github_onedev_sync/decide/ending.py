"""What a mirror's status says after a run ended, or after a look or a run failed."""

from dataclasses import replace
from datetime import datetime

from ..api.conditions import SOURCE_REASONS, TARGET_REASONS, ConditionType, Reason
from ..api.errors import Retry, Stalled, SyncError, Waiting
from ..api.mirror import HistoryEntry, LfsStatus, MirrorStatus, RefsStatus, RepositoryMirror, RunStatus
from ..api.report import Outcome, TaskReport
from .conditions import Conditions
from .run import Run
from .schedule import next_attempt, next_interval, next_stalled
from .status import conditions_of, equal_message, finish, say_available, say_ready
from .step import attempted

HISTORY_LIMIT = 10


def collected(mirror: RepositoryMirror, run: Run, report: TaskReport, now: datetime) -> MirrorStatus:
    """A run ended with a report: Synced, Unchanged, Partial or Blocked."""
    if report.approval and report.approval not in report.message:
        # The worker's words were cut to fit; what a person has to approve must be readable in full.
        report = replace(report, message=f"{report.message} … approve={report.approval}")
    return _outdated(mirror, run, _collected(mirror, run, report, now), now)


def _outdated(mirror: RepositoryMirror, run: Run, after: MirrorStatus, now: datetime) -> MirrorStatus:
    """What a run brought counts; where the spec changed meanwhile, its verdict does not, and the next look is due."""
    if mirror.spec.suspend or run.generation in ("", str(mirror.metadata.generation)):
        return after
    message = f"Job {run.job} ended; the spec changed meanwhile and is looked at next"
    verdict = (ConditionType.READY, ConditionType.RECONCILING, ConditionType.STALLED)
    kept = [c for c in mirror.status.conditions if c.type in verdict]
    kept += [c for c in after.conditions if c.type not in verdict]
    conditions = (
        Conditions(tuple(kept), mirror.metadata.generation, now)
        .set(ConditionType.READY, None, Reason.PROGRESSING, message)
        .set(ConditionType.RECONCILING, True, Reason.PROGRESSING, message)
    )
    return finish(after, conditions, observed_generation=mirror.status.observed_generation, next_sync_time=now)


def _collected(mirror: RepositoryMirror, run: Run, report: TaskReport, now: datetime) -> MirrorStatus:
    conditions = conditions_of(mirror, now)
    count = report.branches + report.tags
    failures = 0
    if report.outcome in (Outcome.SYNCED, Outcome.UNCHANGED):
        by_git = f"; moved by git: {report.fallback}" if report.fallback else ""
        say_ready(conditions, equal_message(count, report.digest) + by_git, count == 0)
        if mirror.status.source is not None:
            say_available(conditions, mirror, mirror.status.source)
        else:  # Adopted after a crash: neither is away any more, and the next look tells the rest.
            conditions.drop(ConditionType.SOURCE_AVAILABLE, ConditionType.TARGET_AVAILABLE)
    else:
        conditions.set(ConditionType.READY, False, report.reason, report.message)
        conditions.set(ConditionType.VERIFIED, False, Reason.REFS_UNEQUAL, _unequal_message(report))
        if report.outcome is Outcome.BLOCKED or report.reason is Reason.REFS_REJECTED:
            # The rest goes on being mirrored; these refs wait for a person.
            conditions.set(ConditionType.STALLED, True, report.reason, report.message)
        else:
            failures = mirror.status.failures + 1
            conditions.set(ConditionType.RECONCILING, True, Reason.PROGRESSING_WITH_RETRY, report.message)
    return finish(
        mirror.status,
        conditions,
        observed_generation=mirror.metadata.generation,
        lfs=_say_lfs(conditions, mirror, report),
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
        next_sync_time=_after_report(mirror, failures, now),
        failures=failures,
        **_ending(mirror, run, now, report.outcome, report.reason, report.message, report),
    )


def _say_lfs(conditions: Conditions, mirror: RepositoryMirror, report: TaskReport) -> LfsStatus | None:
    """What a run copied; one that did not come to the LFS objects changes nothing of what is known of them."""
    if not mirror.spec.lfs:
        conditions.drop(ConditionType.LFS_COMPLETE)
        return None
    if report.lfs_objects is None:
        return mirror.status.lfs
    after = LfsStatus(objects=report.lfs_objects, bytes=report.lfs_bytes or 0, missing=report.lfs_missing or 0)
    held = f"OneDev holds {after.objects} LFS objects, {after.bytes} bytes"
    if after.missing:
        message = f"{held}; {after.missing} more are missing on GitHub itself"
        conditions.set(ConditionType.LFS_COMPLETE, False, Reason.LFS_MISSING, message)
    else:
        conditions.set(ConditionType.LFS_COMPLETE, True, Reason.LFS_COPIED, held)
    return after


def _after_report(mirror: RepositoryMirror, failures: int, now: datetime) -> datetime:
    if mirror.status.target is None:
        return now  # Adopted after a crash, before source and target were written down: a look tells them.
    routine = next_interval(mirror.metadata.uid, mirror.spec.interval, now)
    return min(routine, next_attempt(mirror.metadata.uid, failures, now)) if failures else routine


def _unequal_message(report: TaskReport) -> str:
    more = report.unequal_count - len(report.unequal)
    return f"{report.unequal_count} refs differ: {', '.join(report.unequal)}" + (
        f" and {more} more" if more > 0 else ""
    )


def says_so_already(mirror: RepositoryMirror, error: SyncError) -> bool:
    """Whether the same wait, or the same thing for a person to mend, was found again: nothing new to write."""
    ready = mirror.status.condition(ConditionType.READY)
    if isinstance(error, Retry) or not attempted(mirror) or ready is None:
        return False
    return (ready.status, ready.reason, ready.message) == ("False", error.reason, error.message)


def due_after(mirror: RepositoryMirror, error: SyncError, failures: int, now: datetime) -> datetime:
    """When a failed mirror is looked at again, by the policy of `error`."""
    if isinstance(error, Stalled):
        return next_stalled(mirror.metadata.uid, mirror.spec.interval, now)
    if isinstance(error, Waiting):
        return now + error.after
    return next_attempt(mirror.metadata.uid, failures, now)


def failed(
    mirror: RepositoryMirror, error: SyncError, now: datetime, run: Run | None, asked: str | None
) -> MirrorStatus:
    """A look or a run failed. The policy of `error` says what comes next."""
    status = mirror.status
    conditions = conditions_of(mirror, now).fail(error)
    if error.reason in SOURCE_REASONS:
        conditions.set(ConditionType.SOURCE_AVAILABLE, False, error.reason, error.message)
    if error.reason in TARGET_REASONS:
        conditions.set(ConditionType.TARGET_AVAILABLE, False, error.reason, error.message)
    failures = status.failures + (not isinstance(error, Waiting))
    observed = mirror.metadata.generation if isinstance(error, Stalled) else status.observed_generation
    fields: dict[str, object] = {}
    if run is not None:
        fields = _ending(mirror, run, now, Outcome.FAILED, error.reason, error.message)
    elif status.last_run is not None and status.last_run.outcome is None:
        fields["last_run"] = status.last_run.changed(outcome=Outcome.FAILED)
    after = finish(
        status,
        conditions,
        observed_generation=observed,
        failures=failures,
        last_attempt_time=now,
        next_sync_time=due_after(mirror, error, failures, now),
        last_handled_reconcile_at=asked or status.last_handled_reconcile_at,
        **fields,
    )
    return after if run is None else _outdated(mirror, run, after, now)


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
            fallback=report.fallback or None,
            bytes=report.bytes,
            created=report.created,
            updated=report.updated,
            deleted=report.deleted,
            archived=report.archived,
            pruned=report.pruned,
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
