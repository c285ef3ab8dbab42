"""Sweeps: thousands of mirrors cost GitHub a request a hundred, nothing that changed goes unseen, and nobody waits."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api import names, refs
from github_onedev_sync.api import server as server_kind
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from github_onedev_sync.api.model import show_time
from github_onedev_sync.api.observed import Change, SourceRepository
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.api.urgency import Urgency
from github_onedev_sync.decide.schedule import is_verification_due
from github_onedev_sync.decide.sweep import Seen, Verdict, basis, holds, judge

from . import builders as build
from .builders import EARLIER, NOW, OID, OTHER, REPOSITORY, REPOSITORY_ID, SECRET
from .fakes import UNAVAILABLE, FakeClock, FakeGitHub, World, in_virtual_time
from .scenarios import READY, declare_server, finish_job, live, members, running

PUSHED = NOW - timedelta(days=30)
TOKEN: dict[str, Any] = {"secretRef": SECRET}
MAIN = "refs/heads/main"
SOURCE = ConditionType.SOURCE_AVAILABLE
HOUR = 3600


def repository(name: str, **fields: Any) -> SourceRepository:
    made = SourceRepository(
        id=REPOSITORY_ID,
        node_id=f"R_{name}",
        full_name=f"o/{name}",
        clone_url=f"https://github.com/o/{name}.git",
        default_branch="main",
        pushed_at=PUSHED,
    )
    return replace(made, **fields)


def status_of(name: str, **source: Any) -> dict[str, Any]:
    """The status of a mirror that a run has made equal two hours ago."""
    found = repository(name)
    target = {"server": "default", "projectID": 1, "path": f"github/o/{name}", "webURL": f"https://onedev/{name}"}
    facts = {
        "id": found.id,
        "nodeID": found.node_id,
        "fullName": found.full_name,
        "cloneURL": found.clone_url,
        "defaultBranch": "main",
        "pushedAt": show_time(PUSHED),
        **source,
    }
    return build.synced_status(
        source={name: value for name, value in facts.items() if value is not None},
        target=target,
        refs={"branches": 1, "total": 1, "digest": refs.digest({MAIN: OID})},
        lastAttemptTime=show_time(EARLIER),
        conditions=[build.ready(), build.condition(SOURCE, "True", Reason.AVAILABLE)],
    )


def mirrored(world: World, *mirrors: str, secret: Mapping[str, str] = SECRET, over: float = 600, **source: Any) -> None:
    """Mirrors with a token as they are after their first sync, due at any time of the next `over` seconds."""
    github = world.connections.others.get(secret["name"], world.github)
    github.anonymous, github.token = False, "token"
    for number, name in enumerate(mirrors):
        due = show_time(NOW + timedelta(seconds=5 + over * number / len(mirrors)))
        status = {**status_of(name, **source), "nextSyncTime": due}
        body = build.mirror_body(name, source={"repository": f"o/{name}", "secretRef": secret}, status=status)
        world.cluster.put(kind.PLURAL, body)
        world.synced(f"github/o/{name}", f"team/{name}")
        github.others[f"o/{name}"] = repository(name)


def without_verification(count: int, hours: float) -> list[str]:
    """Names of mirrors whose daily verification is not due meanwhile."""
    begin, end, found, number = NOW - timedelta(minutes=11), NOW + timedelta(hours=hours), list[str](), 0
    while len(found) < count:
        number += 1
        if not is_verification_due(f"uid-m{number:05}", begin, end):
            found.append(f"m{number:05}")
    return found


def reset(world: World) -> None:
    world.cluster.writes.clear()
    world.github.batches.clear()
    for one in (world.cluster, world.github, world.onedev, world.refs):
        one.calls = Counter()


async def settled(world: World) -> None:
    """The server's mirrors have been counted."""
    await asyncio.sleep(5)
    world.cluster.writes.clear()


def swept(world: World, result: str) -> float:
    return world.metrics.registry.get_sample_value("github_onedev_sync_swept_mirrors_total", {"result": result}) or 0


# What it costs.


