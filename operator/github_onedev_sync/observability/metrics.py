"""What Prometheus can read of the controller. The table in docs/metrics.md names the same series."""

import time
from collections import Counter as Count
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..api.observed import RateLimit

PREFIX = "github_onedev_sync"

disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass
class Metrics:
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.reconciles = Counter(
            f"{PREFIX}_reconcile", "Reconciles by kind and result", ("kind", "result"), registry=self.registry
        )
        self.reconcile_seconds = Histogram(
            f"{PREFIX}_reconcile_duration_seconds", "How long a reconcile took", ("kind",), registry=self.registry
        )
        self.runs = Counter(
            f"{PREFIX}_runs", "Ended runs by outcome and reason", ("outcome", "reason"), registry=self.registry
        )
        self.run_seconds = Histogram(
            f"{PREFIX}_run_duration_seconds",
            "How long runs took, as their workers tell",
            buckets=(1, 2, 5, 10, 30, 60, 300, 900, 3600),
            registry=self.registry,
        )
        self.job_mirrors = Histogram(
            f"{PREFIX}_job_mirrors",
            "How many mirrors the Jobs that were made work for",
            buckets=(1, 2, 5, 10, 20),
            registry=self.registry,
        )
        self.fallbacks = Counter(
            f"{PREFIX}_fallbacks", "Runs in which git moved what the relay should have", registry=self.registry
        )
        self.swept = Counter(
            f"{PREFIX}_swept_mirrors",
            "Mirrors that GitHub was asked for many at a time, by what came of it",
            ("result",),
            registry=self.registry,
        )
        self.redelivered = Counter(
            f"{PREFIX}_redelivered_deliveries",
            "Webhook deliveries that had failed and were sent again, by what came of it",
            ("result",),
            registry=self.registry,
        )
        self.bytes = Counter(f"{PREFIX}_received_bytes", "Pack data received from sources", registry=self.registry)

    def run_ended(self, outcome: str, reason: str, seconds: float, received: int) -> None:
        self.runs.labels(outcome, reason).inc()
        self.run_seconds.observe(seconds)
        self.bytes.inc(received)

    def job_started(self, mirrors: int) -> None:
        self.job_mirrors.observe(mirrors)

    def fell_back(self) -> None:
        self.fallbacks.inc()

    def mirror_swept(self, result: str) -> None:
        self.swept.labels(result).inc()

    def delivery_repaired(self, result: str, count: int) -> None:
        self.redelivered.labels(result).inc(count)

    @contextmanager
    def reconcile(self, kind: str) -> Iterator[Callable[[str], None]]:
        """Times one reconcile; call what it yields with a result other than `ok`."""
        result = ["ok"]
        started = time.perf_counter()
        try:
            yield lambda word: result.__setitem__(0, word)
        finally:
            self.reconciles.labels(kind, result[0]).inc()
            self.reconcile_seconds.labels(kind).observe(time.perf_counter() - started)


@dataclass(eq=False)
class Gauges(Collector):
    """Read when scraped: what waits, what runs, and how the resources stand."""

    queue_depth: Callable[[], int]
    queue_oldest: Callable[[], float]
    active: Callable[[], int]
    waiting: Callable[[], int]
    resources: Callable[[], Iterable[tuple[str, str, str]]]

    def collect(self) -> Iterator[Metric]:
        for name, text, value in (
            ("workqueue_depth", "Keys that are due and wait for a worker", self.queue_depth),
            ("workqueue_oldest_seconds", "How long the longest-waiting of them has been due", self.queue_oldest),
            ("active_jobs", "Jobs that hold a slot", self.active),
            ("waiting_for_slot", "Mirrors that stand in line for a slot", self.waiting),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", text, value=value())
        resources = GaugeMetricFamily(
            f"{PREFIX}_resources", "Resources by kind and Ready condition", labels=("kind", "ready", "reason")
        )
        for labels, count in Count(self.resources()).items():
            resources.add_metric(labels, count)
        yield resources


@dataclass(eq=False)
class GitHubUse(Collector):
    """Read when scraped: what was asked of GitHub, by resource and status, and what it still allows.

    `rate_limits` tells (API host, credential, resource, limit).
    """

    requests: Mapping[tuple[str, str], int]
    rate_limits: Callable[[], Iterable[tuple[str, str, str, RateLimit]]]

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            f"{PREFIX}_github_requests", "Requests to GitHub by resource and status", labels=("resource", "status")
        )
        for labels, count in self.requests.items():
            requests.add_metric(labels, count)
        yield requests
        allowed, left, reset = (
            GaugeMetricFamily(f"{PREFIX}_github_rate_limit{name}", text, labels=("api", "credential", "resource"))
            for name, text in (
                ("", "Requests that GitHub allows in an hour"),
                ("_remaining", "How many of them are left, as of the last answer"),
                ("_reset_timestamp_seconds", "When they are renewed"),
            )
        )
        for *place, limit in self.rate_limits():
            allowed.add_metric(place, limit.limit)
            left.add_metric(place, limit.remaining)
            reset.add_metric(place, limit.reset.timestamp())
        yield from (allowed, left, reset)
