"""What Prometheus can read of the webhook pod. The table in docs/metrics.md names the same series."""

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram

from ..observability.metrics import PREFIX
from .intents import HANDLED

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


@dataclass
class Metrics:
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.deliveries = Counter(
            f"{PREFIX}_webhook_deliveries",
            "Requests to the webhook by event and result",
            ("event", "result"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            f"{PREFIX}_webhook_delivery_duration_seconds",
            "From a request's head to its answer",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.looks = Counter(f"{PREFIX}_webhook_looks", "Mirrors that deliveries asked to look", registry=self.registry)
        self.calls = Counter(
            f"{PREFIX}_webhook_look_calls", "Calls that asked a mirror to look", registry=self.registry
        )
        self.made = Counter(f"{PREFIX}_webhook_mirrors_made", "Mirrors made for syncs", registry=self.registry)

    def delivery(self, event: str, result: str, seconds: float) -> None:
        # What strangers call an event is no label.
        known = event if event in HANDLED or event == "ping" else "other"
        self.deliveries.labels(known, result).inc()
        self.seconds.observe(seconds)
