"""Each answer of OneDev's that is no success, and the policy that it calls for."""

from datetime import timedelta

import pytest

from github_onedev_sync.adapters.onedev import OneDev
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError, Waiting
from tests.stand_ins.onedev import OneDevStandIn

from .conftest import CODE_READER, ONEDEV_TOKEN, allow

LOOK_UP = r"/~api/projects/ids/"
TEXT = "text/plain"
HTML = "text/html;charset=iso-8859-1"


@pytest.mark.parametrize(
    ("status", "kind", "body", "policy", "reason", "said"),
    [
        (401, TEXT, "Invalid account or incorrect credentials", Stalled, Reason.TARGET_AUTHENTICATION_FAILED,
         "OneDev refuses the access token"),
        (403, TEXT, "Not authorized", Stalled, Reason.TARGET_NOT_PERMITTED,
         "OneDev does not let the account look up project a/b; it needs access to the project: Not authorized"),
        (404, HTML, "<html>Error 404 Not Found</html>", Waiting, Reason.TARGET_UNAVAILABLE, "OneDev is starting"),
        (404, TEXT, "default backend - 404", Waiting, Reason.TARGET_UNAVAILABLE, "OneDev is starting"),
        (404, TEXT, "HTTP 404 Not Found", Stalled, Reason.TARGET_REFUSED, "HTTP 404 Not Found"),
        (503, TEXT, "Server not ready", Waiting, Reason.TARGET_UNAVAILABLE, "OneDev is starting"),
        (503, HTML, "<html>proxy</html>", Retry, Reason.TARGET_UNAVAILABLE, "OneDev answers 503 to: look up"),
        (502, TEXT, "Bad Gateway", Retry, Reason.TARGET_UNAVAILABLE, "answers 502"),
        (504, HTML, "", Retry, Reason.TARGET_UNAVAILABLE, "answers 504"),
        (429, TEXT, "slow down", Retry, Reason.TARGET_UNAVAILABLE, "answers 429"),
        (500, TEXT, "Server Error", Retry, Reason.TARGET_UNAVAILABLE, "Server Error"),
        (500, TEXT, "could not execute statement", Retry, Reason.TARGET_UNAVAILABLE, "could not execute statement"),
        (500, HTML, "<html>oops</html>", Retry, Reason.TARGET_UNAVAILABLE, "answers 500"),
        (500, TEXT, "", Retry, Reason.TARGET_UNAVAILABLE, "answers 500"),
        (500, TEXT, "Project 'a' is still being used\n in below places: x.", Stalled, Reason.TARGET_REFUSED,
         "Project 'a' is still being used in below places: x"),
        (400, "application/json", "createProject.arg0.name: must not be empty", Stalled, Reason.TARGET_REFUSED,
         "createProject.arg0.name: must not be empty"),
        (406, TEXT, "Missing query params: [offset]", Stalled, Reason.TARGET_REFUSED, "Missing query params"),
        (415, TEXT, "HTTP 415 Unsupported Media Type", Stalled, Reason.TARGET_REFUSED, "415"),
        (200, HTML, "<html>Log in</html>", Retry, Reason.TARGET_UNAVAILABLE, "is spec.url right"),
        (200, TEXT, "forty-two", Retry, Reason.TARGET_UNAVAILABLE, "is spec.url right"),
        (200, TEXT, "", Retry, Reason.TARGET_UNAVAILABLE, "is spec.url right"),
    ],
)  # fmt: skip
async def test_policies(
    onedev: OneDev,
    onedev_stand_in: OneDevStandIn,
    status: int,
    kind: str,
    body: str,
    policy: type[SyncError],
    reason: Reason,
    said: str,
) -> None:
    onedev_stand_in.faults.add(path=LOOK_UP, status=status, body=body, headers={"Content-Type": kind})
    with pytest.raises(SyncError) as caught:
        await onedev.find_project("a/b")
    assert type(caught.value) is policy
    assert caught.value.reason is reason
    assert said in caught.value.message
    assert "<html" not in caught.value.message
    assert ONEDEV_TOKEN not in caught.value.message
    assert await onedev.find_project("a/b") is None


@pytest.mark.parametrize("body", ["[", "[1]", '{"id": 1}', '{"id": "x", "path": "a"}', "<html>"])
async def test_a_project_that_is_none(onedev: OneDev, onedev_stand_in: OneDevStandIn, body: str) -> None:
    await onedev.ensure_project("a", None)
    onedev_stand_in.faults.add(path=r"/~api/projects/\d+$", status=200, body=body)
    with pytest.raises(Retry, match=r"is not OneDev's: is spec\.url right") as caught:
        await onedev.find_project("a")
    assert caught.value.reason is Reason.TARGET_UNAVAILABLE


