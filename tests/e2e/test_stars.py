"""Star it and it is mirrored; take the star back, and only what was agreed happens."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from .conftest import MakeWorld
from .fan import Fan
from .world import GROUP, World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]

GONE_AT_ONCE: dict[str, Any] = {"unstarGracePeriod": "0s", "maxPrunePercent": 100}


@pytest.fixture(scope="module")
def sky(make_world: MakeWorld) -> World:
    """A namespace for syncs, where no mirror is another test's."""
    return make_world("sky")


def test_what_is_starred_is_mirrored_and_follows_its_repository(sky: World) -> None:
    fan = Fan.of(sky, "mona", "first-star", suspended=False)
    fan.sync(interval="10s")
    fan.wait_mirrors("first-star")
    sky.repository("later-star")
    fan.star("later-star")  # and nobody asks for anything
    fan.wait_mirrors("first-star", "later-star")
    before = fan.mirrors()
    for name, mirror in before.items():
        sky.wait_ready(mirror["metadata"]["name"])
        sky.wait_synced(f"e2e-{name}", f"e2e/{name}")
    status = fan.wait_ready()
    assert status["account"]["login"] == "mona"
    assert (status["stars"]["found"], status["stars"]["matched"], status["stars"]["mirrored"]) == (2, 2, 2)

    sky.github.act("rename_repository", repository="e2e/first-star", to="e2e/renamed-star")
    fan.ask()
    fan.wait_mirrors("renamed-star", "later-star")
    after = fan.mirrors()["renamed-star"]
    assert after["metadata"]["uid"] == before["first-star"]["metadata"]["uid"]
    assert after["spec"]["target"]["project"] == "e2e/first-star"
    assert "e2e/renamed-star" not in sky.projects()


def test_a_star_that_is_taken_back_under_each_policy(sky: World) -> None:
    fans = {}
    for policy in ("Keep", "Archive", "Delete"):
        name = policy.lower()
        fans[policy] = Fan.of(sky, name, f"{name}-goes", f"{name}-stays", suspended=False)
        fans[policy].sync(onUnstar=policy, **GONE_AT_ONCE)
    commits = {}
    for policy, fan in fans.items():
        name = policy.lower()
        fan.wait_mirrors(f"{name}-goes", f"{name}-stays")
        for mirror in fan.mirrors().values():
            sky.wait_ready(mirror["metadata"]["name"])
        commits[policy] = sky.target_refs(f"sky/e2e/{name}-goes")
        assert commits[policy]
        fan.unstar(f"{name}-goes")
    for fan in fans.values():
        fan.ask()  # which marks what is gone
    assert fans["Keep"].status["stars"]["unstarred"] == 1
    for fan in fans.values():
        fan.ask()  # which confirms it
    fans["Archive"].wait_mirrors("archive-stays")
    fans["Delete"].wait_mirrors("delete-stays")
    fans["Keep"].wait_mirrors("keep-goes", "keep-stays")
    eventually("nothing is left to be removed", lambda: not _going(sky))
    projects = sky.projects()
    assert "sky/e2e/delete-goes" not in projects
    assert sky.target_refs("sky/archived/e2e/archive-goes") == commits["Archive"]
    assert sky.target_refs("sky/e2e/keep-goes") == commits["Keep"]
    assert {f"sky/e2e/{policy.lower()}-stays" for policy in fans} <= set(projects)


def _going(world: World) -> list[str]:
    return [one["metadata"]["name"] for one in world.items("rmir") if "deletionTimestamp" in one["metadata"]]


