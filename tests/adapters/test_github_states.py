"""What becomes of a repository upstream, as the stand-in plays it: each state has its own reason, and each heals."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from github_onedev_sync.adapters.credentials import Anonymous, Credentials, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry
from github_onedev_sync.transfer.listing import RefReader
from tests.stand_ins.github import GitHubStandIn

from .conftest import GITHUB_TOKEN, PRIVATE, PUBLIC, Clock

OWNERS, STRANGERS, NARROW = "ghp_the-owner", "ghp_a-stranger", "ghp_public-only"
GONE = "octo/gone"

Connect = Callable[[Credentials], GitHub]
Turn = Callable[[GitHubStandIn], Awaitable[Any]]


@pytest.fixture
async def connect(github_stand_in: GitHubStandIn, clock: Clock) -> AsyncIterator[Connect]:
    await github_stand_in.add_token(OWNERS, "Octo", scopes=["gist", "repo"])
    await github_stand_in.add_token(STRANGERS, "mona", scopes=["repo"])
    await github_stand_in.add_token(NARROW, "octo", scopes=["public_repo", "read:user"])
    async with AsyncExitStack() as stack:

        def make(credentials: Credentials) -> GitHub:
            adapter = GitHub(github_stand_in.url, credentials, clock=clock)
            stack.push_async_callback(adapter.close)
            return adapter

        yield make


@pytest.fixture
def github(connect: Connect) -> GitHub:
    return connect(Token(GITHUB_TOKEN))


def metadata(**members: Any) -> Turn:
    return lambda stand_in: stand_in.set_metadata(PUBLIC, **members)


def delete(stand_in: GitHubStandIn) -> Awaitable[Any]:
    return stand_in.delete_repository(PUBLIC)


def create(stand_in: GitHubStandIn) -> Awaitable[Any]:
    return stand_in.create_repository(PUBLIC)


@pytest.mark.parametrize(
    ("token", "turn", "back", "reason"),
    [
        pytest.param(None, delete, create, Reason.PRIVATE_OR_GONE, id="deleted, seen by nobody in particular"),
        pytest.param(GITHUB_TOKEN, delete, create, Reason.PRIVATE_OR_GONE, id="deleted, fine-grained token"),
        pytest.param(STRANGERS, delete, create, Reason.PRIVATE_OR_GONE, id="deleted, a stranger's token"),
        pytest.param(NARROW, delete, create, Reason.PRIVATE_OR_GONE, id="deleted, the owner's token for public ones"),
        pytest.param(OWNERS, delete, create, Reason.GONE, id="deleted, the owner's own token"),
        pytest.param(
            None, metadata(private=True), metadata(private=False), Reason.PRIVATE_OR_GONE, id="private, anonymous"
        ),
        pytest.param(
            GITHUB_TOKEN, metadata(block_status=451), metadata(block_status=None), Reason.TAKEN_DOWN, id="451"
        ),
        pytest.param(
            GITHUB_TOKEN,
            metadata(block_status=403, block_reason="tos"),
            metadata(block_status=None),
            Reason.BLOCKED,
            id="403 with a block",
        ),
    ],
)
async def test_out_of_sight(
    connect: Connect, github_stand_in: GitHubStandIn, token: str | None, turn: Turn, back: Turn, reason: Reason
) -> None:
    github = connect(Token(token) if token else Anonymous())
    await github.repository(PUBLIC)
    await turn(github_stand_in)
    for _ in range(2):
        with pytest.raises(Retry, match="The mirror is kept as it is") as caught:
            await github.repository(PUBLIC)
        assert caught.value.reason is reason
    await back(github_stand_in)
    assert (await github.repository(PUBLIC)).full_name == PUBLIC


async def test_the_owner_is_asked_for_once(connect: Connect, github_stand_in: GitHubStandIn) -> None:
    github = connect(Token(OWNERS))
    for _ in range(3):
        with pytest.raises(Retry, match="the token is its owner's own") as caught:
            await github.repository(GONE)
        assert caught.value.reason is Reason.GONE
    assert len(github_stand_in.journal.entries(path="/user$")) == 1


@pytest.mark.parametrize(
    ("status", "body"), [(500, ""), (403, '{"message": "no"}'), (200, "[]"), (200, '{"login": 1}')]
)
async def test_an_owner_who_cannot_be_asked_for_proves_nothing(
    connect: Connect, github_stand_in: GitHubStandIn, status: int, body: str
) -> None:
    github = connect(Token(OWNERS))
    github_stand_in.faults.add(path="/user$", status=status, body=body)
    for reason in (Reason.PRIVATE_OR_GONE, Reason.GONE):
        with pytest.raises(Retry) as caught:
            await github.repository(GONE)
        assert caught.value.reason is reason


async def test_an_owner_s_server_that_breaks_off_proves_nothing(
    connect: Connect, github_stand_in: GitHubStandIn
) -> None:
    github_stand_in.faults.add(path="/user$", drop="before", count=None)
    with pytest.raises(Retry) as caught:
        await connect(Token(OWNERS)).repository(GONE)
    assert caught.value.reason is Reason.PRIVATE_OR_GONE


async def test_archived_and_disabled_are_told_and_untold(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    for member in ("archived", "disabled"):
        for value in (True, False):
            await github_stand_in.set_metadata(PUBLIC, **{member: value})
            assert getattr(await github.repository(PUBLIC), member) is value


@pytest.mark.parametrize("member", ["disabled", "disabled_for_git"])
async def test_git_tells_of_a_disabled_repository_what_rest_may_not(
    github: GitHub, github_stand_in: GitHubStandIn, member: str
) -> None:
    await github_stand_in.commit(PUBLIC)
    await github_stand_in.set_metadata(PUBLIC, **{member: True})
    found = await github.repository(PUBLIC)
    assert found.disabled is (member == "disabled")
    async with aiohttp.ClientSession() as session:
        refs = RefReader(session)
        with pytest.raises(Retry, match="is disabled") as caught:
            await refs.source_refs(found.clone_url, GITHUB_TOKEN, None)
        assert caught.value.reason is Reason.DISABLED
        await github_stand_in.set_metadata(PUBLIC, **{member: False})
        assert (await refs.source_refs(found.clone_url, GITHUB_TOKEN, None)).refs


@pytest.mark.parametrize("new", ["octo/renamed", "acme/transferred"])
async def test_a_new_name_is_followed_and_the_old_one_taken_back(
    github: GitHub, github_stand_in: GitHubStandIn, new: str
) -> None:
    before = await github.repository(PUBLIC)
    await github_stand_in.rename_repository(PUBLIC, new)
    after = await github.repository(PUBLIC)
    assert (after.id, after.full_name, after.clone_url) == (before.id, new, f"{github_stand_in.url}/{new}.git")
    await github_stand_in.rename_repository(new, PUBLIC)
    assert await github.repository(PUBLIC) == before


async def test_by_id_a_name_that_redirects_no_more_is_found(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    before = await github.repository(PUBLIC)
    assert await github.repository_by_id(before.id) == before
    await github_stand_in.rename_repository(PUBLIC, "octo/renamed")
    await github_stand_in.forget_former_names("octo/renamed")
    with pytest.raises(Retry) as caught:
        await github.repository(PUBLIC)
    assert caught.value.reason is Reason.PRIVATE_OR_GONE
    assert (await github.repository_by_id(before.id)).full_name == "octo/renamed"
    assert (await github.repository_by_id(before.id)).id == before.id
    assert [entry.status for entry in github_stand_in.journal.entries(path="/repositories/")] == [200, 200, 304]


async def test_by_id_the_one_whose_name_a_stranger_took_is_found(
    github: GitHub, github_stand_in: GitHubStandIn
) -> None:
    before = await github.repository(PUBLIC)
    await github_stand_in.rename_repository(PUBLIC, "octo/renamed")
    stranger = await github_stand_in.create_repository(PUBLIC)
    assert (await github.repository(PUBLIC)).id == stranger
    assert (await github.repository_by_id(before.id)).full_name == "octo/renamed"


async def test_by_id_what_is_gone_is_gone_or_hidden(connect: Connect, github_stand_in: GitHubStandIn) -> None:
    """Whose it was cannot be told from its id."""
    github = connect(Token(OWNERS))
    before = await github.repository(PRIVATE)
    await github_stand_in.delete_repository(PRIVATE)
    with pytest.raises(Retry, match=f"knows no repository with the id {before.id}") as caught:
        await github.repository_by_id(before.id)
    assert caught.value.reason is Reason.PRIVATE_OR_GONE


async def test_another_id_than_was_asked_for_is_not_github_s(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    other = (await github.repository(PRIVATE)).id
    location = f"{github_stand_in.url}/repositories/{other}"
    github_stand_in.faults.add(path="/repositories/7$", status=301, headers={"Location": location})
    with pytest.raises(Retry, match=r"is not GitHub's \(it has another id\)") as caught:
        await github.repository_by_id(7)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
