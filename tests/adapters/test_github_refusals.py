"""Each answer of GitHub's that is no repository, and the policy that it calls for."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.adapters.credentials import Anonymous, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from tests.stand_ins.github import GitHubStandIn

from .conftest import GITHUB_TOKEN, PRIVATE, PUBLIC, Clock

BLOCK = {"reason": "tos", "created_at": "2026-01-01T00:00:00Z", "html_url": "https://github.com/tos"}
SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def github(github_stand_in: GitHubStandIn, clock: Clock) -> AsyncIterator[GitHub]:
    adapter = GitHub(github_stand_in.url, Token(GITHUB_TOKEN), clock=clock)
    yield adapter
    await adapter.close()


def message(text: str, **more: Any) -> str:
    return json.dumps({"message": text, **more})


@pytest.mark.parametrize(
    ("status", "body", "policy", "reason", "said"),
    [
        (401, message("Bad credentials"), Stalled, Reason.SOURCE_AUTHENTICATION_FAILED, "wrong, expired or revoked"),
        (404, message("Not Found"), Retry, Reason.PRIVATE_OR_GONE, "it is gone, or private. The mirror is kept"),
        (410, message("Gone"), Retry, Reason.GONE, "repository octo/public is gone for good. The mirror is kept"),
        (451, message("Blocked", block=BLOCK), Retry, Reason.TAKEN_DOWN, "for legal reasons (https://github.com/tos)"),
        (451, "", Retry, Reason.TAKEN_DOWN, "for legal reasons. The mirror is kept"),
        (403, message("Blocked", block=BLOCK), Retry, Reason.BLOCKED, "(https://github.com/tos). The mirror is kept"),
        (403, message("Repository disabled."), Retry, Reason.DISABLED, "has disabled repository octo/public"),
        (403, message("Resource protected by organization SAML enforcement."), Stalled,
         Reason.SOURCE_AUTHENTICATION_FAILED, "Resource protected by organization SAML enforcement. Check"),
        (500, message("Server Error"), Retry, Reason.SOURCE_UNAVAILABLE, "answers 500 for repository octo/public"),
        (502, "<html>Unicorn!</html>", Retry, Reason.SOURCE_UNAVAILABLE, "answers 502 for repository octo/public"),
        (503, "", Retry, Reason.SOURCE_UNAVAILABLE, "answers 503"),
        (204, "", Retry, Reason.SOURCE_UNAVAILABLE, "answers 204"),
        (304, "", Retry, Reason.SOURCE_UNAVAILABLE, "leads to another address"),
        (403, "<html>proxy</html>", Retry, Reason.SOURCE_UNAVAILABLE, "is not GitHub's (status 403)"),
        (200, "<html>Log in</html>", Retry, Reason.SOURCE_UNAVAILABLE, "is spec.source.apiURL right?"),
        (200, "{", Retry, Reason.SOURCE_UNAVAILABLE, "is spec.source.apiURL right?"),
        (200, "[]", Retry, Reason.SOURCE_UNAVAILABLE, "is spec.source.apiURL right?"),
        (200, '{"id": "x"}', Retry, Reason.SOURCE_UNAVAILABLE, "is spec.source.apiURL right?"),
        (200, '{"id": 1, "full_name": "a/../b", "clone_url": "http://h/x"}', Retry, Reason.SOURCE_UNAVAILABLE,
         "its full_name is not owner/name"),
        (200, '{"id": 1, "full_name": "a/b", "clone_url": "file:///etc"}', Stalled, Reason.NOT_SUPPORTED,
         "clone address of repository octo/public is not a plain https or http URL"),
        (200, '{"id": 1, "full_name": "a/b", "clone_url": "http://u:p@h/x"}', Stalled, Reason.NOT_SUPPORTED,
         "clone address"),
    ],
)  # fmt: skip
async def test_policies(
    github: GitHub,
    github_stand_in: GitHubStandIn,
    status: int,
    body: str,
    policy: type[SyncError],
    reason: Reason,
    said: str,
) -> None:
    github_stand_in.faults.add(path=PUBLIC, status=status, body=body, headers=JSON)
    with pytest.raises(SyncError) as caught:
        await github.repository(PUBLIC)
    assert type(caught.value) is policy
    assert caught.value.reason is reason
    assert said in caught.value.message
    assert GITHUB_TOKEN not in caught.value.message
    assert (await github.repository(PUBLIC)).full_name == PUBLIC  # nothing of it sticks


@pytest.mark.parametrize(
    ("status", "body", "headers", "seconds"),
    [
        (403, message(SECONDARY), {"Retry-After": "30"}, 30),
        (429, message(SECONDARY), {"Retry-After": "30"}, 30),
        (403, message(SECONDARY), {}, 60),
        (429, "", {}, 60),
        (429, "", {"Retry-After": "soon"}, 60),
        (429, "", {"Retry-After": "9" * 30}, 60),
        (429, "", {"Retry-After": "999999"}, 3600),
        (429, "", {"Retry-After": "0"}, 1),
        (403, message("API rate limit exceeded for 1.2.3.4"), {"X-RateLimit-Remaining": "0"}, 60),
        (429, "", {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1000.5"}, 1),
    ],
)
async def test_limits(
    github: GitHub, github_stand_in: GitHubStandIn, status: int, body: str, headers: dict[str, str], seconds: int
) -> None:
    github_stand_in.faults.add(path=PUBLIC, status=status, body=body, headers=JSON | headers)
    with pytest.raises(Waiting, match=r"^GitHub allows 0 more requests until \d\d:\d\d UTC$") as caught:
        await github.repository(PUBLIC)
    assert caught.value.reason is Reason.RATE_LIMITED
    assert caught.value.after == timedelta(seconds=seconds)


async def test_a_date_to_come_back_at(github: GitHub, github_stand_in: GitHubStandIn, clock: Clock) -> None:
    moment = clock() + timedelta(minutes=5)
    headers = {"Retry-After": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    github_stand_in.faults.add(path=PUBLIC, status=429, headers=headers)
    with pytest.raises(Waiting) as caught:
        await github.repository(PUBLIC)
    assert timedelta(minutes=4, seconds=50) < caught.value.after <= timedelta(minutes=5)


async def test_real_refusals_of_the_stand_in(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    for status, reason in ((403, Reason.BLOCKED), (451, Reason.TAKEN_DOWN)):
        await github_stand_in.set_metadata(PUBLIC, block_status=status)
        with pytest.raises(Retry) as caught:
            await github.repository(PUBLIC)
        assert caught.value.reason is reason
    await github_stand_in.delete_repository(PUBLIC)
    with pytest.raises(Retry, match="GitHub knows no repository octo/public") as gone:
        await github.repository(PUBLIC)
    assert gone.value.reason is Reason.PRIVATE_OR_GONE
    await github_stand_in.revoke_token(GITHUB_TOKEN)
    with pytest.raises(Stalled):
        await github.repository(PRIVATE)


async def test_without_a_credential_the_remedy_is_to_give_one(github_stand_in: GitHubStandIn, clock: Clock) -> None:
    adapter = GitHub(github_stand_in.url, Anonymous(), clock=clock)
    with pytest.raises(Retry, match=r"a private repository needs spec\.source\.secretRef"):
        await adapter.repository(PRIVATE)
    await adapter.close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_within_the_server_is_followed(
    github: GitHub, github_stand_in: GitHubStandIn, status: int
) -> None:
    location = f"{github_stand_in.url}/repos/{PRIVATE}"
    github_stand_in.faults.add(path=PUBLIC, status=status, headers={"Location": location})
    assert (await github.repository(PUBLIC)).full_name == PRIVATE


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["https://127.0.0.1:1/repos/a/b", "http://github.example/repos/a/b", "", "?"])
async def test_a_redirect_to_another_server_is_not(
    github: GitHub, github_stand_in: GitHubStandIn, status: int, location: str
) -> None:
    github_stand_in.faults.add(path=PUBLIC, status=status, headers={"Location": location})
    with pytest.raises(Retry, match=r"is spec\.source\.apiURL right\?") as caught:
        await github.repository(PUBLIC)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert len(github_stand_in.journal.entries()) == 1


async def test_redirects_in_a_circle_end(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    for here, there in ((PUBLIC, PRIVATE), (PRIVATE, PUBLIC)):
        location = f"{github_stand_in.url}/repos/{there}"
        github_stand_in.faults.add(path=here, status=301, count=None, headers={"Location": location})
    with pytest.raises(Retry, match="or in circles"):
        await github.repository(PUBLIC)
    assert len(github_stand_in.journal.entries()) == 4


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.github.com",
        "api.github.com",
        "https://",
        "https://octocat:secret@api.github.com",
        "https://api.github.com?token=secret",
        "https://api.github.com:port",
        "https://[::1",
    ],
)
def test_an_address_that_cannot_be_meant(url: str, clock: Clock) -> None:
    with pytest.raises(Stalled, match=r"^spec\.source\.apiURL must be") as caught:
        GitHub(url, Anonymous(), clock=clock)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("name", ["octo", "octo/", "/x", "a/b/c", "octo/..", "../x", "octo/a b", "octo/x?y", "a/b\n"])
async def test_a_name_that_is_none(github: GitHub, github_stand_in: GitHubStandIn, name: str) -> None:
    with pytest.raises(Stalled, match="is not of the form owner/name"):
        await github.repository(name)
    assert not github_stand_in.journal.entries()


async def test_a_server_that_is_not_there(clock: Clock) -> None:
    adapter = GitHub("http://127.0.0.1:1", Token(GITHUB_TOKEN), clock=clock)
    with pytest.raises(Retry, match=r"^127\.0\.0\.1:1 cannot be reached: Connection refused$") as caught:
        await adapter.repository(PUBLIC)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    await adapter.close()
