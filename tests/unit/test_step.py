"""The first question of a reconcile, as a table."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.model import show_time
from github_onedev_sync.decide.run import Run, read_run
from github_onedev_sync.decide.step import (
    Collect,
    Discard,
    Follow,
    Look,
    Lost,
    Rest,
    SayNothingYet,
    Step,
    attempted,
    next_step,
)

from . import builders as build
from .builders import EARLIER, NOW

LATER = NOW + timedelta(minutes=8)
LIVE = read_run(build.job_body(), None)
GOOD = read_run(build.job_body(), build.pod_body(state=build.terminated(0)))
BAD = read_run(build.job_body(), build.pod_body(state=build.terminated(40)))
OLD_BAD = read_run(
    build.job_body("click-00000000", created=EARLIER), build.pod_body("click-00000000", state=build.terminated(40))
)


def synced(**fields: Any) -> dict[str, Any]:
    return build.synced_status(**fields)


def underway(**fields: Any) -> dict[str, Any]:
    return synced(lastRun=build.run_status(started_at=NOW), **fields)


def told(outcome: str) -> dict[str, Any]:
    return synced(lastRun=build.run_status(started_at=NOW, outcome=outcome))


ASKED = {"annotations": {names.REQUESTED_AT: "t1"}}
BLOCKED = [build.ready("False", Reason.REWRITE_BLOCKED, message="annotate approve=sha256:abc")]


@pytest.mark.parametrize(
    ("mirror", "run", "due", "step"),
    [
        pytest.param({}, None, None, Look(), id="new"),
        pytest.param({"suspend": True}, None, None, SayNothingYet(), id="new and suspended"),
        pytest.param({"suspend": True, "status": synced()}, None, None, Rest(None), id="suspended"),
        pytest.param(
            {"suspend": True, "status": synced(), "meta": ASKED}, None, None, Rest(None), id="suspended and asked"
        ),
        pytest.param({"suspend": True, "status": underway()}, LIVE, None, Follow(LIVE), id="suspended while running"),
        pytest.param({"suspend": True, "status": underway()}, GOOD, None, Collect(GOOD), id="suspended, to collect"),
        pytest.param({"status": synced()}, None, None, Rest(LATER), id="not due by status"),
        pytest.param({"status": synced()}, None, NOW + timedelta(1), Rest(NOW + timedelta(1)), id="not due by plan"),
        pytest.param({"status": synced()}, None, NOW, Look(), id="due by plan"),
        pytest.param({"status": synced(nextSyncTime=show_time(NOW))}, None, None, Look(), id="due by status"),
        pytest.param({"status": synced(nextSyncTime=None)}, None, None, Look(), id="no plan at all"),
        pytest.param({"status": synced(), "meta": {"generation": 2}}, None, LATER, Look(), id="new generation"),
        pytest.param({"status": synced(), "meta": ASKED}, None, LATER, Look("t1"), id="asked"),
        pytest.param(
            {"status": synced(lastHandledReconcileAt="t1"), "meta": ASKED}, None, None, Rest(LATER), id="asked before"
        ),
        pytest.param({}, LIVE, None, Follow(LIVE), id="adopted after a crash"),
        pytest.param({}, GOOD, None, Collect(GOOD), id="ended before anybody told"),
        pytest.param({"status": underway()}, LIVE, None, Follow(LIVE), id="running"),
        pytest.param({"status": underway()}, GOOD, None, Collect(GOOD), id="ended well"),
        pytest.param({"status": underway()}, BAD, None, Collect(BAD), id="ended badly"),
        pytest.param({"status": told("Synced")}, GOOD, None, Discard(GOOD), id="told, its Job may go"),
        pytest.param({"status": told("Failed")}, BAD, None, Rest(LATER), id="told, kept for its log"),
        pytest.param({"status": underway()}, None, None, Lost("click-aaaaaaaa"), id="lost"),
        pytest.param({"status": told("Synced")}, OLD_BAD, None, Rest(LATER), id="an old failed one is still there"),
        pytest.param({"status": underway()}, OLD_BAD, None, Lost("click-aaaaaaaa"), id="lost beside an old one"),
        pytest.param(
            {"status": synced(conditions=BLOCKED), "meta": {"annotations": {names.APPROVE: "sha256:abc"}}},
            None,
            LATER,
            Look(),
            id="approved",
        ),
        pytest.param(
            {"status": synced(conditions=BLOCKED), "meta": {"annotations": {names.APPROVE: "sha256:xyz"}}},
            None,
            LATER,
            Rest(LATER),
            id="something else approved",
        ),
        pytest.param(
            {"status": synced(), "meta": {"annotations": {names.APPROVE: "said"}}},
            None,
            LATER,
            Rest(LATER),
            id="approved while Ready",
        ),
    ],
)
def test_next_step(mirror: dict[str, Any], run: Run | None, due: datetime | None, step: Step) -> None:
    assert next_step(build.mirror(**mirror), run, due, NOW) == step


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param([], False, id="never looked at"),
        pytest.param([build.ready()], True, id="ready"),
        pytest.param([build.ready("False", Reason.TIMED_OUT)], True, id="failed"),
        pytest.param([build.ready(generation=2)], False, id="another generation"),
        pytest.param([build.ready("Unknown", Reason.PROGRESSING)], False, id="only waiting for a slot"),
    ],
)
def test_attempted(conditions: list[dict[str, Any]], expected: bool) -> None:
    assert attempted(build.mirror(status={"conditions": conditions})) is expected
