"""The syncs, listed twice a minute: for a delivery they need not be asked for, and the list tells whether the cluster
answers at all."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import ValidationError

from ..api.errors import ClusterRefused, ClusterUnavailable
from ..api.owned import OwnedReposSync
from ..api.starred import StarredReposSync
from ..api.sync import ReposSync
from ..observability import logs
from .ports import Body, Cluster

log = logging.getLogger(__name__)

_EVERY_SECONDS = 30.0
_AGAIN_SECONDS = 5.0
# An account that no sync has may be that of a new sync: worth another list, but not for each stranger that comes by.
_STRANGERS_SECONDS = 5.0

Kind = type[StarredReposSync] | type[OwnedReposSync]
KINDS: tuple[Kind, ...] = (StarredReposSync, OwnedReposSync)


@dataclass
class Syncs:
    """`namespaces` empty means all of them; `now` is a monotonic time."""

    cluster: Cluster
    namespaces: tuple[str, ...]
    now: Callable[[], float]
    # Why the last list failed, empty where it did not.
    trouble: str = "the syncs were not listed yet"
    _known: dict[tuple[str, int], tuple[ReposSync, ...]] | None = None
    _listed_at: float = 0.0
    _listing: "asyncio.Task[None] | None" = None
    _doubted: asyncio.Event = field(default_factory=asyncio.Event)

    async def of_account(self, kind: Kind, account: int) -> tuple[ReposSync, ...]:
        """Those whose pinned account it is. Raises what the cluster raises."""
        found = (self._known or {}).get((kind.plural, account), ())
        if found or (self._known is not None and self.now() - self._listed_at < _STRANGERS_SECONDS):
            return found
        await self.refresh()
        return (self._known or {}).get((kind.plural, account), ())

    async def read(self, known: ReposSync) -> ReposSync | None:
        """As it is now; None where it is gone."""
        body = await self.cluster.read_resource(known.plural, known.key)
        kind = next(kind for kind in KINDS if kind.plural == known.plural)
        return None if body is None else _read(kind, body)

    async def refresh(self) -> None:
        """Lists them all, once for all who ask at the same time. Raises what the cluster raises."""
        if self._listing is None:
            self._listing = asyncio.get_running_loop().create_task(self._list())
        await asyncio.shield(self._listing)

    async def keep_fresh(self) -> None:
        """Never ends by itself."""
        while True:
            try:
                await self.refresh()
                pause = _EVERY_SECONDS
            except (ClusterUnavailable, ClusterRefused):
                pause = _AGAIN_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._doubted.wait()
            self._doubted.clear()

    def doubt(self) -> None:
        """A call to the cluster failed: the next list comes at once, and tells whether it is away."""
        if not self.trouble:
            self._doubted.set()

    async def _list(self) -> None:
        try:
            found: dict[tuple[str, int], tuple[ReposSync, ...]] = {}
            for kind in KINDS:
                for namespace in self.namespaces or ("",):
                    async for body in self.cluster.list_resources(kind.plural, namespace):
                        sync = _read(kind, body)
                        if sync is not None and sync.status.account is not None:
                            key = (kind.plural, sync.status.account.id)
                            found[key] = (*found.get(key, ()), sync)
            self._known, self._listed_at, self.trouble = found, self.now(), ""
        except (ClusterUnavailable, ClusterRefused) as error:
            if str(error) != self.trouble:
                logs.event(log, "syncs not listed", logging.ERROR, message=str(error))
            self.trouble = str(error)
            raise
        finally:
            self._listing = None


def _read(kind: Kind, body: Body) -> ReposSync | None:
    """None where an older CRD let something through that cannot be read; the controller tells of it."""
    try:
        return kind.read(body)
    except ValidationError:
        return None
