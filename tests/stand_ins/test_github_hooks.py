"""Webhooks: who is told what, with which headers, once; and the log out of which it can be told again."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from .conftest import TOKEN
from .github import GitHubStandIn
from .test_github_owned import PUBLIC_PEM, app

AUTHORIZED = {"Authorization": "Bearer octos"}
SECRET = "It's a Secret to Everybody"
ZEROS = "0" * 40


@dataclass
class Told:
    event: str
    payload: dict[str, Any]
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """status: what it answers, once `open` is set."""

    url: str = ""
    status: int = 202
    open: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[Told] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self.open.wait()
        form = request.content_type.endswith("urlencoded")
        payload = json.loads(parse_qs(body.decode())["payload"][0] if form else body)
        self.told.append(Told(request.headers["X-GitHub-Event"], payload, dict(request.headers), body))
        return web.Response(status=self.status, text="taken")

    @property
    def events(self) -> list[str]:
        return [f"{one.event} {one.payload.get('action', one.payload.get('ref', ''))}".strip() for one in self.told]


@pytest.fixture
async def receiver(github: GitHubStandIn) -> AsyncIterator[Receiver]:
    made, application = Receiver(), web.Application()
    made.open.set()
    application.router.add_post("/hook", made.receive)
    await github.add_token("octos", "octo")
    async with TestServer(application) as server:
        made.url = str(server.make_url("/hook"))
        yield made
        made.open.set()


async def told(github: GitHubStandIn, receiver: Receiver) -> list[Told]:
    """What came since the last time."""
    await github.settle_deliveries()
    came, receiver.told = receiver.told, []
    return came


async def events(github: GitHubStandIn, receiver: Receiver) -> list[str]:
    await github.settle_deliveries()
    came = sorted(receiver.events)
    receiver.told = []
    return came


async def hook(github: GitHubStandIn, receiver: Receiver, **members: Any) -> int:
    """A repository's hook that hears everything; its ping is out of the way."""
    number = await github.add_hook("repository", "octo/hello", receiver.url, SECRET, events=["*"], **members)
    await told(github, receiver)
    return number


@pytest.mark.parametrize("content_type", ["json", "form"])
async def test_a_ping_and_how_it_is_signed(github: GitHubStandIn, receiver: Receiver, content_type: str) -> None:
    number = await github.add_hook("repository", "octo/hello", receiver.url, SECRET, content_type)
    (ping,) = await told(github, receiver)
    signature = hmac.new(SECRET.encode(), ping.body, hashlib.sha256).hexdigest()
    assert ping.headers["X-Hub-Signature-256"] == f"sha256={signature}"
    assert ping.headers["X-GitHub-Hook-ID"] == str(number) == str(ping.payload["hook_id"])
    assert ping.headers["X-GitHub-Hook-Installation-Target-Type"] == "repository"
    assert ping.headers["X-GitHub-Hook-Installation-Target-ID"] == str(ping.payload["repository"]["id"])
    assert ping.headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert len(ping.headers["X-GitHub-Delivery"]) == 36
    assert ping.payload["hook"]["config"]["secret"] == "********"
    await github.add_hook("organization", "acme", receiver.url)
    (ping,) = await told(github, receiver)
    assert "repository" not in ping.payload
    assert ping.payload["organization"]["login"] == "acme"
    assert "X-Hub-Signature-256" not in ping.headers


