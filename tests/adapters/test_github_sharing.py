"""One credential and all who use it: one limit, one queue, one token, and a Secret that is replaced meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from github_onedev_sync.adapters.credentials import Anonymous, Credentials, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.adapters.github_budget import APP as APP_LIMIT
from github_onedev_sync.adapters.github_budget import CORE, GRAPHQL
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, Waiting
from github_onedev_sync.api.mirror import Access
from github_onedev_sync.api.observed import Starred
from github_onedev_sync.api.urgency import Urgency
from github_onedev_sync.controller import connections
from github_onedev_sync.controller.connections import Connections
from github_onedev_sync.engine import ports
from tests.hostile import Request, hostile, response
from tests.stand_ins.github import GitHubStandIn

from .conftest import APP, GITHUB_TOKEN, PRIVATE, PUBLIC, PUBLIC_PEM, Clock

Connect = Callable[[Credentials], GitHub]
ASKED, ROUTINE, SWEEP = Urgency.ASKED, Urgency.ROUTINE, Urgency.SWEEP
TEAM = "team"


@dataclass
class Secrets:
    """What `Connections` needs of the cluster."""

    secrets: dict[str, dict[str, bytes]] = field(default_factory=dict)

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        return self.secrets.get(f"{namespace}/{name}")


@dataclass
class Shown:
    """`ports.Clock` for `Connections`."""

    now: Callable[[], datetime]

    def monotonic(self) -> float:
        return self.now().timestamp()


@pytest.fixture
def secrets() -> Secrets:
    return Secrets({f"{TEAM}/github": {"token": GITHUB_TOKEN.encode()}})


@pytest.fixture
async def shared(secrets: Secrets, clock: Clock) -> AsyncIterator[Connections]:
    found = Connections(cast(ports.Cluster, secrets), Shown(clock))
    yield found
    await found.close()


def access(stand_in: GitHubStandIn, secret: str = "github") -> Access:
    return Access.read({"apiURL": stand_in.url, **({"secretRef": {"name": secret}} if secret else {})})


def asked(stand_in: GitHubStandIn) -> list[str]:
    return [entry.path for entry in stand_in.journal.entries()]


# ---- the limit


async def test_sweeps_stop_first_and_people_last(shared: Connections, github_stand_in: GitHubStandIn) -> None:
    of = {one: (await shared.source(access(github_stand_in), TEAM, one)).api for one in Urgency}
    for remaining, allowed in ((1010, (ASKED, ROUTINE, SWEEP)), (900, (ASKED, ROUTINE)), (200, (ASKED,)), (1, ())):
        await github_stand_in.exhaust_limit(GITHUB_TOKEN, remaining=remaining)
        await of[ASKED].page(Starred())
        before = len(asked(github_stand_in))
        for one in Urgency:
            if one in allowed:
                await of[one].repository(PUBLIC)
                continue
            with pytest.raises(Waiting) as caught:
                await of[one].repository(PUBLIC)
            assert caught.value.reason is Reason.RATE_LIMITED
            assert timedelta(minutes=59) < caught.value.after <= timedelta(hours=1)
        assert len(asked(github_stand_in)) == before + len(allowed)


async def test_graphql_has_a_limit_of_its_own(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    github = github_as(Token(GITHUB_TOKEN))
    await github_stand_in.exhaust_limit(GITHUB_TOKEN, remaining=500, resource="graphql")
    await github.changes(["R_1"])
    with pytest.raises(Waiting, match="which are kept for what is more urgent"):
        await github.with_urgency(SWEEP).changes(["R_1"])
    await github.with_urgency(SWEEP).repository(PUBLIC)
    assert set(github.rate_limits) == {CORE, GRAPHQL}


async def test_what_an_app_asks_for_itself_is_counted_apart(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id, [PUBLIC])
    app = github_as(APP)
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "60", "X-RateLimit-Reset": "9999999999"}
    body = '{"account": {"id": 7, "login": "octo"}}'
    github_stand_in.faults.add(path="/installations/99$", status=200, body=body, headers=headers)
    await app.account(None)
    await app.repository(PUBLIC)
    assert (app.rate_limits[APP_LIMIT].remaining, app.rate_limits[CORE].limit) == (0, 5000)


async def test_a_limit_is_believed_by_the_server_s_clock(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    """Ours may be hours ahead: GitHub is not asked again before its own time has come."""
    clock.turn(timedelta(hours=5))
    github = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), clock=clock)
    await github_stand_in.exhaust_limit(GITHUB_TOKEN, remaining=0, seconds=600)
    for _ in range(2):
        with pytest.raises(Waiting) as caught:
            await github.repository(PUBLIC)
        assert timedelta(minutes=9) < caught.value.after <= timedelta(minutes=11)
    assert len(asked(github_stand_in)) == 1
    clock.turn(timedelta(hours=-5))  # and put right again
    await github_stand_in.exhaust_limit(GITHUB_TOKEN, remaining=10)
    assert (await github.repository(PUBLIC)).full_name == PUBLIC
    await github.close()


async def test_a_secondary_limit_stops_whoever_waits_for_a_turn(
    github_as: Connect, github_stand_in: GitHubStandIn
) -> None:
    github = github_as(Token(GITHUB_TOKEN))
    await github_stand_in.secondary_limit(count=None, retry_after=30)
    ended = await asyncio.gather(*(github.repository(PUBLIC) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(one, Waiting) for one in ended)
    assert len(asked(github_stand_in)) <= 2  # as many as were under way


# ---- the queue


async def test_the_more_urgent_go_first(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    github = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), pool=1, clock=clock)
    github_stand_in.faults.add(path=PUBLIC, delay=0.3)
    calls: list[asyncio.Future[Any]] = [asyncio.ensure_future(github.repository(PUBLIC))]
    await asyncio.sleep(0)
    for urgency, name in ((SWEEP, "a"), (SWEEP, "b"), (ROUTINE, "c"), (ASKED, "d"), (ROUTINE, "e")):
        calls.append(asyncio.ensure_future(github.with_urgency(urgency).is_starred(f"octo/{name}")))
        await asyncio.sleep(0)
    await asyncio.gather(*calls)
    assert [path.rpartition("/")[2] for path in asked(github_stand_in)] == ["public", *"dceab"]
    await github.close()


# ---- connections


async def test_all_urgencies_share_answers_and_tokens(
    shared: Connections, secrets: Secrets, github_stand_in: GitHubStandIn
) -> None:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id, [PUBLIC])
    secrets.secrets[f"{TEAM}/app"] = {
        "appID": APP.app_id.encode(),
        "installationID": str(APP.installation_id).encode(),
        "privateKey": APP.private_key.encode(),
    }
    for urgency in Urgency:
        await (await shared.source(access(github_stand_in, "app"), TEAM, urgency)).api.repository(PUBLIC)
    statuses = [(entry.method, entry.status) for entry in github_stand_in.journal.entries()]
    assert statuses == [("POST", 201), ("GET", 200), ("GET", 304), ("GET", 304)]


async def test_a_secret_is_replaced_while_the_controller_runs(
    shared: Connections, secrets: Secrets, github_stand_in: GitHubStandIn
) -> None:
    where = access(github_stand_in)
    await (await shared.source(where, TEAM)).api.repository(PRIVATE)
    await github_stand_in.revoke_token(GITHUB_TOKEN)
    with pytest.raises(Stalled, match="wrong, expired or revoked"):
        await (await shared.source(where, TEAM)).api.repository(PRIVATE)
    await github_stand_in.add_token("ghp_new", "mona")
    secrets.secrets[f"{TEAM}/github"] = {"token": b"ghp_new\n"}
    assert (await (await shared.source(where, TEAM)).api.repository(PRIVATE)).full_name == PRIVATE
    assert (await (await shared.source(where, TEAM)).api.account(None)).login == "mona"
    # The old one's figures are not shown beside the new one's.
    ((host, credential, resource, limit),) = shared.rate_limits()
    assert (host, credential, resource) == (github_stand_in.url.removeprefix("http://"), f"{TEAM}/github", CORE)
    assert limit.remaining == 4998


async def test_limits_go_by_the_secret_s_name_and_hold_no_token(
    shared: Connections, secrets: Secrets, github_stand_in: GitHubStandIn
) -> None:
    secrets.secrets["other/copy"] = {"token": GITHUB_TOKEN.encode()}
    await (await shared.source(access(github_stand_in), TEAM)).api.repository(PUBLIC)
    await (await shared.source(access(github_stand_in, "copy"), "other")).api.repository(PUBLIC)
    await (await shared.source(access(github_stand_in, ""), TEAM)).api.repository(PUBLIC)
    shown = {credential: limit.remaining for _, credential, _, limit in shared.rate_limits()}
    # Two Secrets with one token: one limit, and the second answer was a 304.
    assert shown == {f"{TEAM}/github": 4999, "other/copy": 4999, "anonymous": 59}
    assert GITHUB_TOKEN not in str(list(shared.rate_limits()))


async def test_requests_are_counted_by_resource_and_status(shared: Connections, github_stand_in: GitHubStandIn) -> None:
    api = (await shared.source(access(github_stand_in), TEAM, ASKED)).api
    for _ in range(2):
        await api.repository(PUBLIC)
    await api.changes(["R_1"])
    with pytest.raises(Retry):
        await api.repository("octo/none")
    github_stand_in.faults.add(path=PUBLIC, drop="before")
    with pytest.raises(Retry):
        await api.repository(PUBLIC)
    github_stand_in.faults.add(path=PUBLIC, status=302, headers={"Location": f"{github_stand_in.url}/repos/{PRIVATE}"})
    await api.repository(PUBLIC)
    assert shared.github_requests == {
        (CORE, "2xx"): 2,
        (CORE, "304"): 1,
        (CORE, "3xx"): 1,
        (CORE, "4xx"): 1,
        (CORE, "none"): 1,
        (GRAPHQL, "2xx"): 1,
    }


async def test_the_longest_unused_is_closed_and_no_longer_told_of(
    shared: Connections, github_stand_in: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_LIMIT", 1)
    old = await shared.source(access(github_stand_in), TEAM)
    await old.api.repository(PUBLIC)
    new = await shared.source(access(github_stand_in, ""), TEAM)
    await asyncio.sleep(0)
    with pytest.raises(Retry, match="is being replaced"):
        await old.api.repository(PUBLIC)
    await new.api.repository(PUBLIC)
    assert [credential for _, credential, *_ in shared.rate_limits()] == ["anonymous"]


# ---- a proxy


async def test_the_environment_s_proxy_is_used(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    async def answer(request: Request, writer: asyncio.StreamWriter) -> None:
        body = b'{"id": 7, "full_name": "octo/repo", "clone_url": "http://github.example/octo/repo.git"}'
        writer.write(response(body, content_type="application/json"))

    async with hostile(answer) as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        github = GitHub("http://github.example/api/v3", Anonymous(), clock=clock)
        assert (await github.repository("octo/repo")).id == 7
        await github.close()
    assert [one.target for one in proxy.requests] == ["http://github.example:80/api/v3/repos/octo/repo"]
