"""Both LFS servers: GitHub's batch API and store, and OneDev's filter with its oddities."""

import hashlib
import json
from typing import Any

import httpx
import pytest

from .conftest import TOKEN, OneDevClient
from .github import GitHubStandIn
from .github.lfs import TYPE, pointer
from .onedev import OneDevStandIn

BASIC = httpx.BasicAuth("x-access-token", TOKEN)
LFS = {"Content-Type": TYPE, "Accept": TYPE}
HELLO = b"hello"
OID = hashlib.sha256(HELLO).hexdigest()


def asking(operation: str, *contents: bytes, **members: Any) -> bytes:
    objects = [{"oid": hashlib.sha256(content).hexdigest(), "size": len(content)} for content in contents]
    return json.dumps({"operation": operation, "transfers": ["basic"], "objects": objects, **members}).encode()


# ---- GitHub


@pytest.fixture
def github_url(github: GitHubStandIn) -> str:
    github.lfs.store("octo/hello", HELLO)
    return f"{github.url}/octo/hello.git/info/lfs/objects/batch"


async def test_github_offers_what_it_has(github_url: str, client: httpx.AsyncClient) -> None:
    answer = await client.post(github_url, content=asking("download", HELLO, b"none"), headers=LFS, auth=BASIC)
    assert (answer.status_code, answer.headers["content-type"]) == (200, TYPE)
    offered, missing = answer.json()["objects"]
    assert missing["error"]["code"] == 404
    action = offered["actions"]["download"]
    assert (await client.get(action["href"], headers=action["header"])).content == HELLO


@pytest.mark.parametrize(("header", "status"), [({}, 403), ({"Authorization": "Basic eDp5"}, 400)])
async def test_github_s_store_knows_no_account(
    github_url: str, client: httpx.AsyncClient, header: dict[str, str], status: int
) -> None:
    answer = await client.post(github_url, content=asking("download", HELLO), headers=LFS)
    href = answer.json()["objects"][0]["actions"]["download"]["href"]
    assert (await client.get(href, headers=header)).status_code == status


async def test_github_refuses(github: GitHubStandIn, github_url: str, client: httpx.AsyncClient) -> None:
    async def status(url: str = github_url, operation: str = "download", count: int = 1, **more: Any) -> int:
        body = asking(operation, *(str(number).encode() for number in range(count)))
        return (await client.post(url, content=body, headers=LFS, **more)).status_code

    assert await status() == 200
    assert await status(count=101) == 413
    assert await status(operation="upload", auth=BASIC) == 403
    assert await status(auth=httpx.BasicAuth("x", "wrong")) == 401
    assert await status(github_url.replace("hello", "none")) == 401
    assert await status(github_url.replace("hello", "none"), auth=BASIC) == 404
    await github.set_metadata("octo/hello", private=True)
    assert await status() == 401
    assert await status(auth=BASIC) == 200


async def test_a_commit_of_lfs_files_holds_pointers(github: GitHubStandIn) -> None:
    await github.act("commit_lfs", repository="octo/hello", files={"b": "hello"})
    path = github.repositories / "octo" / "hello.git"
    assert await github.processes.git(path, "show", "HEAD:b") == pointer(HELLO).rstrip()


# ---- OneDev


class OneDevLfs:
    def __init__(self, onedev: OneDevStandIn, client: httpx.AsyncClient) -> None:
        self.onedev, self._client = onedev, client

    async def batch(self, body: bytes, path: str = "/repo.git", token: str | None = TOKEN) -> httpx.Response:
        header = {"Authorization": f"token {token}"} if token else {}
        url = f"{self.onedev.url}{path}/info/lfs/objects/batch"
        return await self._client.post(url, content=body, headers={**LFS, **header})

    async def action(self, operation: str, content: bytes) -> dict[str, Any] | None:
        (told,) = (await self.batch(asking(operation, content))).json()["objects"]
        return (told.get("actions") or {}).get(operation)

    async def send(self, method: str, oid: str, content: bytes | None = None) -> httpx.Response:
        url = f"{self.onedev.url}/repo.git/lfs/objects/{oid}?lfs-objects=true"
        return await self._client.request(method, url, content=content, headers={"Authorization": f"Bearer {TOKEN}"})

    async def objects(self) -> dict[str, int]:
        return await self.onedev.lfs_objects("repo")


