"""Long lists of stars: pages, order, who sees what, and lists that are not what they seem."""

import time

import httpx
import pytest

from .conftest import TOKEN
from .github import GitHubStandIn

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/vnd.github.v3.star+json"}
# Measured 0.012; this leaves room for a machine that does other things.
PAGE_SECONDS = 0.1


async def walk(client: httpx.AsyncClient, url: str) -> list[str]:
    names = []
    while url:
        page = await client.get(url, headers=AUTHORIZED)
        assert page.status_code == 200, page.text
        names += [row["repo"]["full_name"] for row in page.json()]
        url = page.links.get("next", {}).get("url", "")
    return names


async def test_ten_thousand(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await github.create_many(10_000, starred_by="octocat")
    assert await walk(client, f"{github.url}/user/starred?per_page=100") == made[::-1]
    seconds = []
    for number in (1, 1, 50, 50, 100, 100):
        started = time.perf_counter()
        page = await client.get(f"{github.url}/user/starred?per_page=100&page={number}", headers=AUTHORIZED)
        seconds.append(time.perf_counter() - started)
        assert len(page.json()) == 100
    assert min(seconds) < PAGE_SECONDS, "the fastest one tells what it costs"
    rows = page.json()
    assert {row["repo"]["node_id"][:2] for row in rows} == {"R_"}
    assert rows[0]["starred_at"] > rows[1]["starred_at"]
    assert set(page.links) == {"prev", "first"}
    by_id = await client.get(f"{github.url}/repositories/{rows[0]['repo']['id']}", headers=AUTHORIZED)
    assert by_id.json()["node_id"] == rows[0]["repo"]["node_id"]


async def test_those_in_memory_are_renamed_deleted_and_cloned_as_any_other(
    github: GitHubStandIn, client: httpx.AsyncClient
) -> None:
    first, second = await github.create_many(2, "many", starred_by="octocat", git_of="octo/hello", topics=["one"])
    number = (await client.get(f"{github.url}/repos/{first}")).json()["id"]
    await github.rename_repository(first, "mona/new")
    assert (await client.get(f"{github.url}/repos/{first}")).headers["location"].endswith(f"/repositories/{number}")
    assert (await client.get(f"{github.url}/repositories/{number}")).json()["topics"] == ["one"]
    refs = f"{github.url}/mona/new.git/info/refs?service=git-upload-pack"
    assert (await client.get(refs, headers={"User-Agent": "git/2"})).status_code == 200
    await github.delete_repository(second)
    assert await walk(client, f"{github.url}/user/starred") == ["mona/new"]
    (bare,) = await github.create_many(1, "bare")
    absent = await client.get(
        f"{github.url}/{bare}.git/info/refs?service=git-upload-pack", headers={"User-Agent": "git/2"}
    )
    assert absent.status_code == 401, "as for any that is not there"


async def test_order(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    old, new = await github.create_many(2)
    await github.star("octocat", new, at="2026-01-01T00:00:00Z")
    await github.star("octocat", old, at="2026-02-01T00:00:00Z")
    await github.set_metadata(new, pushed_at="2026-09-01T00:00:00Z")
    url = f"{github.url}/user/starred"
    assert await walk(client, url) == [old, new]
    assert await walk(client, f"{url}?direction=asc") == [new, old]
    assert await walk(client, f"{url}?sort=updated") == [new, old]
    assert await walk(client, f"{url}?sort=updated&direction=asc") == [old, new]


async def test_only_those_who_are_known_have_stars(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    for path in ("", "/starred"):
        assert (await client.get(f"{github.url}/users/nobody{path}")).status_code == 404
        assert (await client.get(f"{github.url}/users/OCTO{path}")).status_code == 200, "owns a repository"
        assert (await client.get(f"{github.url}/users/octocat{path}")).status_code == 200, "has a token"
    number = await github.declare_user("nobody")
    assert (await client.get(f"{github.url}/users/nobody/starred")).json() == []
    assert (await client.get(f"{github.url}/user/{number}")).json()["login"] == "nobody"
    await github.forget_user("nobody")
    assert (await client.get(f"{github.url}/users/nobody/starred")).status_code == 404


async def test_links_of_somebody_elses_list_name_the_number(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await github.create_many(3, starred_by="mona")
    page = await client.get(f"{github.url}/users/mona/starred?per_page=1")
    number = (await client.get(f"{github.url}/users/mona")).json()["id"]
    assert page.links["next"]["url"] == f"{github.url}/user/{number}/starred?per_page=1&page=2"
    assert await walk(client, f"{github.url}/users/mona/starred?per_page=1") == made[::-1]


async def test_an_unchanged_page_is_free(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await github.create_many(101, starred_by="octocat")
    url = f"{github.url}/user/starred?per_page=100"
    first = await client.get(url, headers=AUTHORIZED)
    conditional = {**AUTHORIZED, "If-None-Match": first.headers["etag"]}
    assert (await client.get(url, headers=conditional)).status_code == 304
    other = {**conditional, "Accept": "application/json"}
    assert (await client.get(url, headers=other)).status_code == 200, "an ETag is bound to what was accepted"
    assert (await client.get(f"{url}&sort=created", headers=conditional)).status_code == 200, "and to the address"
    await github.unstar("octocat", made[0])
    assert (await client.get(url, headers=conditional)).status_code == 304, "what is on the second page is no news here"
    await github.unstar("octocat", made[-1])
    assert (await client.get(url, headers=conditional)).status_code == 200


async def test_lists_that_end_early(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await github.create_many(10, starred_by="octocat")
    url = f"{github.url}/user/starred?per_page=4"
    await github.cut_lists("/user/starred.*page=2$", rows=6)
    assert await walk(client, url) == made[:3:-1]
    await github.cut_lists("/user/starred", rows=0, count=None)
    assert await walk(client, url) == await walk(client, url) == []
    await github.cut_lists("", rows=0, count=0)
    assert await walk(client, url) == made[::-1]


@pytest.mark.parametrize(("scopes", "sees"), [([], False), (["public_repo"], False), (["repo", "gist"], True)])
async def test_classic_tokens(github: GitHubStandIn, client: httpx.AsyncClient, scopes: list[str], sees: bool) -> None:
    made = await github.create_many(100, starred_by="mona")
    await github.add_token("ghp_classic", "mona", scopes=scopes)
    url = f"{github.url}/user/starred?per_page=100"
    answer = await client.get(url, headers={"Authorization": "token ghp_classic"})
    assert answer.headers["x-oauth-scopes"] == ", ".join(scopes)
    assert len(answer.json()) == len(made) - (not sees)


async def test_a_fine_grained_token_needs_a_permission(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await github.add_token("github_pat_narrow", "mona", permissions=["metadata", "contents"])
    headers = {"Authorization": "Bearer github_pat_narrow"}
    refused = await client.get(f"{github.url}/user/starred", headers=headers)
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by personal access token")
    assert refused.headers["x-accepted-github-permissions"] == "starring=read"
    assert (await client.get(f"{github.url}/user", headers=headers)).status_code == 200
    assert (await client.get(f"{github.url}/users/mona/starred", headers=headers)).status_code == 200
    await github.add_token("github_pat_wide", "mona", permissions=["starring"])
    headers = {"Authorization": "Bearer github_pat_wide"}
    assert (await client.get(f"{github.url}/user/starred", headers=headers)).status_code == 200


async def test_a_token_of_another_account(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await github.create_many(2, starred_by="octocat")
    before = (await client.get(f"{github.url}/user", headers=AUTHORIZED)).json()
    await github.hand_token(TOKEN, "mona")
    after = (await client.get(f"{github.url}/user", headers=AUTHORIZED)).json()
    assert (before["login"], after["login"]) == ("octocat", "mona")
    assert before["id"] != after["id"]
    assert await walk(client, f"{github.url}/user/starred") == []
    await github.declare_user("mona", user_id=7)
    assert (await client.get(f"{github.url}/user", headers=AUTHORIZED)).json()["id"] == 7
    await github.expire_token(TOKEN)
    assert (await client.get(f"{github.url}/user", headers=AUTHORIZED)).status_code == 401
