"""Asks mirrors to look, each with at most one call under way and one that waits for it.

The one that waits is shared by all that come meanwhile: a burst of pushes is two calls, and each delivery is answered
only when a call has succeeded that began after it came.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ..api import mirror, names
from .ports import Cluster


@dataclass
class _Call:
    """`token` is that of the newest delivery that it is for."""

    token: str
    task: "asyncio.Task[bool]"


@dataclass
class Asking:
    """`count` hears of each call."""

    cluster: Cluster
    count: Callable[[], None] = lambda: None
    _waiting: dict[str, _Call] = field(default_factory=dict)
    _under_way: dict[str, _Call] = field(default_factory=dict)

    async def ask(self, key: str, token: str) -> bool:
        """Whether the mirror is there. Raises what the cluster raises."""
        call = self._waiting.get(key)
        if call is None:
            call = _Call(token, asyncio.get_running_loop().create_task(self._call(key), name=f"ask {key}"))
            self._waiting[key] = call
        call.token = token
        # Who goes away must not take the call from the others.
        return await asyncio.shield(call.task)

    async def _call(self, key: str) -> bool:
        before = self._under_way.get(key)
        if before is not None:
            await asyncio.wait((before.task,))
        call = self._waiting.pop(key)
        self._under_way[key] = call
        self.count()
        try:
            return await self.cluster.annotate(mirror.PLURAL, key, {names.REQUESTED_AT: call.token})
        finally:
            del self._under_way[key]

    async def drain(self) -> None:
        """Waits for all that is under way; what they raise, those hear who asked."""
        tasks = [call.task for call in (*self._under_way.values(), *self._waiting.values())]
        await asyncio.gather(*tasks, return_exceptions=True)
