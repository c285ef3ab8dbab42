"""The GitHub adapter against the stand-in, over real HTTP."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from github_onedev_sync.adapters.credentials import Anonymous, App, Credentials, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.adapters.github_client import API_VERSION
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, Waiting
from tests.stand_ins.github import GitHubStandIn

from .conftest import APP, GITHUB_TOKEN, PEM, PRIVATE, PUBLIC, PUBLIC_PEM, Clock


@pytest.fixture
async def github(github_stand_in: GitHubStandIn, clock: Clock) -> AsyncIterator[GitHub]:
    adapter = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), clock=clock)
    yield adapter
    await adapter.close()


@pytest.fixture
async def app(github_stand_in: GitHubStandIn, clock: Clock) -> AsyncIterator[GitHub]:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id)
    adapter = GitHub(github_stand_in.url, APP, clock=clock)
    yield adapter
    await adapter.close()


@pytest.fixture
def busy_threads() -> Iterator[None]:
    """Threads change places as often as in a container whose CPU is throttled."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


async def test_a_repository(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.commit(PUBLIC)
    found = await github.repository(PUBLIC)
    assert found.full_name == PUBLIC
    assert found.clone_url == f"{github_stand_in.url}/{PUBLIC}.git"
    assert (found.default_branch, found.description, found.private) == ("main", "Out in the open", False)
    assert found.pushed_at is not None


async def test_what_is_sent(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github.repository(PUBLIC)
    (entry,) = github_stand_in.journal.entries()
    assert entry.authenticated
    assert entry.user_agent.startswith("github-onedev-sync/")
    assert entry.headers["accept"] == "application/vnd.github+json"
    assert entry.headers["x-github-api-version"] == API_VERSION


async def test_the_address_of_an_enterprise_server(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    adapter = GitHub(github_stand_in.url + "/api/v3/", Token(GITHUB_TOKEN), clock=clock)
    await github_stand_in.rename_repository(PUBLIC, "octo/moved")
    assert (await adapter.repository(PUBLIC)).full_name == "octo/moved"
    assert {entry.path.split("/repo")[0] for entry in github_stand_in.journal.entries()} == {"/api/v3"}
    await adapter.close()


async def test_flags_and_an_empty_repository(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.set_metadata(PRIVATE, archived=True, disabled=True)
    found = await github.repository(PRIVATE)
    assert (found.private, found.archived, found.disabled, found.description) == (True, True, True, None)
    assert found.default_branch == "main"


async def test_nothing_new_is_answered_304_without_a_body_or_a_cost(
    github: GitHub, github_stand_in: GitHubStandIn
) -> None:
    first = await github.repository(PUBLIC)
    assert github.rate_limit is not None
    left = github.rate_limit.remaining
    assert await github.repository(PUBLIC) == first
    assert [entry.status for entry in github_stand_in.journal.entries()] == [200, 304]
    assert github.rate_limit.remaining == left


async def test_a_change_is_seen_through_the_etag(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github.repository(PUBLIC)
    await github_stand_in.set_metadata(PUBLIC, description="Changed")
    assert (await github.repository(PUBLIC)).description == "Changed"
    assert (await github.repository(PUBLIC)).description == "Changed"
    assert [entry.status for entry in github_stand_in.journal.entries()] == [200, 200, 304]


async def test_a_rename_is_followed_and_seen(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    before = await github.repository(PUBLIC)
    await github_stand_in.rename_repository(PUBLIC, "elsewhere/renamed")
    after = await github.repository(PUBLIC)
    assert (after.id, after.full_name) == (before.id, "elsewhere/renamed")


async def test_a_name_taken_by_a_stranger_shows_the_strangers_id(
    github: GitHub, github_stand_in: GitHubStandIn
) -> None:
    before = await github.repository(PUBLIC)
    await github_stand_in.recreate_repository(PUBLIC)
    assert (await github.repository(PUBLIC)).id != before.id


@pytest.mark.usefixtures("busy_threads")
async def test_many_calls_at_once_each_get_their_own_repository(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    names = [f"octo/number-{number}" for number in range(20)]
    ids = {name: await github_stand_in.create_repository(name) for name in names}
    adapter = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), pool=4, clock=clock)
    asked = names * 10
    found = await asyncio.gather(*map(adapter.repository, asked))
    assert [(one.full_name, one.id) for one in found] == [(name, ids[name]) for name in asked]
    await adapter.close()


async def test_no_more_requests_at_once_than_the_pool_is_large(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    github_stand_in.faults.add(path=PUBLIC, count=None, delay=0.05)
    calls = [asyncio.ensure_future(github.repository(PUBLIC)) for _ in range(6)]
    most = 0
    while not all(call.done() for call in calls):
        await asyncio.sleep(0.005)
        most = max(most, sum(entry.status is None for entry in github_stand_in.journal.entries()))
    assert most == 2


async def test_a_cancelled_call_gives_its_connection_back_when_it_is_through(
    github_stand_in: GitHubStandIn, clock: Clock
) -> None:
    adapter = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), pool=1, clock=clock)
    github_stand_in.faults.add(path=PUBLIC, delay=0.2)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await adapter.repository(PUBLIC)
    assert (await adapter.repository(PRIVATE)).full_name == PRIVATE
    await adapter.close()


async def test_closing_leaves_a_call_under_way_to_end_by_itself(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    adapter = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), pool=1, clock=clock)
    github_stand_in.faults.add(path=PUBLIC, delay=0.3)
    call = asyncio.ensure_future(adapter.repository(PUBLIC))
    await asyncio.sleep(0.05)
    await adapter.close()
    assert (await call).full_name == PUBLIC


async def test_closing_ends_the_calls_that_wait(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    adapter = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), pool=1, clock=clock)
    github_stand_in.faults.add(path=PUBLIC, delay=0.3)
    calls = [asyncio.ensure_future(adapter.repository(PUBLIC)) for _ in range(3)]
    await asyncio.sleep(0.05)
    await adapter.close()
    for call in (*calls[1:], adapter.repository(PRIVATE)):
        with pytest.raises(Retry, match="is being replaced"):
            await call
    assert (await calls[0]).full_name == PUBLIC


async def test_git_tokens(github: GitHub, github_stand_in: GitHubStandIn, clock: Clock) -> None:
    anonymous = GitHub(github_stand_in.url, Anonymous(), clock=clock)
    assert await anonymous.git_token() is None
    assert await github.git_token() == GITHUB_TOKEN
    assert (anonymous.anonymous, anonymous.mints_tokens) == (True, False)
    assert (github.anonymous, github.mints_tokens) == (False, False)
    assert not github_stand_in.journal.entries()
    await anonymous.close()


async def test_an_app_mints_one_token_however_many_ask(app: GitHub, github_stand_in: GitHubStandIn) -> None:
    await asyncio.gather(*(app.repository(PRIVATE) for _ in range(8)))
    tokens = set(await asyncio.gather(*(app.git_token() for _ in range(8))))
    assert len(tokens) == 1
    assert len(github_stand_in.journal.entries(path="/app/installations/")) == 1
    assert app.mints_tokens


async def test_git_gets_a_token_that_is_valid_for_half_an_hour(
    app: GitHub, github_stand_in: GitHubStandIn, clock: Clock
) -> None:
    first = await app.git_token()
    clock.turn(timedelta(minutes=29))
    assert await app.git_token() == first
    clock.turn(timedelta(minutes=2))
    await app.repository(PRIVATE)  # for a single request the first is good enough
    assert len(github_stand_in.journal.entries(path="/app/installations/")) == 1
    assert await app.git_token() != first


async def test_no_token_is_logged(app: GitHub, github: GitHub, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    await app.repository(PRIVATE)
    await github.repository(PRIVATE)
    minted = await app.git_token()
    assert minted is not None
    assert minted not in caplog.text
    assert GITHUB_TOKEN not in caplog.text


async def test_a_token_that_ends_within_five_minutes_is_renewed_before_a_request(
    app: GitHub, github_stand_in: GitHubStandIn, clock: Clock
) -> None:
    for minutes, minted in ((0, 1), (54, 1), (2, 2)):
        clock.turn(timedelta(minutes=minutes))
        await app.repository(PRIVATE)
        assert len(github_stand_in.journal.entries(path="/app/installations/")) == minted


async def test_a_minted_token_that_is_refused_before_its_time_is_minted_anew_once(
    app: GitHub, github_stand_in: GitHubStandIn
) -> None:
    minted = await app.git_token()
    assert minted is not None
    await github_stand_in.revoke_token(minted)
    assert (await app.repository(PRIVATE)).full_name == PRIVATE
    assert await app.git_token() != minted
    github_stand_in.faults.add(path="/repos/", status=401, count=None, body='{"message": "Bad credentials"}')
    with pytest.raises(Stalled, match="GitHub refuses the token"):
        await app.repository(PRIVATE)
    assert len(github_stand_in.journal.entries(path="/repos/")) == 2 + 2


@pytest.mark.parametrize("body", ["", "[]", '{"token": "ghs_secret"}', '{"token": 1, "expires_at": "soon"}'])
async def test_an_access_token_that_is_none(app: GitHub, github_stand_in: GitHubStandIn, body: str) -> None:
    github_stand_in.faults.add(path="/app/installations/", status=201, body=body)
    with pytest.raises(Retry, match="installation 99 of the App 4711 is not GitHub's") as caught:
        await app.repository(PUBLIC)
    assert "ghs_secret" not in f"{caught.value} {caught.value.__cause__}"


async def test_a_limit_met_while_minting(app: GitHub, github_stand_in: GitHubStandIn) -> None:
    github_stand_in.faults.add(path="/app/installations/", status=429, headers={"Retry-After": "10"})
    with pytest.raises(Waiting) as caught:
        await app.repository(PUBLIC)
    assert caught.value.after == timedelta(seconds=10)


@pytest.mark.parametrize(
    "credentials", [App("4711", 100, PEM), App("4712", 99, PEM)], ids=["another installation", "another app"]
)
async def test_an_app_that_github_does_not_know(
    github_stand_in: GitHubStandIn, clock: Clock, credentials: Credentials
) -> None:
    await github_stand_in.add_app("4711", PUBLIC_PEM, 99)
    adapter = GitHub(github_stand_in.url, credentials, clock=clock)
    with pytest.raises(Stalled, match="check appID, installationID and privateKey in the Secret") as caught:
        await adapter.repository(PUBLIC)
    assert caught.value.reason is Reason.SOURCE_AUTHENTICATION_FAILED
    await adapter.close()


async def test_while_the_limit_lasts_github_is_not_asked(
    github: GitHub, github_stand_in: GitHubStandIn, clock: Clock
) -> None:
    await github_stand_in.exhaust_limit(GITHUB_TOKEN, remaining=0, seconds=1800)
    with pytest.raises(Waiting) as caught:
        await github.repository(PUBLIC)
    assert caught.value.reason is Reason.RATE_LIMITED
    assert timedelta(minutes=29) < caught.value.after <= timedelta(minutes=30)
    clock.turn(timedelta(minutes=10))
    with pytest.raises(Waiting) as later:
        await github.repository(PRIVATE)
    assert timedelta(minutes=19) < later.value.after <= timedelta(minutes=20)
    assert len(github_stand_in.journal.entries()) == 1
    await github_stand_in.exhaust_limit(GITHUB_TOKEN, remaining=10)
    clock.turn(timedelta(minutes=21))
    assert (await github.repository(PUBLIC)).full_name == PUBLIC


async def test_the_limit_is_told_in_the_minute_that_a_person_may_come_back(
    github: GitHub, github_stand_in: GitHubStandIn, clock: Clock
) -> None:
    await github_stand_in.secondary_limit(retry_after=120)
    with pytest.raises(Waiting) as caught:
        await github.repository(PUBLIC)
    moment = clock() + timedelta(seconds=120)
    assert caught.value.message in {
        f"GitHub allows 0 more requests until {moment + late:%H:%M} UTC"
        for late in (timedelta(0), timedelta(minutes=1))
    }


async def test_a_limit_is_read_from_every_answer(github: GitHub) -> None:
    assert github.rate_limit is None
    await github.repository(PUBLIC)
    assert github.rate_limit is not None
    assert (github.rate_limit.remaining, github.rate_limit.limit) == (4999, 5000)


async def test_a_connection_cut_before_the_answer(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    github_stand_in.faults.add(path=PUBLIC, drop="before")
    with pytest.raises(Retry, match=r"127\.0\.0\.1:\d+ cannot be reached") as caught:
        await github.repository(PUBLIC)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert (await github.repository(PUBLIC)).full_name == PUBLIC
