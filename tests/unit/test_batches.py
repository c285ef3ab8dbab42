"""Small mirrors share a Job, in virtual time: each is reported on its own, and none is ever in two live Jobs."""

import asyncio
import json
import random
from collections.abc import Callable

import pytest

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import ClusterRefused, Retry
from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.api.model import show_time
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.controller.build import prime
from github_onedev_sync.decide.batch import MOST, credential_of
from github_onedev_sync.engine.ports import Body

from . import builders as build
from .builders import OTHER
from .fakes import UNAVAILABLE, FakeClock, World, in_virtual_time
from .scenarios import READY, declare, declare_server, finish_job, live, members, ready, running, scenario

SECRET = {"source": {"repository": "o/x", "secretRef": {"name": "github"}}}


def hold(world: World) -> None:
    """Holds the world to its invariant: whoever is put into a Job is in no other one that lives."""
    create = world.cluster.create_job

    async def checked(manifest: Body) -> Body:
        before = {name for job in live(world) if job != manifest["metadata"]["name"] for name in members(world, job)}
        made = await create(manifest)
        assert not before.intersection(members(world, made["metadata"]["name"])), "a mirror in two live Jobs"
        return made

    world.cluster.create_job = checked  # type: ignore[method-assign]


async def work_off(world: World, *mirrors: str, seconds: int = 300, **failed: Reason) -> list[int]:
    """Ends whatever runs, once a second, until all these are Ready; how many mirrors each Job had."""
    sizes = []
    for _ in range(seconds):
        for job in live(world):
            sizes.append(len(members(world, job)))
            finish_job(world, job, **{name: why for name, why in failed.items() if name in members(world, job)})
        await asyncio.sleep(1)
        if all(ready(world, name) for name in mirrors):
            return sizes
    raise AssertionError(f"not Ready: {[name for name in mirrors if not ready(world, name)]}")


def test_one_alone_starts_at_once_and_alone() -> None:
    @scenario()
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, "a")
        await asyncio.sleep(0.2)
        assert [members(world, job) for job in live(world)] == [["a"]]


def test_a_burst_goes_many_to_a_job() -> None:
    @scenario(limit=2)
    async def _(world: World) -> None:
        hold(world)
        declare_server(world, checked=True)
        mirrors = [f"m{number:03}" for number in range(100)]
        declare(world, *mirrors)
        await asyncio.sleep(1)
        assert len(world.onedev.projects) == 3, "no project before its mirror has a slot"
        sizes = await work_off(world, *mirrors)
        assert sum(sizes) == 100
        assert len(sizes) <= 2 + 6
        assert max(sizes) == MOST
        assert len(world.slots.line) == 0
        await asyncio.sleep(5)
        assert (world.cluster.jobs, world.slots.in_use()) == ({}, [])
        for name in mirrors:
            status = world.body(name).status
            assert status.source is not None
            assert status.target is not None
            assert status.target.path == f"github/o/{name}"
            assert (len(status.history), status.failures) == (1, 0)
        assert world.github.calls["repository"] <= 110, "each was looked at once"


def test_one_failure_fails_no_neighbour_and_the_next_time_it_goes_alone() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        hold(world)
        declare_server(world, checked=True)
        declare(world, *"abcdef")
        await asyncio.sleep(1)
        await work_off(world, *"abdef", c=Reason.SOURCE_UNAVAILABLE)
        status = world.body("c").status
        assert status.has_reason(READY, Reason.SOURCE_UNAVAILABLE)
        told = status.condition(READY)
        assert told is not None
        assert told.message == "told by the worker"
        (kept,) = world.cluster.jobs
        assert "c" in members(world, kept), "a Job in which one failed is kept for its log"
        assert [len(world.body(name).status.history) for name in "abcdef"] == [1] * 6
        declare(world, "g", "h")
        await asyncio.sleep(15)
        alone = [members(world, job) for job in live(world)]
        assert len(alone) == 1
        await work_off(world, *"abcdefgh")
        jobs = [entry.job for entry in world.body("c").status.history]
        assert len(jobs) == 2
        assert jobs[0].startswith("c-"), "its own Job"
        assert all(entry.job != jobs[0] for name in "gh" for entry in world.body(name).status.history)


