"""Syncs on fakes: what is starred is mirrored, and nothing is ever taken away for a wrong reason."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.errors import ClusterUnavailable, Retry, Stalled, Waiting
from github_onedev_sync.api.observed import Account, RateLimit
from github_onedev_sync.api.urgency import Urgency

from . import builders as build
from .builders import row
from .stars import StarWorld, name_of

OURS = names.covered_by("srs", "stars")


def listed(count: int, *, size: int = 100, **spec: Any) -> StarWorld:
    world = StarWorld(size=size)
    world.github.star(*range(1, count + 1))
    world.declare(**spec)
    return world


async def deletions(world: StarWorld) -> list[dict[str, Any]]:
    """What is deleted in the next polls, as it was at the last moment."""
    seen: list[dict[str, Any]] = []
    forget = world.cluster.gone

    def gone(body: dict[str, Any]) -> None:
        seen.append(body)
        forget(body)

    world.cluster.gone = gone
    for _ in range(3):
        await world.poll()
    return seen


async def test_every_star_gets_a_mirror_with_the_template() -> None:
    world = listed(
        3, projectTemplate="stars/{owner}-{name}", template={"target": {"serverRef": {"name": "x"}}, "lfs": True}
    )
    await world.look()
    assert world.ids == {1, 2, 3}
    made = world.mirrors[name_of(2)]
    assert made.spec.source.repository == "o/r2"
    assert made.spec.target.project == "stars/o-r2"
    assert made.spec.lfs
    assert made.metadata.labels[names.SYNC] == "srs.stars"
    assert world.ready()[:2] == ("True", "Synced")
    counts = world.sync().status.stars
    assert counts is not None
    assert (counts.found, counts.matched, counts.mirrored, counts.unstarred) == (3, 3, 3, 0)
    assert not world.cluster.resources["repositorymirrors", f"team/{name_of(2)}"]["metadata"]["ownerReferences"]


async def test_where_nothing_changes_each_poll_is_one_free_request_and_a_write_a_minute() -> None:
    world = listed(250)
    await world.look()
    calls, applied = world.github.calls.copy(), world.cluster.calls["apply"]
    writes = len(world.cluster.writes)
    for _ in range(60):
        await world.poll(after=62)
    assert world.github.calls["page"] - calls["page"] == 60
    assert world.github.calls["unchanged"] - calls["unchanged"] == 60
    assert {name for name in world.github.calls if world.github.calls[name] != calls[name]} == {"page", "unchanged"}
    assert world.cluster.calls["apply"] == applied
    assert len(world.cluster.writes) - writes <= 60
    assert all(set(write) <= {"lastPollTime", "rateLimit"} for write in world.cluster.writes[writes:])


async def test_a_new_star_costs_one_page_and_many_new_ones_as_many_as_they_fill() -> None:
    world = listed(350)
    await world.look()
    pages = world.github.calls["page"]
    world.github.star(1001)
    await world.poll()
    assert 1001 in world.ids
    assert world.github.calls["page"] - pages == 1
    pages = world.github.calls["page"]
    world.github.star(*range(2001, 2231))
    await world.poll()
    assert set(range(2001, 2231)) <= world.ids
    assert world.github.calls["page"] - pages == 3
    assert world.github.calls["repository_by_id"] == 0


async def test_a_filter_decides_what_is_made_and_takes_nothing_away() -> None:
    world = listed(3)
    await world.look()
    world.declare(filter={"include": ["o/r1"]})
    world.github.star(4)
    await world.poll()
    assert world.ids == {1, 2, 3}
    counts = world.sync().status.stars
    assert counts is not None
    assert (counts.found, counts.matched) == (4, 1)


async def test_a_changed_template_changes_the_mirrors_once_and_a_persons_word_stays() -> None:
    world = listed(2)
    await world.look()
    applied = world.cluster.calls["apply"]
    world.declare(template={"target": {"serverRef": {"name": "default"}}, "interval": "1h"})
    await world.poll()
    assert {one.spec.interval for one in world.mirrors.values()} == {timedelta(hours=1)}
    assert world.cluster.calls["apply"] - applied == 2
    await world.poll()
    assert world.cluster.calls["apply"] - applied == 2


async def test_a_renamed_repository_keeps_its_mirror_and_its_project() -> None:
    world = listed(2)
    await world.look()
    world.github.rows = [row(2, "new/name"), row(1)]
    await world.poll()
    assert world.mirrors.keys() == {name_of(1), name_of(2)}
    renamed = world.mirrors[name_of(2)]
    assert (renamed.spec.source.repository, renamed.spec.target.project) == ("new/name", "o/r2")


async def test_a_mirror_that_somebody_deleted_is_made_again_while_the_star_is_there() -> None:
    world = listed(2)
    await world.look()
    one = world.mirrors[name_of(1)]
    await world.cluster.delete_resource("repositorymirrors", one.key, one.metadata.uid)
    await world.poll()
    assert world.ids == {1, 2}


async def test_a_mirror_that_a_person_wrote_is_labelled_and_no_more() -> None:
    world = listed(0, onUnstar="Delete", unstarGracePeriod="0s")
    world.by_hand("mine", "o/r1", 1)
    world.by_hand("fresh", "O/R2")
    world.github.star(1, 2)
    before = {name: one.spec for name, one in world.mirrors.items()}
    await world.look()
    assert {name: one.spec for name, one in world.mirrors.items()} == before
    assert OURS in world.mirrors["mine"].metadata.labels
    assert OURS in world.mirrors["fresh"].metadata.labels
    assert names.SYNC not in world.mirrors["mine"].metadata.labels
    assert not world.cluster.resources["repositorymirrors", "team/mine"]["metadata"]["ownerReferences"]
    world.github.unstar(1)
    for _ in range(4):
        await world.poll()
    assert world.mirrors.keys() == {"mine", "fresh"}
    assert OURS not in world.mirrors["mine"].metadata.labels


@pytest.mark.parametrize(("policy", "kept"), [("Keep", True), ("Archive", False), ("Delete", False)])
async def test_an_unstarred_repository(policy: str, kept: bool) -> None:
    world = listed(3, onUnstar=policy, unstarGracePeriod="10m")
    await world.look()
    world.github.unstar(2)
    await world.poll()
    assert world.ids == {1, 2, 3}
    assert (OURS in world.mirrors[name_of(2)].metadata.annotations) is not kept
    counts = world.sync().status.stars
    assert counts is not None
    assert counts.unstarred == 1
    await world.poll(after=300)
    assert world.ids == {1, 2, 3}
    await world.poll(after=400)
    await world.poll()
    assert world.ids == ({1, 2, 3} if kept else {1, 3})
    if not kept:
        assert world.ready()[:2] == ("True", "Synced")


async def test_the_policy_is_on_the_mirror_with_its_finalizer_before_it_is_deleted() -> None:
    world = listed(2, onUnstar="Archive", unstarGracePeriod="0s")
    await world.look()
    world.github.unstar(2)
    seen = await deletions(world)
    (body,) = seen
    assert body["spec"]["deletionPolicy"] == "Archive"
    assert body["metadata"]["finalizers"] == [names.FINALIZER]


async def test_a_star_given_again_within_the_grace_period_cancels() -> None:
    world = listed(3, onUnstar="Delete", unstarGracePeriod="10m")
    await world.look()
    world.github.unstar(2)
    await world.poll()
    assert OURS in world.mirrors[name_of(2)].metadata.annotations
    world.github.star(2)
    await world.poll()
    assert OURS not in world.mirrors[name_of(2)].metadata.annotations
    for _ in range(20):
        await world.poll()
    assert world.ids == {1, 2, 3}


async def test_no_jump_of_the_clock_cuts_a_grace_period_short_or_holds_up_a_poll() -> None:
    world = listed(3, onUnstar="Delete", unstarGracePeriod="10m")
    await world.look()
    world.github.unstar(2)
    await world.poll()
    assert OURS in world.mirrors[name_of(2)].metadata.annotations
    world.clock.jump = timedelta(days=3)
    await world.poll()
    world.github.star(4)
    await world.poll()
    assert world.ids == {1, 2, 3, 4}
    world.clock.jump = -timedelta(days=3)
    world.github.star(5)
    await world.poll()
    assert world.ids == {1, 2, 3, 4, 5}
    world.clock.jump = timedelta(0)
    for _ in range(8):
        await world.poll()
    assert world.ids == {1, 3, 4, 5}


async def test_a_repository_that_is_gone_or_hidden_was_not_unstarred() -> None:
    world = listed(3, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    world.github.unstar(2)
    del world.github.there[2]
    for _ in range(10):
        await world.poll()
    assert world.ids == {1, 2, 3}
    assert not world.mirrors[name_of(2)].metadata.annotations
    assert world.github.calls["repository_by_id"] == 1
    world.github.there[2] = "o/r2"
    await world.poll(after=25 * 3600)
    for _ in range(3):
        await world.poll()
    assert world.ids == {1, 3}, "it was only hidden"


async def test_what_github_still_calls_starred_is_not_unstarred_whatever_its_list_says() -> None:
    world = listed(2, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    rows = world.github.rows

    async def is_starred(full_name: str) -> bool:
        return True

    world.github.is_starred = is_starred  # type: ignore[method-assign]
    world.github.rows = rows[1:]
    for _ in range(5):
        await world.poll()
    assert world.ids == {1, 2}


async def test_too_many_at_once_are_not_marked_until_somebody_approves_just_these() -> None:
    world = listed(40, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    world.github.unstar(*range(1, 11))
    for _ in range(4):
        await world.poll()
    status, reason, message = world.ready()
    assert (status, reason) == ("False", "MassDisappearance")
    assert "10 of 40" in message
    assert len(world.ids) == 40
    assert not any(one.metadata.annotations for one in world.mirrors.values())
    world.annotate(approve=message.partition("approve=")[2].split(".")[0].strip())
    for _ in range(4):
        await world.poll()
    assert world.ids == set(range(11, 41))
    assert world.ready()[:2] == ("True", "Synced")


async def test_an_empty_answer_takes_nothing_away() -> None:
    world = listed(30, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    rows, world.github.rows = world.github.rows, []
    for _ in range(4):
        await world.poll()
    assert world.ready()[1] == "MassDisappearance"
    assert len(world.ids) == 30
    world.github.rows = rows
    await world.poll()
    assert world.ready()[:2] == ("True", "Synced")


@pytest.mark.parametrize(
    "trouble",
    [
        Retry(Reason.SOURCE_UNAVAILABLE, "GitHub answers 502"),
        Stalled(Reason.SOURCE_AUTHENTICATION_FAILED, "GitHub refuses the token"),
        Waiting(Reason.RATE_LIMITED, "GitHub allows 0 more requests", timedelta(minutes=20)),
    ],
)
async def test_no_error_takes_anything_away_and_all_go_on_after_it(trouble: Exception) -> None:
    world = listed(30, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    world.github.unstar(1, 2)
    world.github.trouble["page"] = trouble
    for _ in range(3):
        await world.poll(after=1300)
    assert len(world.ids) == 30
    status, reason, message = world.ready()
    assert (status, reason, message) == ("False", getattr(trouble, "reason", ""), str(trouble))
    world.github.trouble.clear()
    for _ in range(3):
        await world.poll(after=7200)
    assert world.ready()[:2] == ("True", "Synced")
    assert world.ids == set(range(3, 31))


async def test_a_walk_that_was_cut_is_taken_up_where_it_was_left() -> None:
    world = listed(500)
    left = 3

    def cut() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Retry(Reason.SOURCE_UNAVAILABLE, "cut")

    world.github.between = cut
    await world.look()
    assert world.ready()[1] == "SourceUnavailable"
    assert world.github.calls["page"] == 4
    world.github.between = lambda: None
    await world.poll(after=15)
    assert len(world.ids) == 500
    assert world.github.calls["page"] == 4 + 2 + 5


async def test_another_accounts_token_is_another_list() -> None:
    world = listed(3, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    world.github.me, before = Account(2000, "mallory"), world.github.rows
    world.github.rows = [row(9)]
    for _ in range(3):
        await world.poll(after=3700)
    assert world.ready()[:2] == ("False", "IdentityChanged")
    assert world.ids == {1, 2, 3}
    world.restart()
    await world.look()
    assert world.ids == {1, 2, 3}
    world.github.rows = before
    world.annotate(approve="2000")
    await world.poll()
    assert world.ready()[:2] == ("True", "Synced")
    account = world.sync().status.account
    assert account is not None
    assert account.id == 2000


async def test_two_syncs_share_a_mirror_and_it_stays_until_the_last_lets_go() -> None:
    world = listed(1, onUnstar="Delete", unstarGracePeriod="0s")
    world.declare("others", onUnstar="Delete", unstarGracePeriod="0s")
    other = "srs/team/others"
    await world.look()
    await world.look(other)
    await world.look()
    (shared,) = world.mirrors.values()
    assert {OURS, names.covered_by("srs", "others")} <= shared.metadata.labels.keys()
    assert shared.metadata.labels[names.SYNC] == "srs.stars"
    owners = world.cluster.resources["repositorymirrors", f"team/{name_of(1)}"]["metadata"]["ownerReferences"]
    assert [one["name"] for one in owners] == ["stars", "others"]
    applied = world.cluster.calls["apply"]
    for _ in range(3):
        await world.poll()
        await world.look(other)
    assert world.cluster.calls["apply"] == applied, "they do not fight"
    # The first, which holds it, lets go by a filter of its own list; the other still has it.
    body = world.cluster.resources.pop(("starredrepossyncs", "team/stars"))
    world.store.drop_sync(world.sync())
    del body
    await world.poll(other)
    (shared,) = world.mirrors.values()
    assert shared.metadata.labels[names.SYNC] == "srs.others"


async def test_a_mirror_goes_with_its_sync_only_where_all_that_share_it_would_delete_it() -> None:
    world = listed(1, onUnstar="Delete")
    await world.look()
    place = ("repositorymirrors", f"team/{name_of(1)}")
    assert len(world.cluster.resources[place]["metadata"]["ownerReferences"]) == 1
    world.declare("keeper")
    await world.look("srs/team/keeper")
    await world.poll()
    assert not world.cluster.resources[place]["metadata"]["ownerReferences"]


async def test_a_dry_run_plans_and_touches_nothing() -> None:
    world = listed(3, dryRun=True, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    assert not world.mirrors
    plan = world.sync().status.plan
    assert plan is not None
    assert plan.create == tuple(sorted(map(name_of, (1, 2, 3))))
    status, reason, message = world.ready()
    assert (status, reason) == ("True", "Synced")
    assert "Dry run: 3 mirrors would be made" in message
    world.declare(onUnstar="Delete", unstarGracePeriod="0s")
    await world.poll()
    world.declare(dryRun=True, onUnstar="Delete", unstarGracePeriod="0s")
    world.github.unstar(2)
    for _ in range(3):
        await world.poll()
    plan = world.sync().status.plan
    assert plan is not None
    assert (plan.create, plan.delete) == ((), (name_of(2),))
    assert world.ids == {1, 2, 3}


async def test_a_suspended_sync_asks_nobody() -> None:
    world = listed(1, suspend=True)
    assert await world.look() is None
    assert world.ready("srs/team/stars")[:2] == ("Unknown", "Suspended")
    assert not world.github.calls


async def test_what_the_cluster_refuses_is_named_and_holds_up_nothing_else() -> None:
    world = listed(5)
    world.cluster.refuse = {name_of(3)}
    await world.look()
    assert world.ids == {1, 2, 4, 5}
    status, reason, message = world.ready()
    assert (status, reason) == ("False", "MirrorRefused")
    assert f"RepositoryMirror {name_of(3)}: {name_of(3)} is not legal" in message
    assert world.sync().status.is_true(ConditionType.STALLED)
    world.cluster.refuse = set()
    await world.poll(after=700)
    assert world.ready()[:2] == ("True", "Synced")


async def test_a_name_that_is_another_mirrors_is_left_to_it() -> None:
    world = listed(2)
    world.by_hand(name_of(2), "somebody/else", 77)
    await world.look()
    assert world.mirrors[name_of(2)].spec.source.repository == "somebody/else"
    assert not world.mirrors[name_of(2)].metadata.labels
    status, reason, message = world.ready()
    assert (status, reason) == ("False", "MirrorRefused")
    assert (
        f"o/r2 is not mirrored: the name of its mirror, {name_of(2)}, is that of a mirror of somebody/else" in message
    )


async def test_a_cluster_that_cannot_be_reached_is_the_engines_business() -> None:
    world = listed(5)
    world.cluster.trouble["apply"] = ClusterUnavailable("down")
    with pytest.raises(ClusterUnavailable):
        await world.look()
    world.cluster.trouble.clear()
    await world.look()
    assert len(world.ids) == 5


async def test_a_request_is_handled_once_and_lists_everything() -> None:
    world = listed(250, onUnstar="Delete", unstarGracePeriod="0s")
    await world.look()
    world.github.unstar(1)  # on the last page, where no poll looks
    await world.poll()
    assert not world.mirrors[name_of(1)].metadata.annotations
    world.annotate(requested="now")
    await world.look()
    await world.poll()
    await world.poll()
    assert 1 not in world.ids
    assert world.sync().status.last_handled_reconcile_at == "now"
    assert world.connections.urgencies[Urgency.ASKED] == 1


async def test_polls_are_stretched_where_the_limit_is_short() -> None:
    world = listed(1)
    world.github.limit = RateLimit(20, 5000, build.NOW + timedelta(minutes=50))
    due = await world.look()
    assert due is not None
    assert timedelta(minutes=4) < due - world.clock.now() < timedelta(minutes=6)


async def test_an_installation_lists_in_no_order_so_a_change_is_a_full_listing() -> None:
    world = StarWorld(size=10)
    world.github.mints_tokens = True
    world.github.rows = [row(number) for number in range(1, 31)]
    world.declare("ours", "ownedrepossyncs", owner="o")
    world.github.me = Account(7, "o")
    await world.look("ors/team/ours")
    assert len(world.ids) == 30
    world.github.rows.insert(0, row(40))
    world.github.rows.append(row(41))
    world.github.rows.append(replace(row(42, "stranger/x"), owner_id=8))
    await world.poll("ors/team/ours")
    assert world.ids == {*range(1, 31), 40, 41}


async def test_a_repository_that_left_its_owner_counts_as_unstarred() -> None:
    world = StarWorld()
    world.github.star(1, 2)
    world.github.me = Account(7, "o")
    world.declare("ours", "ownedrepossyncs", owner="o", onUnstar="Delete", unstarGracePeriod="0s")
    await world.look("ors/team/ours")
    world.github.unstar(1)
    for _ in range(3):
        await world.poll("ors/team/ours")
    assert world.ids == {1, 2}, "GitHub still says that it is o's"
    world.github.there[1] = "elsewhere/r1"
    world.annotate("ours", "ownedrepossyncs", requested="again")
    for _ in range(3):
        await world.poll("ors/team/ours")
    assert world.ids == {2}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_comes_and_goes_while_pages_are_walked(data: st.DataObject) -> None:
    """No repository is missed once the list holds still, and none whose star was always there is ever touched."""

    async def play() -> None:
        world = listed(
            data.draw(st.integers(5, 30)),
            size=data.draw(st.integers(2, 7)),
            onUnstar="Delete",
            unstarGracePeriod="0s",
            maxPrunePercent=100,
        )
        safe = {one.id for one in world.github.rows if one.id % 2}
        fresh = iter(range(1000, 2000))

        flip = st.booleans()

        def meddle() -> None:
            if data.draw(flip):
                world.github.star(next(fresh))
            loose = [one.id for one in world.github.rows if one.id not in safe]
            if data.draw(flip) and loose:
                world.github.unstar(loose[data.draw(st.integers(0, len(loose) - 1))])

        world.github.between = meddle
        taken: list[str] = []
        forget = world.cluster.gone

        def gone(body: dict[str, Any]) -> None:
            taken.append(body["metadata"]["name"])
            forget(body)

        world.cluster.gone = gone
        for _ in range(data.draw(st.integers(1, 6))):
            await world.look(times=60)
            world.clock.advance(70)
        world.github.between = lambda: None
        for _ in range(3):
            world.annotate(requested=str(next(fresh)))
            await world.look(times=60)
            world.clock.advance(70)
        starred = {one.id for one in world.github.rows}
        assert world.ids == starred
        assert {name_of(number) for number in safe}.isdisjoint(taken)

    asyncio.run(play())
