"""What a sync's status says."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api import names
from ..api.conditions import ConditionType, Reason
from ..api.errors import Stalled, SyncError, Waiting
from ..api.mirror import RepositoryMirror
from ..api.observed import Account, RateLimit
from ..api.selection import unknown_lists
from ..api.sync import AccountStatus, Counts, Plan, RateLimitStatus, ReposSync, SyncStatus
from .conditions import Conditions
from .schedule import next_attempt, next_stalled
from .server import counts
from .unstar import Missing, allowed, digest

# What changes with every poll is worth a write of its own this often.
_TOLD_EVERY = timedelta(seconds=55)
# Names in a plan, and problems in a message; the rest is told as a number.
_PLANNED = 1000
_QUOTED = 3


@dataclass(frozen=True)
class Problem:
    """Something that only a person can mend, and that holds up only the repositories that it is about."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Looked:
    """What one look at a list and its mirrors came to. `left` are the mirrors that are still to be made or changed."""

    account: Account
    found: int
    matched: int
    mirrored: int
    left: int
    covered: Sequence[RepositoryMirror]
    missing: Sequence[Missing]
    limit: RateLimit | None
    polled_at: datetime
    listed_at: datetime | None
    problems: Sequence[Problem] = ()
    create: Sequence[str] = field(default=())


def check_account(sync: ReposSync, account: Account) -> None:
    """Raises `Stalled` where the credentials are another account's than before."""
    pinned = sync.status.account
    if pinned is None or pinned.id == account.id or sync.approved == str(account.id):
        return
    raise Stalled(
        Reason.IDENTITY_CHANGED,
        f"The repositories would be those of {account.login} (id {account.id}) now, and were those of {pinned.login} "
        f"(id {pinned.id}). Nothing was made or removed. Put {pinned.login}'s credentials back, or approve with: "
        f"kubectl annotate {sync.short} {sync.metadata.name} {names.APPROVE}={account.id}",
    )


def disappearance(sync: ReposSync, gone: Sequence[Missing], total: int) -> Problem:
    percent = sync.settings.max_prune_percent
    return Problem(
        Reason.MASS_DISAPPEARANCE,
        f"{len(gone):,} of {total:,} repositories are gone from the list at once, and spec.maxPrunePercent "
        f"({percent} %) allows {allowed(percent, total):,}. No mirror was marked or removed. If that is right: "
        f"kubectl annotate {sync.short} {sync.metadata.name} {names.APPROVE}={digest(gone)}",
    )


def unknown_star_lists(sync: ReposSync, lists: Mapping[str, frozenset[int]]) -> list[Problem]:
    return [
        Problem(
            Reason.INVALID_SPEC,
            f"There is no star list {name!r}. Mend spec.filter.lists, or make the list at GitHub",
        )
        for name in unknown_lists(sync.settings.filter, lists)
    ]


def name_taken(repository: str, other: RepositoryMirror) -> tuple[Reason, str]:
    return Reason.MIRROR_REFUSED, (
        f"{repository} is not mirrored: the name of its mirror, {other.metadata.name}, is that of a mirror of "
        f"{other.spec.source.repository}. Give that one another name"
    )


def looked(sync: ReposSync, seen: Looked, now: datetime) -> SyncStatus:
    conditions = Conditions(sync.status.conditions, sync.metadata.generation, now)
    mirrors = counts(mirror.status for mirror in seen.covered)
    summary = _summary(sync, seen, mirrors.failed)
    if seen.problems:
        reason, message = seen.problems[0].reason, f"{_told(seen.problems)}. {summary}"
        conditions.set(ConditionType.READY, False, reason, message)
        conditions.set(ConditionType.STALLED, True, reason, message)
    elif seen.left:
        message = f"{seen.matched - seen.left:,} of {seen.matched:,} mirrors are as they should be"
        conditions.set(ConditionType.READY, False, Reason.PROGRESSING, message)
        conditions.set(ConditionType.RECONCILING, True, Reason.PROGRESSING, message)
    else:
        conditions.set(ConditionType.READY, True, Reason.SYNCED, summary)
        conditions.drop(ConditionType.STALLED, ConditionType.RECONCILING)
    after = _with(
        sync,
        conditions,
        account=AccountStatus(id=seen.account.id, login=seen.account.login),
        stars=Counts(
            found=seen.found,
            matched=seen.matched,
            mirrored=seen.mirrored,
            ready=mirrors.ready,
            failed=mirrors.failed,
            unstarred=len(seen.missing),
        ),
        plan=_plan(sync, seen),
        last_full_listing_time=seen.listed_at or sync.status.last_full_listing_time,
    )
    return _polled(sync.status, after, seen)


def unavailable(sync: ReposSync, error: SyncError, now: datetime) -> SyncStatus:
    return _with(sync, Conditions(sync.status.conditions, sync.metadata.generation, now).fail(error))


def suspended(sync: ReposSync, now: datetime) -> SyncStatus:
    """What was said before stays: a pause is a planned one."""
    if sync.status.conditions:
        return sync.status.changed(observed_generation=sync.metadata.generation)
    conditions = Conditions((), sync.metadata.generation, now)
    conditions.set(ConditionType.READY, None, Reason.SUSPENDED, "Not looked at yet: its spec.suspend is true")
    return _with(sync, conditions)


def next_look(sync: ReposSync, error: SyncError, failures: int, now: datetime) -> datetime:
    """After a failure; `failures` in a row, kept by the caller."""
    if isinstance(error, Waiting):
        return now + error.after
    if isinstance(error, Stalled):
        return next_stalled(sync.metadata.uid, max(sync.settings.interval, timedelta(minutes=1)), now)
    return next_attempt(sync.metadata.uid, failures, now)


def _with(sync: ReposSync, conditions: Conditions, **fields: object) -> SyncStatus:
    asked = names.request_token(sync.metadata.annotations)
    return sync.status.changed(
        conditions=conditions.build(),
        observed_generation=sync.metadata.generation,
        last_handled_reconcile_at=asked or sync.status.last_handled_reconcile_at,
        **fields,
    )


def _polled(before: SyncStatus, after: SyncStatus, seen: Looked) -> SyncStatus:
    known = before.last_poll_time
    if after == before and known is not None and seen.polled_at - known < _TOLD_EVERY:
        return before
    limit = seen.limit and RateLimitStatus(remaining=seen.limit.remaining, reset_at=seen.limit.reset)
    return after.changed(last_poll_time=seen.polled_at, rate_limit=limit)


def _plan(sync: ReposSync, seen: Looked) -> Plan | None:
    if not sync.settings.dry_run:
        return None
    keeps = sync.settings.on_unstar == "Keep"
    delete = () if keeps else tuple(one.name for one in seen.missing if one.proven is not False)
    return Plan(create=tuple(sorted(seen.create)[:_PLANNED]), delete=tuple(sorted(delete)[:_PLANNED]))


def _summary(sync: ReposSync, seen: Looked, failed: int) -> str:
    words = (
        f"{seen.found:,} repositories of {seen.account.login}, {seen.matched:,} match, {seen.mirrored:,} are mirrored"
    )
    if failed:
        words += f", {failed:,} of the mirrors failed"
    if sync.settings.dry_run:
        words += f". Dry run: {len(seen.create):,} mirrors would be made, see status.plan"
    return words


def _told(problems: Iterable[Problem]) -> str:
    messages = [problem.message.rstrip(".") for problem in problems]
    rest = len(messages) - _QUOTED
    return ". ".join(messages[:_QUOTED]) + (f". And {rest:,} more of the kind" if rest > 0 else "")