@pytest.fixture
async def lfs(onedev: OneDevStandIn, rest: OneDevClient, client: httpx.AsyncClient) -> OneDevLfs:
    await rest.create("repo")
    return OneDevLfs(onedev, client)


async def test_onedev_takes_an_object_and_gives_it_back(lfs: OneDevLfs, client: httpx.AsyncClient) -> None:
    assert await lfs.action("download", HELLO) is None
    put = await lfs.action("upload", HELLO)
    assert put is not None
    assert put["header"]["Authorization"] != f"Bearer {TOKEN}", "a temporary token of the owner's"
    assert (await client.put(put["href"], content=HELLO, headers=put["header"])).status_code == 200
    assert await lfs.action("upload", HELLO) is None
    get = await lfs.action("download", HELLO)
    assert get is not None
    answer = await client.get(get["href"], headers=get["header"])
    assert answer.content == HELLO
    assert "content-length" not in answer.headers


async def test_onedev_s_addresses_are_at_its_configured_url(lfs: OneDevLfs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lfs.onedev, "_public_url", "https://onedev.example")
    put = await lfs.action("upload", HELLO)
    assert put is not None
    assert put["href"] == f"https://onedev.example/repo.git/lfs/objects/{OID}?lfs-objects=true"


async def test_a_temporary_token_is_good_for_a_while(lfs: OneDevLfs, client: httpx.AsyncClient) -> None:
    lfs.onedev.lfs.token_seconds = 0
    put = await lfs.action("upload", HELLO)
    assert put is not None
    assert (await client.put(put["href"], content=HELLO, headers=put["header"])).status_code == 401


@pytest.mark.parametrize(("method", "content"), [("PUT", b"hallo"), ("HEAD", None), ("DELETE", None), ("POST", b"")])
async def test_whatever_is_no_get_is_an_upload_and_removes_a_good_object(
    lfs: OneDevLfs, method: str, content: bytes | None
) -> None:
    assert (await lfs.send("PUT", OID, HELLO)).status_code == 200
    assert (await lfs.send(method, OID, content)).status_code == 500
    assert await lfs.objects() == {}
    assert (await lfs.send("GET", OID)).status_code == 404


async def test_onedev_believes_the_asker_s_size(lfs: OneDevLfs) -> None:
    await lfs.send("PUT", OID, HELLO)
    body = json.dumps({"operation": "download", "objects": [{"oid": OID, "size": 99}]}).encode()
    (told,) = (await lfs.batch(body)).json()["objects"]
    assert told["size"] == 99
    assert "download" in told["actions"]


async def test_onedev_refuses_what_is_too_large(lfs: OneDevLfs) -> None:
    lfs.onedev.lfs.max_file_size = 4
    (told,) = (await lfs.batch(asking("upload", HELLO))).json()["objects"]
    assert told["error"] == {"code": 406, "message": "Exceeded max acceptable LFS file size 4"}


async def test_onedev_s_refusals(lfs: OneDevLfs, rest: OneDevClient) -> None:
    for members in ({"transfers": ["tus"]}, {"hash_algo": "sha512"}):
        answer = await lfs.batch(asking("download", HELLO, **members))
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (406, TYPE)
        assert set(answer.json()) == {"message"}
    anonymous = await lfs.batch(asking("download", HELLO), token=None)
    assert (anonymous.status_code, anonymous.headers["lfs-authenticate"]) == (401, 'Basic realm="OneDev"')
    wrong = await lfs.batch(asking("download", HELLO), token="wrong")
    assert (wrong.status_code, wrong.text) == (401, "Invalid account or incorrect credentials")
    assert (await lfs.batch(asking("download", HELLO), "/none.git")).status_code == 404
    assert (await lfs.batch(asking("download", HELLO), "/repo")).status_code == 404, "no .git/ in the path"
    user = (await rest.post("/users", {"type": "SERVICE", "name": "reader"})).json()
    token = lfs.onedev.store.add_token("t", user).value
    lfs.onedev.store.authorize("user", user, lfs.onedev.project("repo").id, 3)
    assert (await lfs.batch(asking("download", HELLO), token=token)).status_code == 200
    assert (await lfs.batch(asking("upload", HELLO), token=token)).status_code == 403
    await lfs.onedev.set_mode("not-ready")
    assert (await lfs.batch(asking("download", HELLO))).status_code == 503