async def test_pushes(github: GitHubStandIn, receiver: Receiver) -> None:
    await hook(github, receiver)
    before = (await github.refs("octo/hello"))["refs/heads/main"]
    after = await github.commit("octo/hello", message="More")
    (push,) = await told(github, receiver)
    assert (push.event, push.payload["ref"]) == ("push", "refs/heads/main")
    assert (push.payload["before"], push.payload["after"]) == (before, after)
    assert [push.payload[name] for name in ("created", "deleted", "forced")] == [False, False, False]
    assert push.payload["head_commit"]["id"] == after
    assert [one["message"] for one in push.payload["commits"]] == ["More"]
    assert push.payload["repository"]["owner"]["name"] == "octo"
    assert isinstance(push.payload["repository"]["pushed_at"], int)
    await github.force_push("octo/hello")
    (push,) = await told(github, receiver)
    assert push.payload["forced"] is True
    await github.create_branch("octo/hello", "topic/one")
    create, push = sorted(await told(github, receiver), key=lambda one: one.event)
    assert (create.event, create.payload["ref"], create.payload["ref_type"]) == ("create", "topic/one", "branch")
    assert (push.payload["ref"], push.payload["before"], push.payload["created"]) == (
        "refs/heads/topic/one",
        ZEROS,
        True,
    )
    await github.delete_branch("octo/hello", "topic/one")
    delete, push = sorted(await told(github, receiver), key=lambda one: one.event)
    assert (delete.event, delete.payload["ref"], delete.payload["ref_type"]) == ("delete", "topic/one", "branch")
    assert (push.payload["after"], push.payload["deleted"], push.payload["head_commit"]) == (ZEROS, True, None)
    await github.create_tag("octo/hello", "v1")
    assert await events(github, receiver) == ["create v1", "push refs/tags/v1"]
    await github.create_tag("octo/hello", "v1")
    await github.delete_tag("octo/hello", "none")
    assert await events(github, receiver) == [], "nothing has changed"
    await github.create_tag("octo/hello", "v1", annotated=True)
    assert await events(github, receiver) == ["push refs/tags/v1"]
    await github.delete_tag("octo/hello", "v1")
    assert await events(github, receiver) == ["delete v1", "push refs/tags/v1"]


async def test_what_becomes_of_a_repository(github: GitHubStandIn, receiver: Receiver) -> None:
    await hook(github, receiver)
    await github.set_metadata("octo/hello", archived=True, private=True)
    await github.set_metadata("octo/hello", archived=False, private=False, stars=3)
    assert await events(github, receiver) == [
        "public",
        "repository archived",
        "repository privatized",
        "repository publicized",
        "repository unarchived",
    ]
    await github.create_branch("octo/hello", "trunk")
    await told(github, receiver)
    await github.set_default_branch("octo/hello", "trunk")
    (edited,) = await told(github, receiver)
    assert edited.payload["changes"] == {"default_branch": {"from": "main"}}
    assert edited.payload["repository"]["default_branch"] == "trunk"
    await github.rename_repository("octo/hello", "octo/hi")
    (renamed,) = await told(github, receiver)
    assert renamed.payload["changes"] == {"repository": {"name": {"from": "hello"}}}
    assert renamed.payload["repository"]["full_name"] == "octo/hi"
    await github.rename_repository("octo/hi", "mona/hi")
    (transferred,) = await told(github, receiver)
    assert transferred.payload["action"] == "transferred"
    assert transferred.payload["changes"]["owner"]["from"]["user"]["login"] == "octo"
    await github.delete_repository("mona/hi")
    assert await told(github, receiver) == [], "its hooks are gone with it"


async def test_stars(github: GitHubStandIn, receiver: Receiver) -> None:
    await hook(github, receiver)
    await github.star("mona", "octo/hello", at="2026-01-01T00:00:00Z")
    star, watch = sorted(await told(github, receiver), key=lambda one: one.event)
    assert (star.payload["action"], star.payload["starred_at"]) == ("created", "2026-01-01T00:00:00Z")
    assert (star.payload["sender"]["login"], watch.payload["action"]) == ("mona", "started")
    await github.unstar("mona", "octo/hello")
    await github.unstar("mona", "octo/hello")
    (star,) = await told(github, receiver)
    assert (star.payload["action"], star.payload["starred_at"]) == ("deleted", None)


async def test_an_organisation_hears_of_all_that_it_owns(github: GitHubStandIn, receiver: Receiver) -> None:
    await github.add_hook("organization", "acme", receiver.url, events=["repository", "push"])
    await told(github, receiver)
    await github.create_repository("acme/new")
    await github.commit("acme/new")
    await github.create_branch("acme/new", "side")
    await github.commit("octo/hello")
    await github.delete_repository("acme/new")
    came = await told(github, receiver)
    assert sorted(f"{one.event} {one.payload.get('action')}" for one in came) == [
        "push None",
        "push None",
        "repository created",
        "repository deleted",
    ]
    assert {one.payload["organization"]["login"] for one in came} == {"acme"}