def test_large_ones_go_alone_and_small_ones_first() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        hold(world)
        world.github.sizes = {"o/large": 2_000_000, "o/larger": 3_000_000, "o/middle": 9_000, "o/full": 10_000}
        declare_server(world, checked=True)
        declare(world, "first")
        await asyncio.sleep(0.2)
        declare(world, "larger", "large", *(f"small{number}" for number in range(8)))
        await asyncio.sleep(1)
        order = []
        for _ in range(20):
            for job in live(world):
                order.append(sorted(members(world, job)))
                finish_job(world, job)
            await asyncio.sleep(1)
        assert order == [["first"], [f"small{number}" for number in range(8)], ["large"], ["larger"]]


def test_together_they_are_not_large_either() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        mirrors = [f"m{number}" for number in range(12)]
        world.github.sizes = {f"o/{name}": 10_000 for name in mirrors}
        declare_server(world, checked=True)
        declare(world, *mirrors)
        await asyncio.sleep(1)
        sizes = await work_off(world, *mirrors)
        assert max(sizes) == 5


def test_only_what_shares_its_credential_and_time_shares_a_pod() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, "a", "b")
        for name in ("c", "d"):
            world.cluster.put(kind.PLURAL, build.mirror_body(name, source={"repository": f"o/{name}", **_secret()}))
        declare(world, "e", "f", timeout="2h")
        declare(world, "g", lfs=True)
        world.cluster.put(kind.PLURAL, build.mirror_body("h", source={"repository": "o/h"}))
        await asyncio.sleep(1)
        together = []
        for _ in range(20):
            for job in live(world):
                together.append("".join(sorted(members(world, job))))
                finish_job(world, job)
            await asyncio.sleep(1)
        assert sorted(together) == ["a", "bh", "cd", "ef", "g"]


def _secret() -> dict[str, object]:
    return {"secretRef": {"name": "github"}}


def test_a_credential_has_its_own_limit() -> None:
    @scenario(limit=4, per_credential=1)
    async def _(world: World) -> None:
        world.github.found = build.REPOSITORY.__class__(**{**vars(build.REPOSITORY), "size_kb": 10**6})
        body = build.server_body(maxConcurrentSyncs=4)
        world.cluster.put("onedevservers", body)
        declare(world, "a", "b")
        for name in ("c", "d"):
            world.cluster.put(kind.PLURAL, build.mirror_body(name, source={"repository": f"o/{name}", **_secret()}))
        await asyncio.sleep(1)
        assert sorted(one for job in live(world) for one in members(world, job)) == ["a", "c"]
        await work_off(world, *"abcd")


def test_small_changes_share_a_job_and_ready_does_not_flap() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        hold(world)
        declare_server(world, checked=True)
        mirrors = [f"m{number}" for number in range(10)]
        declare(world, *mirrors)
        await asyncio.sleep(1)
        await work_off(world, *mirrors)
        await asyncio.sleep(5)
        world.cluster.events.clear()
        made = world.cluster.calls["create_job"]
        world.refs.source = Listing({"refs/heads/main": OTHER}, "refs/heads/main")
        for name in mirrors:
            world.edit(name, annotations={names.REQUESTED_AT: "now"})
        await asyncio.sleep(1)
        for _ in range(10):
            for job in live(world):
                finish_job(world, job)
            await asyncio.sleep(1)
        assert world.cluster.calls["create_job"] - made == 2
        for name in mirrors:
            status = world.body(name).status
            assert (ready(world, name), len(status.history)) == (True, 2)
            assert status.last_handled_reconcile_at == "now", "who is taken along has its request handled, too"
        assert world.cluster.events == []


def test_a_project_that_cannot_be_made_leaves_only_its_own_mirror_behind() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        ensure = world.onedev.ensure_project

        async def refuse(path: str, description: str | None) -> object:
            if path.endswith("/c"):
                raise Retry(Reason.TARGET_UNAVAILABLE, "a fault of this one project")
            return await ensure(path, description)

        world.onedev.ensure_project = refuse  # type: ignore[assignment,method-assign]
        declare_server(world, checked=True)
        declare(world, *"abcde")
        await asyncio.sleep(1)
        await work_off(world, *"abde")
        assert world.body("c").status.has_reason(READY, Reason.TARGET_UNAVAILABLE)
        world.onedev.ensure_project = ensure  # type: ignore[method-assign]
        await work_off(world, *"abcde")