def test_1000_mirrors_cost_ten_requests_a_sweep() -> None:
    """Also the sweep that makes up for what fell due while no controller ran: its times are spread over a minute."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *without_verification(1000, 2), over=-600)
        async with running(world):
            await asyncio.sleep(90)
            assert world.github.calls["changes"] <= 12
            assert swept(world, "unchanged") == world.refs.calls["target_refs"] == 1000
            before = swept(world, "unchanged")
            reset(world)
            await asyncio.sleep(HOUR)
            sweeps = (swept(world, "unchanged") - before) / 1000
            assert 5.5 < sweeps < 7.5, "none is forgotten, and none comes much too often"
            assert len(world.github.batches) <= 10.1 * sweeps + 1
            assert set(world.github.calls) == {"changes"}
            assert world.refs.calls["source_refs"] == 0
            assert world.refs.calls["target_refs"] == swept(world, "unchanged") - before
        assert (world.cluster.jobs, world.cluster.writes, world.cluster.events) == ({}, [], [])
        assert set(world.connections.urgencies) == {Urgency.SWEEP}

    in_virtual_time(run)


def test_verification_stays() -> None:
    """Once a day GitHub's REST API and both ref listings are asked for each, in silence."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *(f"m{number}" for number in range(8)))
        async with running(world):
            await settled(world)
            await asyncio.sleep(24 * HOUR)
        assert 8 <= world.github.calls["repository"] == world.refs.calls["source_refs"] <= 9
        assert (world.cluster.jobs, world.cluster.writes, world.cluster.events) == ({}, [], [])

    in_virtual_time(run)


def test_a_node_id_that_status_lacks_is_known_after_a_look_and_written_by_the_verification() -> None:
    """As after an upgrade: no storm of writes."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *(f"m{number}" for number in range(8)), nodeID=None)
        async with running(world):
            await settled(world)
            await asyncio.sleep(HOUR)
            looked = world.github.calls["repository"]
            assert 8 <= looked <= 10
            assert len(world.cluster.writes) <= looked - 8
            assert swept(world, "unchanged") >= 4 * 8
            await asyncio.sleep(24 * HOUR)
            assert len(world.cluster.writes) == 8
            source = world.body("m7").status.source
            assert source is not None
            assert source.node_id == "R_m7"
            await asyncio.sleep(24 * HOUR)
            assert len(world.cluster.writes) == 8

    in_virtual_time(run)


def test_anonymous_mirrors_are_not_swept() -> None:
    """Neither those without a Secret, nor those whose Secret holds nothing but a certificate authority."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        world.connections.others["ca-alone"] = FakeGitHub()
        declare_server(world, checked=True)
        mirrored(world, "a", secret={"name": "ca-alone"})
        world.connections.others["ca-alone"].anonymous = True
        body = build.mirror_body("b", source={"repository": "o/b"}, status=status_of("b"))
        world.cluster.put(kind.PLURAL, body)
        world.synced("github/o/b", "team/b")
        async with running(world):
            await settled(world)
            await asyncio.sleep(HOUR)
        assert world.github.batches == world.connections.others["ca-alone"].batches == []
        assert world.refs.calls["source_refs"] >= 10
        assert (world.cluster.jobs, world.cluster.writes) == ({}, [])

    in_virtual_time(run)


# What it finds.


