"""What GitHub tells by GraphQL alone, over real HTTP."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from github_onedev_sync.adapters.credentials import Anonymous, Credentials, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.adapters.github_budget import CORE, GRAPHQL
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from tests.stand_ins.github import GitHubStandIn

from .conftest import APP, GITHUB_TOKEN, PRIVATE, PUBLIC, PUBLIC_PEM, Clock

Connect = Callable[[Credentials], GitHub]
PAGE = {"hasNextPage": False, "endCursor": None}


@pytest.fixture
def github(github_as: Connect) -> GitHub:
    return github_as(Token(GITHUB_TOKEN))


async def node_ids(github: GitHub, *names: str) -> list[str]:
    found = [(await github.repository(name)).node_id for name in names]
    return [one for one in found if one]


def says(stand_in: GitHubStandIn, answer: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
    body = answer if isinstance(answer, str) else json.dumps(answer)
    stand_in.faults.add(path="/graphql$", status=status, body=body, headers=headers or {})


def error(message: str, kind: str = "", **more: Any) -> Mapping[str, Any]:
    return {"data": None, "errors": [{"message": message, **({"type": kind} if kind else {}), **more}]}


# ---- changes


async def test_a_repository_is_as_rest_tells_it(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.commit(PUBLIC)
    await github_stand_in.set_metadata(PRIVATE, archived=True, disabled=True)
    ids = await node_ids(github, PUBLIC, PRIVATE)
    found = await github.changes(ids)
    for node_id, name in zip(ids, (PUBLIC, PRIVATE), strict=True):
        told, change = await github.repository(name), found[node_id]
        assert (change.id, change.full_name, change.pushed_at) == (told.id, name, told.pushed_at)
        assert (change.archived, change.private, change.disabled) == (told.archived, told.private, told.disabled)
    assert found[ids[0]].default_branch == "main"
    assert found[ids[1]].default_branch == ""  # nobody has pushed to it


async def test_what_changes_is_seen(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.commit(PUBLIC)
    (node_id,) = await node_ids(github, PUBLIC)
    before = (await github.changes([node_id]))[node_id]
    await github_stand_in.rename_repository(PUBLIC, "acme/renamed")
    await github_stand_in.create_branch("acme/renamed", "trunk")
    await github_stand_in.set_default_branch("acme/renamed", "trunk")
    after = (await github.changes([node_id]))[node_id]
    assert (after.id, after.full_name, after.default_branch) == (before.id, "acme/renamed", "trunk")


async def test_those_that_are_gone_or_hidden_are_left_out(
    github: GitHub, github_stand_in: GitHubStandIn, github_as: Connect
) -> None:
    await github_stand_in.create_repository("octo/blocked")
    await github_stand_in.create_repository("octo/deleted")
    ids = await node_ids(github, PUBLIC, PRIVATE, "octo/blocked", "octo/deleted")
    await github_stand_in.set_metadata("octo/blocked", block_status=451)
    await github_stand_in.delete_repository("octo/deleted")
    await github_stand_in.add_token("narrow", "mona", repositories=[])
    assert set(await github_as(Token("narrow")).changes([*ids, "nonsense"])) == {ids[0]}


async def test_a_hundred_are_one_request(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    names = await github_stand_in.create_many(100)
    ids = await node_ids(github, *names)
    before = len(github_stand_in.journal.entries())
    assert [one.full_name for one in (await github.changes(ids)).values()] == names
    assert await github.changes([]) == {}
    assert len(github_stand_in.journal.entries()) == before + 1
    assert github.rate_limits[GRAPHQL].remaining < github.rate_limits[GRAPHQL].limit


async def test_an_app_asks_as_its_installation(github_stand_in: GitHubStandIn, github_as: Connect) -> None:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id, [PRIVATE])
    app = github_as(APP)
    ids = await node_ids(app, PUBLIC, PRIVATE)
    assert set(await app.changes(ids)) == set(ids)


async def test_a_server_of_one_s_own_has_it_elsewhere(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    adapter = GitHub(github_stand_in.url + "/api/v3", Token(GITHUB_TOKEN), clock=clock)
    await adapter.changes(await node_ids(adapter, PUBLIC))
    assert [entry.path for entry in github_stand_in.journal.entries()][-1] == "/api/graphql"
    await adapter.close()


async def test_without_a_token_nothing_is_told(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    anonymous = github_as(Anonymous())
    for call in (anonymous.changes(["R_1"]), anonymous.star_lists("octocat")):
        with pytest.raises(Stalled, match=r"set spec\.source\.secretRef") as caught:
            await call
        assert caught.value.reason is Reason.SOURCE_AUTHENTICATION_FAILED
    assert not github_stand_in.journal.entries()


@pytest.mark.parametrize("locked", [{"isLocked": True}, {"isDisabled": True}])
async def test_what_is_locked_is_disabled(
    github: GitHub, github_stand_in: GitHubStandIn, locked: dict[str, bool]
) -> None:
    says(github_stand_in, {"data": {"nodes": [{"databaseId": 7, "nameWithOwner": "a/b", **locked}]}})
    assert (await github.changes(["R_7"]))["R_7"].disabled


# ---- star lists


async def test_lists_go_by_name_and_by_slug(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.create_list("octocat", "My Tools", [PUBLIC, PRIVATE])
    await github_stand_in.create_list("octocat", "Empty", [])
    both = frozenset([(await github.repository(name)).id for name in (PUBLIC, PRIVATE)])
    for user in (None, "octocat"):
        assert await github.star_lists(user) == {
            "My Tools": both,
            "my-tools": both,
            "Empty": frozenset(),
            "empty": frozenset(),
        }


async def test_a_name_goes_before_another_list_s_slug(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    def listed(name: str, slug: str, number: int) -> dict[str, Any]:
        items = {"nodes": [{"databaseId": number}], "pageInfo": PAGE}
        return {"id": f"UL_{number}", "name": name, "slug": slug, "items": items}

    lists = {"nodes": [listed("tools", "tools-1", 1), listed("Tools", "tools", 2), None], "pageInfo": PAGE}
    says(github_stand_in, {"data": {"owner": {"lists": lists}}})
    one, two = frozenset({1}), frozenset({2})
    assert await github.star_lists(None) == {"tools": one, "tools-1": one, "Tools": two}


async def test_long_lists_and_many(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    names = await github_stand_in.create_many(230, private=False)
    await github_stand_in.create_list("octocat", "all", names)
    for number in range(101):
        await github_stand_in.create_list("octocat", f"list {number}", [])
    found = await github.star_lists(None)
    assert len(found["all"]) == 230
    assert "list-100" in found
    assert len(github_stand_in.journal.entries(path="/graphql")) == 2 + 2


async def test_somebody_else_s_lists(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.declare_user("mona")
    await github_stand_in.create_list("mona", "Open", [PUBLIC])
    await github_stand_in.create_list("mona", "Secret", [PUBLIC], private=True)
    assert set(await github.star_lists("mona")) == {"Open", "open"}
    with pytest.raises(Stalled, match="GitHub knows no user or organisation nobody") as caught:
        await github.star_lists("nobody")
    assert caught.value.reason is Reason.USER_NOT_FOUND


async def test_a_token_that_may_not_read_them(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.add_token("narrow", "octocat", permissions=[])
    with pytest.raises(Stalled, match=r"\(the user permission Starring: read\)") as caught:
        await github_as(Token("narrow")).star_lists(None)
    assert caught.value.reason is Reason.SOURCE_AUTHENTICATION_FAILED


async def test_a_list_that_goes_away_while_it_is_read(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    items = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}
    one = {"id": "UL_1", "name": "a", "slug": "a", "items": items}
    says(github_stand_in, {"data": {"owner": {"lists": {"nodes": [one], "pageInfo": PAGE}}}})
    says(github_stand_in, {"data": {"list": None}})
    with pytest.raises(Retry, match="went away while it was read"):
        await github.star_lists(None)


async def test_pages_without_end(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    page = {"nodes": [], "pageInfo": {"hasNextPage": True, "endCursor": "x"}}
    for _ in range(2):
        says(github_stand_in, {"data": {"owner": {"lists": page}}})
    with pytest.raises(Retry, match="its pages have no end"):
        await github.star_lists(None)


# ---- errors


@pytest.mark.parametrize(
    ("answer", "policy", "reason", "said"),
    [
        (error("Field 'lists' doesn't exist on type 'User'", extensions={"code": "undefinedField"}), Stalled,
         Reason.NOT_SUPPORTED, "does not know the star lists of mona: Field 'lists' doesn't exist on type 'User'"),
        (error("No such type UserList", extensions={"code": "undefinedType"}), Stalled, Reason.NOT_SUPPORTED, "type"),
        (error("Resource not accessible", "FORBIDDEN"), Stalled, Reason.SOURCE_AUTHENTICATION_FAILED, "Starring: read"),
        (error("Needs user scope", "INSUFFICIENT_SCOPES"), Stalled, Reason.SOURCE_AUTHENTICATION_FAILED, "user scope"),
        (error("Something went wrong\nwhile executing"), Retry, Reason.SOURCE_UNAVAILABLE, "wrong while executing"),
        (error("Resource limits exceeded", "RESOURCE_LIMITS_EXCEEDED"), Retry, Reason.SOURCE_UNAVAILABLE, "limits"),
        ({"data": {"owner": None}}, Retry, Reason.SOURCE_UNAVAILABLE, "it holds nothing"),
        ({"data": {"owner": None}, "errors": [{"message": "x", "type": "FORBIDDEN"}]}, Stalled,
         Reason.SOURCE_AUTHENTICATION_FAILED, "denies access to the star lists of mona: x"),
        ({}, Retry, Reason.SOURCE_UNAVAILABLE, "it holds nothing"),
        ({"data": {"owner": {}}}, Retry, Reason.SOURCE_UNAVAILABLE, "is no answer of GraphQL"),
        ({"data": []}, Retry, Reason.SOURCE_UNAVAILABLE, "is no answer of GraphQL"),
        ({"errors": "x"}, Retry, Reason.SOURCE_UNAVAILABLE, "is no answer of GraphQL"),
        ("", Retry, Reason.SOURCE_UNAVAILABLE, "is no answer of GraphQL"),
        ("<html>", Retry, Reason.SOURCE_UNAVAILABLE, "is spec.source.apiURL right?"),
    ],
)  # fmt: skip
async def test_errors_within_an_answer_of_200(
    github: GitHub, github_stand_in: GitHubStandIn, answer: Any, policy: type[SyncError], reason: Reason, said: str
) -> None:
    says(github_stand_in, answer)
    with pytest.raises(SyncError) as caught:
        await github.star_lists("mona")
    assert (type(caught.value), caught.value.reason) == (policy, reason)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("status", "body", "policy", "reason"),
    [
        (401, '{"message": "Bad credentials"}', Stalled, Reason.SOURCE_AUTHENTICATION_FAILED),
        (403, '{"message": "Resource not accessible"}', Stalled, Reason.SOURCE_AUTHENTICATION_FAILED),
        (404, '{"message": "Not Found"}', Stalled, Reason.NOT_SUPPORTED),
        (502, '{"message": "Something went wrong"}', Retry, Reason.SOURCE_UNAVAILABLE),
        (301, "", Retry, Reason.SOURCE_UNAVAILABLE),
    ],
)
async def test_other_answers(
    github: GitHub, github_stand_in: GitHubStandIn, status: int, body: str, policy: type[SyncError], reason: Reason
) -> None:
    says(github_stand_in, body, status, {"Location": f"{github_stand_in.url}/elsewhere"})
    with pytest.raises(SyncError) as caught:
        await github.changes(["R_1"])
    assert (type(caught.value), caught.value.reason) == (policy, reason)
    assert len(github_stand_in.journal.entries()) == 1


@pytest.mark.parametrize("nodes", [[], [None, None], [{"databaseId": 7}], [{"databaseId": 0, "nameWithOwner": "a/b"}]])
async def test_a_state_that_is_none(github: GitHub, github_stand_in: GitHubStandIn, nodes: list[Any]) -> None:
    says(github_stand_in, {"data": {"nodes": nodes}})
    with pytest.raises(Retry, match="The answer for the state of 1 repositories is not GitHub's"):
        await github.changes(["R_1"])


async def test_a_used_up_limit_is_told_within_200_and_stops_graphql_alone(
    github: GitHub, github_stand_in: GitHubStandIn, clock: Clock
) -> None:
    reset = str(int(clock().timestamp()) + 1200)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "5000", "X-RateLimit-Reset": reset}
    says(github_stand_in, error("API rate limit exceeded for user ID 7.", "RATE_LIMITED"), headers=headers)
    for _ in range(2):
        with pytest.raises(Waiting) as caught:
            await github.changes(["R_1"])
        assert 1190 < caught.value.after.total_seconds() <= 1200
    assert len(github_stand_in.journal.entries()) == 1
    assert (await github.repository(PUBLIC)).full_name == PUBLIC
    assert github.rate_limits[GRAPHQL].remaining == 0
    assert github.rate_limits[CORE].remaining > 0


async def test_a_secondary_limit_within_200_stops_all(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    says(github_stand_in, error("You have exceeded a secondary rate limit."), headers={"Retry-After": "30"})
    with pytest.raises(Waiting) as caught:
        await github.changes(["R_1"])
    assert caught.value.after.total_seconds() == 30
    with pytest.raises(Waiting):
        await github.repository(PUBLIC)
    assert len(github_stand_in.journal.entries()) == 1