async def test_an_app_hears_of_its_installations(
    github: GitHubStandIn, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    await github.create_repository("octo/other")
    await github.add_hook("app", "17", receiver.url, SECRET, events=["push", "repository"])
    await told(github, receiver)
    await github.add_app("17", PUBLIC_PEM, 4711, repositories=["octo/hello"])
    (installed,) = await told(github, receiver)
    assert (installed.event, installed.payload["action"]) == ("installation", "created")
    assert installed.payload["installation"]["account"]["login"] == "octo"
    assert installed.payload["repositories"][0].keys() == {"id", "node_id", "name", "full_name", "private"}
    await github.commit("octo/other")
    assert await told(github, receiver) == [], "not covered"
    await github.add_repository_to_installation(4711, "octo/other")
    (added,) = await told(github, receiver)
    assert (added.event, added.payload["action"]) == ("installation_repositories", "added")
    assert added.payload["repositories_added"][0]["full_name"] == "octo/other"
    await github.commit("octo/other")
    (push,) = await told(github, receiver)
    assert push.payload["installation"]["id"] == 4711
    assert push.headers["X-GitHub-Hook-Installation-Target-Type"] == "integration"
    assert push.headers["X-GitHub-Hook-Installation-Target-ID"] == "17"
    await github.rename_repository("octo/other", "mona/other")
    (removed,) = await told(github, receiver)
    assert removed.payload["repositories_removed"][0]["full_name"] == "mona/other"
    await github.uninstall_app(4711)
    (gone,) = await told(github, receiver)
    assert (gone.event, gone.payload["action"]) == ("installation", "deleted")
    config = (await client.get(f"{github.url}/app/hook/config", headers=app())).json()
    assert (config["url"], config["secret"]) == (receiver.url, "********")
    log = (await client.get(f"{github.url}/app/hook/deliveries", headers=app())).json()
    assert [one["event"] for one in log][:2] == ["installation", "installation_repositories"]
    first = await client.get(f"{github.url}/app/hook/config", headers=app())
    again = await client.get(f"{github.url}/app/hook/config", headers={**app(), "If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert "x-ratelimit-remaining" not in again.headers
    one = f"{github.url}/app/hook/deliveries/{log[0]['id']}"
    assert (await client.get(one, headers=app())).json()["request"]["payload"]["action"] == "deleted"
    assert (await client.post(f"{one}/attempts", headers=app())).status_code == 202
    assert [one.payload["action"] for one in await told(github, receiver)] == ["deleted"]
    assert (await client.get(f"{github.url}/app/hook/deliveries")).status_code == 401
    await github.exhaust_limit("17", resource="app")
    assert (await client.get(f"{github.url}/app", headers=app())).status_code == 403


async def test_failures_are_logged_and_sent_again_when_asked_only(
    github: GitHubStandIn, receiver: Receiver, client: httpx.AsyncClient
) -> None:
    number = await hook(github, receiver)
    receiver.status = 503
    await github.commit("octo/hello")
    (lost,) = await told(github, receiver)
    url = f"{github.url}/repos/octo/hello/hooks/{number}/deliveries"
    newest = (await client.get(url, headers=AUTHORIZED)).json()[0]
    assert (newest["status"], newest["status_code"], newest["redelivery"]) == (
        "Invalid HTTP Response: 503",
        503,
        False,
    )
    assert (newest["event"], newest["action"], newest["guid"]) == ("push", None, lost.headers["X-GitHub-Delivery"])
    full = (await client.get(f"{url}/{newest['id']}", headers=AUTHORIZED)).json()
    assert (full["request"]["payload"], full["response"]["payload"]) == (lost.payload, "taken")
    receiver.status = 202
    assert (await client.post(f"{url}/{newest['id']}/attempts", headers=AUTHORIZED)).status_code == 202
    (again,) = await told(github, receiver)
    assert (again.body, again.headers["X-GitHub-Delivery"]) == (lost.body, newest["guid"])
    (second,) = (await client.get(f"{url}?status=success&per_page=1", headers=AUTHORIZED)).json()
    assert (second["guid"], second["redelivery"], second["status"]) == (newest["guid"], True, "OK")
    assert second["id"] != newest["id"]
    assert [one["status_code"] for one in (await client.get(f"{url}?status=failure", headers=AUTHORIZED)).json()] == [
        503
    ]
    await github.age_deliveries(3 * 24 * 3600)
    assert (await client.get(url, headers=AUTHORIZED)).json() == []
    assert (await client.post(f"{url}/{newest['id']}/attempts", headers=AUTHORIZED)).status_code == 404


async def test_nobody_there_and_nobody_answering(github: GitHubStandIn, receiver: Receiver) -> None:
    number = await hook(github, receiver)
    await github.set_hook(number, url="http://127.0.0.1:1/hook")
    await github.commit("octo/hello")
    await github.settle_deliveries()
    assert (await github.delivery_log(number))[0]["status"] == "failed to connect to host"
    await github.set_hook(number, url=receiver.url)
    await github.set_hook_timeout(0.05)
    receiver.open.clear()
    await github.commit("octo/hello")
    await github.settle_deliveries()
    assert (await github.delivery_log(number))[0]["status"] == "timed out"


async def test_pages_of_the_log(github: GitHubStandIn, receiver: Receiver, client: httpx.AsyncClient) -> None:
    number = await hook(github, receiver)
    await github.forget_deliveries()
    for _ in range(5):
        await github.send_event(number, "push", {"repository": {"id": 1}})
    await github.settle_deliveries()
    url: str = f"{github.url}/repos/octo/hello/hooks/{number}/deliveries?per_page=2"
    seen, pages = [], 0
    while url:
        page = await client.get(url, headers=AUTHORIZED)
        # What comes meanwhile does not shift the pages that are still to be read.
        await github.send_event(number, "push", {})
        await github.settle_deliveries()
        seen += [one["id"] for one in page.json()]
        url, pages = page.links.get("next", {}).get("url", ""), pages + 1
    assert (len(seen), pages) == (5, 3)
    assert seen == sorted(set(seen), reverse=True)
    bad = await client.get(
        f"{github.url}/repos/octo/hello/hooks/{number}/deliveries?cursor=v1_nonsense!", headers=AUTHORIZED
    )
    assert bad.status_code == 400


async def test_disturbances(github: GitHubStandIn, receiver: Receiver) -> None:
    number = await hook(github, receiver)
    await github.disturb_deliveries("fail")
    await github.commit("octo/hello")
    assert await told(github, receiver) == []
    assert (await github.delivery_log(number))[0]["status_code"] == 502
    await github.disturb_deliveries("skip")
    await github.commit("octo/hello")
    assert await told(github, receiver) == []
    assert len(await github.delivery_log(number)) == 2
    await github.disturb_deliveries("twice")
    await github.commit("octo/hello")
    first, second = await told(github, receiver)
    assert first.headers["X-GitHub-Delivery"] == second.headers["X-GitHub-Delivery"]
    await github.disturb_deliveries("late", seconds=0.2)
    late = await github.commit("octo/hello")
    soon = await github.commit("octo/hello")
    assert [one.payload["after"] for one in await told(github, receiver)] == [soon, late]
    await github.disturb_deliveries("skip", count=None)
    await github.disturb_deliveries("skip", count=0)
    await github.commit("octo/hello")
    assert len(await told(github, receiver)) == 1


async def test_hooks_are_made_and_changed(github: GitHubStandIn, receiver: Receiver, client: httpx.AsyncClient) -> None:
    url = f"{github.url}/repos/octo/hello/hooks"
    asked = {"config": {"url": receiver.url, "content_type": "json", "secret": SECRET}, "events": ["push"]}
    made = await client.post(url, json=asked, headers=AUTHORIZED)
    assert (made.status_code, made.json()["config"]["secret"]) == (201, "********")
    assert [one.event for one in await told(github, receiver)] == ["ping"]
    assert (await client.post(url, json={"config": {}}, headers=AUTHORIZED)).status_code == 422
    number = made.json()["id"]
    assert [one["id"] for one in (await client.get(url, headers=AUTHORIZED)).json()] == [number]
    assert (await client.post(f"{url}/{number}/pings", headers=AUTHORIZED)).status_code == 204
    assert [one.event for one in await told(github, receiver)] == ["ping"]
    assert (await client.get(f"{url}/{number}", headers=AUTHORIZED)).json()["last_response"]["code"] == 202
    await github.set_hook(number, active=False)
    await github.commit("octo/hello")
    assert await told(github, receiver) == []
    await github.rename_repository("octo/hello", "octo/hi")
    moved = await client.get(f"{url}/{number}/deliveries", headers=AUTHORIZED)
    assert moved.status_code == 301
    assert (await client.get(moved.headers["location"], headers=AUTHORIZED)).status_code == 200
    attempt = await client.post(f"{url}/{number}/deliveries/1/attempts", headers=AUTHORIZED)
    assert attempt.status_code == 307
    assert (await client.delete(f"{github.url}/repos/octo/hi/hooks/{number}", headers=AUTHORIZED)).status_code == 204
    assert (await client.get(f"{github.url}/repos/octo/hi/hooks/{number}", headers=AUTHORIZED)).status_code == 404


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"login": "octo"}, 200),
        ({"login": "octo", "scopes": ["repo"]}, 200),
        ({"login": "octo", "scopes": ["read:repo_hook"]}, 200),
        ({"login": "octo", "scopes": ["gist"]}, 404),
        ({"login": "octo", "permissions": ["metadata"]}, 403),
        ({"login": "octo", "permissions": ["repository_hooks"]}, 200),
        ({"login": "mona"}, 404),
    ],
)
async def test_who_sees_hooks(
    github: GitHubStandIn, client: httpx.AsyncClient, members: dict[str, Any], status: int
) -> None:
    await github.add_token("asked", **members)
    headers = {"Authorization": "Bearer asked"}
    assert (await client.get(f"{github.url}/repos/octo/hello/hooks", headers=headers)).status_code == status
    assert (await client.get(f"{github.url}/repos/octo/hello/hooks")).status_code == 404


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"scopes": ["read:repo_hook"]}, 404),
        ({"scopes": ["write:repo_hook"]}, 204),
        ({"permissions": ["repository_hooks:read"]}, 403),
        ({"permissions": ["repository_hooks"]}, 204),
    ],
)
async def test_who_may_do_something_about_hooks(
    github: GitHubStandIn, receiver: Receiver, client: httpx.AsyncClient, members: dict[str, Any], status: int
) -> None:
    number = await hook(github, receiver)
    await github.add_token("asked", "octo", **members)
    headers = {"Authorization": "Bearer asked"}
    url = f"{github.url}/repos/octo/hello/hooks/{number}"
    assert (await client.get(url, headers=headers)).status_code == 200
    assert (await client.post(f"{url}/pings", headers=headers)).status_code == status