def test_what_changed_is_found_within_the_interval() -> None:
    """A push, a rename, an archival, a repository that is gone, and a change that somebody made in OneDev."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        world.cluster.put(server_kind.PLURAL, build.server_body(maxConcurrentSyncs=4))
        quiet = without_verification(50, 2)
        pushed, renamed, archived, gone, edited, headless, unmarked = quiet[:7]
        mirrored(world, *quiet)
        async with running(world):
            await asyncio.sleep(700)
            reset(world)
            later = clock.now()
            github = world.github.others
            github[f"o/{pushed}"] = repository(pushed, pushed_at=later)
            world.refs.others[repository(pushed).clone_url] = Listing({MAIN: OTHER}, MAIN)
            github[f"o/{renamed}"] = repository(renamed, full_name="new/home")
            github[f"o/{archived}"] = repository(archived, archived=True)
            github[f"o/{gone}"] = repository(gone, node_id="R_hidden", archived=True)
            world.onedev.refs[f"github/o/{edited}"][MAIN] = OTHER
            world.onedev.heads[f"github/o/{headless}"] = "refs/heads/old"
            del world.onedev.refs[f"github/o/{unmarked}"][build.mark(f"team/{unmarked}").ref]
            await asyncio.sleep(670)
            assert {name for job in live(world) for name in members(world, job)} == {pushed, edited, unmarked}
            said = {name: world.body(name).status.condition(SOURCE) for name in (renamed, archived, gone)}
            assert {name: one.reason for name, one in said.items() if one} == {
                renamed: "Renamed",
                archived: "ArchivedUpstream",
                gone: "ArchivedUpstream",
            }
            assert world.onedev.heads[f"github/o/{headless}"] == MAIN
            assert swept(world, "changed") == 3
            assert swept(world, "missing") == 1
            for job in live(world):
                finish_job(world, job)
            world.onedev.refs[f"github/o/{pushed}"][MAIN] = OTHER
            await asyncio.sleep(5)
            assert all(world.body(name).status.is_true(READY) for name in quiet)
            reset(world)
            await asyncio.sleep(1300)
            assert (world.cluster.jobs, world.cluster.writes) == ({}, [])

    in_virtual_time(run)


def test_a_push_that_moves_no_mirrored_ref_costs_one_look_and_no_write() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *without_verification(3, 4))
        async with running(world):
            await asyncio.sleep(700)
            reset(world)
            for full_name, known in world.github.others.items():
                world.github.others[full_name] = replace(known, pushed_at=clock.now() - timedelta(hours=1))
            await asyncio.sleep(3 * HOUR)
        assert world.github.calls["repository"] == world.refs.calls["source_refs"] == 3
        assert (world.cluster.jobs, world.cluster.writes) == ({}, [])

    in_virtual_time(run)


def test_a_second_push_within_the_same_second_is_found() -> None:
    """Both have the time of the first, after which the mirror was looked at."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        (name,) = without_verification(1, 4)
        mirrored(world, name)
        async with running(world):
            await asyncio.sleep(700)
            ask(world, name, "t1")
            world.github.others[f"o/{name}"] = repository(name, pushed_at=clock.now())
            await asyncio.sleep(5)
            assert world.cluster.jobs == {}
            world.refs.others[repository(name).clone_url] = Listing({MAIN: OTHER}, MAIN)
            await asyncio.sleep(670)
            assert len(live(world)) == 1

    in_virtual_time(run)


def ask(world: World, name: str, token: str) -> None:
    world.edit(name, annotations={names.REQUESTED_AT: token})


# What happens when it does not work, and who must not wait.


@pytest.mark.parametrize(
    ("error", "result", "listed"),
    [
        pytest.param(Waiting(Reason.RATE_LIMITED, "until 14:32", timedelta(minutes=50)), "limited", 0, id="limited"),
        pytest.param(Stalled(Reason.NOT_SUPPORTED, "no GraphQL here"), "failed", 3, id="an old server"),
        pytest.param(Retry(Reason.SOURCE_UNAVAILABLE, "502"), "failed", 3, id="502"),
    ],
)
def test_a_sweep_that_fails(error: SyncError, result: str, listed: int) -> None:
    """Where others need what is left of the limit, a mirror that is well stays so; else the ref listings tell."""

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *without_verification(3, 1), over=10)
        world.github.trouble["changes"] = error
        async with running(world):
            await asyncio.sleep(20)
            assert swept(world, result) == 3
            assert world.refs.calls["source_refs"] == world.refs.calls["target_refs"] == listed
            reset(world)
            await asyncio.sleep(540)
            assert world.refs.calls["target_refs"] == 0, "not before the next interval"
            world.github.trouble.clear()
            await asyncio.sleep(110)
            assert swept(world, "unchanged") == 3
            assert world.github.calls["repository"] == 0
            assert (world.cluster.jobs, world.cluster.writes, world.cluster.events) == ({}, [], [])

    in_virtual_time(run)


