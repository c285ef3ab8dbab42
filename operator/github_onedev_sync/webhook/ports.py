"""What the webhook pod needs of the cluster: less than the controller, as its rights are."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

Body = Mapping[str, Any]


class Cluster(Protocol):
    """Every method may raise `ClusterUnavailable` and `ClusterRefused`."""

    def list_resources(
        self, plural: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Body]: ...

    async def read_resource(self, plural: str, key: str) -> Body | None: ...

    async def annotate(self, plural: str, key: str, annotations: Mapping[str, str]) -> bool:
        """Whether it is there."""
        ...

    async def apply(self, plural: str, manifest: Body, manager: str) -> Body | None:
        """Server-side apply. None where another sync holds it."""
        ...
