"""A burst of small repositories goes many to a pod, and each is told of on its own."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .conftest import MakeWorld
from .world import World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]

NAMES = tuple(f"burst-{number}" for number in range(10))
BROKEN = "burst-4"


@pytest.fixture(scope="module")
def narrow(make_world: MakeWorld) -> World:
    """A controller that lets one Job run at a time."""
    return make_world("narrow", MAX_CONCURRENT_JOBS="1")


@contextmanager
def after_the_look(world: World, name: str, **fault: object) -> Iterator[None]:
    """The controller lists the refs of a repository, once; the worker that comes after it meets with this."""
    with world.github.fault(method="POST", path=f"^/e2e/{name}.git/git-upload-pack", skip=1, **fault):
        yield


def test_one_that_is_broken_fails_alone(narrow: World) -> None:
    for name in ("before", *NAMES):
        narrow.repository(name)
    with after_the_look(narrow, BROKEN, status=500):
        with after_the_look(narrow, "before", count=1, delay=10):
            narrow.mirror("before")
            eventually("its run holds the slot", lambda: narrow.jobs("before"))
            narrow.apply(*map(narrow.manifest, NAMES))
            for name in NAMES:
                if name != BROKEN:
                    narrow.wait_ready(name)
        narrow.wait_failed(BROKEN, "SourceUnavailable", f"e2e/{BROKEN}")
    histories = {name: narrow.get("rmir", name)["status"]["history"] for name in NAMES}
    first = {name: history[-1]["job"] for name, history in histories.items()}
    assert len(set(first.values())) <= 3, "fewer Jobs than mirrors"
    assert first[BROKEN] in {job for name, job in first.items() if name != BROKEN}, "it had company"
    for name in NAMES:
        if name != BROKEN:
            assert [run["outcome"] for run in histories[name]] == ["Synced"]
            narrow.wait_synced(name)
    narrow.ask(BROKEN)
    narrow.wait_ready(BROKEN)
    narrow.wait_synced(BROKEN)
    jobs = [run["job"] for run in narrow.get("rmir", BROKEN)["status"]["history"]]
    assert jobs[0].startswith(f"{BROKEN}-"), "after its failure it goes alone"


def test_one_that_is_deleted_takes_no_neighbour_with_it(narrow: World) -> None:
    names = ("stays-1", "goes", "stays-2")
    for name in ("holds", *names):
        narrow.repository(name)
    slow_push = narrow.onedev.fault(method="POST", path="^/narrow/e2e/stays-2/git-receive-pack", count=1, delay=10)
    with after_the_look(narrow, "holds", count=1, delay=10), slow_push:
        narrow.mirror("holds")
        eventually("its run holds the slot", lambda: narrow.jobs("holds"))
        narrow.apply(*(narrow.manifest(name, deletionPolicy="Delete") for name in names))
        job = eventually("they run", lambda: narrow.jobs("goes"))[0]["metadata"]
        assert len(job["ownerReferences"]) == 3
        narrow.kubectl("delete", "rmir", "goes", "--wait=false")
        for name in ("stays-1", "stays-2"):
            assert narrow.wait_ready(name)["status"]["history"][-1]["job"] == job["name"]
    eventually("it is gone", lambda: "goes" not in [one["metadata"]["name"] for one in narrow.items("rmir")])
    assert "narrow/e2e/goes" not in narrow.projects()
    eventually("no Job is left", lambda: not narrow.items("jobs") or _only_failed(narrow))


def _only_failed(world: World) -> bool:
    return all(job["status"].get("failed") for job in world.items("jobs"))