def test_a_pod_that_cannot_start_is_told_by_all_whom_it_concerns() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abcd")
        await asyncio.sleep(1)
        finish_job(world, live(world)[0])
        await asyncio.sleep(1)
        (job,) = live(world)
        assert len(members(world, job)) == 3
        world.pod(job, state=build.waiting("ImagePullBackOff", "no such image"))
        world.cluster.pods.clear()
        world.pod(job, state=build.waiting("ImagePullBackOff", "no such image"))
        await asyncio.sleep(122)
        for name in members_before(world, job):
            told = world.body(name).status.condition(READY)
            assert told is not None
            assert (told.status, told.reason) == ("False", "PodNotStarted")
            assert "no such image" in told.message


def members_before(world: World, job: str) -> list[str]:
    """Whom a Job that is gone worked for, as their statuses tell."""
    bodies = [body for (plural, _), body in world.cluster.resources.items() if plural == kind.PLURAL]
    found = [RepositoryMirror.read(body) for body in bodies]
    named = [one.metadata.name for one in found if one.status.last_run and one.status.last_run.job == job]
    assert named
    return named


def test_a_mirror_that_goes_away_takes_no_neighbour_with_it() -> None:
    """Its project is removed when the run that might still write into it has ended."""

    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abcd", deletionPolicy="Delete")
        await asyncio.sleep(1)
        finish_job(world, live(world)[0])
        await asyncio.sleep(1)
        (job,) = live(world)
        going = members(world, job)[1]
        world.edit(going, deletionTimestamp=show_time(world.clock.now()), finalizers=["x"])
        await asyncio.sleep(100)
        assert live(world) == [job]
        assert f"github/o/{going}" in world.onedev.projects
        finish_job(world, job)
        await asyncio.sleep(1)
        assert all(ready(world, name) for name in "abcd" if name != going)
        assert f"github/o/{going}" not in world.onedev.projects
        assert world.cluster.jobs == {}


def test_where_all_of_a_job_go_away_it_ends_at_once() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abc", deletionPolicy="Delete")
        await asyncio.sleep(1)
        finish_job(world, live(world)[0])
        await asyncio.sleep(1)
        (job,) = live(world)
        for name in members(world, job):
            world.edit(name, deletionTimestamp=show_time(world.clock.now()), finalizers=["x"])
        await asyncio.sleep(62)
        assert job not in world.cluster.jobs
        assert set(world.onedev.projects) == {"github", "github/o/a"}


def test_a_namesake_made_anew_waits_for_the_run_of_the_old_one() -> None:
    @scenario(limit=4)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        world.cluster.put("onedevservers", build.server_body(maxConcurrentSyncs=1))
        declare(world, *"abc")
        await asyncio.sleep(1)
        finish_job(world, live(world)[0])
        await asyncio.sleep(1)
        (job,) = live(world)
        world.cluster.put("onedevservers", build.server_body(maxConcurrentSyncs=4))
        old = members(world, job)[1]
        gone = RepositoryMirror.read(world.cluster.resources.pop((kind.PLURAL, f"team/{old}")))
        world.engine.mirror_gone(gone)
        world.cluster.put(
            kind.PLURAL, build.mirror_body(old, source={"repository": f"o/{old}"}, meta={"uid": "uid-anew"})
        )
        await asyncio.sleep(130)
        assert live(world) == [job], "two workers never write to one project"
        finish_job(world, job)
        await asyncio.sleep(61)
        assert len(live(world)) <= 1
        await work_off(world, *"abc")


@pytest.mark.parametrize("made", [False, True])
def test_an_answer_that_is_lost_puts_nobody_into_two_jobs(made: bool) -> None:
    """The Job was created or was not, and the API server's answer did not arrive."""

    @scenario(limit=2)
    async def _(world: World) -> None:
        hold(world)
        declare_server(world, checked=True)
        declare(world, *"abcdefgh")
        await asyncio.sleep(1)
        create, lost = world.cluster.create_job, 0

        async def lose(manifest: Body) -> Body:
            nonlocal lost
            if len(_listed(manifest)) > 1 and not lost:
                lost += 1
                if made:
                    await create(manifest)
                raise UNAVAILABLE
            return await create(manifest)

        world.cluster.create_job = lose  # type: ignore[method-assign]
        for job in live(world):
            finish_job(world, job)
        await asyncio.sleep(4)
        await work_off(world, *"abcdefgh")
        assert lost == 1
        assert all(len(world.body(name).status.history) == 1 for name in "abcdefgh")


