"""The sender of deliveries, to a pod without a cluster behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from github_onedev_sync.api import mirror
from github_onedev_sync.webhook.app import build_app
from github_onedev_sync.webhook.build import build_pod
from github_onedev_sync.webhook.server import build_server
from github_onedev_sync.webhook.settings import Settings
from tests.webhook.fakes import FakeCluster, mirror_body

from .deliveries import Deliveries, Sender, Sent

SECRET = b"a-secret-of-the-load"


async def test_all_are_sent_and_every_tenth_is_a_push_to_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    fake = FakeCluster()
    for number in (1, 2):
        fake.put(mirror.PLURAL, mirror_body(f"mirror-{number}", number))
    settings = Settings(secret_folder=tmp_path, rate_limit=0, port=0)
    pod = build_pod(settings, fake)
    server = build_server(build_app(pod.receiver, settings.path), settings, "127.0.0.1")
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0)
    url = f"http://127.0.0.1:{server.port}{settings.path}"
    deliveries, sender = Deliveries(SECRET, url, [1, 2]), Sender(url)
    taken = await sender.as_taken(deliveries.pushes(), 20, connections=4)
    mixed = await sender.at_rate(deliveries.mixed(10), rate=200, seconds=0.5)
    await sender.close()
    server.should_exit = True
    await serving
    assert (taken.answers, taken.not_taken) == ({202: 20}, 0)
    assert mixed.answers == {202: 100}
    assert 0.4 < mixed.wall < 5
    assert len(set(deliveries.ids)) == 120
    looks = pod.metrics.registry.get_sample_value("github_onedev_sync_webhook_looks_total")
    assert looks == 20 + 10


async def test_what_nobody_takes_is_told(tmp_path: Path) -> None:
    sender = Sender("http://127.0.0.1:1/webhook")
    sent = await sender.as_taken(Deliveries(SECRET, "http://127.0.0.1:1/webhook", [1]).pushes(), 3, connections=1)
    assert sent.answers == {0: 3}
    assert sent.not_taken == 3


def test_percentiles() -> None:
    sent = Sent(seconds=[number / 1000 for number in range(100, 0, -1)])
    assert (sent.percentile(0.5), sent.percentile(0.99)) == (51, 100)