def test_a_push_is_found_where_sweeps_fail() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        one, two = without_verification(2, 1)
        mirrored(world, one, two, over=10)
        world.github.trouble["changes"] = Stalled(Reason.NOT_SUPPORTED, "no GraphQL here")
        world.refs.others[repository(two).clone_url] = Listing({MAIN: OTHER}, MAIN)
        async with running(world):
            await asyncio.sleep(30)
            (job,) = live(world)
            assert members(world, job) == [two]
            assert world.github.calls["repository"] == 1

    in_virtual_time(run)


async def test_whose_job_is_kept_for_a_neighbour_is_swept_once() -> None:
    """Its step is to let the Job go, each time it comes."""
    world = World()
    world.apply_server()
    name, other = without_verification(2, 1)
    mirrored(world, name, other)
    last = build.run_status("a-aaaaaaaa", outcome="Synced")
    body = world.cluster.resources[kind.PLURAL, f"team/{name}"]
    world.apply_mirror({**body, "status": {**body["status"], "lastRun": last, "nextSyncTime": show_time(NOW)}})
    world.watch_mirror(other)
    job = build.job_body("a-aaaaaaaa", mirrors=(name, other), created=EARLIER, verdict="Complete")
    world.engine.job_seen(job, gone=False)
    world.pod("a-aaaaaaaa", state=build.terminated(0, build.report_text()))
    assert await world.reconcile(name) is None
    ((credential, _),) = world.mirrors.sweeper.gathered()
    assert await world.mirrors.sweeper.reconcile(credential) is None
    assert [key for key, _ in world.mirrors.sweeper.told()] == [f"team/{name}"]
    due = await world.reconcile(name)
    assert due is not None
    assert due - NOW > timedelta(minutes=9)
    assert world.mirrors.sweeper.gathered() == []


def test_a_sweep_is_made_up_for_when_the_cluster_answers_again() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *without_verification(3, 1), over=10)
        world.connections.trouble["source"] = UNAVAILABLE
        async with running(world):
            await asyncio.sleep(60)
            assert world.connections.calls["source"] > 5
            world.connections.trouble.clear()
            await asyncio.sleep(10)
            assert swept(world, "unchanged") == 3

    in_virtual_time(run)


@pytest.mark.parametrize("error", [Retry(Reason.TARGET_UNAVAILABLE, "refused"), Retry(Reason.SOURCE_UNAVAILABLE, "x")])
def test_a_onedev_that_does_not_answer_is_told(error: SyncError) -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *without_verification(1, 1), over=10)
        world.refs.trouble["target_refs"] = error
        async with running(world):
            await asyncio.sleep(10)
            (name,) = (key.split("/")[1] for key in world.store.mirrors)
            assert world.body(name).status.has_reason(READY, error.reason)
            world.refs.trouble.clear()
            await asyncio.sleep(60)
            assert world.body(name).status.is_true(READY)

    in_virtual_time(run)


class Slow(FakeGitHub):
    """A GitHub that takes five minutes for each answer to a sweep."""

    async def changes(self, node_ids: Sequence[str]) -> dict[str, Change]:
        await asyncio.sleep(300)
        return await super().changes(node_ids)


def test_a_slow_sweep_holds_up_neither_another_credential_nor_who_is_asked_for() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        slow = world.connections.others["slow"] = Slow()
        declare_server(world, checked=True)
        one, two, *others = without_verification(60, 2)
        mirrored(world, one, two, secret={"name": "slow"}, over=1)
        mirrored(world, *others, over=1)
        async with running(world):
            await asyncio.sleep(30)
            assert swept(world, "unchanged") == len(others)
            ask(world, one, "now")
            await asyncio.sleep(5)
            assert world.body(one).status.last_handled_reconcile_at == "now"
            assert slow.batches == []
            assert world.connections.urgencies[Urgency.ASKED] == 1
            world.refs.calls.clear()
            await asyncio.sleep(400)
            assert swept(world, "unchanged") >= len(others) + 2
            assert world.refs.calls["target_refs"] == 1, "who was looked at meanwhile rests until its own time"

    in_virtual_time(run)


