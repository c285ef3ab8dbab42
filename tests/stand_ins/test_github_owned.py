"""Whose repositories are listed where: users, organisations, Apps, and what changes between two pages."""

import time

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .conftest import TOKEN
from .github import GitHubStandIn

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC_PEM = (
    KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
)


@pytest.fixture
async def owned(github: GitHubStandIn) -> GitHubStandIn:
    """octocat owns one public and one private repository, acme two of each kind."""
    await github.declare_user("acme", organization=True, members=["octocat"])
    for owner in ("octocat", "acme"):
        await github.create_many(1, owner=owner, private=False, pushed_at="2026-01-01T00:00:00Z")
        await github.create_many(1, owner=owner, first=1, private=True, pushed_at="2026-02-01T00:00:00Z")
    await github.add_token("public-only", "octocat", repositories=[])
    return github


def app() -> dict[str, str]:
    now = int(time.time())
    return {"Authorization": "Bearer " + jwt.encode({"iat": now, "exp": now + 300, "iss": "17"}, KEY, "RS256")}


async def names(client: httpx.AsyncClient, url: str, token: str = TOKEN) -> list[str]:
    answer = await client.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return [row["full_name"] for row in answer.json()]


ZERO, ONE = "octocat/project-00000", "octocat/project-00001"
ACME = ["acme/project-00000", "acme/project-00001"]


@pytest.mark.parametrize(
    ("path", "token", "listed"),
    [
        ("/user/repos?affiliation=owner", TOKEN, [ZERO, ONE]),
        ("/user/repos?affiliation=owner&sort=pushed", TOKEN, [ONE, ZERO]),
        ("/user/repos?affiliation=owner&sort=pushed&direction=asc", TOKEN, [ZERO, ONE]),
        ("/user/repos?affiliation=owner&direction=desc", TOKEN, [ONE, ZERO]),
        ("/user/repos?affiliation=owner", "public-only", [ZERO]),
        ("/user/repos?affiliation=owner&visibility=private", TOKEN, [ONE]),
        ("/user/repos?type=owner", TOKEN, [ZERO, ONE]),
        ("/user/repos", TOKEN, [*ACME, ZERO, ONE]),
        ("/users/octocat/repos", TOKEN, [ZERO]),
        ("/users/acme/repos", TOKEN, ACME[:1]),
        ("/orgs/acme/repos?sort=full_name", TOKEN, ACME),
        ("/orgs/acme/repos?type=private", TOKEN, ACME[1:]),
        ("/orgs/acme/repos", "public-only", ACME[:1]),
    ],
)
async def test_lists(owned: GitHubStandIn, client: httpx.AsyncClient, path: str, token: str, listed: list[str]) -> None:
    assert await names(client, owned.url + path, token) == listed


async def test_links_name_the_number(owned: GitHubStandIn, client: httpx.AsyncClient) -> None:
    organization = (await client.get(f"{owned.url}/orgs/acme")).json()
    page = await client.get(f"{owned.url}/orgs/acme/repos?per_page=1&sort=full_name", headers=AUTHORIZED)
    following = page.links["next"]["url"]
    assert following.startswith(f"{owned.url}/organizations/{organization['id']}/repos?")
    assert await names(client, following) == ACME[1:]
    page = await client.get(f"{owned.url}/user/repos?per_page=1", headers=AUTHORIZED)
    assert page.links["next"]["url"] == f"{owned.url}/user/repos?per_page=1&page=2"


