"""What a sweep of ten thousand quiet mirrors asks of GitHub: the engine at work in virtual time."""

from __future__ import annotations

import asyncio

from tests.unit.fakes import FakeClock, World, in_virtual_time
from tests.unit.scenarios import declare_server, running
from tests.unit.test_sweep import mirrored, reset, swept, without_verification

from .figures import Figure

_INTERVAL = 600.0
_SWEEPS = 3
# Until the first of all is due, and what is told of it has been written.
_BEGIN = 60.0


def sweep(mirrors: int) -> Figure:
    """Requests for each time that all of the mirrors were looked at, whatever they were for."""
    found: list[Figure] = []

    async def run(clock: FakeClock) -> None:
        world = World(clock)
        declare_server(world, checked=True)
        mirrored(world, *without_verification(mirrors, 2), over=_INTERVAL)
        async with running(world):
            await asyncio.sleep(_INTERVAL + _BEGIN)
            before = swept(world, "unchanged")
            reset(world)
            await asyncio.sleep(_INTERVAL * _SWEEPS)
            looks, asked = swept(world, "unchanged") - before, sum(world.github.calls.values())
        each = asked / looks * mirrors
        of = f"{asked} requests for {looks:,.0f} looks in half an hour of virtual time"
        found.append(Figure(f"sweep of {mirrors:,} quiet mirrors, requests", each, "", 101, of))

    in_virtual_time(run)
    return found[0]