async def test_who_sees_an_organisations_hooks(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    await github.declare_user("acme", organization=True, members=["octocat"])
    await github.add_hook("organization", "acme", "http://127.0.0.1:1/")
    url = f"{github.url}/orgs/acme/hooks"
    own = {"Authorization": f"Bearer {TOKEN}"}
    (shown,) = (await client.get(url, headers=own)).json()
    assert (await client.get(f"{url}/{shown['id']}/deliveries", headers=own)).status_code == 200
    assert (await client.get(url, headers=AUTHORIZED)).status_code == 401
    await github.add_token("octos", "octo")
    assert (await client.get(url, headers=AUTHORIZED)).status_code == 404
    await github.add_token("octos", "octocat", scopes=["repo"])
    assert (await client.get(url, headers=AUTHORIZED)).status_code == 404
    await github.add_app("17", PUBLIC_PEM, 4711, account="acme", permissions={"organization_hooks": "read"})
    granted = await client.post(f"{github.url}/app/installations/4711/access_tokens", headers=app())
    given = {"Authorization": f"token {granted.json()['token']}"}
    assert (await client.get(url, headers=given)).status_code == 200
    assert (await client.get(f"{github.url}/repos/octo/hello/hooks", headers=given)).status_code == 404


async def test_from_where_hooks_come(github: GitHubStandIn, client: httpx.AsyncClient) -> None:
    before = (await client.get(f"{github.url}/meta")).json()
    await github.set_hook_ranges(["127.0.0.0/8"])
    after = (await client.get(f"{github.url}/meta")).json()
    assert after == {**before, "hooks": ["127.0.0.0/8"]}