def _listed(manifest: Body) -> str:
    return str(manifest["metadata"]["annotations"][names.MIRRORS]).split("},{")  # type: ignore[return-value]


def test_one_that_is_changed_while_it_waits_is_looked_at_again_and_goes_along() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abcd")
        await asyncio.sleep(1)
        body = world.cluster.resources[kind.PLURAL, "team/c"]
        meta = {**body["metadata"], "generation": 2}
        world.cluster.put(kind.PLURAL, {**body, "metadata": meta, "spec": {**body["spec"], "onRewrite": "Block"}})
        await asyncio.sleep(1)
        finish_job(world, live(world)[0])
        await asyncio.sleep(1)
        (job,) = live(world)
        assert members(world, job) == ["b", "c", "d"]
        assert '"on_rewrite":"Block"' in str(world.cluster.jobs[job]["spec"])
        finish_job(world, job)
        await asyncio.sleep(1)
        assert world.body("c").status.observed_generation == 2


def test_one_whose_end_no_watch_told_of_does_not_go_along() -> None:
    """And no project is made for it."""

    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abcd")
        await asyncio.sleep(1)
        del world.cluster.resources[kind.PLURAL, "team/c"]
        await work_off(world, *"abd")
        assert "github/o/c" not in world.onedev.projects
        assert len(world.slots.line) == 0


def test_a_run_that_the_cluster_refuses_leaves_the_others_in_line() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abcd")
        await asyncio.sleep(1)
        world.cluster.trouble["create_job"] = ClusterRefused("exceeded quota")
        finish_job(world, live(world)[0])
        await asyncio.sleep(30)
        assert live(world) == []
        world.cluster.trouble.clear()
        await work_off(world, *"abcd")


def crash_after(world: World, calls: int, crashed: asyncio.Event) -> None:
    """From the call of that number on the cluster hears nothing of this process, as if it were gone."""
    called, count = world.cluster.called, 0

    def counted(name: str) -> None:
        nonlocal count
        count += 1
        if count > calls:
            crashed.set()
            raise UNAVAILABLE
        called(name)

    world.cluster.called = counted  # type: ignore[method-assign]


@pytest.mark.parametrize("after", ["first", "running", "ended"])
def test_a_crash_between_any_two_calls_to_the_cluster(after: str) -> None:
    """The second controller knows only what the cluster and OneDev hold."""
    for calls in range(1, 200):

        async def run(clock: FakeClock, calls: int = calls) -> bool:
            first = World(clock, limit=1)
            hold(first)
            crashed = asyncio.Event()
            async with running(first):
                declare_server(first, checked=True)
                if after == "first":
                    crash_after(first, calls, crashed)
                declare(first, *"abcd")
                await asyncio.sleep(1)
                if after != "first":
                    if after == "running":
                        crash_after(first, calls, crashed)
                    finish_job(first, live(first)[0])
                    await asyncio.sleep(1)
                if after == "ended":
                    crash_after(first, calls, crashed)
                    finish_job(first, live(first)[0])
                    await asyncio.sleep(1)
            second = restarted(first, clock)
            await prime(second.engine, ())
            async with running(second):
                await asyncio.sleep(1)
                await work_off(second, *"abcd", seconds=180)
                await asyncio.sleep(65)
                assert second.cluster.jobs == {}
                assert [len(second.body(name).status.history) for name in "abcd"] == [1, 1, 1, 1]
            return crashed.is_set()

        if not in_virtual_time(run):
            assert calls > 3
            return
    raise AssertionError("it never came to its end without a crash")


