"""`make bench-transfer`: our worker beside git, each against the same two servers, in turn."""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from tests.local_cluster.places import cache_root

from . import histories
from .costs import Cost
from .figures import RATIO, Figure
from .servers import Servers, servers_in
from .sides import Git, Ours, Pair

_MEGABYTE = 1_000_000
_INCREMENTS = 3  # times as many as first syncs, for they are short
_MIRRORS = 3
_BATCH = 20
_WORKERS = 2
_ROUND = 200
_IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import github_onedev_sync.worker.main
print(time.perf_counter() - wall, time.process_time() - cpu)
"""


class Bench:
    """The parts, each of which returns its figures. `rounds` is how often each thing is done."""

    def __init__(self, servers: Servers, rounds: int) -> None:
        self._servers = servers
        self._rounds = rounds
        self._git = Git(servers)
        self._ours = Ours(servers)

    async def start(self) -> list[Figure]:
        """What a worker costs before it does anything: the import in a fresh interpreter, as processor time, which is
        the wall time where no other process wants the core."""
        walls, cpus = [], []
        for _ in range(self._rounds * _INCREMENTS + 1):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _IMPORT), env=self._ours.variables(), stdout=asyncio.subprocess.PIPE
            )
            wall, cpu = map(float, (await process.communicate())[0].split())
            walls.append(wall)
            cpus.append(cpu)
        taken = cpus[1:]  # the first one fills the page cache
        of = f"{_spread(taken, 's')}; wall time {statistics.median(walls[1:]):.2f} s"
        return [Figure("worker, import", statistics.median(taken), "s", 0.2, of)]

    async def big(self) -> list[Figure]:
        """The first sync of a large repository into an empty project."""
        self._servers.offer(histories.big(), "big")
        git, ours = await self._in_turn("big", self._git.sync, self._ours.sync)
        name = "first sync, 100 MB"
        return [
            _ratio(f"{name}, wall time", 0.6, git, ours, lambda one: one.wall, "s"),
            _ratio(f"{name}, processor time", 0.1, git, ours, lambda one: one.cpu, "s"),
            _ratio(f"{name}, peak memory", 0.15, git, ours, lambda one: one.peak / _MEGABYTE, "MB"),
            Figure(
                f"{name}, disk",
                max(one.disk for one in ours) / _MEGABYTE,
                "MB",
                0,
                f"git: {statistics.median(one.disk for one in git) / _MEGABYTE:.0f} MB",
            ),
        ]

    async def _in_turn(
        self, name: str, git: Callable[[Pair], Awaitable[Cost]], ours: Callable[[Pair], Awaitable[Cost]]
    ) -> tuple[list[Cost], list[Cost]]:
        """First syncs of the source `name`, each into a project of its own, and one before them that is not counted."""
        costs: dict[str, list[Cost]] = {"git": [], "ours": []}
        sides = [("git", git), ("ours", ours)]
        for number in range(self._rounds + 1):
            # Neither side always has what the other one left in the page cache.
            for side, sync in sides if number % 2 else reversed(sides):
                pair = await self._pair(name, f"{name}-{side}-{number}")
                costs[side].append(await sync(pair))
                self._servers.check_equal(name, pair.number)
                shutil.rmtree(self._servers.target_path(pair.number))
        return costs["git"][1:], costs["ours"][1:]

    async def _pair(self, name: str, project: str) -> Pair:
        return Pair(name, project, await self._servers.create_project(project))

    async def warm(self) -> list[Figure]:
        """One new commit in each of a few mirrors: git with its copies kept, our worker once it has started."""
        kept, pairs = [], []
        for name in (f"warm-{number}" for number in range(_MIRRORS)):
            self._servers.offer(histories.big(), name)
            kept.append(await self._pair(name, f"{name}-git"))
            pairs.append(await self._pair(name, f"{name}-ours"))
            await self._git.sync(kept[-1], keep=True)
            await self._ours.sync_warm(pairs[-1])
        git, ours = [], []
        for _ in range(self._rounds * _INCREMENTS + 1):
            for pair in pairs:
                await self._servers.commit(pair.name)
            git.append(_each([await self._git.sync(one, keep=True) for one in kept]))
            taken = await self._ours.sync_warm(*pairs)
            ours.append(replace(taken, wall=taken.wall / _MIRRORS, cpu=taken.cpu / _MIRRORS))
        for pair in (*kept, *pairs):
            self._servers.check_equal(pair.name, pair.number)
        return [
            _ratio("one commit, warm, processor time", 0.2, git[1:], ours[1:], lambda one: one.cpu * 1000, "ms"),
            _ratio("one commit, warm, wall time", 1, git[1:], ours[1:], lambda one: one.wall, "s"),
        ]

    async def wide(self) -> list[Figure]:
        """Nothing to do, where there are very many refs."""
        self._servers.offer(histories.wide(), "wide")
        pair = await self._pair("wide", "wide")
        first = await self._ours.sync_warm(pair)
        self._servers.check_equal("wide", pair.number)
        taken = [await self._ours.sync_warm(pair) for _ in range(self._rounds + 1)][1:]
        of = f"{_spread([one.wall for one in taken], 's')}; the first sync {first.wall:.1f} s"
        return [Figure("20,000 refs, nothing to do", statistics.median(one.wall for one in taken), "s", 1, of)]

    async def huge(self) -> list[Figure]:
        """The first sync of a very large repository, for its memory."""
        self._servers.offer(histories.huge(), "huge")
        pair = await self._pair("huge", "huge")
        taken = await self._ours.sync(pair)
        self._servers.check_equal("huge", pair.number)
        of = f"in {taken.wall:.0f} s, {taken.cpu:.1f} s of processor time, disk {taken.disk} bytes"
        return [Figure("first sync, 1 GB, peak memory", taken.peak / _MEGABYTE, "MB", 48, of)]

    async def small(self) -> list[Figure]:
        """First syncs of small repositories, 20 to an assignment, two workers at a time, as many rounds as asked."""
        rates, costs = [], []
        for number in range(self._rounds):
            pairs = []
            for which in range(_ROUND):
                name = f"small-{number}-{which}"
                self._servers.offer(histories.small(), name)
                pairs.append(await self._pair(name, name))
            began = time.perf_counter()
            costs += await self._batches(pairs)
            rates.append(_ROUND / (time.perf_counter() - began))
            for pair in pairs:
                self._servers.check_equal(pair.name, pair.number)
        peak = max(one.peak for one in costs) / _MEGABYTE
        each = statistics.median(one.cpu for one in costs) / _BATCH * 1000
        of = f"{_spread(rates, '/s')}; {each:.0f} ms of processor time each, start included; worker {peak:.0f} MB"
        name = f"first syncs of {_ROUND * self._rounds:,} small repositories"
        return [Figure(name, statistics.median(rates), "/s", 4, of, at_least=True)]

    async def _batches(self, pairs: Sequence[Pair]) -> list[Cost]:
        free = asyncio.Semaphore(_WORKERS)

        async def worker(batch: Sequence[Pair]) -> Cost:
            async with free:
                return await self._ours.sync(*batch)

        return await asyncio.gather(*(worker(pairs[at : at + _BATCH]) for at in range(0, len(pairs), _BATCH)))


PARTS: dict[str, Callable[[Bench], Awaitable[list[Figure]]]] = {
    "start": Bench.start,
    "big": Bench.big,
    "warm": Bench.warm,
    "wide": Bench.wide,
    "small": Bench.small,
    "huge": Bench.huge,
}


def measure(parts: Sequence[str], rounds: int, say: Callable[[str], None]) -> list[Figure]:
    """Raises NotMeasured."""
    return asyncio.run(_measure(parts, rounds, say))


async def _measure(parts: Sequence[str], rounds: int, say: Callable[[str], None]) -> list[Figure]:
    figures: list[Figure] = []
    # Beside the histories, so that their packs can be shared instead of copied.
    cache_root().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=cache_root()) as folder:
        for name in parts:
            say(f"{name} …")
            # Servers of its own for each part: nothing of one slows the next one down.
            place = Path(folder, name)
            async with servers_in(place) as servers:
                figures += await PARTS[name](Bench(servers, rounds))
            shutil.rmtree(place)
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    say(f"medians of {rounds} or more on {os.cpu_count()} cores, load average {load}")
    return figures


def _ratio(
    name: str, goal: float, git: Sequence[Cost], ours: Sequence[Cost], part: Callable[[Cost], float], unit: str
) -> Figure:
    """The median of the ratios pair by pair, which holds where the machine's speed drifts."""
    ratios = [part(mine) / part(other) for mine, other in zip(ours, git, strict=True)]
    mine, other = (statistics.median(map(part, side)) for side in (ours, git))
    of = f"{mine:.3g} {unit} of git's {other:.3g} {unit}; {_spread(ratios, '')}"
    return Figure(name, statistics.median(ratios), RATIO, goal, of)


def _each(costs: Sequence[Cost]) -> Cost:
    """What one of them cost on average."""
    wall, cpu = (statistics.mean(part) for part in zip(*((one.wall, one.cpu) for one in costs), strict=True))
    return Cost(wall, cpu, 0, 0)


def _spread(values: Sequence[float], unit: str) -> str:
    return f"{min(values):.2g} to {max(values):.2g} {unit}".rstrip()
