"""GitHub's REST subset: identity, refusals, limits, conditional requests, pages, Apps."""

import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, Github

from .conftest import TOKEN
from .github import GitHubStandIn

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("base", ["", "/api/v3"])
async def test_repository(github: GitHubStandIn, client: httpx.AsyncClient, base: str) -> None:
    answer = await client.get(f"{github.url}{base}/repos/OCTO/hello")
    document = answer.json()
    assert answer.status_code == 200
    assert document["full_name"] == "octo/hello"
    assert document["clone_url"] == f"{github.url}/octo/hello.git"
    assert document["url"] == f"{github.url}{base}/repos/octo/hello"
    assert document["default_branch"] == "main"
    assert document["owner"]["login"] == "octo"
    assert answer.headers["x-ratelimit-limit"] == "60"
    by_id = await client.get(f"{github.url}{base}/repositories/{document['id']}")
    assert by_id.json()["node_id"] == document["node_id"]


async def test_refusals(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    url = f"{github.url}/repos/octo/hello"
    absent = await client.get(f"{github.url}/repos/octo/none")
    assert (absent.status_code, absent.json()["message"]) == (404, "Not Found")
    wrong = await client.get(url, headers={"Authorization": "Bearer nonsense"})
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")
    nameless = await client.get(url, headers={"User-Agent": ""})
    assert nameless.status_code == 403
    await github.set_metadata("octo/hello", block_status=451)
    blocked = await client.get(url)
    assert (blocked.status_code, blocked.json()["block"]["reason"]) == (451, "dmca")
    await github.set_metadata("octo/hello", block_status=403, block_reason="tos")
    blocked = await client.get(url)
    assert (blocked.status_code, blocked.json()["block"]["reason"]) == (403, "tos")


async def test_private(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await github.set_metadata("octo/hello", private=True)
    await github.add_token("narrow", "mona", repositories=["octo/other"])
    url = f"{github.url}/repos/octo/hello"
    assert (await client.get(url)).status_code == 404
    assert (await client.get(url, headers={"Authorization": "token narrow"})).status_code == 404
    assert (await client.get(url, headers=AUTHORIZED)).json()["visibility"] == "private"
    await github.revoke_token(TOKEN)
    assert (await client.get(url, headers=AUTHORIZED)).status_code == 401


async def test_rename_keeps_the_id_and_recreation_does_not(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    number = (await client.get(f"{github.url}/repos/octo/hello")).json()["id"]
    await github.rename_repository("octo/hello", "mona/greeting")
    moved = await client.get(f"{github.url}/repos/octo/hello")
    assert (moved.status_code, moved.headers["location"]) == (301, f"{github.url}/repositories/{number}")
    assert (await client.get(moved.headers["location"])).json()["full_name"] == "mona/greeting"
    stranger = await github.create_repository("octo/hello")
    assert stranger != number
    assert (await client.get(f"{github.url}/repos/octo/hello")).json()["id"] == stranger
    assert await github.recreate_repository("octo/hello") not in (number, stranger)


async def test_conditional_requests_are_free_for_those_who_sign_in(
    github: GitHubStandIn, client: httpx.AsyncClient
) -> None:
    url = f"{github.url}/repos/octo/hello"
    first = await client.get(url, headers=AUTHORIZED)
    again = await client.get(url, headers={**AUTHORIZED, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-ratelimit-used"] == first.headers["x-ratelimit-used"] == "1"
    anonymous = await client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert anonymous.status_code == 200, "an ETag is bound to the credential"
    await github.set_metadata("octo/hello", archived=True)
    changed = await client.get(url, headers={**AUTHORIZED, "If-None-Match": first.headers["etag"]})
    assert changed.json()["archived"] is True


async def test_limits(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    url = f"{github.url}/repos/octo/hello"
    await github.exhaust_limit(TOKEN, seconds=100)
    spent = await client.get(url, headers=AUTHORIZED)
    assert (spent.status_code, spent.headers["x-ratelimit-remaining"]) == (403, "0")
    assert spent.json()["message"].startswith("API rate limit exceeded for user ID")
    assert 95 < int(spent.headers["x-ratelimit-reset"]) - time.time() <= 101
    assert (await client.get(f"{github.url}/rate_limit", headers=AUTHORIZED)).json()["rate"]["remaining"] == 0
    await github.secondary_limit(status=429, retry_after=7)
    slow = await client.get(url)
    assert (slow.status_code, slow.headers["retry-after"]) == (429, "7")
    assert "secondary rate limit" in slow.json()["message"]
    assert (await client.get(url)).status_code == 200


async def test_stars_come_in_pages(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    for number in range(5):
        await github.create_repository(f"octo/r{number}")
        await github.star("octocat", f"octo/r{number}", at=f"2026-01-0{number + 1}T00:00:00Z")
    headers = {**AUTHORIZED, "Accept": "application/vnd.github.star+json"}
    page = await client.get(f"{github.url}/user/starred?per_page=2", headers=headers)
    seen = [row["repo"]["name"] for row in page.json()]
    assert page.json()[0]["starred_at"] == "2026-01-05T00:00:00Z"
    while "next" in page.links:
        page = await client.get(page.links["next"]["url"], headers=headers)
        seen += [row["repo"]["name"] for row in page.json()]
    assert seen == ["r4", "r3", "r2", "r1", "r0"]
    assert "prev" in page.links
    await github.unstar("octocat", "octo/r4")
    plain = await client.get(f"{github.url}/users/octocat/starred")
    assert [row["name"] for row in plain.json()] == ["r3", "r2", "r1", "r0"]


async def test_installation_tokens(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    await github.add_app("17", public.decode(), 4711)
    url = f"{github.url}/app/installations/4711/access_tokens"

    def signed(**claims: object) -> dict[str, str]:
        now = int(time.time())
        return {
            "Authorization": "Bearer " + jwt.encode({"iat": now, "exp": now + 300, "iss": "17", **claims}, key, "RS256")
        }

    granted = await client.post(url, headers=signed())
    assert granted.status_code == 201
    assert len(granted.json()["token"]) > 500
    headers = {"Authorization": f"token {granted.json()['token']}"}
    assert (await client.get(f"{github.url}/repos/octo/hello", headers=headers)).status_code == 200
    assert (await client.get(f"{github.url}/user", headers=headers)).status_code == 403
    refused = [
        await client.post(url, headers=signed(iss="18")),
        await client.post(url, headers=signed(exp=int(time.time()) - 1)),
        await client.post(url, headers=signed(exp=int(time.time()) + 3600)),
        await client.post(url, headers={"Authorization": "Bearer nonsense"}),
        await client.post(url),
    ]
    assert [answer.status_code for answer in refused] == [401] * 5
    assert (await client.post(url.replace("4711", "4712"), headers=signed())).status_code == 404


async def test_pygithub(github: GitHubStandIn) -> None:
    """The client that the operator uses takes the answers for GitHub's."""
    import asyncio

    def read() -> tuple[str, str]:
        api = Github(auth=Auth.Token(TOKEN), base_url=github.url, retry=None, seconds_between_requests=0)
        try:
            return api.get_repo("octo/hello").full_name, api.get_user().login
        finally:
            api.close()

    assert await asyncio.to_thread(read) == ("octo/hello", "octocat")
