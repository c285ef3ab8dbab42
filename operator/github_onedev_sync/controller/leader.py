"""Leading by a Lease: one controller works, however many are started.

The replacement of a killed controller waits until it has seen the old lease unchanged for its whole duration; one that
ends in order gives the lease back.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Protocol

from ..api.errors import ClusterRefused, ClusterUnavailable
from ..decide.lease import Observer
from ..engine.ports import Body, Clock
from ..observability.logs import event

log = logging.getLogger(__name__)

DURATION = 15
RENEW = 5.0
_RETRY = 2.0
_ANSWER = 3.0


class Leases(Protocol):
    async def read_lease(self, namespace: str, name: str) -> Body | None: ...

    async def create_lease(self, manifest: Body) -> Body | None: ...

    async def replace_lease(self, manifest: Body) -> Body | None: ...


@dataclass
class Leader:
    clock: Clock
    leases: Leases
    namespace: str
    name: str
    identity: str

    def __post_init__(self) -> None:
        self._observer = Observer(self.identity)
        self._renewed = 0.0

    async def acquire(self) -> None:
        """Waits until this process leads."""
        told = False
        while not await self._try():
            if not told:
                event(log, "waiting for the lease", lease=self.name, holder=self._observer.seen[0])
                told = True
            await asyncio.sleep(_RETRY)
        event(log, "leading", lease=self.name, identity=self.identity)

    async def hold(self) -> None:
        """Renews the lease; returns once it is lost."""
        renewed = True
        while self.clock.monotonic() - self._renewed < DURATION - RENEW:
            await asyncio.sleep(RENEW if renewed else _RETRY)
            renewed = await self._try()
            if not renewed and self._observer.seen[0] != self.identity:
                break
        event(log, "lease lost", level=logging.ERROR, lease=self.name, holder=self._observer.seen[0])

    async def release(self) -> None:
        """Lets a successor start at once. What fails here heals by expiry."""
        try:
            lease = await self.leases.read_lease(self.namespace, self.name)
            if lease is not None and (lease.get("spec") or {}).get("holderIdentity") == self.identity:
                await self.leases.replace_lease(self._manifest(lease, holder=""))
        except (ClusterUnavailable, ClusterRefused) as error:
            event(log, "lease not released", level=logging.WARNING, message=str(error))

    async def _try(self) -> bool:
        began = self.clock.monotonic()
        try:
            # An answer that comes after the lease has run out must not count as a renewal.
            async with asyncio.timeout(_ANSWER):
                lease = await self.leases.read_lease(self.namespace, self.name)
                if lease is None:
                    written = await self.leases.create_lease(self._manifest({}, self.identity))
                elif self._observer.may_take(lease, self.clock.monotonic()):
                    written = await self.leases.replace_lease(self._manifest(lease, self.identity))
                else:
                    return False
        except (ClusterUnavailable, TimeoutError) as error:
            event(log, "lease not renewed", level=logging.WARNING, message=str(error) or "no answer in time")
            return False
        if written is None:
            return False
        self._observer.may_take(written, self.clock.monotonic())
        self._renewed = began
        return True

    def _manifest(self, lease: Body, holder: str) -> dict[str, Any]:
        now = self.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before: Body = lease.get("spec") or {}
        taken = before.get("holderIdentity") != holder
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": lease.get("metadata") or {"namespace": self.namespace, "name": self.name},
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": DURATION,
                "renewTime": now,
                "acquireTime": now if taken else before.get("acquireTime", now),
                "leaseTransitions": int(before.get("leaseTransitions") or 0) + (taken and bool(before)),
            },
        }
