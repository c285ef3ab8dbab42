"""The webhook process itself, against a real API server: with no rights but its own, in two replicas, and cut off
from the cluster for a while."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from github_onedev_sync.adapters.cluster import Cluster
from github_onedev_sync.api import mirror, names
from github_onedev_sync.api.errors import ClusterRefused
from github_onedev_sync.api.starred import StarredReposSync
from tests import local_cluster

from .conftest import PATH, SECRET, headers
from .samples import OCTOCAT, WIDGET, body, event_of, raw

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
Manifest = dict[str, Any]
# What the webhook pod may do, and nothing else.
RULES: list[Manifest] = [
    {"apiGroups": [names.GROUP], "resources": ["starredrepossyncs", "ownedrepossyncs"], "verbs": ["get", "list"]},
    {"apiGroups": [names.GROUP], "resources": ["repositorymirrors"], "verbs": ["get", "list", "create", "patch"]},
]
SPEC: Manifest = {"source": {"repository": "acme/widget"}, "target": {"serverRef": {"name": "default"}}}


class Kubectl:
    """As the administrator, in a namespace of its own."""

    def __init__(self, cluster: local_cluster.Cluster) -> None:
        self.namespace = f"webhook-{uuid.uuid4().hex[:8]}"
        self._command = [str(cluster.kubectl), "--namespace", self.namespace]
        self._variables = local_cluster.environment(cluster)

    def __call__(self, *arguments: str, stdin: Any = None) -> str:
        text = None if stdin is None else json.dumps(stdin)
        done = subprocess.run(
            [*self._command, *arguments], input=text, env=self._variables, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def read(self, *arguments: str, stdin: Any = None) -> Any:
        return json.loads(self(*arguments, "--output=json", stdin=stdin))

    def resource(self, kind: str, name: str, spec: Manifest, status: Manifest, **metadata: Any) -> Manifest:
        manifest = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}
        self("create", "--filename=-", stdin=manifest)
        patch = json.dumps({"status": status})
        found: Manifest = self.read("patch", kind, name, "--subresource=status", "--type=merge", f"--patch={patch}")
        return found

    def mirror(self, name: str, number: int = WIDGET) -> Manifest:
        return self.resource("RepositoryMirror", name, SPEC, {"source": {"id": number, "fullName": "acme/widget"}})

    def token_of(self, name: str) -> str | None:
        found = self.read("get", "rmir", name)["metadata"].get("annotations", {})
        return str(found[names.REQUESTED_AT]) if names.REQUESTED_AT in found else None


@pytest.fixture(scope="module")
def kubectl(cluster: local_cluster.Cluster) -> Iterator[Kubectl]:
    run = Kubectl(cluster)
    crds = [f"--filename={crd}" for crd in sorted((ROOT / "crds").glob("*.yaml"))]
    run("apply", "--server-side", "--force-conflicts", *crds)
    run("wait", "--for=condition=Established", "--timeout=30s", *crds)
    run("create", "namespace", run.namespace)
    run("create", "serviceaccount", "webhook")
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "webhook"}}
    run("create", "--filename=-", stdin=role | {"rules": RULES})
    run("create", "rolebinding", "webhook", "--role=webhook", f"--serviceaccount={run.namespace}:webhook")
    yield run
    run("delete", "namespace", run.namespace, "--wait=false")


@pytest.fixture(scope="module")
def kubeconfig(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the service account."""
    config = kubectl.read("config", "view", "--raw", "--flatten")
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": kubectl("create", "token", "webhook")}}]
    path = tmp_path_factory.mktemp("webhook") / "kubeconfig"
    path.write_text(json.dumps(config))
    return path


@pytest.fixture
async def account(kubeconfig: Path) -> AsyncIterator[Cluster]:
    connected = await Cluster.connect(str(kubeconfig))
    yield connected
    await connected.close()


