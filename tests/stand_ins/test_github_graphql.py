"""GraphQL: a hundred repositories in one call, star lists, and the refusals, which come with 200."""

from typing import Any

import httpx
import pytest

from .conftest import TOKEN
from .github import GitHubStandIn

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
SWEEP = """
query Sweep($ids: [ID!]!) {
  nodes(ids: $ids) { __typename ...seen }
  rateLimit { limit cost remaining resetAt }
}
fragment seen on Repository {
  databaseId id nameWithOwner pushedAt isArchived isPrivate isDisabled isLocked isFork stargazerCount diskUsage
  defaultBranchRef { name target { oid } }
}
"""


async def ask(
    server: GitHubStandIn, client: httpx.AsyncClient, query: str, token: str = TOKEN, **variables: Any
) -> dict[str, Any]:
    headers = {"Authorization": f"bearer {token}"}
    answer = await client.post(f"{server.url}/graphql", json={"query": query, "variables": variables}, headers=headers)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def test_nodes(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    shown = (await client.get(f"{github.url}/repos/octo/hello")).json()
    tip = (await github.refs("octo/hello"))["refs/heads/main"]
    (listed,) = await github.create_many(1, stars=12, size=34, archived=True)
    other = (await client.get(f"{github.url}/repos/{listed}")).json()
    document = await ask(github, client, SWEEP, ids=[shown["node_id"], other["node_id"], "R_bm90aGluZw", "U_MQ"])
    first, second, *absent = document["data"]["nodes"]
    assert first == {
        "__typename": "Repository",
        "databaseId": shown["id"],
        "id": shown["node_id"],
        "nameWithOwner": "octo/hello",
        "pushedAt": shown["pushed_at"],
        "isArchived": False,
        "isPrivate": False,
        "isDisabled": False,
        "isLocked": False,
        "isFork": False,
        "stargazerCount": 0,
        "diskUsage": shown["size"],
        "defaultBranchRef": {"name": "main", "target": {"oid": tip}},
    }
    assert (second["stargazerCount"], second["diskUsage"], second["isArchived"]) == (12, 34, True)
    assert absent == [None, None]
    assert [(error["type"], error["path"]) for error in document["errors"]] == [
        ("NOT_FOUND", ["nodes", 2]),
        ("NOT_FOUND", ["nodes", 3]),
    ]
    assert document["data"]["rateLimit"]["cost"] == 1
    assert document["data"]["rateLimit"]["remaining"] == 4999


async def test_what_is_there_but_not_to_be_seen(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    node = (await client.get(f"{github.url}/repos/octo/hello")).json()["node_id"]
    await github.add_token("narrow", "mona", repositories=[])
    await github.set_metadata("octo/hello", private=True)
    assert (await ask(github, client, SWEEP, "narrow", ids=[node]))["data"]["nodes"] == [None]
    assert (await ask(github, client, SWEEP, ids=[node]))["data"]["nodes"][0]["isPrivate"] is True
    await github.set_metadata("octo/hello", block_status=451)
    assert (await ask(github, client, SWEEP, ids=[node]))["errors"][0]["type"] == "FORBIDDEN"


async def test_a_repository_without_commits(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await github.create_repository("octo/empty")
    query = 'query { repository(owner: "octo", name: "empty") { isEmpty branch: defaultBranchRef { name } } }'
    assert (await ask(github, client, query))["data"]["repository"] == {"isEmpty": True, "branch": None}
    await github.rename_repository("octo/empty", "octo/still-empty")
    assert (await ask(github, client, query))["data"]["repository"]["isEmpty"], "old names lead on"


LISTS = """
query ($lists: Int = 20, $items: Int!, $after: String) {
  viewer {
    login
    databaseId
    lists(first: $lists) {
      nodes {
        name slug isPrivate
        items(first: $items, after: $after) {
          nodes { __typename ... on Repository { databaseId nameWithOwner } }
          pageInfo { hasNextPage endCursor }
        }
      }
    }
  }
}
"""


async def test_star_lists(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await github.create_many(3, starred_by="octocat")
    await github.create_list("octocat", "Home Lab", made)
    await github.create_list("octocat", "Secret", ["octo/hello"], private=True)
    viewer = (await ask(github, client, LISTS, items=2))["data"]["viewer"]
    assert (viewer["login"], viewer["databaseId"]) == (
        "octocat",
        (await client.get(f"{github.url}/users/octocat")).json()["id"],
    )
    home, secret = viewer["lists"]["nodes"]
    assert (home["name"], home["slug"], home["isPrivate"], secret["isPrivate"]) == ("Home Lab", "home-lab", False, True)
    assert [one["nameWithOwner"] for one in home["items"]["nodes"]] == made[:2]
    page = home["items"]["pageInfo"]
    assert page["hasNextPage"] is True
    following = await ask(github, client, LISTS, items=2, after=page["endCursor"])
    home = following["data"]["viewer"]["lists"]["nodes"][0]
    assert [one["nameWithOwner"] for one in home["items"]["nodes"]] == made[2:]
    assert home["items"]["pageInfo"]["hasNextPage"] is False
    public = '{ user(login: "octocat") { lists(first: 10) { totalCount edges { node { slug } } } } }'
    await github.add_token("strangers", "mona")
    seen = (await ask(github, client, public, "strangers"))["data"]["user"]["lists"]
    assert (seen["totalCount"], seen["edges"][0]["node"]["slug"]) == (1, "home-lab")
    assert (await ask(github, client, public))["data"]["user"]["lists"]["totalCount"] == 2
    await github.unstar("octocat", made[0])
    home = (await ask(github, client, LISTS, items=9))["data"]["viewer"]["lists"]["nodes"][0]
    assert [one["nameWithOwner"] for one in home["items"]["nodes"]] == made[1:]
    node = '{ node(id: "%s") { ... on UserList { name } } }'
    for kept, token, found in ((0, "strangers", "Home Lab"), (1, "strangers", None), (1, TOKEN, "Secret")):
        ids = await ask(github, client, "{ viewer { lists(first: 9) { nodes { id } } } }")
        one = await ask(github, client, node % ids["data"]["viewer"]["lists"]["nodes"][kept]["id"], token)
        assert (one["data"]["node"] or {}).get("name") == found
    await github.hide_from_graph(["lists"])
    old = (await ask(github, client, public))["errors"][0]
    assert old["extensions"] == {"code": "undefinedField", "typeName": "User", "fieldName": "lists"}
    await github.hide_from_graph([])
    await github.delete_list("octocat", "Home Lab")
    assert (await ask(github, client, public))["data"]["user"]["lists"]["totalCount"] == 1


async def test_stars(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    made = await github.create_many(3, starred_by="octocat")
    query = (
        "{ viewer { starredRepositories(first: 2, orderBy: {field: STARRED_AT, direction: DESC}) "
        "{ totalCount edges { starredAt node { nameWithOwner } } } } }"
    )
    starred = (await ask(github, client, query))["data"]["viewer"]["starredRepositories"]
    assert starred["totalCount"] == 3
    assert [edge["node"]["nameWithOwner"] for edge in starred["edges"]] == made[:0:-1]


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("{ viewer { nonsense } }", None, "Field 'nonsense' doesn't exist on type 'User'"),
        ("{ viewer }", None, "Field must have selections"),
        ("{ viewer { login { x } } }", None, "Selections can't be made on scalars"),
        ("{ viewer { login }", None, "Unexpected end of document"),
        ("{ viewer { ...absent } }", None, "Fragment absent was used, but not defined"),
        ("query ($x: Int) { viewer { login } }", None, "Variable $x is declared by anonymous query but not used"),
        ("query Q { viewer { lists(first: $x) { totalCount } } }", None, "Variable $x is used by Q but not declared"),
        ("query ($x: Int!) { viewer { lists(first: $x) { totalCount } } }", None, "was provided invalid value"),
        ("mutation { addStar { clientMutationId } }", None, "no mutations"),
        ("{ viewer { lists { totalCount } } }", "MISSING_PAGINATION_BOUNDARIES", "`first` or `last`"),
        ("{ viewer { lists(first: 101) { totalCount } } }", "EXCESSIVE_PAGINATION", "limit of 100"),
        ('{ viewer { lists(first: 1, after: "?") { totalCount } } }', "INVALID_CURSOR_ARGUMENTS", "valid cursor"),
        ('{ user(login: "nobody") { login } }', "NOT_FOUND", "Could not resolve to a User with the login of 'nobody'."),
        ('{ user(login: "acme") { login } }', "NOT_FOUND", "Could not resolve to a User"),
    ],
)
async def test_refusals(
    github: GitHubStandIn, client: httpx.AsyncClient, query: str, kind: str | None, words: str
) -> None:
    await github.declare_user("acme", organization=True)
    document = await ask(github, client, query)
    assert words in document["errors"][0]["message"]
    assert document["errors"][0].get("type") == kind
    assert ("data" in document) is (kind is not None)


async def test_more_than_a_hundred(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    document = await ask(github, client, SWEEP, ids=["R_MQ"] * 101)
    assert document["errors"][0]["message"] == "You may not provide more than 100 node ids; you provided 101."
    assert document["data"]["nodes"] is None
    assert len((await ask(github, client, SWEEP, ids=["R_MQ"] * 100))["errors"]) == 100


@pytest.mark.parametrize("path", ["/graphql", "/api/graphql"])
async def test_who_may_ask(github: GitHubStandIn, client: httpx.AsyncClient, path: str) -> None:
    url, query = github.url + path, {"query": "{ viewer { login } }"}
    answer = await client.post(url, json=query, headers=AUTHORIZED)
    assert answer.json() == {"data": {"viewer": {"login": "octocat"}}}
    assert answer.headers["x-ratelimit-resource"] == "graphql"
    assert (await client.post(url, json=query)).status_code == 401
    assert (await client.post(url, json=query, headers={"Authorization": "Bearer nonsense"})).status_code == 401
    assert (await client.post(url, content=b"{", headers=AUTHORIZED)).status_code == 400
    assert (await client.post(url, json={}, headers=AUTHORIZED)).status_code == 400
    assert (await client.get(url, headers=AUTHORIZED)).status_code == 404


async def test_limits(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    url, query = f"{github.url}/graphql", {"query": "{ viewer { login } }"}
    await github.exhaust_limit(TOKEN, resource="graphql")
    spent = await client.post(url, json=query, headers=AUTHORIZED)
    assert (spent.status_code, spent.headers["x-ratelimit-remaining"]) == (200, "0")
    assert spent.json()["errors"][0]["type"] == "RATE_LIMIT"
    assert (await client.get(f"{github.url}/user", headers=AUTHORIZED)).status_code == 200, (
        "REST has a limit of its own"
    )
    limits = (await client.get(f"{github.url}/rate_limit", headers=AUTHORIZED)).json()["resources"]
    assert (limits["graphql"]["remaining"], limits["core"]["remaining"]) == (0, 4999)
    await github.exhaust_limit(TOKEN, remaining=10, resource="graphql")
    many = "{ viewer { lists(first: 100) { nodes { items(first: 100) { nodes { __typename } } } } } }"
    await ask(github, client, many)
    assert (await client.post(url, json=query, headers=AUTHORIZED)).headers["x-ratelimit-remaining"] == "8"
    await github.secondary_limit(resource="graphql", retry_after=5)
    slow = await client.post(url, json=query, headers=AUTHORIZED)
    assert (slow.status_code, slow.headers["retry-after"]) == (403, "5")
    assert (await client.post(url, json=query, headers=AUTHORIZED)).status_code == 200


async def test_directives_and_aliases(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    query = "query ($no: Boolean!) { me: viewer { login id @skip(if: $no) ... on User @include(if: $no) { name } } }"
    assert (await ask(github, client, query, no=True))["data"] == {"me": {"login": "octocat", "name": "octocat"}}
