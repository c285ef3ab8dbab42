"""The webhook pod's port to the cluster, in memory."""

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from github_onedev_sync.api import mirror, names, owned, starred
from github_onedev_sync.webhook.ports import Body

Key = tuple[str, str]


@dataclass
class FakeCluster:
    """Counts calls by name, waits for `gate` where it is closed, and raises `trouble` where there is any."""

    resources: dict[Key, dict[str, Any]] = field(default_factory=dict)
    annotations: list[tuple[str, str]] = field(default_factory=list)
    managers: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    trouble: Exception | None = None
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    def put(self, plural: str, body: dict[str, Any]) -> dict[str, Any]:
        self.resources[plural, f"{body['metadata']['namespace']}/{body['metadata']['name']}"] = body
        return body

    async def list_resources(
        self, plural: str, namespace: str, *, labels: str = "", fields: str = ""
    ) -> AsyncIterator[Body]:
        await self._called("list")
        for (kind, key), body in list(self.resources.items()):
            here = kind == plural and namespace in ("", key.partition("/")[0])
            if here and _selected(body["metadata"].get("labels", {}), labels) and _selected(_fields(body), fields):
                yield copy.deepcopy(body)

    async def read_resource(self, plural: str, key: str) -> Body | None:
        await self._called("read")
        return copy.deepcopy(self.resources.get((plural, key)))

    async def annotate(self, plural: str, key: str, annotations: Mapping[str, str]) -> bool:
        await self._called("annotate")
        body = self.resources.get((plural, key))
        if body is None:
            return False
        body["metadata"].setdefault("annotations", {}).update(annotations)
        self.annotations.append((key, annotations[names.REQUESTED_AT]))
        return True

    async def apply(self, plural: str, manifest: Body, manager: str) -> Body | None:
        await self._called("apply")
        self.managers.append(manager)
        return copy.deepcopy(self.put(plural, copy.deepcopy(dict(manifest))))

    async def _called(self, name: str) -> None:
        self.calls[name] += 1
        self.called.set()
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble

    @property
    def mirrors(self) -> list[str]:
        return [key for kind, key in self.resources if kind == mirror.PLURAL]


def _selected(told: Mapping[str, Any], selector: str) -> bool:
    name, _, value = selector.partition("=")
    return not name or str(told.get(name, "")) == value


def _fields(body: Body) -> dict[str, Any]:
    return {
        "spec.source.repository": body["spec"]["source"].get("repository"),
        "spec.target.project": body["spec"].get("target", {}).get("project"),
        "status.source.id": body.get("status", {}).get("source", {}).get("id"),
    }


def mirror_body(name: str, repository_id: int = 0, namespace: str = "team") -> dict[str, Any]:
    """One that a person wrote; without an id one that had no look yet."""
    source = {"id": repository_id, "fullName": "acme/widget"} if repository_id else {}
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"},
        "spec": {"source": {"repository": "acme/widget"}, "target": {"serverRef": {"name": "default"}}},
        "status": {"source": source},
    }


def sync_body(
    kind: type[starred.StarredReposSync] | type[owned.OwnedReposSync],
    account: int,
    name: str = "all",
    namespace: str = "team",
    **spec: Any,
) -> dict[str, Any]:
    """A sync that the controller has seen."""
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "generation": 1},
        "spec": {"source": {}, "template": {"target": {"serverRef": {"name": "default"}}}, **spec},
        "status": {"observedGeneration": 1, "account": {"id": account, "login": "somebody"}, "conditions": []},
    }