class Process:
    """One replica, as a process of its own with the service account's rights."""

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str) -> None:
        (folder / "secret").mkdir(parents=True)
        (folder / "secret" / "secret").write_bytes(SECRET)
        self.log = folder / "log"
        self._ports = _free_port(), _free_port()
        self._variables = {
            "KUBECONFIG": str(kubeconfig),
            "WATCH_NAMESPACES": namespace,
            "WEBHOOK_SECRET_FOLDER": str(folder / "secret"),
            "WEBHOOK_PORT": str(self._ports[0]),
            "HTTP_PORT": str(self._ports[1]),
            "RATE_LIMIT_PER_MINUTE": "0",
            "LOG_FORMAT": "json",
        }

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[httpx.AsyncClient]:
        path = os.pathsep.join([str(ROOT / "operator"), str(ROOT)])
        command = [sys.executable, "-m", "github_onedev_sync", "webhook"]
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                *command, env=os.environ | self._variables | {"PYTHONPATH": path}, stderr=log
            )
        receiver, self.admin = (f"http://127.0.0.1:{port}" for port in self._ports)
        try:
            async with httpx.AsyncClient(base_url=receiver, trust_env=False, timeout=20) as client:
                await self.until(client, lambda status: status == 200)
                yield client
        finally:
            if self.process.returncode is None:
                self.process.send_signal(signal.SIGTERM)
            await self.process.wait()

    async def until(self, client: httpx.AsyncClient, wanted: Callable[[int], bool]) -> None:
        """Until its readiness is as wanted."""
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if wanted((await client.get(f"{self.admin}/readyz")).status_code):
                        return
                assert self.process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.1)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def deliver(client: httpx.AsyncClient, name: str, delivery: str, text: bytes = b"") -> Awaitable[httpx.Response]:
    text = text or raw(name)
    return client.post(PATH, content=text, headers=headers(text, event_of(name), delivery))


async def test_mirrors_are_found_by_id_by_label_and_by_project(account: Cluster, kubectl: Kubectl) -> None:
    kubectl.mirror("by-status", 11)
    labels, target = {names.REPOSITORY_ID: "12"}, SPEC["target"] | {"project": "some/where"}
    kubectl.resource("RepositoryMirror", "by-label", SPEC | {"target": target}, {}, labels=labels)

    async def found(**selector: str) -> list[str]:
        bodies = account.list_resources(mirror.PLURAL, kubectl.namespace, **selector)
        return [body["metadata"]["name"] async for body in bodies]

    assert await found(fields="status.source.id=11") == ["by-status"]
    assert await found(fields="status.source.id=12") == []
    assert await found(fields="spec.target.project=some/where") == ["by-label"]
    assert await found(labels=f"{names.REPOSITORY_ID}=12") == ["by-label"]
    assert sorted(await found(fields="spec.source.repository=acme/widget")) == ["by-label", "by-status"]
    assert await account.annotate(mirror.PLURAL, f"{kubectl.namespace}/by-status", {names.REQUESTED_AT: "one"})
    assert kubectl.token_of("by-status") == "one"
    assert not await account.annotate(mirror.PLURAL, f"{kubectl.namespace}/missing", {names.REQUESTED_AT: "one"})
    kubectl("delete", "rmir", "--all")


