"""Which changes of a status are worth an Event."""

from typing import Any

import pytest

from github_onedev_sync.api import mirror, server
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.mirror import MirrorStatus
from github_onedev_sync.decide.events import Transition, transition
from github_onedev_sync.engine.recorder import Recorder

from . import builders as build
from .fakes import FakeClock, FakeCluster, World


def status(*conditions: dict[str, Any]) -> MirrorStatus:
    return MirrorStatus(conditions=build.conditions(*conditions))


OK, WAITING, BAD = build.ready(), build.ready("Unknown", Reason.PROGRESSING), build.ready("False", Reason.TIMED_OUT)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(status(), status(), None, id="nothing"),
        pytest.param(status(), status(WAITING), None, id="work starts"),
        pytest.param(status(OK), status(), None, id="nothing any more"),
        pytest.param(status(), status(OK), "Normal", id="first Ready"),
        pytest.param(status(WAITING), status(OK), "Normal", id="Ready"),
        pytest.param(status(OK), status(build.ready(message="other words")), None, id="other words"),
        pytest.param(status(OK), status(build.ready(reason=Reason.SOURCE_EMPTY)), "Normal", id="another reason"),
        pytest.param(status(OK), status(BAD), "Warning", id="failed"),
        pytest.param(status(BAD), status(BAD), None, id="failed again"),
        pytest.param(status(BAD), status(build.ready("False", Reason.RUN_LOST)), "Warning", id="failed otherwise"),
        pytest.param(status(BAD), status(WAITING), None, id="a new generation"),
        pytest.param(status(BAD), status(OK), "Normal", id="healed"),
    ],
)
def test_transition(before: MirrorStatus, after: MirrorStatus, told: str | None) -> None:
    found = transition(before, after)
    assert (found.type if found else None) == told


async def test_a_write_tells_its_transition_in_the_words_of_the_condition() -> None:
    world = World()
    found = world.apply_mirror()
    after = found.status.changed(
        conditions=build.conditions(build.ready("False", Reason.TIMED_OUT, message="ü" * 2000))
    )
    assert await world.recorder.write(mirror.PLURAL, found, after)
    (event,) = world.cluster.events
    assert (event["type"], event["reason"]) == ("Warning", "TimedOut")
    assert len(event["message"].encode()) <= 1024
    assert set(event["message"]) == {"ü"}
    assert event["involvedObject"]["kind"] == "RepositoryMirror"
    assert event["involvedObject"]["uid"] == "uid-click"
    assert event["metadata"] == {"generateName": "click.", "namespace": "team"}


async def test_what_is_the_same_is_not_written() -> None:
    world = World()
    found = world.apply_mirror(build.mirror_body(status=build.synced_status()))
    assert await world.recorder.write(mirror.PLURAL, found, found.status) == {}
    assert not world.cluster.calls


async def test_a_write_that_came_too_late_tells_nothing() -> None:
    world = World()
    found = world.apply_mirror()
    world.edit(labels={"by": "somebody"})
    after = found.status.changed(conditions=build.conditions(build.ready()))
    assert await world.recorder.write(mirror.PLURAL, found, after) is None
    assert world.cluster.events == []


async def test_an_event_without_a_write() -> None:
    cluster = FakeCluster()
    recorder = Recorder(FakeClock(), cluster, {server.PLURAL: server.KIND})
    await recorder.tell(server.PLURAL, build.server().metadata, Transition("Normal", "Deleted", "gone"))
    (event,) = cluster.events
    assert (event["involvedObject"]["kind"], event["message"], event["firstTimestamp"]) == (
        "OneDevServer",
        "gone",
        "2026-11-23T01:02:03Z",
    )
