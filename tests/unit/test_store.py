"""The cache of what the watches told."""

from datetime import timedelta

import pytest

from github_onedev_sync.engine.store import Store, server_of

from . import builders as build
from .builders import NOW


@pytest.mark.parametrize(
    ("known", "told", "kept"),
    [
        pytest.param("10", "9", "10", id="our own write is ahead of the watch"),
        pytest.param("9", "10", "10", id="news"),
        pytest.param("99", "100", "100", id="by number, not by text"),
        pytest.param("10", "10", "10", id="the same"),
        pytest.param("10", "opaque", "opaque", id="an order that is not known"),
    ],
)
def test_what_is_newer_stays(known: str, told: str, kept: str) -> None:
    store = Store()
    for version in (known, told):
        store.put_mirror(build.mirror(meta={"resourceVersion": version}))
        store.put_server(build.server(meta={"resourceVersion": version}))
    assert store.mirrors["team/click"].metadata.resource_version == kept
    assert store.servers["team/default"].metadata.resource_version == kept


def test_a_namesake_made_anew_is_another_one() -> None:
    store = Store()
    store.put_mirror(build.mirror(meta={"resourceVersion": "10"}))
    store.put_mirror(build.mirror(meta={"resourceVersion": "9", "uid": "new"}))
    assert store.mirrors["team/click"].metadata.uid == "new"
    assert store.mirrors_of_run(build.job_body(mirror_uid="new")) == ["team/click"]


def test_a_dropped_mirror_has_no_runs() -> None:
    store = Store()
    store.put_mirror(build.mirror())
    store.put_job(build.job_body())
    assert store.mirrors_of_run(build.pod_body()) == ["team/click"]
    assert store.drop_mirror(build.mirror())
    assert not store.drop_mirror(build.mirror())
    assert store.mirrors_of_run(build.pod_body()) == []
    assert store.mirrors_of_run({"metadata": {}}) == []


def test_mirrors_on_a_server() -> None:
    store = Store()
    for mirror in (
        build.mirror("a"),
        build.mirror("b", target={"serverRef": {"name": "other"}}),
        build.mirror("c", meta={"namespace": "elsewhere"}),
    ):
        store.put_mirror(mirror)
    assert [mirror.metadata.name for mirror in store.mirrors_on("team/default")] == ["a"]
    assert server_of(build.mirror()) == "team/default"


def test_the_newest_run_counts() -> None:
    store = Store()
    store.put_job(build.job_body("click-bbbbbbbb", created=NOW))
    store.put_job(build.job_body("click-cccccccc", created=NOW + timedelta(seconds=10)))
    store.put_job(build.job_body("click-aaaaaaaa", created=NOW + timedelta(seconds=5)))
    store.put_job(build.job_body("other-aaaaaaaa", mirrors=("other",), created=NOW + timedelta(hours=1)))
    run = store.run_of(build.mirror())
    assert run is not None
    assert run.job == "click-cccccccc"
    store.drop_job(build.job_body("click-cccccccc"))
    run = store.run_of(build.mirror())
    assert run is not None
    assert run.job == "click-aaaaaaaa"


def test_a_job_that_is_going_is_none() -> None:
    store = Store()
    store.put_job(build.job_body(deletionTimestamp="2026-11-23T01:00:00Z"))
    assert store.run_of(build.mirror()) is None
    assert list(store.live_runs()) == []


def test_pods_belong_to_jobs_by_uid() -> None:
    """A Job of the same name, made anew, has another uid: the old one's pod says nothing about it."""
    store = Store()
    store.put_pod(build.pod_body(state=build.terminated(0)))
    store.put_job(build.job_body(uid="another"))
    run = store.run_of(build.mirror())
    assert run is not None
    assert not run.ended
    assert [(seat.server, seat.uids, seat.keys) for seat in store.live_runs()] == [
        ("uid-default", frozenset(["uid-click"]), frozenset(["team/click"]))
    ]
    store.put_job(build.job_body())
    assert list(store.live_runs()) == []


def test_the_pod_of_a_drained_node_does_not_hide_its_successor() -> None:
    store = Store()
    store.put_job(build.job_body())
    old = build.pod_body(
        name="old", state=build.terminated(143), conditions=[{"type": "DisruptionTarget", "status": "True"}]
    )
    store.put_pod(build.pod_body(name="new", created=NOW + timedelta(seconds=30), state=build.terminated(0)))
    store.put_pod(old)
    run = store.run_of(build.mirror())
    assert run is not None
    assert (run.ended, run.exit_code) == (True, 0)
    store.drop_pod(old)
    run = store.run_of(build.mirror())
    assert run is not None
    assert run.exit_code == 0


def test_nothing_is_left_of_what_is_gone() -> None:
    store = Store()
    store.put_job(build.job_body())
    store.put_pod(build.pod_body())
    store.forget_job("team/click-aaaaaaaa")
    store.drop_job(build.job_body())
    store.drop_pod(build.pod_body())
    store.drop_pod({"metadata": {"name": "stray"}})
    assert store == Store()


def test_the_end_of_the_old_one_told_last_takes_nothing_of_its_namesake() -> None:
    store = Store()
    mirror, server, sync = (
        build.mirror(meta={"uid": "new"}),
        build.server(meta={"uid": "new"}),
        build.sync(),
    )
    sync = sync.changed(metadata=sync.metadata.changed(uid="new"))
    store.put_mirror(mirror)
    store.put_server(server)
    store.put_sync(sync)
    assert not store.drop_mirror(build.mirror())
    assert not store.drop_server(build.server())
    assert not store.drop_sync(build.sync())
    assert store.mirrors_of_run(build.job_body(mirror_uid="new")) == ["team/click"]
    assert (store.mirrors, store.servers, store.syncs) == (
        {"team/click": mirror},
        {"team/default": server},
        {"srs/team/stars": sync},
    )
    assert store.drop_mirror(mirror)
    assert store.drop_server(server)
    assert store.drop_sync(sync)