async def test_two_replicas_and_every_delivery_twice(
    kubectl: Kubectl, kubeconfig: Path, account: Cluster, tmp_path: Path
) -> None:
    """The same word both times, so the second changes nothing and the mirror looks once."""
    kubectl.mirror("widget")
    one, two = (Process(tmp_path / name, kubeconfig, kubectl.namespace) for name in ("one", "two"))
    async with one.running() as first, two.running() as second:
        before = kubectl.read("get", "rmir", "widget")["metadata"]["resourceVersion"]
        answers = [await deliver(client, "push", GUID) for client in (first, second, first, second)]
        assert [answer.json()["result"] for answer in answers] == ["accepted", "accepted", "duplicate", "duplicate"]
        assert kubectl.token_of("widget") == GUID
        after = kubectl.read("get", "rmir", "widget")["metadata"]
        assert after["resourceVersion"] != before
        again = await deliver(second, "push", GUID)
        assert again.status_code == 202
        assert kubectl.read("get", "rmir", "widget")["metadata"]["resourceVersion"] == after["resourceVersion"]
        # A star is a mirror, made once by whoever comes first.
        kubectl("delete", "rmir", "widget")
        template = {"user": "octocat", "template": {"target": {"serverRef": {"name": "default"}}}}
        status = {"observedGeneration": 1, "account": {"id": OCTOCAT, "login": "octocat"}}
        kubectl.resource(StarredReposSync.kind, "stars", template, status)
        fresh = body("star.created", repository=json.loads(raw("star.created"))["repository"] | {"id": 4711})
        async with asyncio.timeout(30):  # until the new sync was seen
            for number in itertools.count():
                star = [deliver(client, "star.created", f"star-{number}", fresh) for client in (first, second)]
                answers = await asyncio.gather(*star)
                assert {answer.status_code for answer in answers} == {202}
                if {answer.json()["result"] for answer in answers} == {"accepted"}:
                    break
                await asyncio.sleep(0.5)
        (made,) = kubectl.read("get", "rmir", "--show-managed-fields")["items"]
        assert made["metadata"]["name"] == "acme-widget-4711"
        assert {entry["manager"] for entry in made["metadata"]["managedFields"]} >= {"github-onedev-sync/srs.stars"}
    assert (one.process.returncode, two.process.returncode) == (0, 0)
    assert [line["mirror"] for line in (*one.lines(), *two.lines()) if line["event"] == "mirror made"]
    kubectl("delete", "rmir,srs", "--all")


async def test_a_cluster_that_is_away_and_comes_back(kubectl: Kubectl, kubeconfig: Path, tmp_path: Path) -> None:
    kubectl.mirror("widget")
    async with Gate(kubeconfig, tmp_path / "kubeconfig") as gate:
        replica = Process(tmp_path / "replica", tmp_path / "kubeconfig", kubectl.namespace)
        async with replica.running() as client:
            assert (await deliver(client, "push", "before")).status_code == 202
            await gate.close()
            lost = await asyncio.gather(*(deliver(client, "push", f"lost-{number}") for number in range(20)))
            assert {answer.status_code for answer in lost} == {503}
            await replica.until(client, lambda status: status == 503)
            assert (await client.get(f"{replica.admin}/livez")).status_code == 200
            await gate.open()
            # As the gap repair has them delivered again: with the ids that they had.
            again = await asyncio.gather(*(deliver(client, "push", f"lost-{number}") for number in range(20)))
            assert {answer.json()["result"] for answer in again} == {"accepted"}
            await replica.until(client, lambda status: status == 200)
    assert str(kubectl.token_of("widget")).startswith("lost-")
    kubectl("delete", "rmir", "--all")


async def test_the_service_account_can_do_nothing_else(account: Cluster, kubectl: Kubectl) -> None:
    for act in (
        account.read_secret(kubectl.namespace, "some"),
        account.list_jobs(kubectl.namespace),
        account.delete_resource(mirror.PLURAL, f"{kubectl.namespace}/widget", "uid"),
        account.patch_status(mirror.PLURAL, f"{kubectl.namespace}/widget", "1", {}),
        account.annotate(StarredReposSync.plural, f"{kubectl.namespace}/stars", {names.REQUESTED_AT: "x"}),
    ):
        with pytest.raises(ClusterRefused, match="The chart's RBAC must allow"):
            await act


class Gate:
    """A way to the API server that can be closed: a proxy of bytes, for TLS goes through it as it is."""

    def __init__(self, kubeconfig: Path, copy: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        address = urlsplit(config["clusters"][0]["cluster"]["server"])
        self._target = address.hostname, address.port or 443
        self._port = _free_port()
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self._port}"
        config["clusters"][0]["cluster"]["tls-server-name"] = address.hostname
        copy.write_text(json.dumps(config))
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Gate:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", self._port)

    async def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()
