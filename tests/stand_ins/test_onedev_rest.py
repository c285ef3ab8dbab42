"""OneDev's REST API: its statuses and its exact sentences."""

import asyncio
import base64
from pathlib import Path

import httpx
import pytest

from .conftest import TOKEN, OneDevClient
from .onedev import OneDevStandIn

OBJECTS: dict[str, object] = {"gitPackConfig": {}, "codeAnalysisSetting": {}}


def refused(answer: httpx.Response, status: int, text: str, kind: str = "text/plain") -> None:
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"].partition(";")[0] == kind
    assert "www-authenticate" not in answer.headers


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"token {TOKEN}"},
        {"Authorization": basic(TOKEN, "anything")},
        {"Authorization": basic("anything", f" {TOKEN} ")},
        {"Authorization": basic("admin", "admin")},
        {"Authorization": "Bearer nonsense", "OneDevAuthorization": f"Bearer {TOKEN}"},
    ],
)
async def test_six_forms_of_credentials(
    onedev: OneDevStandIn, client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.get(f"{onedev.url}/~api/version/server", headers=headers)
    assert (answer.status_code, answer.text) == (200, "16.5.6")
    assert answer.headers["content-type"].startswith("application/json")
    assert ("set-cookie" in answer.headers) is (headers["Authorization"] == basic("admin", "admin"))


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "Not authenticated"),
        ({"Authorization": "bearer " + TOKEN}, "Not authenticated"),
        ({"Authorization": basic("", "")}, "Not authenticated"),
        ({"Authorization": "Bearer nonsense"}, "Invalid account or incorrect credentials"),
        ({"Authorization": basic("admin", "wrong")}, "Invalid account or incorrect credentials"),
    ],
)
async def test_refused_credentials(
    onedev: OneDevStandIn, client: httpx.AsyncClient, headers: dict[str, str], text: str
) -> None:
    refused(await client.get(f"{onedev.url}/~api/users/me", headers=headers), 401, text)


