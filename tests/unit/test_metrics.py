"""The series that Prometheus reads, and the endpoints that serve them."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import aiohttp
import pytest
from prometheus_client import generate_latest

from github_onedev_sync.api.observed import RateLimit
from github_onedev_sync.observability.health import HealthServer
from github_onedev_sync.observability.metrics import Gauges, GitHubUse, Metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"github_onedev_sync_{name}", labels)


def test_reconciles_are_counted_by_result() -> None:
    metrics = Metrics()
    for word in ("ok", "bug", "ok"):
        with metrics.reconcile("mirror") as outcome:
            if word != "ok":
                outcome(word)
    assert value(metrics, "reconcile_total", kind="mirror", result="ok") == 2
    assert value(metrics, "reconcile_total", kind="mirror", result="bug") == 1
    assert value(metrics, "reconcile_duration_seconds_count", kind="mirror") == 3


def test_a_reconcile_that_is_cut_is_counted_too() -> None:
    metrics = Metrics()
    with pytest.raises(KeyboardInterrupt), metrics.reconcile("server"):
        raise KeyboardInterrupt
    assert value(metrics, "reconcile_duration_seconds_count", kind="server") == 1


def test_runs() -> None:
    metrics = Metrics()
    metrics.run_ended("Synced", "Synced", 4.0, 1000)
    metrics.run_ended("Failed", "TimedOut", 400.0, 0)
    assert value(metrics, "runs_total", outcome="Failed", reason="TimedOut") == 1
    assert value(metrics, "received_bytes_total") == 1000
    assert value(metrics, "run_duration_seconds_sum") == 404
    assert value(metrics, "run_duration_seconds_bucket", le="5.0") == 1


def test_gauges_are_read_when_scraped() -> None:
    metrics, depth = Metrics(), [0]
    kinds = [
        ("RepositoryMirror", "True", "Synced"),
        ("RepositoryMirror", "True", "Synced"),
        ("OneDevServer", "Unknown", ""),
    ]
    metrics.registry.register(Gauges(lambda: depth[0], lambda: 1.5, lambda: 2, lambda: 3, lambda: kinds))
    depth[0] = 7
    assert value(metrics, "workqueue_depth") == 7
    assert value(metrics, "workqueue_oldest_seconds") == 1.5
    assert (value(metrics, "active_jobs"), value(metrics, "waiting_for_slot")) == (2, 3)
    assert value(metrics, "resources", kind="RepositoryMirror", ready="True", reason="Synced") == 2
    assert value(metrics, "resources", kind="OneDevServer", ready="Unknown", reason="") == 1
    assert b"_created" not in generate_latest(metrics.registry)


def test_the_use_of_github_is_read_when_scraped() -> None:
    metrics, asked = Metrics(), Counter({("core", "304"): 1})
    limits: list[tuple[str, str, str, RateLimit]] = []
    metrics.registry.register(GitHubUse(asked, lambda: limits))
    asked["core", "304"] += 2
    limits.append(("api.github.com", "team/github", "core", RateLimit(4990, 5000, datetime(2026, 1, 1, tzinfo=UTC))))
    place = {"api": "api.github.com", "credential": "team/github", "resource": "core"}
    assert value(metrics, "github_requests_total", resource="core", status="304") == 3
    assert value(metrics, "github_rate_limit", **place) == 5000
    assert value(metrics, "github_rate_limit_remaining", **place) == 4990
    assert value(metrics, "github_rate_limit_reset_timestamp_seconds", **place) == 1767225600


async def test_endpoints() -> None:
    metrics, trouble = Metrics(), [""]
    server = HealthServer(metrics.registry, lambda: "", lambda: trouble[0], port=0, host="127.0.0.1")
    runner = await server.start()
    try:
        host, port = runner.addresses[0][:2]
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session, asyncio.timeout(10):
            for path, status, text in (("/livez", 200, "ok\n"), ("/readyz", 200, "ok\n"), ("/nothing", 404, None)):
                async with session.get(path) as answer:
                    assert answer.status == status
                    assert text is None or await answer.text() == text
            trouble[0] = "not leading"
            async with session.get("/readyz") as answer:
                assert (answer.status, await answer.text()) == (503, "not leading\n")
            async with session.get("/metrics") as answer:
                assert "github_onedev_sync_received_bytes_total 0.0" in await answer.text()
                assert answer.headers["Content-Type"].startswith("text/plain; version=")
    finally:
        await runner.cleanup()
