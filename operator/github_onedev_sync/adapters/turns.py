"""Who gets the next free one of a few things: the more urgent first, then whoever has waited longer."""

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """Things that are used by one at a time. The lower number is the more urgent."""

    def __init__(self, things: Iterable[T]) -> None:
        self._idle = deque(things)
        self._waiting: list[tuple[int, int, asyncio.Future[T]]] = []
        self._numbers = itertools.count()

    async def take(self, urgency: int) -> T:
        """Each one that is taken must be given back."""
        if self._idle:
            return self._idle.popleft()
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, next(self._numbers), turn))
        try:
            return await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was handed over in the same moment
                self.give(turn.result())
            raise

    def give(self, thing: T) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(thing)
                return
        self._idle.append(thing)

    def idle(self) -> tuple[T, ...]:
        """Those that nobody uses."""
        return tuple(self._idle)
