"""The first question of a reconcile: which step does a mirror need now? Asked before any I/O."""

from dataclasses import dataclass
from datetime import datetime

from ..api.conditions import ConditionType, Reason
from ..api.mirror import RepositoryMirror
from .run import Run


@dataclass(frozen=True)
class Rest:
    """Nothing to do until then; None: until somebody changes something."""

    until: datetime | None


@dataclass(frozen=True)
class SayNothingYet:
    """A mirror that was suspended before it was ever looked at says so once."""


@dataclass(frozen=True)
class Follow:
    """A run is under way."""

    run: Run


@dataclass(frozen=True)
class Collect:
    """A run has ended, and status does not say so yet."""

    run: Run


@dataclass(frozen=True)
class Discard:
    """A run has ended well, and status says so: its Job may go. A failed one stays for its log until its TTL."""

    run: Run


@dataclass(frozen=True)
class Lost:
    """Status tells of a run whose Job is not to be seen."""

    job: str


@dataclass(frozen=True)
class Look:
    """Compare source and target. `asked` is the token of the request, where a person or webhook asked."""

    asked: str | None = None


Step = Rest | SayNothingYet | Follow | Collect | Discard | Lost | Look


def next_step(mirror: RepositoryMirror, run: Run | None, due: datetime | None, now: datetime) -> Step:
    """`due` is when this process planned to look next, None where it has not yet."""
    status, last = mirror.status, mirror.status.last_run
    if run is not None and last is not None and run.job != last.job and run.started_at < last.started_at:
        run = None  # A failed one of long ago, kept for its log only.
    if run is not None:
        if not run.ended:
            return Follow(run)
        if not has_told(mirror, run):
            return Collect(run)
        if run.succeeded:
            return Discard(run)
    elif last is not None and last.outcome is None:
        return Lost(last.job)
    if mirror.spec.suspend:
        return Rest(None) if status.conditions else SayNothingYet()
    if mirror.requested is not None or not attempted(mirror) or approves_something_new(mirror):
        return Look(mirror.requested)
    when = due or status.next_sync_time
    return Rest(when) if when is not None and when > now else Look()


def has_told(mirror: RepositoryMirror, run: Run) -> bool:
    """Whether status says how this run, or a later one, ended."""
    last = mirror.status.last_run
    if last is None:
        return False
    return last.outcome is not None if last.job == run.job else last.started_at > run.started_at


def attempted(mirror: RepositoryMirror) -> bool:
    """Whether this generation was tried, with whatever outcome. Waiting for the first try is none."""
    ready = mirror.status.condition(ConditionType.READY)
    if ready is None or ready.reason == Reason.PROGRESSING:
        return False
    return ready.observed_generation == mirror.metadata.generation


def approves_something_new(mirror: RepositoryMirror) -> bool:
    """Whether a waiting condition asks for just what the `approve` annotation says."""
    ready = mirror.status.condition(ConditionType.READY)
    if not mirror.approved or ready is None or ready.status == "True":
        return False
    return any(word.endswith(f"approve={mirror.approved}") for word in ready.message.split())