def test_who_waits_for_a_slot_keeps_the_place() -> None:
    """One that is in line was seen to have changed: it is looked at when its turn comes, and not swept."""

    async def run(clock: FakeClock) -> None:
        world = World(clock, limit=1)
        world.github.found = replace(REPOSITORY, size_kb=1_000_000)
        declare_server(world, checked=True)
        quiet = without_verification(4, 2)
        mirrored(world, *quiet, over=1)
        async with running(world):
            for name in quiet:
                changed = repository(name, pushed_at=NOW - timedelta(hours=1), size_kb=1_000_000)
                world.github.others[f"o/{name}"] = changed
                world.refs.others[changed.clone_url] = Listing({MAIN: OTHER}, MAIN)
            await asyncio.sleep(10)
            batches = list(world.github.batches)
            assert len(live(world)) == 1
            for _ in quiet:
                (job,) = live(world)
                (name,) = members(world, job)
                finish_job(world, job)
                world.onedev.refs[f"github/o/{name}"][MAIN] = OTHER
                await asyncio.sleep(1)
            assert live(world) == []
            assert all(world.body(name).status.is_true(READY) for name in quiet)
            assert world.github.batches == batches

    in_virtual_time(run)


def test_a_mirror_that_goes_or_is_suspended_while_it_waits_is_left_alone() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock)
        world.connections.others["slow"] = Slow()
        declare_server(world, checked=True)
        one, two, three = without_verification(3, 2)
        mirrored(world, one, two, three, secret={"name": "slow"}, over=1)
        async with running(world):
            await asyncio.sleep(30)
            world.engine.mirror_gone(world.body(one))
            body = world.cluster.resources[kind.PLURAL, f"team/{two}"]
            meta = {**body["metadata"], "generation": 2}
            world.cluster.put(kind.PLURAL, {**body, "metadata": meta, "spec": {**body["spec"], "suspend": True}})
            await asyncio.sleep(400)
            assert world.refs.calls["target_refs"] == 1
            assert world.cluster.jobs == {}

    in_virtual_time(run)


async def test_a_batch_is_a_hundred_and_is_filled_with_those_whose_time_comes_next() -> None:
    world = World()
    world.apply_server()
    world.connections.others["another"] = FakeGitHub()
    sweeper = world.mirrors.sweeper
    here, there = without_verification(230, 1), "there"
    mirrored(world, *here)
    mirrored(world, there, secret={"name": "another"})
    for name in (*here, there):
        world.watch_mirror(name)
    for name in here[:130]:
        sweeper.gather(world.store.mirrors[f"team/{name}"])
    ((credential, delay),) = sweeper.gathered()
    assert delay == 0

    later = {name: timedelta(seconds=10 + number) for number, name in enumerate((there, *here[130:]))}
    sweeper.due.update((f"team/{name}", NOW + after) for name, after in later.items())
    short = here[131]
    sweeper.due["team/deleted"] = NOW + timedelta(seconds=1)
    known = world.store.mirrors[f"team/{short}"]
    world.store.mirrors[f"team/{short}"] = known.changed(spec=known.spec.changed(interval=timedelta(minutes=1)))

    assert await sweeper.reconcile(credential) == NOW
    assert await sweeper.reconcile(credential) is None
    assert await sweeper.reconcile(credential) is None
    first, second = world.github.batches
    assert first == tuple(f"R_{name}" for name in here[:100])
    soon = [name for name, after in later.items() if after <= timedelta(minutes=1) and name not in (there, short)]
    assert second == tuple(f"R_{name}" for name in (*here[100:130], *soon))
    assert all(sweeper.due[f"team/{name}"] == NOW for name in soon)
    assert len(sweeper.told()) == 130 + len(soon)


async def test_a_batch_whose_mirrors_are_all_asked_for_meanwhile_asks_nothing() -> None:
    world = World()
    world.apply_server()
    mirrored(world, "a")
    sweeper = world.mirrors.sweeper
    sweeper.gather(world.watch_mirror("a"))
    ask(world, "a", "now")
    world.watch_mirror("a")
    ((credential, delay),) = sweeper.gathered()
    assert delay > 0
    assert await sweeper.reconcile(credential) is None
    assert world.github.batches == []
    assert sweeper.verdict("team/a") is Verdict.CHANGED, "it looks"


# Its decisions.


