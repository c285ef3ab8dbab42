"""Webhooks at GitHub, its log of deliveries, and sending them again: who may see which, and what refusals mean."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from github_onedev_sync.adapters.credentials import Anonymous, Credentials, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from github_onedev_sync.api.hooks import (
    AppHooks,
    Attempt,
    AttemptPage,
    Hook,
    HookList,
    OrganizationHooks,
    RepositoryHooks,
)
from tests.stand_ins.github import GitHubStandIn

from .conftest import APP, GITHUB_TOKEN, PRIVATE, PUBLIC, PUBLIC_PEM

Connect = Callable[[Credentials], GitHub]
OF_PUBLIC, OF_ACME, OF_APP = RepositoryHooks(PUBLIC), OrganizationHooks("acme"), AppHooks()
OWNERS = "owners-token"


@dataclass
class Receiver:
    url: str = ""
    status: int = 202
    taken: int = 0

    async def receive(self, request: web.Request) -> web.Response:
        await request.read()
        self.taken += self.status == 202
        return web.Response(status=self.status)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made, application = Receiver(), web.Application()
    application.router.add_post("/webhook", made.receive)
    async with TestServer(application) as server:
        made.url = str(server.make_url("/webhook"))
        yield made


@pytest.fixture
async def owner(github_stand_in: GitHubStandIn, github_as: Connect) -> GitHub:
    """As the owner of the repositories, who is in the organisation acme as well."""
    await github_stand_in.add_token(OWNERS, "octo")
    await github_stand_in.declare_user("acme", organization=True, members=["octo"])
    return github_as(Token(OWNERS))


@pytest.fixture
async def app(github_stand_in: GitHubStandIn, github_as: Connect) -> GitHub:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id, [PUBLIC])
    return github_as(APP)


async def hooked(stand_in: GitHubStandIn, receiver: Receiver, scope: str = "repository", target: str = PUBLIC) -> int:
    number = await stand_in.add_hook(scope, target, receiver.url, events=["*"])
    await stand_in.settle_deliveries()
    return number


async def push(stand_in: GitHubStandIn, receiver: Receiver, status: int, repository: str = PUBLIC) -> None:
    receiver.status = status
    await stand_in.commit(repository)
    await stand_in.settle_deliveries()


def asked(stand_in: GitHubStandIn) -> list[str]:
    return [entry.path.partition("?")[0] for entry in stand_in.journal.entries()]


# ---- where webhooks lead


async def test_of_a_repository(owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver) -> None:
    assert (await owner.hooks(OF_PUBLIC)).hooks == ()
    number = await hooked(github_stand_in, receiver)
    found = await owner.hooks(OF_PUBLIC)
    assert found.hooks == (Hook(OF_PUBLIC, receiver.url, number),)
    assert await owner.hooks(OF_PUBLIC, found.etag) == HookList(etag=found.etag, unchanged=True)


async def test_of_a_repository_that_was_renamed(
    owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver
) -> None:
    """Under the old name it is found; GitHub is not asked to do anything there, which would be to another address."""
    number = await hooked(github_stand_in, receiver)
    await push(github_stand_in, receiver, 502)
    await github_stand_in.rename_repository(PUBLIC, "octo/renamed")
    (hook,) = (await owner.hooks(OF_PUBLIC)).hooks
    assert hook.id == number
    page = await owner.attempts(hook)
    with pytest.raises(Retry, match="leads to another address"):
        await owner.redeliver(hook, page.rows[-1].id)


async def test_of_an_organisation(owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver) -> None:
    number = await hooked(github_stand_in, receiver, "organization", "acme")
    assert (await owner.hooks(OF_ACME)).hooks == (Hook(OF_ACME, receiver.url, number),)


async def test_of_an_app(app: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver) -> None:
    """It asks as itself."""
    assert "GitHub does not show the App's webhook" in (await app.hooks(OF_APP)).hidden
    await hooked(github_stand_in, receiver, "app", APP.app_id)
    assert (await app.hooks(OF_APP)).hooks == (Hook(OF_APP, receiver.url),)
    assert set(asked(github_stand_in)) == {"/app/hook/config"}


async def test_a_webhook_without_an_address(
    owner: GitHub, app: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver
) -> None:
    rows = [{"id": 1, "config": {}}, {"id": 2}, {"id": 3, "config": {"url": None}}, {"id": 4, "config": {"url": "x"}}]
    github_stand_in.faults.add(path="/hooks", count=1, status=200, body=json.dumps(rows))
    github_stand_in.faults.add(path="/app/hook/config", count=1, status=200, body='{"content_type": "json"}')
    assert (await owner.hooks(OF_PUBLIC)).hooks == (Hook(OF_PUBLIC, "x", 4),)
    assert (await app.hooks(OF_APP)).hooks == ()


# ---- who may not see them


@pytest.mark.parametrize(
    ("granted", "place", "denied"),
    [
        ({"login": "mona"}, OF_PUBLIC, False),
        ({"login": "mona"}, OF_ACME, False),
        ({"login": "octo", "scopes": ["repo"]}, OF_ACME, False),
        ({"login": "octo", "scopes": ["repo:status"]}, OF_PUBLIC, False),
        ({"login": "octo", "permissions": ["contents"]}, OF_PUBLIC, True),
        ({"login": "octo", "permissions": ["contents"]}, OF_ACME, True),
        ({"login": "octo"}, OrganizationHooks("octo"), False),
        ({"login": "octo"}, RepositoryHooks("octo/nothing"), False),
    ],
)
async def test_hidden_is_no_error(
    owner: GitHub,
    github_as: Connect,
    github_stand_in: GitHubStandIn,
    granted: dict[str, Any],
    place: OrganizationHooks | RepositoryHooks,
    denied: bool,
) -> None:
    await github_stand_in.add_token("narrow", **granted)
    found = await github_as(Token("narrow")).hooks(place)
    assert (found.hooks, found.denied) == ((), denied)
    assert f"GitHub does not show the webhooks of {place} to these credentials: that takes the scope" in found.hidden


async def test_without_a_token_all_are_hidden(github_as: Connect) -> None:
    assert (await github_as(Anonymous()).hooks(OF_PUBLIC)).hidden


async def test_a_token_has_no_app(owner: GitHub) -> None:
    with pytest.raises(Stalled, match="Only the Secret of a GitHub App"):
        await owner.hooks(OF_APP)


async def test_a_name_that_is_none_leads_nowhere_else(owner: GitHub, github_stand_in: GitHubStandIn) -> None:
    assert (await owner.hooks(RepositoryHooks("octo/a?b#c"))).hidden
    assert (await owner.hooks(OrganizationHooks("a?b"))).hidden
    assert asked(github_stand_in) == ["/repos/octo/a%3Fb%23c/hooks", "/orgs/a%3Fb/hooks"]


# ---- the log


async def test_the_log_page_by_page(owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver) -> None:
    number = await hooked(github_stand_in, receiver)
    for _ in range(120):
        await github_stand_in.send_event(number, "push", {})
    await github_stand_in.settle_deliveries()
    hook = Hook(OF_PUBLIC, receiver.url, number)
    first = await owner.attempts(hook)
    assert (len(first.rows), bool(first.next), bool(first.etag)) == (100, True, True)
    second = await owner.attempts(hook, first.next)
    assert (len(second.rows), second.next) == (21, "")
    ids = [row.id for row in (*first.rows, *second.rows)]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 121
    assert await owner.attempts(hook, etag=first.etag) == AttemptPage(etag=first.etag, unchanged=True)
    await push(github_stand_in, receiver, 202)
    assert not (await owner.attempts(hook, etag=first.etag)).unchanged


async def test_what_a_row_tells(owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver) -> None:
    number = await hooked(github_stand_in, receiver)
    await push(github_stand_in, receiver, 503)
    page = await owner.attempts(Hook(OF_PUBLIC, receiver.url, number))
    lost, *_, ping = page.rows
    assert (lost.status, lost.taken, lost.redelivery) == (503, False, False)
    assert (ping.status, ping.taken) == (202, True)
    assert len(lost.guid) == 36
    assert timedelta(0) <= datetime.now(UTC) - lost.at < timedelta(minutes=1)
    assert (page.newest, page.oldest) == (lost.at, ping.at)


async def test_an_app_s_other_installations_are_not_ours(
    app: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver
) -> None:
    """Their times still tell how far the log was read."""
    await github_stand_in.create_repository("acme/theirs")
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, 100, ["acme/theirs"])
    await hooked(github_stand_in, receiver, "app", APP.app_id)
    await push(github_stand_in, receiver, 502)
    await push(github_stand_in, receiver, 502, "acme/theirs")
    page = await app.attempts(Hook(OF_APP, receiver.url))
    (hook,) = github_stand_in.hooks
    log = await github_stand_in.delivery_log(hook.id)
    ours = [row["id"] for row in log if row["installation_id"] == APP.installation_id]
    assert [row.id for row in page.rows] == ours
    assert 0 < len(ours) < len(log)
    assert page.newest is not None
    assert page.newest >= page.rows[0].at
    assert await app.redeliver(Hook(OF_APP, receiver.url), ours[0])


async def test_a_webhook_that_went_meanwhile_has_no_log(
    owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver
) -> None:
    hook = Hook(OF_PUBLIC, receiver.url, await hooked(github_stand_in, receiver))
    await github_stand_in.remove_hook(hook.id)
    assert await owner.attempts(hook) == AttemptPage()
    assert not await owner.redeliver(hook, 1)


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"id": 0},
        {"id": "1"},
        {"guid": ""},
        {"guid": "x" * 101},
        {"delivered_at": "yesterday"},
        {"delivered_at": "2026-01-01T00:00:00"},
        {"status_code": "200"},
        [],
    ],
)
async def test_a_log_that_is_none(owner: GitHub, github_stand_in: GitHubStandIn, row: Any) -> None:
    good = {"id": 1, "guid": "a", "delivered_at": "2026-01-01T00:00:00.123Z", "status_code": 200, "more": None}
    body = json.dumps([good, {**good, **row} if row else row])
    github_stand_in.faults.add(path="/deliveries", count=1, status=200, body=body)
    github_stand_in.faults.add(path="/deliveries", count=1, status=200, body=json.dumps([good]))
    with pytest.raises(Retry, match=r"The answer for the deliveries of the webhooks of octo/public is not GitHub's"):
        await owner.attempts(Hook(OF_PUBLIC, "", 1))
    (read,) = (await owner.attempts(Hook(OF_PUBLIC, "", 1))).rows
    assert read == Attempt(1, "a", datetime(2026, 1, 1, 0, 0, 0, 123000, tzinfo=UTC), 200)


@pytest.mark.parametrize("body", ["", "{}", "[1]", '[{"id": 0}]', '[{"id": 1, "config": 7}]', "<html>"])
async def test_a_list_that_is_none(owner: GitHub, app: GitHub, github_stand_in: GitHubStandIn, body: str) -> None:
    github_stand_in.faults.add(path="/hooks", count=None, status=200, body=body)
    github_stand_in.faults.add(path="/app/hook/config", count=None, status=200, body=body.replace("{}", '{"url": 1}'))
    for call in (owner.hooks(OF_PUBLIC), app.hooks(OF_APP)):
        with pytest.raises(Retry, match="is not GitHub's"):
            await call


async def test_the_next_page_is_on_the_same_host(owner: GitHub, github_stand_in: GitHubStandIn) -> None:
    link = {
        "Link": '<https://elsewhere.example.com/deliveries?cursor=2>; rel="next"',
        "Content-Type": "application/json",
    }
    github_stand_in.faults.add(path="/deliveries", count=1, status=200, headers=link, body="[]")
    with pytest.raises(Retry, match="its next page is elsewhere"):
        await owner.attempts(Hook(OF_PUBLIC, "", 1))


# ---- once more


async def test_what_failed_is_delivered_once_more(
    owner: GitHub, github_stand_in: GitHubStandIn, receiver: Receiver
) -> None:
    for scope, target, place in (("repository", PUBLIC, OF_PUBLIC), ("organization", "acme", OF_ACME)):
        hook = Hook(place, receiver.url, await hooked(github_stand_in, receiver, scope, target))
        receiver.status = 502
        await github_stand_in.send_event(hook.id, "push", {"ref": "refs/heads/main"})
        await github_stand_in.settle_deliveries()
        lost = (await owner.attempts(hook)).rows[0]
        receiver.status, receiver.taken = 202, 0
        assert await owner.redeliver(hook, lost.id)
        await github_stand_in.settle_deliveries()
        again = (await owner.attempts(hook)).rows[0]
        assert (again.guid, again.taken, again.redelivery) == (lost.guid, True, True)
        assert again.id > lost.id
        assert receiver.taken == 1
        assert not await owner.redeliver(hook, 1), "GitHub does not know it any more"


async def test_who_may_only_read_is_refused(
    owner: GitHub, github_as: Connect, github_stand_in: GitHubStandIn, receiver: Receiver
) -> None:
    hook = Hook(OF_PUBLIC, receiver.url, await hooked(github_stand_in, receiver))
    await github_stand_in.add_token("reader", "octo", scopes=["repo:status", "read:repo_hook"])
    reader = github_as(Token("reader"))
    page = await reader.attempts(hook)
    assert len(page.rows) == 1
    assert not await reader.redeliver(hook, page.rows[0].id)


# ---- what is no word on webhooks


async def calls(github: GitHub, place: RepositoryHooks | AppHooks) -> AsyncIterator[SyncError]:
    hook = Hook(place, "https://hooks.example.com/webhook", 1)
    for call in (github.hooks(place), github.attempts(hook), github.redeliver(hook, 1)):
        with pytest.raises(SyncError) as caught:
            await call
        yield caught.value


@pytest.mark.parametrize("status", [403, 429])
async def test_a_limit_is_waited_for(owner: GitHub, app: GitHub, github_stand_in: GitHubStandIn, status: int) -> None:
    headers = {"Retry-After": "70", "Content-Type": "application/json"}
    body = '{"message": "You have exceeded a secondary rate limit."}'
    github_stand_in.faults.add(path="/hook", count=None, status=status, headers=headers, body=body)
    for github, place in ((owner, OF_PUBLIC), (app, OF_APP)):
        async for error in calls(github, place):
            assert isinstance(error, Waiting)
            assert error.reason is Reason.RATE_LIMITED


async def test_a_token_that_is_refused(github_as: Connect, app: GitHub, github_stand_in: GitHubStandIn) -> None:
    github_stand_in.faults.add(path="/app/hook", count=None, status=401, body='{"message": "Bad credentials"}')
    for github, place in ((github_as(Token("wrong")), OF_PUBLIC), (app, OF_APP)):
        async for error in calls(github, place):
            assert isinstance(error, Stalled)
            assert error.reason is Reason.SOURCE_AUTHENTICATION_FAILED


@pytest.mark.parametrize(
    ("status", "body"), [(500, "{}"), (502, "<html>"), (404, "<html>Not here</html>"), (451, "no")]
)
async def test_other_failures_may_pass(
    owner: GitHub, app: GitHub, github_stand_in: GitHubStandIn, status: int, body: str
) -> None:
    github_stand_in.faults.add(path="/hook", count=None, status=status, body=body)
    for github, place in ((owner, OF_PUBLIC), (app, OF_APP)):
        async for error in calls(github, place):
            assert isinstance(error, Retry)


# ---- who administers a repository


async def test_who_administers_a_repository(owner: GitHub, github_as: Connect, app: GitHub) -> None:
    assert (await owner.repository(PUBLIC)).admin
    for credentials in (Token(GITHUB_TOKEN), Anonymous()):
        assert not (await github_as(credentials).repository(PUBLIC)).admin
    assert not (await app.repository(PUBLIC)).admin
    assert (await owner.repository(PRIVATE)).admin
