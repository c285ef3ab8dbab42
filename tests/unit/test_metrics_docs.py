"""docs/metrics.md names every series that controller and webhook serve, with its type and labels, and no other."""

import re
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.metrics_core import Metric

from github_onedev_sync.api.observed import RateLimit
from github_onedev_sync.observability.metrics import PREFIX, Gauges, GitHubUse, Metrics
from github_onedev_sync.webhook.metrics import Metrics as WebhookMetrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
ROW = re.compile(rf"^\| `({PREFIX}_\w+)` \| (\w+) \|([^|]*)\|", re.MULTILINE)


def documented() -> dict[str, tuple[str, set[str]]]:
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE.read_text())}


def served() -> dict[str, tuple[str, set[str]]]:
    """Every series by the name that Prometheus queries use, after one observation of each."""
    metrics = Metrics()
    with metrics.reconcile("mirror"):
        pass
    metrics.run_ended("Synced", "Synced", 1.0, 1)
    metrics.job_started(1)
    metrics.fell_back()
    metrics.mirror_swept("unchanged")
    metrics.delivery_repaired("taken", 1)
    nothing = lambda: 0  # noqa: E731 - five callables that differ in nothing
    metrics.registry.register(
        Gauges(nothing, nothing, nothing, nothing, lambda: [("RepositoryMirror", "True", "Synced")])
    )
    limit = RateLimit(4999, 5000, datetime(2026, 1, 1, tzinfo=UTC))
    metrics.registry.register(
        GitHubUse({("core", "304"): 1}, lambda: [("api.github.com", "team/github", "core", limit)])
    )
    webhook = WebhookMetrics()
    webhook.delivery("push", "accepted", 1.0)
    families = (*metrics.registry.collect(), *webhook.registry.collect())
    return {queried(family): (family.type, labels(family)) for family in families}


def queried(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels(family: Metric) -> set[str]:
    return {label for sample in family.samples for label in sample.labels} - {"le"}


def test_the_page_tells_of_exactly_what_is_served() -> None:
    assert documented() == served()
