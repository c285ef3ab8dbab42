"""Which mirrors belong to a GitHub repository, by its id: asked of the cluster, and kept for a moment."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ..api import mirror, names
from .ports import Cluster

# A push to a repository that was looked up lately costs no second question. Of one without a mirror it is kept short,
# for one may be made at any time.
_KEPT_SECONDS = 60.0
_NONE_KEPT_SECONDS = 5.0
_LIMIT = 20_000


@dataclass(frozen=True)
class _Found:
    keys: frozenset[str]
    until: float


@dataclass
class Mirrors:
    """`namespaces` empty means all of them; `now` is a monotonic time."""

    cluster: Cluster
    namespaces: tuple[str, ...]
    now: Callable[[], float]
    _kept: "OrderedDict[int, _Found]" = field(default_factory=OrderedDict)
    _asked: dict[int, "asyncio.Task[frozenset[str]]"] = field(default_factory=dict)

    async def of(self, repository: int) -> frozenset[str]:
        """Their keys. Raises what the cluster raises."""
        kept = self._kept.get(repository)
        if kept is not None and self.now() < kept.until:
            return kept.keys
        asked = self._asked.get(repository)
        if asked is None:
            asked = asyncio.get_running_loop().create_task(self._look_up(repository))
            self._asked[repository] = asked
            asked.add_done_callback(lambda _: self._asked.pop(repository, None))
        return await asyncio.shield(asked)

    async def in_namespace(self, repository: int, full_name: str, namespace: str) -> frozenset[str]:
        """Those of one namespace as they are now, with such as a person wrote and that had no look yet."""
        by_name = "", f"spec.source.repository={full_name}"
        selectors = (_by_status(repository), _by_label(repository), by_name)
        found = await asyncio.gather(*(self._list(namespace, *selector) for selector in selectors))
        return frozenset[str]().union(*found)

    def forget(self, repository: int) -> None:
        self._kept.pop(repository, None)

    async def _look_up(self, repository: int) -> frozenset[str]:
        keys = frozenset[str]()
        # Those that only the label tells had no look yet, and have it before them.
        for labels, fields in (_by_status(repository), _by_label(repository)):
            asked = (self._list(namespace, labels, fields) for namespace in self.namespaces or ("",))
            keys = keys.union(*await asyncio.gather(*asked))
            if keys:
                break
        self._kept[repository] = _Found(keys, self.now() + (_KEPT_SECONDS if keys else _NONE_KEPT_SECONDS))
        self._kept.move_to_end(repository)
        if len(self._kept) > _LIMIT:
            self._kept.popitem(last=False)
        return keys

    async def _list(self, namespace: str, labels: str, fields: str) -> frozenset[str]:
        found = self.cluster.list_resources(mirror.PLURAL, namespace, labels=labels, fields=fields)
        return frozenset([f"{body['metadata']['namespace']}/{body['metadata']['name']}" async for body in found])


def _by_status(repository: int) -> tuple[str, str]:
    """(label selector, field selector)."""
    return "", f"status.source.id={repository}"


def _by_label(repository: int) -> tuple[str, str]:
    """A sync's mirrors have it from the start."""
    return f"{names.REPOSITORY_ID}={repository}", ""
