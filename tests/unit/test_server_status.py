"""What a OneDevServer's status says."""

from datetime import timedelta

import pytest

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from github_onedev_sync.api.mirror import MirrorStatus
from github_onedev_sync.api.server import MirrorCounts, ServerStatus
from github_onedev_sync.decide import server as say

from . import builders as build
from .builders import NOW

REFUSED = Stalled(Reason.TARGET_AUTHENTICATION_FAILED, "OneDev refused the token")
DOWN = Retry(Reason.TARGET_UNAVAILABLE, "connection refused")
STARTING = Waiting(Reason.SERVER_NOT_READY, "OneDev is starting", timedelta(seconds=30))


def words(after: ServerStatus) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status, c.reason) for c in after.conditions}


@pytest.mark.parametrize(
    ("may_manage", "says"), [(True, "the account manages project github"), (None, "OneDev does not tell")]
)
def test_available(may_manage: bool | None, says: str) -> None:
    server = build.server(status={}, meta={"generation": 3, "annotations": {names.REQUESTED_AT: "t1"}})
    after = say.available(server, "16.5.6", may_manage, NOW)
    assert words(after) == {"Ready": ("True", "Available")}
    assert says in after.conditions[0].message
    assert "16.5.6" in after.conditions[0].message
    assert (after.version, after.observed_generation, after.last_handled_reconcile_at) == ("16.5.6", 3, "t1")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            REFUSED,
            {"Ready": ("False", "TargetAuthenticationFailed"), "Stalled": ("True", "TargetAuthenticationFailed")},
        ),
        (DOWN, {"Ready": ("False", "TargetUnavailable"), "Reconciling": ("True", "ProgressingWithRetry")}),
        (STARTING, {"Ready": ("False", "ServerNotReady"), "Reconciling": ("True", "ProgressingWithRetry")}),
    ],
)
@pytest.mark.parametrize("before", [None, REFUSED, DOWN])
def test_unavailable(error: SyncError, expected: dict[str, tuple[str, str]], before: SyncError | None) -> None:
    server = build.server()
    if before is not None:
        server = server.changed(status=say.unavailable(server, before, NOW))
    after = say.unavailable(server, error, NOW)
    assert words(after) == expected
    assert after.version == "16.5.6", "the last known version stays"
    healed = say.available(server.changed(status=after), "17", True, NOW)
    assert words(healed) == {"Ready": ("True", "Available")}


def test_a_failure_that_lasts_is_written_once() -> None:
    server = build.server()
    first = say.unavailable(server, DOWN, NOW)
    again = say.unavailable(server.changed(status=first), DOWN, NOW + timedelta(minutes=9))
    assert again == first


@pytest.mark.parametrize(
    ("error", "failures", "least", "most"),
    [
        (None, 0, 285, 315),
        (STARTING, 1, 30, 30),
        (REFUSED, 1, 285, 315),
        (DOWN, 1, 10, 12),
        (DOWN, 3, 40, 48),
        (DOWN, 50, 300, 300),
    ],
)
def test_next_look(error: SyncError | None, failures: int, least: float, most: float) -> None:
    assert least <= (say.next_look(build.server(), error, failures, NOW) - NOW).total_seconds() <= most


def test_counts() -> None:
    def one(*conditions: dict[str, object]) -> MirrorStatus:
        return MirrorStatus(conditions=build.conditions(*conditions))

    statuses = [one(build.ready()), one(build.ready("False")), one(build.ready("Unknown")), one(), one(build.ready())]
    assert say.counts(statuses) == MirrorCounts(total=5, ready=2, failed=1)