def test_a_star_given_again_within_the_grace_period_cancels(sky: World) -> None:
    fan = Fan.of(sky, "fickle", "loved")
    fan.sync(onUnstar="Delete")
    fan.wait_mirrors("loved")
    before = fan.mirrors()["loved"]
    fan.unstar("loved")
    fan.ask()
    eventually("it is marked", lambda: fan.marks() == {"loved"})
    fan.star("loved")
    fan.ask()
    eventually("the mark is gone", lambda: not fan.marks())
    assert fan.mirrors()["loved"]["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_mirror_of_a_person_is_labelled_and_outlives_its_star(sky: World) -> None:
    fan = Fan.of(sky, "guest", "mine")
    sky.mirror("my-own", "e2e/mine", interval="1h")
    fan.sync(onUnstar="Delete", **GONE_AT_ONCE)
    fan.wait_mirrors("mine")
    mine = fan.mirrors()["mine"]
    assert mine["metadata"]["name"] == "my-own"
    assert (mine["spec"]["interval"], mine["spec"]["suspend"]) == ("1h", False)
    assert "ownerReferences" not in mine["metadata"]
    fan.unstar("mine")
    fan.ask()
    fan.ask()
    fan.wait_mirrors()
    assert sky.get("rmir", "my-own")["metadata"]["uid"] == mine["metadata"]["uid"]


def test_two_syncs_share_a_mirror_until_the_last_lets_go(sky: World) -> None:
    one = Fan.of(sky, "one", "shared")
    two = Fan.of(sky, "two")
    two.star("shared")
    one.sync({"interval": "1h"}, onUnstar="Delete", **GONE_AT_ONCE)
    one.wait_mirrors("shared")
    two.sync({"interval": "2h"}, onUnstar="Delete", **GONE_AT_ONCE)
    two.wait_mirrors("shared")
    before = one.mirrors()["shared"]
    assert before["metadata"]["uid"] == two.mirrors()["shared"]["metadata"]["uid"]
    assert before["spec"]["interval"] == "1h"
    one.unstar("shared")
    one.ask()
    one.ask()
    one.wait_mirrors()
    two.ask()
    eventually("the other's settings hold", lambda: two.mirrors()["shared"]["spec"]["interval"] == "2h")
    assert two.mirrors()["shared"]["metadata"]["uid"] == before["metadata"]["uid"]
    two.unstar("shared")
    two.ask()
    two.ask()
    two.wait_mirrors()
    eventually("nobody wants it", lambda: before["metadata"]["name"] not in _names(sky))


def _names(world: World) -> list[str]:
    return [one["metadata"]["name"] for one in world.items("rmir")]


def test_a_dry_run_plans_a_pause_asks_nobody_and_a_filter_chooses(sky: World) -> None:
    fan = Fan.of(sky, "careful", "wanted", "unwanted")
    filtered: dict[str, Any] = {"filter": {"expression": '!repository.name.startsWith("un")'}}
    fan.sync(dryRun=True, **filtered)
    plan = fan.wait_ready()["plan"]
    assert [name.rpartition("-")[0].rpartition("-")[0] for name in plan["create"]] == ["e2e-wanted"]
    assert not fan.mirrors()
    fan.sync(suspend=True, **filtered)
    eventually(
        "it rests", lambda: sky.get("srs", fan.name)["metadata"]["generation"] == fan.status["observedGeneration"]
    )
    seen = len(sky.github.requests(path="/user/starred"))
    sky.ask(fan.name, kind="srs")
    fan.sync(**filtered)
    fan.wait_mirrors("wanted")
    assert "plan" not in fan.status
    assert len(sky.github.requests(path="/user/starred")) > seen


def test_what_is_wrong_is_named_with_what_to_do(sky: World) -> None:
    fans = {name: Fan.of(sky, name) for name in ("starless", "revoked", "narrow-scope", "nobody", "typo", "greedy")}
    fans["clash"] = Fan.of(sky, "clash", "same")
    sky.github.act("create_repository", repository="elsewhere/same")
    sky.github.act("star", login="clash", repository="elsewhere/same")
    for name in ("typo", "greedy"):
        fans[name].star("same")
    sky.github.act("revoke_token", token=fans["revoked"].token)
    sky.github.act("add_token", token=fans["narrow-scope"].token, login="narrow-scope", permissions=["metadata"])
    fans["nobody"].sync(user="nobody-of-that-name")
    fans["typo"].sync(filter={"expression": "repository.stars >\n  repository.nonsense"})
    costly = "[1,2,3,4,5,6,7,8,9]"
    fans["greedy"].sync(filter={"expression": _nested(costly)})
    fans["clash"].sync(projectTemplate="all/{name}")
    for name in ("starless", "revoked", "narrow-scope"):
        fans[name].sync()
    fans["revoked"].wait_failed("SourceAuthenticationFailed", "token", "revoked")
    fans["narrow-scope"].wait_failed("SourceAuthenticationFailed", "Starring")
    fans["nobody"].wait_failed("UserNotFound", "nobody-of-that-name", "spec.user")
    fans["typo"].wait_failed("InvalidExpression", "line 2", "nonsense")
    fans["greedy"].wait_failed("ExpressionTooCostly", "spec.filter.expression")
    clash = fans["clash"].wait_failed("ProjectCollision", "all/same", "projectTemplate")
    assert "elsewhere/same" in clash["message"]
    assert [one["spec"]["source"]["repository"] for one in fans["clash"].mirrors().values()] == ["e2e/same"]
    assert fans["starless"].wait_ready()["stars"]["found"] == 0
    assert not any(fans[name].mirrors() for name in ("starless", "revoked", "narrow-scope", "nobody", "typo", "greedy"))
    # Mended, and all is well.
    fans["typo"].sync(filter={"expression": "repository.stars >= 0"})
    fans["typo"].wait_mirrors("same")


def _nested(values: str) -> str:
    return f"{values}.all(a, {values}.all(b, {values}.all(c, {values}.all(d, a + b + c + d > 0))))"


def test_the_token_of_somebody_else_is_not_taken_for_an_answer(sky: World) -> None:
    fan = Fan.of(sky, "pinned", "treasure")
    fan.sync(onUnstar="Delete", **GONE_AT_ONCE)
    fan.wait_ready()
    pinned = fan.status["account"]["id"]
    sky.github.act("hand_token", token=fan.token, login="usurper")
    sky.ask(fan.name, kind="srs")
    refused = fan.wait_failed("IdentityChanged", "usurper", "pinned", str(pinned), "Nothing was made or removed")
    assert fan.mirrors().keys() == {"treasure"}
    assert not fan.marks()
    fan.approve(refused["message"].rpartition("approve=")[2].split()[0])
    fan.wait_ready()
    assert fan.status["account"]["login"] == "usurper"


def test_many_that_are_gone_at_once_wait_for_a_person(sky: World) -> None:
    names = [f"mass-{number}" for number in range(4)]
    fan = Fan.of(sky, "leaver", *names)
    fan.sync(onUnstar="Delete", unstarGracePeriod="0s")
    fan.wait_mirrors(*names)
    fan.unstar(*names[1:])
    sky.ask(fan.name, kind="srs")
    blocked = fan.wait_failed("MassDisappearance", "3 of 4", "spec.maxPrunePercent")
    assert fan.mirrors().keys() == set(names)
    assert not fan.marks()
    fan.approve(blocked["message"].partition("approve=")[2].split()[0].rstrip("."))
    eventually("they are marked or gone", lambda: fan.marks() or fan.mirrors().keys() == set(names[:1]))
    fan.ask()
    fan.wait_mirrors(names[0])
    fan.wait_ready()


@contextmanager
def trouble(world: World, **fault: object) -> Iterator[None]:
    with world.github.fault(path="/user/starred", **fault):
        yield


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"status": 502, "body": "<html>Unicorn!</html>"}, "SourceUnavailable"),
        ({"cut_after": 40}, "SourceUnavailable"),
        ({"status": 200, "body": "[]", "headers": {"Content-Type": "application/json; charset=utf-8"}}, ""),
    ],
    ids=["5xx", "cut", "empty"],
)
def test_no_bad_answer_takes_a_mirror_away(sky: World, fault: dict[str, object], reason: str) -> None:
    name = f"calm-{reason.lower() or 'empty'}-{len(fault)}"
    fan = Fan.of(sky, name, f"{name}-a", f"{name}-b")
    fan.sync(onUnstar="Delete", **GONE_AT_ONCE)
    fan.wait_ready()
    with trouble(sky, **fault):
        for _ in range(2):
            sky.ask(fan.name, kind="srs")
            if reason:
                fan.wait_failed(reason)
            else:
                fan.ask()
    assert not fan.marks()
    fan.ask()
    fan.wait_ready()
    assert fan.mirrors().keys() == {f"{name}-a", f"{name}-b"}


