"""Puts the parts of the webhook pod together."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from ..adapters.clock import SystemClock
from .acting import Acting
from .addresses import RateLimit
from .allow_list import AllowList
from .asking import Asking
from .metrics import Metrics
from .mirrors import Mirrors
from .ports import Cluster
from .receiver import Receiver
from .secret import Secrets
from .settings import Settings
from .syncs import Syncs


@dataclass
class Pod:
    receiver: Receiver
    syncs: Syncs
    asking: Asking
    metrics: Metrics
    allow_list: AllowList | None

    def trouble(self) -> str:
        """Why no delivery should come here, empty where all is well."""
        self.receiver.secrets.current()
        unknown = self.allow_list is not None and self.allow_list.networks is None
        addresses = "GitHub's addresses are not known yet" if unknown else ""
        return self.receiver.secrets.trouble or self.syncs.trouble or addresses

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """What goes on beside the requests, and never ends by itself."""
        return [self.syncs.keep_fresh(), *([self.allow_list.keep_fresh()] if self.allow_list else [])]


def build_pod(settings: Settings, cluster: Cluster) -> Pod:
    clock, metrics = SystemClock(), Metrics()
    mirrors = Mirrors(cluster, settings.watch_namespaces, clock.monotonic)
    syncs = Syncs(cluster, settings.watch_namespaces, clock.monotonic)
    asking = Asking(cluster, metrics.calls.inc)
    acting = Acting(cluster, mirrors, syncs, asking, metrics, clock.now)
    allow_list = AllowList(settings.meta_url) if settings.allow_list else None
    rate_limit = RateLimit(settings.rate_limit, clock.monotonic)
    receiver = Receiver(acting, Secrets(settings.secret_folder), rate_limit, metrics, allow_list)
    return Pod(receiver, syncs, asking, metrics, allow_list)
