"""A webhook pod in one process, with a cluster in memory."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from github_onedev_sync.api.delivery import sign
from github_onedev_sync.webhook.app import build_app
from github_onedev_sync.webhook.build import Pod, build_pod
from github_onedev_sync.webhook.settings import Settings

from .fakes import FakeCluster

SECRET = b"It's a Secret to Everybody"
PATH = "/webhook"


@pytest.fixture
def secret_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "secret").write_bytes(SECRET + b"\n")
    return folder


@pytest.fixture
async def fake() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def settings(secret_folder: Path) -> Settings:
    return Settings(secret_folder=secret_folder, rate_limit=0, port=0, http_port=1)


@pytest.fixture
def pod(settings: Settings, fake: FakeCluster) -> Pod:
    """Of its pauses nothing is left, so that no test waits."""
    built = build_pod(settings, fake)
    built.receiver.pauses = (0.0,)
    return built


def headers(body: bytes, event: str, delivery: str = "", secret: bytes = SECRET) -> dict[str, str]:
    """As GitHub sends them; with an empty `delivery` a new one."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/044aadd",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": sign(secret, body),
    }


@dataclass
class GitHub:
    """Delivers to the pod, without a socket between."""

    client: httpx.AsyncClient

    async def deliver(
        self, body: bytes, event: str, delivery: str = "", secret: bytes = SECRET, content_type: str = ""
    ) -> httpx.Response:
        sent = headers(body, event, delivery, secret)
        if content_type:
            sent["Content-Type"] = content_type
        return await self.client.post(PATH, content=body, headers=sent)


@pytest.fixture
async def github(pod: Pod) -> AsyncIterator[GitHub]:
    transport = httpx.ASGITransport(build_app(pod.receiver, PATH), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
        yield GitHub(client)