def test_a_controller_that_is_killed_makes_each_mirror_once(make_world: MakeWorld) -> None:
    busy = make_world("busy")
    fan = Fan.of(busy, "collector")
    made = busy.github.act("create_many", count=1000, owner_prefix="crowd", starred_by=fan.name, private=False)
    fan.sync()
    seen: dict[str, str] = {}
    for enough in (100, 500):
        eventually(f"{enough} are made", partial(_has, busy, enough))
        busy.controller.kill()
        found = {one["metadata"]["name"]: one["metadata"]["uid"] for one in busy.items("rmir")}
        assert seen.items() <= found.items()
        seen = found
        assert len(seen) < len(made), "killed too late"
        busy.controller.start()
    busy.controller.wait_until_ready()
    assert fan.wait_ready()["stars"]["mirrored"] == len(made)
    mirrors = busy.items("rmir")
    assert sorted(one["spec"]["source"]["repository"] for one in mirrors) == sorted(made)
    assert seen.items() <= {one["metadata"]["name"]: one["metadata"]["uid"] for one in mirrors}.items()
    assert all(f"{GROUP}/repository-id" in one["metadata"]["labels"] for one in mirrors)


def _has(world: World, mirrors: int) -> bool:
    return len(world.kubectl("get", "rmir", "-o", "name").split()) >= mirrors
