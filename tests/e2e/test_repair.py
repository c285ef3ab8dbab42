"""What could not be delivered comes back: the webhook pod is away, or the API server is for it, and no push is lost.

Nobody polls here, so what is in OneDev in the end was delivered. The receiver is a process, which a test can stop.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.local_cluster.choice import Cluster

from .conftest import MakeWorld
from .fan import Fan
from .proxy import ApiProxy
from .world import ROOT, World, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]

SECRET = "a-secret-of-the-webhook"
EVENTS = ["push", "create", "delete", "star", "repository"]


@dataclass
class Receiver:
    """The webhook pod's process, whose API server can be cut off."""

    variables: dict[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.variables['WEBHOOK_PORT']}/webhook"

    def start(self) -> None:
        command = [sys.executable, "-m", "github_onedev_sync", "webhook"]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(command, env={**os.environ, **self.variables}, stdout=out, stderr=out)
        self.wait(200)

    def wait(self, status: int) -> None:
        eventually(f"the receiver is as ready as {status}", lambda: self._readiness() == status)

    def _readiness(self) -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{self.variables['HTTP_PORT']}/readyz").status_code
        except httpx.TransportError:
            return 0

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(20) == 0


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, folder: Path) -> Iterator[ApiProxy]:
    proxy = ApiProxy(cluster, folder)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def receiver(proxy: ApiProxy, folder: Path) -> Iterator[Receiver]:
    secrets = folder / "webhook-secret"
    secrets.mkdir()
    (secrets / "secret").write_text(SECRET)
    port, health = _free_port(), _free_port()
    variables = {
        "KUBECONFIG": str(proxy.kubeconfig),
        "PYTHONPATH": os.pathsep.join((str(ROOT / "operator"), str(ROOT))),
        "WATCH_NAMESPACES": f"e2e-repair-{os.getpid()}",
        "WEBHOOK_SECRET_FOLDER": str(secrets),
        "WEBHOOK_PORT": str(port),
        "HTTP_PORT": str(health),
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_FORMAT": "json",
    }
    receiver = Receiver(variables, folder / "e2e-receiver.log")
    yield receiver
    receiver.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def mended(make_world: MakeWorld, receiver: Receiver) -> World:
    """With the token of the repositories' owner, who may see their webhooks."""
    world = make_world("repair", WEBHOOK_URL=receiver.url)
    receiver.start()
    world.github.act("add_token", token="ghp_oftheowner", login="e2e")
    world.secret("owner", token="ghp_oftheowner")
    return world


@dataclass
class Hooked:
    """A mirror whose repository has a webhook, and that nobody polls."""

    world: World
    name: str
    hook: int

    @classmethod
    def declare(cls, world: World, name: str, url: str) -> "Hooked":
        repository = world.repository(name)
        hook = world.github.act("add_hook", **told("repository", repository, url))
        world.mirror(name, source={"secretRef": {"name": "owner"}}, interval="24h")
        world.wait_ready(name)
        return cls(world, name, hook)

    def push(self) -> None:
        self.world.github.act("commit", repository=f"e2e/{self.name}", branch="main")

    def is_equal(self) -> bool:
        repository = f"e2e/{self.name}"
        return self.world.source_refs(repository) == self.world.target_refs(f"{self.world.root}/{repository}")


def told(scope: str, target: str, url: str) -> dict[str, Any]:
    return {"scope": scope, "target": target, "url": url, "secret": SECRET, "events": EVENTS}


def deliveries(world: World, hook: int) -> dict[str, list[int]]:
    """The answers to each, by GUID, the first one first."""
    world.github.act("settle_deliveries")
    found: dict[str, list[int]] = {}
    for row in reversed(world.github.act("delivery_log", hook_id=hook)):
        found.setdefault(row["guid"], []).append(row["status_code"])
    return found


def lost(world: World, hook: int) -> list[str]:
    """Those that nobody has taken."""
    return [guid for guid, answers in deliveries(world, hook).items() if not any(200 <= one < 300 for one in answers)]


def repaired(world: World, kind: str, name: str) -> dict[str, Any]:
    """What its status says of the webhook, once nothing has failed."""

    def probe() -> dict[str, Any] | None:
        found: dict[str, Any] = world.get(kind, name).get("status", {}).get("webhook") or {}
        return found if found.get("redelivered") and not found["failed"] else None

    return eventually(f"the status of {name} tells of a repair", probe)


def test_pushes_while_the_receiver_was_away(mended: World, receiver: Receiver) -> None:
    one, two = (Hooked.declare(mended, name, receiver.url) for name in ("away", "away-too"))
    receiver.stop()
    for _ in range(3):
        one.push()
        two.push()
    mended.github.act("create_tag", repository="e2e/away", tag="v1")
    missed = {hooked.name: lost(mended, hooked.hook) for hooked in (one, two)}
    assert [len(guids) >= 3 for guids in missed.values()] == [True, True]
    receiver.start()
    assert not one.is_equal()
    mended.controller.restart()
    for hooked in (one, two):
        mended.wait_synced(hooked.name)
        said = repaired(mended, "rmir", hooked.name)
        assert lost(mended, hooked.hook) == []
        assert said["redelivered"] == len(missed[hooked.name])
        assert said["lastRepairTime"] <= said["lastDeliveryTime"]
        assert "DeliveriesRepaired" in mended.events(hooked.name)
    wide = mended.kubectl("get", "rmir", one.name, "-o", "wide")
    assert "LAST DELIVERY" in wide
    assert "LAST REPAIR" in wide


def test_pushes_while_the_receiver_had_no_api_server(mended: World, receiver: Receiver, proxy: ApiProxy) -> None:
    """It answers 503, so that GitHub's log shows what was not taken."""
    hooked = Hooked.declare(mended, "cut-off", receiver.url)
    proxy.cut()
    try:
        for _ in range(3):
            hooked.push()
        answers = deliveries(mended, hooked.hook)
        assert 503 in {answer for told in answers.values() for answer in told}
    finally:
        proxy.restore()
    missed = lost(mended, hooked.hook)
    assert len(missed) >= 3
    receiver.wait(200)
    assert not hooked.is_equal()
    mended.controller.restart()
    mended.wait_synced(hooked.name)
    assert repaired(mended, "rmir", hooked.name)["redelivered"] == len(missed)
    assert lost(mended, hooked.hook) == []


def test_an_app_s_deliveries(mended: World, receiver: Receiver) -> None:
    """Its one log tells of repositories that it was given, too: each is a mirror when its delivery has come back."""
    github, given = mended.github, [mended.repository(name) for name in ("given", "given-later")]
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    pkcs8 = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, pkcs8, serialization.NoEncryption())
    app = {"app_id": "18", "installation_id": 4712, "repositories": given[:1]}
    github.act("add_app", public_key=public.decode(), **app)
    hook = github.act("add_hook", **told("app", "18", receiver.url))
    fan = Fan(mended, "app", kind="ors")
    mended.secret(fan.name, {"appID": b"18", "installationID": b"4712", "privateKey": private})
    fan.sync(interval="24h")
    fan.wait_mirrors("given")
    receiver.stop()
    github.act("add_repository_to_installation", installation_id=4712, repository=given[1])
    github.act("commit", repository=given[0], branch="main")
    missed = lost(mended, hook)
    assert len(missed) >= 2
    receiver.start()
    mended.controller.restart()
    said = repaired(mended, "ors", fan.name)
    assert said["redelivered"] == len(missed)
    assert lost(mended, hook) == []
    assert fan.mirrors().keys() == {"given", "given-later"}
    assert "DeliveriesRepaired" in mended.events(fan.name)
