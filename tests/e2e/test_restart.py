"""Killed at every step of a first sync, cut off from the API server, and two at once: nothing lost, nothing twice."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.local_cluster.choice import Cluster

from .conftest import MakeWorld, StartController
from .proxy import ApiProxy
from .world import StandIn, World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]

FOR_EVER = 600.0


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, folder: Path) -> Iterator[ApiProxy]:
    proxy = ApiProxy(cluster, folder)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def steered(make_world: MakeWorld, proxy: ApiProxy) -> Iterator[World]:
    """A namespace whose controller speaks with the API server through the proxy."""
    limits = {"MAX_CONCURRENT_JOBS": "10", "MAX_CONCURRENT_PER_CREDENTIAL": "10"}
    world = make_world("restart", KUBECONFIG=str(proxy.kubeconfig), **limits)
    world.server("default", maxConcurrentSyncs=10)
    yield world
    assert world.controller.stop() == 0  # while its way to the API server is still there


def test_a_kill_finds_five_mirrors_on_the_way_to_their_jobs(steered: World, proxy: ApiProxy) -> None:
    names = ("at-github", "at-refs", "before-job", "after-job", "at-project")
    for name in names:
        steered.repository(name)
    before_job = proxy.hold("POST", r"/jobs .*before-job-")
    after_job = proxy.hold("POST", r"/jobs .*after-job-", done=True)
    with ExitStack() as faults:
        faults.enter_context(steered.github.fault(path="^/repos/e2e/at-github$", delay=FOR_EVER))
        faults.enter_context(steered.github.fault(path="^/e2e/at-refs.git/info/refs", delay=FOR_EVER))
        for name in names[:-1]:
            steered.mirror(name)
        eventually("GitHub is asked", lambda: _asked(steered.github, "/repos/e2e/at-github"))
        eventually("refs are listed", lambda: _asked(steered.github, "/e2e/at-refs.git/info/refs"))
        assert before_job.reached.wait(60)
        assert after_job.reached.wait(60)
        # The project is made, and nobody is told of it.
        faults.enter_context(steered.onedev.fault(method="POST", path="/~api/projects$", stall_after=0))
        steered.mirror("at-project")
        eventually("the project is made", lambda: f"{steered.root}/e2e/at-project" in steered.projects())
        steered.controller.kill()
    with steered.onedev.fault(path="^/restart/e2e/at-project/info/refs", delay=FOR_EVER):
        steered.controller.start()
        eventually("its refs are listed", lambda: _asked(steered.onedev, "/restart/e2e/at-project/info/refs"))
        steered.controller.kill()
    steered.controller.start()
    assert_whole(steered, proxy, *names)


def test_a_kill_finds_five_mirrors_at_every_step_of_their_runs(steered: World, proxy: ApiProxy) -> None:
    names = ("told", "ended", "collected", "discarded", "running")
    for name in names:
        steered.repository(name)
    holds = [
        proxy.hold("PATCH", r"/told/status .*startedAt", done=True),
        proxy.hold("PATCH", r"/ended/status .*Synced"),
        proxy.hold("PATCH", r"/collected/status .*Synced", done=True),
        proxy.hold("DELETE", r"/jobs/discarded-", done=True),
    ]
    for name in names[:-1]:
        steered.mirror(name)
    assert all(hold.reached.wait(120) for hold in holds)
    with steered.github.fault(method="POST", path="^/e2e/running.git/git-upload-pack", skip=1, count=1, delay=5):
        steered.mirror("running")
        eventually("the run is under way", lambda: _asked(steered.github, "^/e2e/running.git/git-upload-pack", 2))
        steered.controller.kill()
        steered.controller.start()
        assert_whole(steered, proxy, *names)


def test_kills_at_eight_moments_while_mirrors_come_to_be(steered: World, proxy: ApiProxy) -> None:
    names = ("moment-1", "moment-2", "moment-3")
    for name in names:
        steered.repository(name)
    for number in range(8):
        steered.controller.kill()
        if number < len(names):
            steered.mirror(names[number])
        steered.controller.start()
        steered.controller.wait_until_ready()
        time.sleep(0.2 * number)
    assert_whole(steered, proxy, *names)


def test_an_api_server_that_restarts_is_outlived(steered: World, proxy: ApiProxy) -> None:
    for name in ("known", "cut", "declared-meanwhile"):
        steered.repository(name)
    steered.mirror("known")
    steered.wait_ready("known")
    steered.github.act("commit", repository="e2e/known", branch="main")
    with steered.github.fault(method="POST", path="^/e2e/cut.git/git-upload-pack", skip=1, count=1, delay=3):
        steered.mirror("cut")
        eventually("its run is under way", lambda: _asked(steered.github, "^/e2e/cut.git/git-upload-pack", 2))
        proxy.cut()
        steered.mirror("declared-meanwhile")
        steered.ask("known")
        proxy.restore()
        if not steered.controller.running:  # on a slow machine the lease was lost: as in the next test
            steered.controller.start()
        assert_whole(steered, proxy, "cut", "declared-meanwhile")
    steered.wait_synced("known")
    assert len(proxy.jobs_created("known")) == 2


def test_one_leads_and_its_successor_takes_over(
    steered: World, proxy: ApiProxy, start_controller: StartController
) -> None:
    first = steered.controller
    second = start_controller(steered.namespace, POD_NAME=f"{steered.namespace}-second")
    eventually("it waits", lambda: "waiting for the lease" in second.log.read_text())
    assert first.ready()
    assert not second.ready()
    first.kill()
    steered.repository("handed-over")
    steered.mirror("handed-over")
    second.wait_until_ready()
    assert _holder(steered) == second.environment["POD_NAME"]
    steered.wait_ready("handed-over")
    # Asked to end, it gives the lease back: its successor need not wait for the expiry.
    first.start()
    eventually("it waits in its turn", lambda: first.log.read_text().count("waiting for the lease") == 1)
    before = time.monotonic()
    assert second.stop() == 0
    assert time.monotonic() - before < 10
    first.wait_until_ready()
    assert time.monotonic() - before < 14  # the lease lasts 15 s
    assert _holder(steered) == first.environment["POD_NAME"]


def test_who_cannot_renew_the_lease_ends(steered: World, proxy: ApiProxy) -> None:
    process = steered.controller.process
    assert process is not None
    proxy.cut()
    assert process.wait(60) == 1
    proxy.restore()
    steered.controller.start()
    steered.controller.wait_until_ready()


def assert_whole(world: World, proxy: ApiProxy, *names: str) -> None:
    """Each is Ready by exactly one Job, and has exactly one project."""
    for name in names:
        mirror = world.wait_ready(name)
        world.wait_synced(name)
        assert len(proxy.jobs_created(name)) == 1, name
        assert [run["outcome"] for run in mirror["status"]["history"]] == ["Synced"], name
        # Where the crash came before the Job was told of, the look after the run tells it.
        eventually(f"{name} tells its target", partial(_target, world, name))
    paths = [path for path in world.projects() if path.startswith(f"{world.root}/e2e/")]
    assert sorted(paths) == sorted(f"{world.root}/e2e/{mirror['metadata']['name']}" for mirror in world.items("rmir"))


def _asked(stand_in: StandIn, path: str, times: int = 1) -> bool:
    return len(stand_in.requests(path=path)) >= times


def _target(world: World, name: str) -> Any:
    return world.get("rmir", name)["status"].get("target")


def _holder(world: World) -> str:
    holder: str = world.get("lease", "github-onedev-sync-controller")["spec"]["holderIdentity"]
    return holder