async def test_a_server_that_starts(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    for mode in ("starting", "not-ready"):
        await onedev_stand_in.set_mode(mode)
        for act in (onedev.version(), onedev.check_account(), onedev.ensure_project("a/b", None)):
            with pytest.raises(Waiting, match="OneDev is starting") as caught:
                await act
            assert caught.value.reason is Reason.TARGET_UNAVAILABLE
            assert caught.value.after == timedelta(seconds=15)
    await onedev_stand_in.set_mode("ready")
    assert await onedev_stand_in.list_projects() == []


async def test_a_token_that_a_starting_server_does_not_know_yet_is_not_blamed(
    onedev: OneDev, onedev_stand_in: OneDevStandIn
) -> None:
    onedev_stand_in.faults.add(path="/users/me", status=401, body="Not authenticated")
    onedev_stand_in.faults.add(path="/readyz", status=503, body="not ready\n")
    with pytest.raises(Waiting, match="OneDev is starting"):
        await onedev.check_account()


async def test_a_revoked_token(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    await onedev.check_account()
    await onedev_stand_in.revoke_token(ONEDEV_TOKEN)
    for act in (onedev.check_account(), onedev.version(), onedev.find_project("a")):
        with pytest.raises(Stalled, match="Put a valid one under the key token of the Secret") as caught:
            await act
        assert caught.value.reason is Reason.TARGET_AUTHENTICATION_FAILED


async def test_a_token_with_permissions_of_its_own_is_nobody_and_fine(
    onedev: OneDev, onedev_stand_in: OneDevStandIn
) -> None:
    onedev_stand_in.faults.add(path="/users/me", status=403, body="Not authorized")
    await onedev.check_account()


async def test_rights_are_named(onedev: OneDev, bot: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    project = await onedev.ensure_project("github", None)
    child = await onedev.ensure_project("github/octo", None)
    allow(onedev_stand_in, CODE_READER, "github")
    for act, said in (
        (bot.ensure_project("other", None), "create project other; it needs the right to create root projects"),
        (bot.ensure_project("github/a", None), "create project github/a; it needs the permission Create Child"),
        (bot.describe_project(project, "Words"), "update project github; it needs the permission Manage Project"),
        (bot.move_project(child, project, "new"), "Manage Project there and Create Child Projects on github"),
        (bot.delete_project(project), "delete project github; it needs the permission Manage Project"),
        (bot.set_default_branch(project, "main"), "make main the default branch of github; it needs the permission"),
    ):
        with pytest.raises(Stalled, match=said) as caught:
            await act
        assert caught.value.reason is Reason.TARGET_NOT_PERMITTED


@pytest.mark.parametrize(
    ("version", "policy", "said"),
    [
        ("12.0.10", None, ""),
        ("13.1", Retry, "is not OneDev's"),
        ("100.0.0", None, ""),
        ("12.0.9", Stalled, "OneDev 12.0.9 is too old: at least 12.0.10 is needed"),
        ("9.9.99", Stalled, "is too old"),
        ("<html>", Retry, "is not OneDev's"),
    ],
)
async def test_versions(
    onedev: OneDev, onedev_stand_in: OneDevStandIn, version: str, policy: type[SyncError] | None, said: str
) -> None:
    await onedev_stand_in.configure(version=version)
    if policy is None:
        assert await onedev.version() == version
        return
    with pytest.raises(policy, match=said):
        await onedev.version()


async def test_a_server_without_probes(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    onedev_stand_in.faults.add(path="/readyz", status=302, headers={"Location": "/~login"})
    assert await onedev.version() == "16.5.6"


@pytest.mark.parametrize("location", ["https://elsewhere.example/~api?secret=1", "http://[", ""])
async def test_a_redirect_is_not_followed(onedev: OneDev, onedev_stand_in: OneDevStandIn, location: str) -> None:
    onedev_stand_in.faults.add(path=LOOK_UP, status=301, headers={"Location": location})
    with pytest.raises(Stalled, match=r"is spec\.url right\?") as caught:
        await onedev.find_project("a")
    assert caught.value.reason is Reason.TARGET_REFUSED
    assert "secret" not in caught.value.message
    assert len(onedev_stand_in.journal.entries()) == 1


@pytest.mark.parametrize(
    "path",
    ["", "/", "/a", "a/", "a//b", ".github", "a/-b", "a b", "a/wicket", "A/Projects", "x.git", "a/..", "ü", "a\n", "~x",
     "a%41", "x/" + "y" * 254],
)  # fmt: skip
async def test_illegal_paths_never_reach_the_server(onedev: OneDev, onedev_stand_in: OneDevStandIn, path: str) -> None:
    for act in (onedev.find_project(path), onedev.ensure_project(path, None)):
        with pytest.raises(Stalled, match=r"spec\.target\.project") as caught:
            await act
        assert caught.value.reason is Reason.TARGET_PATH_ILLEGAL
    assert not onedev_stand_in.journal.entries()


@pytest.mark.parametrize(
    "url",
    [
        "onedev.example",
        "ftp://onedev.example",
        "https://",
        "https://u:secret@h",
        "https://h?x=secret",
        "https://h:port",
    ],
)
def test_an_address_that_cannot_be_meant(url: str) -> None:
    with pytest.raises(Stalled, match=r"^spec\.url must be") as caught:
        OneDev(url, ONEDEV_TOKEN)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert "secret" not in caught.value.message


async def test_a_server_that_is_not_there() -> None:
    onedev = OneDev("http://127.0.0.1:1", ONEDEV_TOKEN)
    with pytest.raises(Retry, match=r"^127\.0\.0\.1:1 cannot be reached: ") as caught:
        await onedev.version()
    assert caught.value.reason is Reason.TARGET_UNAVAILABLE
    await onedev.close()


async def test_a_connection_that_is_cut(onedev: OneDev, onedev_stand_in: OneDevStandIn) -> None:
    onedev_stand_in.faults.add(path="/version/server", cut_after=2)
    with pytest.raises(Retry, match="cannot be reached"):
        await onedev.version()


async def test_a_call_after_closing(onedev: OneDev) -> None:
    await onedev.close()
    with pytest.raises(Retry, match="is being replaced"):
        await onedev.version()
