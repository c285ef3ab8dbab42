"""`make bench-stars`: ten thousand stars and their mirrors, on a real API server, beside a plain loop of creates."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from github_onedev_sync.api import children, names, starred
from github_onedev_sync.api.mirror import PLURAL
from github_onedev_sync.api.observed import ListedRepository
from github_onedev_sync.api.starred import StarredReposSync

from .errors import NotMeasured
from .figures import RATIO, Figure
from .operators import Operator, Plain, operator_running
from .sweep import sweep

_MEGABYTE = 1_000_000
_PATIENCE = 900.0
_AT_ONCE = 8
# The shortest that there is; by default a poll comes every minute.
_INTERVAL = 10.0
_POLLS_AN_HOUR = 60
_LOOK = 0.05
# New stars between two polls, on average.
_A_POLL = 12
_SYNC = "stars"


@dataclass(frozen=True)
class Size:
    """How many stars there are, how many polls pass while nothing changes, and how many stars are new then."""

    stars: int = 10_000
    polls: int = 12
    new: int = 100


@dataclass
class Bench:
    """The parts, in an order in which each finds what the one before it left."""

    operator: Operator
    plain: Plain
    size: Size
    made: list[str] = field(default_factory=list)

    async def first_mirrors(self) -> list[Figure]:
        """All of the stars at once; before them the same creates by a loop that does nothing else."""
        operator, stars = self.operator, self.size.stars
        self.made = operator.github.act("create_many", count=stars, starred_by="octocat")
        loop = await self._creates()
        operator.start()
        before = len(operator.github.requests())
        began = time.perf_counter()
        operator.apply(self._sync(operator.namespace))
        await self._until(self._mirrors, stars)
        ours = time.perf_counter() - began
        asked = len(operator.github.requests()) - before
        await self._until(self._is_ready, 1)
        name = f"first {stars:,} mirrors"
        return [
            Figure(name, ours, "s", 180, f"{stars / ours:.0f} a second, {asked} requests to GitHub"),
            Figure(f"{name}, beside a loop", ours / loop, RATIO, 5, f"{ours:.1f} s of its {loop:.1f} s"),
            self._peak(f"{name}, controller's memory"),
        ]

    async def _creates(self) -> float:
        """Seconds for the same manifests in a namespace of their own."""
        namespace = f"{self.operator.namespace}-loop"
        sync = StarredReposSync.read(self._sync(namespace, uid="none"))
        rows = [ListedRepository(1000 + number, name) for number, name in enumerate(self.made)]
        waiting = iter([children.held(sync, row, cascade=False) for row in rows])

        async def work() -> None:
            for manifest in waiting:
                await self.plain.create(PLURAL, manifest)

        with self.operator.another_namespace(namespace):
            began = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
            return time.perf_counter() - began

    def _sync(self, namespace: str, **metadata: str) -> dict[str, Any]:
        source = {"apiURL": self.operator.github.url, "insecure": True, "secretRef": {"name": "github"}}
        return {
            "apiVersion": names.API_VERSION,
            "kind": starred.KIND,
            "metadata": {"name": _SYNC, "namespace": namespace, **metadata},
            "spec": {
                "source": source,
                "interval": f"{_INTERVAL:.0f}s",
                # Mirrors at rest: what they cost beside is not what is measured here.
                "template": {"target": {"serverRef": {"name": "default"}}, "suspend": True},
            },
        }

    async def _mirrors(self) -> int:
        return await self.plain.count(PLURAL, self.operator.namespace)

    async def _is_ready(self) -> int:
        body = await self.plain.read_resource(starred.PLURAL, f"{self.operator.namespace}/{_SYNC}") or {}
        conditions = body.get("status", {}).get("conditions", ())
        return sum(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    async def _until(self, count: Callable[[], Awaitable[int]], wanted: int) -> None:
        deadline = time.perf_counter() + _PATIENCE
        while (found := await count()) < wanted:
            if time.perf_counter() > deadline:
                raise NotMeasured(f"{found} of {wanted} in {_PATIENCE:.0f} s; {self.operator.last_words()}")
            await asyncio.sleep(_LOOK)

    def _peak(self, name: str) -> Figure:
        now, peak = (bytes_ / _MEGABYTE for bytes_ in (self.operator.resident(), self.operator.peak()))
        return Figure(name, peak, "MB", 150, f"the most since its start; {now:.0f} MB now")

    async def quiet(self) -> list[Figure]:
        """What GitHub is asked while nothing changes."""
        github, polls = self.operator.github, self.size.polls
        before = github.requests()[-1]["number"]
        await asyncio.sleep(_INTERVAL * polls)
        asked = github.requests(since=str(before + 1))
        counted = sum(one["status"] != 304 for one in asked)
        of = f"{len(asked)} requests in {polls} polls, if one comes every minute"
        return [
            Figure("nothing changes, requests an hour", len(asked) / polls * _POLLS_AN_HOUR, "", 60, of),
            Figure("nothing changes, answers but 304", counted, "", 0),
        ]

    async def new_stars(self) -> list[Figure]:
        """From a star to its mirror, at moments of every kind between two polls."""
        github, new, chance = self.operator.github, self.size.new, random.Random(1)
        made = github.act("create_many", count=new, first=self.size.stars)
        starred_at: list[float] = []
        seen: list[float] = []

        async def star() -> None:
            for name in made:
                await asyncio.sleep(chance.uniform(0, 2 * _INTERVAL / _A_POLL))
                starred_at.append(time.perf_counter())
                await asyncio.to_thread(github.act, "star", login="octocat", repository=name)

        before, starring = await self._mirrors(), asyncio.create_task(star())
        while len(seen) < new:
            await asyncio.sleep(_LOOK)
            # The first that shows is the first that was starred: as good as true, for each poll takes all there are.
            shown, now = await self._mirrors() - before, time.perf_counter()
            seen += [now - at for at in starred_at[len(seen) : shown]]
            if starring.done() and now - starred_at[-1] > _PATIENCE:
                raise NotMeasured(f"{shown} of {new} new stars; {self.operator.last_words()}")
        await starring
        beyond = sorted(one - _INTERVAL for one in seen)
        of = f"of {new} stars; median {statistics.median(seen):.1f} s after the star, polls every {_INTERVAL:.0f} s"
        return [Figure("new star, beyond the interval, p99", beyond[int(0.99 * (new - 1))], "s", 2, of)]

    async def restart(self) -> list[Figure]:
        """The controller finds all of the mirrors there, and lists the stars anew."""
        await asyncio.to_thread(self.operator.restart)
        before = len(self.operator.github.requests())
        await self._until(self._listed_again(before), 1)
        return [self._peak(f"started with {await self._mirrors():,} mirrors, controller's memory")]

    def _listed_again(self, before: int) -> Callable[[], Awaitable[int]]:
        """Whether the star list was read to its end and polled after it."""

        async def probe() -> int:
            asked = self.operator.github.requests()[before:]
            return int(any(one["status"] == 304 for one in asked))

        return probe

    async def sweep(self) -> list[Figure]:
        """Of as many quiet mirrors as there are stars."""
        return [await asyncio.to_thread(sweep, self.size.stars)]


PARTS: dict[str, Callable[[Bench], Awaitable[list[Figure]]]] = {
    "sweep": Bench.sweep,
    "first": Bench.first_mirrors,
    "quiet": Bench.quiet,
    "new": Bench.new_stars,
    "restart": Bench.restart,
}


def measure(size: Size, say: Callable[[str], None], parts: Sequence[str] = tuple(PARTS)) -> list[Figure]:
    """The parts in this order; `first` makes what those after it need. Raises NotMeasured and ClusterError."""
    return asyncio.run(_measure(size, say, parts))


async def _measure(size: Size, say: Callable[[str], None], parts: Sequence[str]) -> list[Figure]:
    figures: list[Figure] = []
    with operator_running(f"bench-{secrets.token_hex(4)}") as operator:
        plain = await Plain.connect(str(operator.cluster.kubeconfig))
        bench = Bench(operator, plain, size)
        try:
            for part in parts:
                say(f"{part} …")
                figures += await PARTS[part](bench)
        finally:
            await plain.close()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    say(f"on {os.cpu_count()} cores, load average {load}")
    return figures
