"""What a OneDevServer's status says."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from ..api import names
from ..api.conditions import ConditionType, Reason
from ..api.errors import Stalled, SyncError, Waiting
from ..api.mirror import MirrorStatus
from ..api.server import MirrorCounts, OneDevServer, ServerStatus
from .conditions import Conditions
from .schedule import next_attempt, next_interval, next_stalled

INTERVAL = timedelta(minutes=5)
# A mirror whose server is not Ready is woken by the server; this is the safety net.
RECHECK = timedelta(minutes=5)


def available(server: OneDevServer, version: str, may_manage: bool | None, now: datetime) -> ServerStatus:
    root = server.spec.root_project
    proof = {
        True: f"the account manages project {root}",
        None: f"OneDev does not tell whether the account may create projects below {root}; the first one will show",
    }[may_manage]
    conditions = (
        Conditions(server.status.conditions, server.metadata.generation, now)
        .set(ConditionType.READY, True, Reason.AVAILABLE, f"OneDev {version} answers; {proof}")
        .drop(ConditionType.STALLED, ConditionType.RECONCILING)
    )
    return _with(server, conditions, version=version)


def unavailable(server: OneDevServer, error: SyncError, now: datetime) -> ServerStatus:
    return _with(server, Conditions(server.status.conditions, server.metadata.generation, now).fail(error))


def suspended_before_first(server: OneDevServer, now: datetime) -> ServerStatus:
    conditions = Conditions((), server.metadata.generation, now).set(
        ConditionType.READY, None, Reason.SUSPENDED, "Not looked at yet: its spec.suspend is true"
    )
    return server.status.changed(conditions=conditions.build())


def _with(server: OneDevServer, conditions: Conditions, **fields: object) -> ServerStatus:
    asked = names.request_token(server.metadata.annotations)
    return server.status.changed(
        conditions=conditions.build(),
        observed_generation=server.metadata.generation,
        last_handled_reconcile_at=asked or server.status.last_handled_reconcile_at,
        **fields,
    )


def next_look(server: OneDevServer, error: SyncError | None, failures: int, now: datetime) -> datetime:
    """`failures` in a row, kept by the caller: a server is looked at too often to write each try down."""
    if error is None:
        return next_interval(server.metadata.uid, INTERVAL, now)
    if isinstance(error, Waiting):
        return now + error.after
    if isinstance(error, Stalled):
        return next_stalled(server.metadata.uid, INTERVAL, now)
    return min(next_attempt(server.metadata.uid, failures, now), now + INTERVAL)


def counts(mirrors: Iterable[MirrorStatus]) -> MirrorCounts:
    total = ready = failed = 0
    for status in mirrors:
        total += 1
        condition = status.condition(ConditionType.READY)
        ready += condition is not None and condition.status == "True"
        failed += condition is not None and condition.status == "False"
    return MirrorCounts(total=total, ready=ready, failed=failed)