async def test_tokens(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    body = {"name": "mirror", "ownerId": 1, "hasOwnerPermissions": False}
    number = (await rest.post("/access-tokens", body)).text
    token = (await rest.get(f"/access-tokens/{number}")).json()
    assert len(token["value"]) == 40
    answer = await rest.post("/access-tokens", body)
    refused(answer, 500, "Name already used by another access token of the owner")
    narrow = {"Authorization": f"Bearer {token['value']}"}
    refused(await client.get(f"{onedev.url}/~api/users/me", headers=narrow), 403, "Not authorized")
    await onedev.revoke_token(TOKEN)
    refused(await rest.get("/users/me"), 401, "Invalid account or incorrect credentials")


async def test_creation(rest: OneDevClient) -> None:
    top = await rest.create("mirrors")
    child = await rest.create("Acme", top)
    assert (await rest.get("/projects/ids/MIRRORS/acme")).json() == child
    document = (await rest.get(f"/projects/{child}")).json()
    assert document["path"] == "mirrors/Acme"
    assert len(document) == 15
    assert document["gitPackConfig"] == dict.fromkeys(("windowMemory", "packSizeLimit", "threads", "window"))
    answer = await rest.post("/projects", {"name": "MIRRORS", **OBJECTS})
    refused(answer, 500, "Name 'MIRRORS' is already used by another root project")
    answer = await rest.post("/projects", {"name": "acme", "parentId": top, **OBJECTS})
    refused(answer, 500, "Name 'acme' is already used by another project under 'mirrors'")
    assert await rest.create("next", top) == child + 3, "a failed creation uses up an id"
    refused(await rest.get("/projects/ids/none"), 404, "Project not found or inaccessible: none")
    row = "No row with the given identifier exists: [io.onedev.server.model.Project#999]"
    refused(await rest.get("/projects/999"), 404, row)
    refused(await rest.post("/projects", {"name": "x", "parentId": 999, **OBJECTS}), 404, row)
    refused(await rest.post("/projects", {"name": "n" * 256, **OBJECTS}), 500, "Server Error")
    assert (await rest.post("/projects", {"name": "a/b c", **OBJECTS})).status_code == 200, "names are not checked"


async def test_bodies(rest: OneDevClient) -> None:
    raw = "application/json"
    answer = await rest.post("/projects", {"name": " ", **OBJECTS})
    refused(answer, 400, "createProject.arg0.name: must not be empty", raw)
    answer = await rest.post("/projects", {"name": "x"})
    text = (
        "createProject.arg0.gitPackConfig: must not be null, createProject.arg0.codeAnalysisSetting: must not be null"
    )
    refused(answer, 400, text, raw)
    answer = await rest.request("POST", "/projects", content=b"", headers={"Content-Type": raw})
    refused(answer, 400, "createProject.arg0: must not be null", raw)
    answer = await rest.post("/projects", {"name": "x", "defaultRoleId": 1, **OBJECTS})
    assert answer.status_code == 400
    assert answer.text.startswith('Unrecognized field "defaultRoleId"')
    answer = await rest.request("POST", "/projects", content=b"{", headers={"Content-Type": raw})
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (400, "text/plain")
    answer = await rest.post("/projects", {"name": "x", "parentId": [1], **OBJECTS})
    assert answer.status_code == 400
    answer = await rest.request("POST", "/projects", content=b"{}", headers={"Content-Type": "text/plain"})
    refused(answer, 415, "HTTP 415 Unsupported Media Type")
    refused(await rest.request("GET", "/projects/1", headers={"Content-Type": "text/plain"}), 415, answer.text)


async def test_requests_that_fit_nothing(rest: OneDevClient) -> None:
    refused(await rest.get("/nothing"), 404, "HTTP 404 Not Found")
    refused(await rest.get("/projects/ids"), 404, "HTTP 404 Not Found")
    refused(await rest.request("PUT", "/projects/1"), 405, "HTTP 405 Method Not Allowed")
    refused(await rest.request("GET", "/users/me", headers={"Accept": "text/html"}), 406, "HTTP 406 Not Acceptable")
    refused(await rest.get("/projects"), 406, "Missing query params: [offset, count]")
    refused(await rest.get("/projects", offset=0, count=1, x=1), 406, "Unexpected query params: [x]")
    refused(await rest.get("/users/me", cachebuster=1), 406, "Unexpected query params: [cachebuster]")
    refused(await rest.get("/projects", offset="a", count=1), 404, "HTTP 404 Not Found")
    assert (await rest.get("/projects", offset=-1, count=1)).status_code == 500
    large = await rest.request("GET", "/users/me", headers={"X-Large": "x" * 17_000})
    assert (large.status_code, large.headers["content-type"].partition(";")[0]) == (431, "text/html")


async def test_update_replaces_everything(rest: OneDevClient) -> None:
    top = await rest.create("mirrors")
    owner = await rest.create("acme", top)
    repo = await rest.create("repo", owner)
    silent = {"codeManagement": False, "issueManagement": False, "packManagement": False, "description": "d"}
    assert (
        await rest.post(f"/projects/{owner}", {"name": "acme", "parentId": top, **silent, **OBJECTS})
    ).content == b""
    assert (await rest.get(f"/projects/{owner}")).json()["issueManagement"] is False
    await rest.post(f"/projects/{owner}", {"name": "Acme", **OBJECTS})
    moved = (await rest.get(f"/projects/{owner}")).json()
    assert (moved["path"], moved["parentId"], moved["issueManagement"], moved["description"]) == (
        "Acme",
        None,
        True,
        None,
    )
    assert (await rest.get(f"/projects/{repo}")).json()["path"] == "Acme/repo"
    refused(await rest.get("/projects/ids/mirrors/acme"), 404, "Project not found or inaccessible: mirrors/acme")
    looped = await rest.post(f"/projects/{owner}", {"name": "Acme", "parentId": repo, **OBJECTS})
    assert looped.status_code == 500
    await rest.post(f"/projects/{repo}", {"name": "repo", "parentId": top, "description": "x" * 20_000, **OBJECTS})
    assert len((await rest.get(f"/projects/{repo}")).json()["description"]) == 15_000


async def test_deletion_is_recursive_and_ids_come_back(tmp_path: Path, client: httpx.AsyncClient) -> None:
    async with OneDevStandIn(tmp_path, tokens=[TOKEN]) as server:
        rest = OneDevClient(server, client)
        await rest.create("kept")
        top = await rest.create("mirrors")
        child = await rest.create("acme", top)
        assert (await rest.request("DELETE", f"/projects/{top}")).status_code == 200
        assert (await rest.get(f"/projects/{child}")).status_code == 404
        assert (tmp_path / "projects" / str(child) / "git").exists(), "disk is freed by a restart only"
    async with OneDevStandIn(tmp_path, reuse_ids=True) as server:
        rest = OneDevClient(server, client)
        assert not (tmp_path / "projects" / str(child)).exists()
        assert (await rest.get("/projects/ids/kept")).json() == 1
        assert await rest.create("stranger") == top


async def test_queries(rest: OneDevClient) -> None:
    top = await rest.create("mirrors")
    for name in ("a_b", "aXb", "other"):
        await rest.create(name, top)
    spec = (await rest.post("/label-specs", {"name": "mirror"})).json()
    label = {"projectId": top, "specId": spec}
    assert (await rest.post("/project-labels", label)).status_code == 200
    refused(await rest.post("/project-labels", label), 500, "could not execute statement")

    async def names(query: str, **more: int) -> list[str]:
        answer = await rest.get("/projects", query=query, **{"offset": 0, "count": 100, **more})
        assert answer.status_code == 200, answer.text
        return [project["path"] for project in answer.json()]

    assert await names('"Path" is "MIRRORS/*" order by "Name"') == ["mirrors/a_b", "mirrors/aXb", "mirrors/other"]
    assert await names('"Name" is "a_b" order by "Name" desc') == ["mirrors/aXb", "mirrors/a_b"], "_ is a wildcard"
    assert await names('children of "mirrors" and not("Name" is "a*")') == ["mirrors/other"]
    assert await names('"Label" is "mirror" or "Path" is "nothing"') == ["mirrors"]
    assert await names('order by "Id"', offset=1, count=2) == ["mirrors/a_b", "mirrors/aXb"]
    assert len(await names("")) == 4
    refused(await rest.get("/projects", query="Path is x", offset=0, count=1), 406, "Invalid query")
    refused(await rest.get("/projects", query='"path" is "x"', offset=0, count=1), 500, "Field not found: path")
    refused(await rest.get("/projects", query='"Label" is "no"', offset=0, count=1), 404, "Undefined label: no")


async def test_least_privilege(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    top, secret = await rest.create("mirrors"), await rest.create("secret")
    user = (await rest.post("/users", {"type": "SERVICE", "name": "mirror-bot"})).json()
    token = await rest.post("/access-tokens", {"name": "t", "ownerId": user, "hasOwnerPermissions": True})
    value = (await rest.get(f"/access-tokens/{token.text}")).json()["value"]
    role = (await rest.get("/roles/ids/Child Creator")).json()
    await rest.post("/user-authorizations", {"projectId": top, "userId": user, "roleId": role})
    headers = {"Authorization": f"Bearer {value}"}
    url = f"{onedev.url}/~api/projects"
    made = await client.post(url, headers=headers, json={"name": "a", "parentId": top, **OBJECTS})
    assert made.status_code == 200
    assert (await client.delete(f"{url}/{made.text}", headers=headers)).status_code == 200, "the maker owns it"
    refused(await client.delete(f"{url}/{top}", headers=headers), 403, "Not authorized")
    refused(await client.get(f"{url}/{secret}", headers=headers), 403, "Not authorized")
    hidden = "Project not found or inaccessible: secret"
    refused(await client.get(f"{url}/ids/secret", headers=headers), 404, hidden)
    root = await client.post(url, headers=headers, json={"name": "a", **OBJECTS})
    refused(root, 403, "Not authorized to create root project")
    many = await client.get(f"{url}?offset=0&count=101", headers=headers)
    refused(many, 406, "Count should not be greater than 100")


async def test_settings_do_not_survive_a_round_trip(rest: OneDevClient) -> None:
    number = await rest.create("repo")
    setting = (await rest.get(f"/projects/{number}/setting")).json()
    refused(await rest.post(f"/projects/{number}/setting", setting), 500, "Server Error")
    setting["issueSetting"]["boardSpecs"] = []
    assert (await rest.post(f"/projects/{number}/setting", setting)).status_code == 200


async def test_creations_race(rest: OneDevClient, onedev: OneDevStandIn) -> None:
    await onedev.configure(creation_gap=0.2)
    body = {"name": "root", **OBJECTS}
    answers = await asyncio.gather(*(rest.post("/projects", body) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3, "nothing keeps root names apart"
    body = {"name": "child", "parentId": answers[0].json(), **OBJECTS}
    answers = await asyncio.gather(*(rest.post("/projects", body) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 500, 500]
    assert "could not execute statement" in {answer.text for answer in answers}


async def test_other_releases(rest: OneDevClient, onedev: OneDevStandIn) -> None:
    await onedev.configure(version="14.1.0", strict_names=True, validation_status=406)
    assert (await rest.get("/version/server")).text == "14.1.0"
    assert (await rest.post("/projects", {"name": ".github", **OBJECTS})).status_code == 406


async def test_modes(rest: OneDevClient, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
    async def probes() -> tuple[int, int]:
        return tuple([(await client.get(onedev.url + path)).status_code for path in ("/healthz", "/readyz")])  # type: ignore[return-value]

    assert await probes() == (200, 200)
    await onedev.set_mode("starting")
    assert await probes() == (200, 503)
    answer = await rest.get("/projects/ids/none")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html;charset=iso-8859-1")
    assert "Error 404 Not Found" in answer.text
    await onedev.set_mode("not-ready")
    assert await probes() == (200, 503)
    refused(await rest.get("/users/me"), 503, "Server not ready")
    git = await client.get(f"{onedev.url}/x.git/info/refs?service=git-receive-pack")
    refused(git, 503, "Server not ready")
    wrong = await client.post(f"{onedev.url}/healthz")
    assert (wrong.status_code, wrong.headers["allow"], wrong.content) == (405, "GET, HEAD", b"")
