"""Accounts, and the lists of what they starred and own, page by page."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from github_onedev_sync.adapters.credentials import Anonymous, Credentials, Token
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError
from github_onedev_sync.api.observed import Account, ListedRepository, Owned, Page, Scope, Starred
from tests.stand_ins.github import GitHubStandIn

from .conftest import APP, GITHUB_TOKEN, PRIVATE, PUBLIC, PUBLIC_PEM, Clock

Connect = Callable[[Credentials], GitHub]
OWN, OF_MONA = Starred(), Starred("mona")
NARROW, ACME = "github_pat_narrow", "acme"


@pytest.fixture
def github(github_as: Connect) -> GitHub:
    return github_as(Token(GITHUB_TOKEN))


@pytest.fixture
async def app(github_stand_in: GitHubStandIn, github_as: Connect) -> GitHub:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id, [PUBLIC, PRIVATE])
    return github_as(APP)


@pytest.fixture
async def many(github_stand_in: GitHubStandIn) -> list[str]:
    """250 repositories that octocat and mona have starred; those that are private are not shown. Newest first."""
    made = await github_stand_in.create_many(250, starred_by="octocat", private=False)
    await github_stand_in.star_many("mona", made)
    return list(reversed(made))


async def walk(github: GitHub, scope: Scope) -> AsyncIterator[Page]:
    cursor = ""
    while True:
        page = await github.page(scope, cursor)
        yield page
        if not page.next:
            return
        cursor = page.next


def names(*pages: Page) -> list[str]:
    return [row.full_name for page in pages for row in page.rows]


def asked(stand_in: GitHubStandIn, path: str = "") -> list[str]:
    return [entry.path for entry in stand_in.journal.entries(path=path or "/")]


# ---- accounts


async def test_whose_a_token_is(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    own = await github.account(None)
    assert own == await github.account("OctoCat") == Account(own.id, "octocat")
    await github_stand_in.hand_token(GITHUB_TOKEN, "mona")
    assert (await github.account(None)).login == "mona"


async def test_who_installed_an_app(app: GitHub, github_stand_in: GitHubStandIn) -> None:
    assert await app.account(None) == await app.account("octo")
    assert asked(github_stand_in)[0] == f"/app/installations/{APP.installation_id}"


async def test_an_organization_is_an_account_too(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    number = await github_stand_in.declare_user(ACME, organization=True)
    assert await github.account(ACME) == Account(number, ACME)


async def test_a_login_that_nobody_has(github: GitHub) -> None:
    said = r"GitHub knows no user or organisation nobody: correct spec\.user, or spec\.owner of an OwnedReposSync"
    for call in (github.account("nobody"), github.page(Starred("nobody")), github.page(Owned("nobody"))):
        with pytest.raises(Stalled, match=said) as caught:
            await call
        assert caught.value.reason is Reason.USER_NOT_FOUND


@pytest.mark.parametrize("login", ["", "a/b", "../users", "a?b", "a b", "-a", "a\n", "x" * 101, "ü"])
async def test_a_login_that_is_none(github: GitHub, github_stand_in: GitHubStandIn, login: str) -> None:
    for call in (github.account(login), github.page(Starred(login)), github.page(Owned(login))):
        with pytest.raises(Stalled, match=r"is no GitHub login: correct spec\.user") as caught:
            await call
        assert caught.value.reason is Reason.INVALID_SPEC
    assert not asked(github_stand_in)


async def test_without_a_token_nobody_is_its_owner(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    with pytest.raises(Stalled, match=r"set spec\.source\.secretRef, or spec\.user") as caught:
        await github_as(Anonymous()).account(None)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert not asked(github_stand_in)


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{}", '{"id": 0, "login": "a"}', '{"id": 1}', '{"id": "1", "login": "a"}', '{"id": 1, "login": "a\\n"}'],
)
async def test_an_account_that_is_none(github: GitHub, app: GitHub, github_stand_in: GitHubStandIn, body: str) -> None:
    github_stand_in.faults.add(path="/users?(/a)?$", count=None, status=200, body=body)
    github_stand_in.faults.add(path="/installations/99$", count=None, status=200, body=f'{{"account": {body or 1}}}')
    for call in (github.account(None), github.account("a"), app.account(None)):
        with pytest.raises(Retry, match="is not GitHub's") as caught:
            await call
        assert caught.value.reason is Reason.SOURCE_UNAVAILABLE


async def test_a_404_that_is_not_github_s_says_nothing_of_the_login(
    github: GitHub, github_stand_in: GitHubStandIn
) -> None:
    github_stand_in.faults.add(path="/mona", count=None, status=404, body="<html>Not here</html>")
    for call in (github.account("mona"), github.page(OF_MONA), github.is_starred("octo/mona")):
        with pytest.raises(Retry, match=r"is spec\.source\.apiURL right\?|answers 404|knows no"):
            await call


async def test_an_app_that_was_thrown_out(app: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.uninstall_app(APP.installation_id)
    for call in (app.account(None), app.page(Owned())):
        with pytest.raises(Stalled, match="GitHub knows no installation 99 of the App 4711"):
            await call


# ---- stars


@pytest.mark.parametrize("scope", [OWN, OF_MONA], ids=["own", "somebody's"])
async def test_stars_page_by_page_newest_first(
    github: GitHub, github_stand_in: GitHubStandIn, many: list[str], scope: Scope
) -> None:
    pages = [page async for page in walk(github, scope)]
    assert [len(page.rows) for page in pages] == [100, 100, 50]
    assert names(*pages) == many
    starred = [row.starred_at for page in pages for row in page.rows if row.starred_at]
    assert len(starred) == 250
    assert starred == sorted(starred, reverse=True)
    assert len(asked(github_stand_in)) == 3


async def test_what_a_row_tells(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    (name,) = await github_stand_in.create_many(
        1, private=False, archived=True, fork=True, stars=7, topics=["cli", "git"], language="Go", license="MIT",
        description="What for", size=42, created_at="2020-01-02T03:04:05Z", pushed_at="2026-01-02T03:04:05Z",
    )  # fmt: skip
    await github_stand_in.star("octocat", name, "2026-05-06T07:08:09Z")
    (row,) = (await github.page(OWN)).rows
    assert row == ListedRepository(
        id=(await github.repository(name)).id,
        full_name=name,
        archived=True,
        fork=True,
        stars=7,
        size_kb=42,
        language="Go",
        topics=("cli", "git"),
        license="MIT",
        description="What for",
        created_at=datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
        pushed_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        starred_at=datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC),
        owner_id=(await github.account(name.partition("/")[0])).id,
    )


async def test_no_stars_at_all(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    page = await github.page(OWN)
    assert (page.rows, page.next, page.unchanged) == ((), "", False)
    await github_stand_in.declare_user("mona")
    assert (await github.page(OF_MONA)).rows == ()


async def test_nothing_new_is_free_and_a_star_is_seen(
    github: GitHub, github_stand_in: GitHubStandIn, many: list[str]
) -> None:
    first = await github.page(OWN)
    left = github.rate_limit
    again = await github.page(OWN, etag=first.etag)
    assert again == Page(etag=first.etag, unchanged=True)
    assert github.rate_limit == left
    await github_stand_in.star("octocat", PUBLIC)
    changed = await github.page(OWN, etag=first.etag)
    assert not changed.unchanged
    assert names(changed) == [PUBLIC, *many[:99]]
    assert changed.etag != first.etag


async def test_private_stars_are_shown_to_whoever_may_see_them(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.star("octocat", PRIVATE)
    (row,) = (await github.page(OWN)).rows
    assert (row.full_name, row.private) == (PRIVATE, True)


async def test_what_is_starred(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.star("octocat", PUBLIC)
    assert await github.is_starred(PUBLIC)
    assert not await github.is_starred(PRIVATE)
    github_stand_in.faults.add(path="/starred/", status=500)
    with pytest.raises(Retry):
        await github.is_starred(PUBLIC)


async def test_a_token_that_may_not_read_stars(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.add_token(NARROW, "octocat", permissions=["contents"])
    github = github_as(Token(NARROW))
    for call in (github.page(OWN), github.is_starred(PUBLIC)):
        with pytest.raises(Stalled, match="the user permission Starring: read") as caught:
            await call
        assert caught.value.reason is Reason.SOURCE_AUTHENTICATION_FAILED


async def test_nobody_s_stars(github_as: Connect, app: GitHub, github_stand_in: GitHubStandIn) -> None:
    for github in (github_as(Anonymous()), app):
        with pytest.raises(Stalled, match=r"set spec\.user, or give such a token") as caught:
            await github.page(OWN)
        assert caught.value.reason is Reason.INVALID_SPEC
    assert not asked(github_stand_in)


async def test_public_stars_are_shown_to_anybody(github_as: Connect, app: GitHub, many: list[str]) -> None:
    for github in (github_as(Anonymous()), app):
        assert names(await github.page(OF_MONA)) == many[:100]


async def test_a_revoked_token(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.revoke_token(GITHUB_TOKEN)
    for call in (github.page(OWN), github.page(OF_MONA), github.account(None), github.account("mona")):
        with pytest.raises(Stalled, match="it is wrong, expired or revoked") as caught:
            await call
        assert caught.value.reason is Reason.SOURCE_AUTHENTICATION_FAILED


# ---- owned


async def test_what_an_app_s_installation_was_given(app: GitHub, github_stand_in: GitHubStandIn) -> None:
    assert set(names(await app.page(Owned()))) == set(names(await app.page(Owned("octo")))) == {PUBLIC, PRIVATE}
    await github_stand_in.remove_repository_from_installation(APP.installation_id, PRIVATE)
    assert names(await app.page(Owned())) == [PUBLIC]


async def test_an_installation_page_by_page(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.add_app(APP.app_id, PUBLIC_PEM, APP.installation_id, account=ACME)
    made = await github_stand_in.create_many(130, owner=ACME)
    pages = [page async for page in walk(github_as(APP), Owned())]
    assert [len(page.rows) for page in pages] == [100, 30]
    assert set(names(*pages)) == set(made)


async def test_only_an_app_has_an_installation(github: GitHub, github_as: Connect) -> None:
    for one in (github, github_as(Anonymous())):
        with pytest.raises(Stalled, match=r"set spec\.owner, or give the App's keys") as caught:
            await one.page(Owned())
        assert caught.value.reason is Reason.INVALID_SPEC


async def test_what_the_token_s_owner_has(github_as: Connect, github_stand_in: GitHubStandIn) -> None:
    """Private ones as well, and not those of an organisation."""
    await github_stand_in.declare_user(ACME, organization=True, members=["octo"])
    await github_stand_in.create_repository(f"{ACME}/tool")
    await github_stand_in.add_token("ghp_octo", "octo")
    assert set(names(await github_as(Token("ghp_octo")).page(Owned("Octo")))) == {PUBLIC, PRIVATE}


async def test_what_somebody_else_has(github: GitHub, github_as: Connect) -> None:
    assert names(await github.page(Owned("octo"))) == [PUBLIC]
    assert names(await github_as(Anonymous()).page(Owned("octo"))) == [PUBLIC]


async def test_what_an_organization_has(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.declare_user(ACME, organization=True)
    made = await github_stand_in.create_many(120, owner=ACME)
    pages = [page async for page in walk(github, Owned(ACME))]
    assert set(names(*pages)) == set(made)
    created = [row.created_at for page in pages for row in page.rows if row.created_at]
    assert created == sorted(created, reverse=True)
    # Who it is was asked for once.
    assert [path.partition("?")[0] for path in asked(github_stand_in)][:2] == [f"/users/{ACME}", f"/orgs/{ACME}/repos"]
    assert len(asked(github_stand_in)) == 3


async def test_a_user_that_became_an_organization(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    await github_stand_in.declare_user(ACME, organization=True)
    assert (await github.page(Owned(ACME))).rows == ()
    github_stand_in.faults.add(path=f"/orgs/{ACME}/repos", status=404, body='{"message": "Not Found"}')
    with pytest.raises(Stalled, match="knows no user or organisation acme"):
        await github.page(Owned(ACME))
    assert (await github.page(Owned(ACME))).rows == ()
    assert asked(github_stand_in, f"/users/{ACME}") == [f"/users/{ACME}"] * 2


# ---- answers that are wrong


def star(**members: Any) -> dict[str, Any]:
    return {"starred_at": "2026-01-01T00:00:00Z", "repo": {"id": 7, "full_name": "octo/repo", **members}}


async def test_rows_that_github_hides_are_left_out(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    rows = [None, {"starred_at": "2026-01-01T00:00:00Z", "repo": None}, star()]
    github_stand_in.faults.add(path="/starred", status=200, body=json.dumps(rows))
    assert names(await github.page(OWN)) == ["octo/repo"]
    github_stand_in.faults.add(path="/repos", status=200, body=json.dumps([None, star()["repo"]]))
    assert names(await github.page(Owned("octo"))) == ["octo/repo"]


async def test_members_that_other_servers_lack(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    row = star(topics=None, license=None, owner=None, language=None, pushed_at=None)
    github_stand_in.faults.add(path="/starred", status=200, body=json.dumps([row]))
    (found,) = (await github.page(OWN)).rows
    assert found == ListedRepository(7, "octo/repo", starred_at=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"spdx_id": "MIT", "key": "mit"}, "MIT"),
        ({"spdx_id": None, "key": "other"}, "other"),
        ({"key": "x"}, "x"),
        ({}, None),
    ],
)
async def test_licenses(
    github: GitHub, github_stand_in: GitHubStandIn, known: dict[str, Any], told: str | None
) -> None:
    github_stand_in.faults.add(path="/starred", status=200, body=json.dumps([star(license=known)]))
    (found,) = (await github.page(OWN)).rows
    assert found.license == told


@pytest.mark.parametrize(
    "body",
    [
        "", "{}", "[", "[1]", "null", '[{"id": 7, "full_name": "octo/repo"}]', "[[]]", '[{"repo": {}}]',
        *(json.dumps([star(**bad)]) for bad in (
            {"id": 0}, {"id": 2**63}, {"id": "7"}, {"full_name": None}, {"full_name": "octo/../x"}, {"size": -1},
            {"full_name": "octo/repo\n"}, {"topics": [1]}, {"pushed_at": "soon"}, {"private": "no"},
            {"owner": {"id": "x"}},
        )),
    ],
)  # fmt: skip
async def test_a_list_that_is_none(github: GitHub, github_stand_in: GitHubStandIn, body: str) -> None:
    github_stand_in.faults.add(path="/starred", status=200, body=body)
    with pytest.raises(Retry, match=r"The answer for the stars of the token's owner is not GitHub's") as caught:
        await github.page(OWN)
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE


@pytest.mark.parametrize(
    "link",
    [
        '<http://github.example/user/starred?page=2>; rel="next"',
        '<https://127.0.0.1/user/starred?page=2>; rel="next"',
        '</user/starred?page=2>; rel="next"', '<http://[/user/starred?page=2>; rel="next"', '<2>; rel="next"',
    ],
)  # fmt: skip
async def test_a_next_page_elsewhere_is_not_asked_for(
    github: GitHub, github_stand_in: GitHubStandIn, link: str
) -> None:
    github_stand_in.faults.add(path="/starred", status=200, body="[]", headers={"Link": link})
    with pytest.raises(Retry, match=r"is not GitHub's"):
        await github.page(OWN)


async def test_a_page_that_leads_to_itself(github: GitHub, github_stand_in: GitHubStandIn) -> None:
    link = f'<{github_stand_in.url}/user/starred?page=2>; rel="next"'
    github_stand_in.faults.add(path="/starred", count=None, status=200, body="[]", headers={"Link": link})
    page = await github.page(OWN)
    with pytest.raises(Retry, match="its next page is elsewhere"):
        await github.page(OWN, page.next)


@pytest.mark.parametrize("link", ["", "nonsense", '<x>; rel="prev"', "<x>", '; rel="next"'])
async def test_no_link_to_a_next_page(github: GitHub, github_stand_in: GitHubStandIn, link: str) -> None:
    github_stand_in.faults.add(path="/starred", status=200, body="[]", headers={"Link": link})
    assert (await github.page(OWN)).next == ""


@pytest.mark.parametrize("cursor", ["//github.example/x", "http://github.example/x", "x", "@github.example/"])
async def test_a_cursor_never_leads_to_another_host(
    github: GitHub, github_stand_in: GitHubStandIn, cursor: str
) -> None:
    with pytest.raises(SyncError):
        await github.page(OWN, cursor)
    assert len(asked(github_stand_in)) == 1


async def test_a_server_of_one_s_own(github_stand_in: GitHubStandIn, clock: Clock, many: list[str]) -> None:
    adapter = GitHub(github_stand_in.url + "/api/v3", Token(GITHUB_TOKEN), clock=clock)
    assert names(*[page async for page in walk(adapter, OWN)]) == many
    assert {path.partition("?")[0] for path in asked(github_stand_in)} == {"/api/v3/user/starred"}
    await adapter.close()


@pytest.mark.parametrize("query", ["", "?page=2"])
async def test_a_redirect_keeps_the_query(github: GitHub, github_stand_in: GitHubStandIn, query: str) -> None:
    await github_stand_in.star("octocat", PUBLIC)
    location = f"{github_stand_in.url}/user/starred{query}"
    github_stand_in.faults.add(path="/users/mona/starred", status=301, headers={"Location": location})
    assert len((await github.page(OF_MONA)).rows) == (0 if query else 1)
    asked_for = asked(github_stand_in)
    assert asked_for[1].partition("?")[2] == (query[1:] or asked_for[0].partition("?")[2])
