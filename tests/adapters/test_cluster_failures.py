"""An API server that cannot be reached or answers nonsense: nothing is decided then, and no mirror is blamed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from github_onedev_sync.adapters.cluster import Cluster
from github_onedev_sync.api.errors import ClusterRefused, ClusterUnavailable

TOKEN = "service-account-token"


def kubeconfig(folder: Path, server: str) -> str:
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
        "clusters": [{"name": "tests", "cluster": {"server": server}}],
        "users": [{"name": "tests", "user": {"token": TOKEN}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(config))
    return str(folder / "kubeconfig")


class ApiServer:
    """Answers every request the same."""

    def __init__(self) -> None:
        self.answer = (200, "{}")
        self.headers: list[dict[str, str]] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status, text = self.answer
        return web.Response(status=status, text=text)


@pytest.fixture
def api_server() -> ApiServer:
    return ApiServer()


@pytest.fixture
async def adapter(api_server: ApiServer, tmp_path: Path) -> AsyncIterator[Cluster]:
    runner = web.ServerRunner(web.Server(api_server.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connected = await Cluster.connect(kubeconfig(tmp_path, f"http://127.0.0.1:{runner.addresses[0][1]}"))
    yield connected
    await connected.close()
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (401, '{"message": "Unauthorized"}', ClusterUnavailable, "was answered 401: Unauthorized"),
        (429, '{"message": "too many requests"}', ClusterUnavailable, "was answered 429: too many requests"),
        (500, '{"message": "etcdserver: timeout"}', ClusterUnavailable, "was answered 500: etcdserver: timeout"),
        (503, "<html>load balancer</html>", ClusterUnavailable, "was answered 503: no reason given"),
        (200, "<html>load balancer</html>", ClusterUnavailable, "was answered 200: no reason given"),
        (200, "[]", ClusterUnavailable, "was answered 200"),
        (400, '{"message": "bad request"}', ClusterRefused, "was answered 400: bad request"),
        (403, '{"message": "x cannot get y"}', ClusterRefused, "The chart's RBAC must allow get on .*: x cannot get y"),
    ],
)
async def test_answers(
    adapter: Cluster, api_server: ApiServer, status: int, body: str, error: type[Exception], said: str
) -> None:
    api_server.answer = (status, body)
    with pytest.raises(error, match=said) as caught:
        await adapter.read_lease("default", "leader")
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "error", "said"),
    [
        (409, '{"message": "again"}', ClusterRefused, "was answered 409: again"),
        (403, '{"message": "no"}', ClusterRefused, "The chart's RBAC must allow patch on .*/octo-7.*: no"),
        (500, "", ClusterUnavailable, "was answered 500"),
        (200, "", ClusterUnavailable, "was answered 200"),
    ],
)
async def test_an_apply_that_fails(
    adapter: Cluster, api_server: ApiServer, status: int, body: str, error: type[Exception], said: str
) -> None:
    api_server.answer = (status, body)
    with pytest.raises(error, match=said):
        await adapter.apply("repositorymirrors", {"metadata": {"namespace": "default", "name": "octo-7"}}, "us")
    assert {sent["content-type"] for sent in api_server.headers} == {"application/apply-patch+yaml"}


async def test_what_a_kind_holds_while_nothing_is_there(adapter: Cluster) -> None:
    assert [body async for body in adapter.list_resources("repositorymirrors", "")] == []


async def test_no_secret_is_logged(adapter: Cluster, api_server: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    api_server.answer = (200, '{"data": {"token": "aGlkZGVu"}}')
    assert await adapter.read_secret("default", "some") == {"token": b"hidden"}
    assert "aGlkZGVu" not in caplog.text
    assert TOKEN not in caplog.text


async def test_what_is_sent(adapter: Cluster, api_server: ApiServer) -> None:
    await adapter.patch_status("repositorymirrors", "default/one", "1", {})
    (sent,) = api_server.headers
    assert sent["authorization"] == f"Bearer {TOKEN}"
    assert sent["content-type"] == "application/merge-patch+json"
    assert sent["user-agent"].startswith("github-onedev-sync/")


async def test_a_job_that_comes_and_goes(adapter: Cluster, api_server: ApiServer) -> None:
    manifest = {"metadata": {"namespace": "default", "name": "sync"}}
    api_server.answer = (409, '{"message": "exists"}')
    with pytest.raises(ClusterRefused, match="was answered 409"):  # asked for it, and 409 is no answer to a GET
        await adapter.create_job(manifest)


async def test_an_event_for_a_namespace_on_its_way_out(adapter: Cluster, api_server: ApiServer) -> None:
    event = {"metadata": {"namespace": "default", "generateName": "one."}}
    message = "forbidden: unable to create new content in namespace default because it is being terminated"
    api_server.answer = (403, json.dumps({"message": message}))
    await adapter.record_event(event)
    api_server.answer = (403, json.dumps({"message": "events is forbidden"}))
    with pytest.raises(ClusterRefused, match="must allow create on"):
        await adapter.record_event(event)


async def test_no_crds(adapter: Cluster, api_server: ApiServer) -> None:
    api_server.answer = (404, "404 page not found")
    assert await adapter.groups() == frozenset()


async def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    connected = await Cluster.connect(kubeconfig(tmp_path, "http://127.0.0.1:1"))
    with pytest.raises(ClusterUnavailable, match="GET /api/v1/namespaces/default/secrets/some: "):
        await connected.read_secret("default", "some")
    await connected.close()


async def test_no_way_to_any_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ClusterUnavailable, match="No way to the cluster is configured, set KUBECONFIG"):
        await Cluster.connect(str(tmp_path / "missing"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(ClusterUnavailable, match="No way to the cluster is configured"):
        await Cluster.connect()