async def test_organisations_and_users(owned: GitHubStandIn, client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{owned.url}/users/acme")).json()["type"] == "Organization"
    assert (await client.get(f"{owned.url}/users/octocat")).json()["type"] == "User"
    owner = (await client.get(f"{owned.url}/repos/{ACME[0]}")).json()["owner"]
    assert (owner["type"], owner["id"]) == ("Organization", (await client.get(f"{owned.url}/orgs/acme")).json()["id"])
    for path in ("/orgs/octocat", "/orgs/octocat/repos", "/orgs/nobody/repos", "/users/nobody/repos"):
        assert (await client.get(owned.url + path)).status_code == 404, path
    assert (await client.get(f"{owned.url}/user/repos")).status_code == 401
    both = await client.get(f"{owned.url}/user/repos?type=owner&affiliation=owner", headers=AUTHORIZED)
    assert both.status_code == 422


async def test_an_installation(owned: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await owned.add_app("17", PUBLIC_PEM, 4711, repositories=[ACME[1]])
    url = f"{owned.url}/app/installations/4711"
    installation = (await client.get(url, headers=app())).json()
    assert (installation["account"]["login"], installation["account"]["type"]) == ("acme", "Organization")
    assert [one["id"] for one in (await client.get(f"{owned.url}/app/installations", headers=app())).json()] == [4711]
    assert (await client.get(f"{owned.url}/app", headers=app())).json()["id"] == 17
    assert (await client.get(url, headers=AUTHORIZED)).status_code == 401
    token = (await client.post(f"{url}/access_tokens", headers=app())).json()["token"]
    given = {"Authorization": f"token {token}"}

    async def seen() -> tuple[int, str, list[str]]:
        document = (await client.get(f"{owned.url}/installation/repositories", headers=given)).json()
        shown = sorted(row["full_name"] for row in document["repositories"])
        return document["total_count"], document["repository_selection"], shown

    assert await seen() == (1, "selected", ACME[1:])
    await owned.add_repository_to_installation(4711, ACME[0])
    assert await seen() == (2, "selected", ACME)
    await owned.rename_repository(ACME[1], "acme/renamed")
    assert await seen() == (2, "selected", [ACME[0], "acme/renamed"])
    await owned.rename_repository(ACME[0], "mona/taken-along")
    assert await seen() == (1, "selected", ["acme/renamed"])
    await owned.remove_repository_from_installation(4711, "acme/renamed")
    assert (await client.get(f"{owned.url}/repos/acme/renamed", headers=given)).status_code == 404, "private"
    for path in ("/user", "/user/starred", "/user/repos"):
        refused = await client.get(owned.url + path, headers=given)
        assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    assert (await client.get(f"{owned.url}/installation/repositories", headers=AUTHORIZED)).status_code == 403
    await owned.uninstall_app(4711)
    assert (await client.get(f"{owned.url}/installation/repositories", headers=given)).status_code == 401
    assert (await client.get(url, headers=app())).status_code == 404


async def test_an_installation_of_everything_has_what_the_account_owns(
    owned: GitHubStandIn, client: httpx.AsyncClient
) -> None:
    await owned.add_app("17", PUBLIC_PEM, 4711, account="acme")
    token = (await client.post(f"{owned.url}/app/installations/4711/access_tokens", headers=app())).json()["token"]
    given = {"Authorization": f"token {token}"}
    document = (await client.get(f"{owned.url}/installation/repositories?per_page=1", headers=given)).json()
    assert (document["total_count"], document["repository_selection"], len(document["repositories"])) == (2, "all", 1)
    assert (await client.get(f"{owned.url}/repos/{ACME[1]}", headers=given)).status_code == 200
    assert (await client.get(f"{owned.url}/repos/{ONE}", headers=given)).status_code == 404, "not the account's"


async def test_a_list_changes_while_it_is_walked(owned: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await owned.create_many(4, starred_by="octocat")
    await owned.cue("/user/starred", {"action": "star", "login": "octocat", "repository": "octo/hello"}, after=1)
    await owned.cue("/user/starred", {"action": "unstar", "login": "octocat", "repository": made[3]}, after=2)
    pages = [await names(client, f"{owned.url}/user/starred?per_page=2&page={number}") for number in (1, 2, 3)]
    assert pages == [[made[3], made[2]], [made[2], made[1]], []]
    assert await names(client, f"{owned.url}/user/starred") == ["octo/hello", made[2], made[1], made[0]]