def test_basis() -> None:
    def known(seen: Seen | None = None, secret: bool = True, meta: Mapping[str, Any] | None = None, **spec: Any) -> Any:
        status = spec.pop("status", {})
        source = {"repository": "o/a", **({"secretRef": SECRET} if secret else {})}
        return basis(build.mirror("a", source=source, status={**status_of("a"), **status}, meta=meta, **spec), seen)

    told = Seen.of(repository("a"), refs.digest({MAIN: OID}), EARLIER)
    newer, older = replace(told, digest="n", at=NOW), replace(told, digest="o", at=EARLIER - timedelta(hours=1))
    assert known() == told
    assert known(newer) == newer
    assert known(older) == told, "a run has ended since"
    assert known(replace(newer, node_id="")) is None
    assert known(secret=False) is None
    assert known(suspend=True) is None
    assert known(meta={"generation": 2}) is None
    assert known(meta={"annotations": {names.REQUESTED_AT: "t1"}}) is None
    for status in (
        {"conditions": [build.ready("False", Reason.RATE_LIMITED)]},
        {"failures": 1},
        {"lastRun": build.run_status()},
        {"refs": None},
        {"source": None},
        {"lastAttemptTime": None, "lastSyncTime": None},
    ):
        assert known(status=status) is None, status
    assert known(newer, status={"refs": None}) == newer
    just_pushed = replace(told, at=PUSHED + timedelta(seconds=59))
    assert known(just_pushed, status={"refs": None}) is None
    assert known(replace(just_pushed, at=PUSHED + timedelta(minutes=1)), status={"refs": None}) is not None


A = repository("a")


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        pytest.param(build.change(A), Verdict.UNCHANGED, id="as before"),
        pytest.param(None, Verdict.MISSING, id="gone or hidden"),
        pytest.param(build.change(replace(A, pushed_at=NOW)), Verdict.CHANGED, id="pushed"),
        pytest.param(build.change(replace(A, full_name="o/b")), Verdict.CHANGED, id="renamed"),
        pytest.param(build.change(replace(A, archived=True)), Verdict.CHANGED, id="archived"),
        pytest.param(build.change(replace(A, private=True)), Verdict.CHANGED, id="private"),
        pytest.param(build.change(replace(A, disabled=True)), Verdict.CHANGED, id="disabled"),
        pytest.param(build.change(replace(A, default_branch="x")), Verdict.CHANGED, id="another default branch"),
        pytest.param(build.change(replace(A, id=1)), Verdict.CHANGED, id="another repository"),
    ],
)
def test_judge(change: Change | None, verdict: Verdict) -> None:
    assert judge(Seen.of(A, "sha256:x", NOW), change) is verdict


ONE = {MAIN: OID, "refs/tags/v1": OTHER}


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        pytest.param(Listing(ONE, MAIN), True, id="as before"),
        pytest.param(Listing({**ONE, "refs/pull/1/head": OID}, MAIN), True, id="refs that are not mirrored"),
        pytest.param(Listing({**ONE, "refs/heads/restored/x": OID}, MAIN), True, id="restored by a person"),
        pytest.param(Listing({MAIN: OID}, MAIN), False, id="deleted"),
        pytest.param(Listing({**ONE, MAIN: OTHER}, MAIN), False, id="moved"),
        pytest.param(Listing({**ONE, "refs/heads/x": OID}, MAIN), False, id="made"),
        pytest.param(Listing(ONE, "refs/tags/v1"), False, id="another HEAD"),
        pytest.param(Listing(ONE, None), False, id="no HEAD"),
    ],
)
def test_holds(target: Listing, kept: bool) -> None:
    assert holds(build.mirror(), Seen.of(A, refs.digest(ONE), NOW), target) is kept


def test_restored_refs_that_the_source_has_too_are_its_own() -> None:
    source = {**ONE, "refs/heads/restored/x": OID}
    seen = Seen.of(A, refs.digest(source), NOW)
    assert holds(build.mirror(), seen, Listing(source, MAIN))
    assert not holds(build.mirror(), seen, Listing(ONE, MAIN))


def test_a_head_that_is_not_mirrored_is_not_missed() -> None:
    mirror = build.mirror(refs={"include": ["refs/tags/*"]})
    assert holds(mirror, Seen.of(A, refs.digest({"refs/tags/v1": OTHER}), NOW), Listing(ONE, "refs/heads/old"))