def restarted(first: World, clock: FakeClock, limit: int = 1) -> World:
    second = World(clock, limit)
    vars(second.cluster).update({k: v for k, v in vars(first.cluster).items() if k not in ("called", "create_job")})
    vars(second.onedev).update(vars(first.onedev))
    second.refs.source = first.refs.source
    hold(second)
    return second


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_nobody_is_in_two_jobs_and_all_end_well(seed: int) -> None:
    """Declared, changed, deleted, asked, failed and restarted in a random order."""
    random_of_test = random.Random(seed)

    async def run(clock: FakeClock) -> None:
        world, alive, number = World(clock, limit=2), set[str](), 0
        hold(world)
        declare_server(world, checked=True)
        for _ in range(4):
            async with running(world):
                for _ in range(15):
                    action = random_of_test.choice(["declare", "declare", "ask", "edit", "end", "end", "fail", "gone"])
                    if action == "declare":
                        number += 1
                        alive.add(f"m{number}")
                        world.github.sizes[f"o/m{number}"] = random_of_test.choice([1, 100, 9_000, 10**6])
                        declare(world, f"m{number}")
                    elif action in ("ask", "edit") and alive:
                        name = random_of_test.choice(sorted(alive))
                        change = {names.REQUESTED_AT: str(random_of_test.random())}
                        if action == "ask":
                            world.edit(name, annotations=change)
                        else:
                            world.edit(name, generation=world.body(name).metadata.generation + 1)
                    elif action == "gone" and alive:
                        name = random_of_test.choice(sorted(alive))
                        alive.discard(name)
                        await asyncio.sleep(1)
                        gone = RepositoryMirror.read(world.cluster.resources.pop((kind.PLURAL, f"team/{name}")))
                        world.engine.mirror_gone(gone)
                    elif jobs := live(world):
                        job = random_of_test.choice(jobs)
                        named = members(world, job)
                        bad = {random_of_test.choice(named): Reason.SOURCE_UNAVAILABLE} if action == "fail" else {}
                        finish_job(world, job, **bad)
                    await asyncio.sleep(random_of_test.choice([0.1, 1, 70]))
                # What a watch was about to tell dies with the process.
                await asyncio.sleep(1)
            world = restarted(world, clock, limit=2)
            await prime(world.engine, ())
        async with running(world):
            await asyncio.sleep(1)
            await work_off(world, *alive, seconds=3 * 3600)
            assert world.slots.in_use() == []

    in_virtual_time(run)


def test_credentials_are_told_apart_by_namespace_secret_and_api() -> None:
    other: Callable[..., RepositoryMirror] = build.mirror
    found = {
        credential_of(one)
        for one in (
            other(),
            other("other"),
            other(source={"secretRef": {"name": "a"}}),
            other(source={"secretRef": {"name": "b"}}),
            other(source={"secretRef": {"name": "a"}}, meta={"namespace": "elsewhere"}),
            other(source={"apiURL": "https://ghe/api/v3"}),
            other(meta={"namespace": "elsewhere"}),
        )
    }
    assert len(found) == 5, "those without a Secret share GitHub's limit for an address"


def test_stalled_conditions_of_a_batch_are_its_mirrors_own() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abc")
        await asyncio.sleep(1)
        await work_off(world, "a", "b", c=Reason.TARGET_NOT_PERMITTED)
        assert world.body("c").status.is_true(ConditionType.STALLED)
        assert not world.body("b").status.is_true(ConditionType.STALLED)


def test_who_was_seen_before_the_server_moved_is_looked_at_again() -> None:
    @scenario(limit=1)
    async def _(world: World) -> None:
        declare_server(world, checked=True)
        declare(world, *"abcd")
        await asyncio.sleep(1)
        world.cluster.put("onedevservers", build.server_body(meta={"generation": 2}, rootProject="elsewhere"))
        await asyncio.sleep(1)
        finish_job(world, live(world)[0])
        await asyncio.sleep(1)
        for _ in range(10):
            for job in live(world):
                text = str(world.cluster.jobs[job]["spec"]["template"]["spec"]["containers"][0]["env"])
                assert "https://onedev/github/" not in text
                world.end(job, exit_code=30)
            await asyncio.sleep(1)
        assert {f"elsewhere/o/{name}" for name in "bcd"} <= made_at(world)


def made_at(world: World) -> set[str]:
    """Where the runs of all mirrors wrote, as their Jobs were told."""
    tasks = [
        task
        for job in world.cluster.jobs.values()
        for task in json.loads(job["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"])["tasks"]
    ]
    return {task["target"]["url"].removeprefix("https://onedev/") for task in tasks}
