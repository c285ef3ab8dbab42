"""A working engine in virtual time, and what people, workers and the cluster do to it."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from github_onedev_sync.api import mirror as kind
from github_onedev_sync.api import names
from github_onedev_sync.api import server as server_kind
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.report import ExitCode, Outcome

from . import builders as build
from .fakes import FakeClock, World, in_virtual_time

READY = ConditionType.READY


@contextlib.asynccontextmanager
async def running(world: World) -> AsyncIterator[World]:
    """The engine at work, with a watch that tells of every change a moment after it was made."""
    loop = asyncio.get_running_loop()
    # Timers of the same moment have no order; events of a watch have one.
    delays = itertools.count(0.05, 1e-4)
    seen = {kind.PLURAL: world.watch_mirror, server_kind.PLURAL: world.watch_server}

    def watch(plural: str, name: str) -> None:
        loop.call_later(next(delays), seen[plural], name)

    for plural, key in world.cluster.resources:
        watch(plural, key.split("/")[1])
    world.cluster.watch = watch
    world.cluster.watch_job = lambda job, gone: loop.call_later(next(delays), world.engine.job_seen, job, gone)
    working = asyncio.create_task(world.engine.run())
    try:
        yield world
        assert not working.done(), "the engine never ends by itself"
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)


def scenario(limit: int = 4, per_credential: int = 100) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Runs a function with a working engine, as soon as it is defined in a test."""

    def decorate(body: Callable[[World], Awaitable[None]]) -> None:
        async def run(clock: FakeClock) -> None:
            async with running(World(clock, limit, per_credential)) as world:
                await body(world)

        in_virtual_time(run)

    return decorate


def declare(world: World, *mirrors: str, **spec: Any) -> None:
    """Mirrors of repositories with their own names, as `kubectl apply` puts them: only a watch tells the engine."""
    for name in mirrors:
        world.cluster.put(kind.PLURAL, build.mirror_body(name, source={"repository": f"o/{name}"}, **spec))


def declare_server(world: World, *, checked: bool = False) -> None:
    body = build.server_body() if checked else build.server_body(status={})
    world.cluster.put(server_kind.PLURAL, body)


def finish(world: World, name: str) -> None:
    """The run of a mirror ends well."""
    (job,) = (job for job in world.cluster.jobs if job.startswith(f"{name}-"))
    world.synced(f"github/o/{name}", f"team/{name}")
    world.end(job, build.report_text(build.task(key=f"team/{name}")))


def members(world: World, job: str) -> list[str]:
    """The names of the mirrors that a Job works for, as its worker is told them."""
    told = json.loads(world.cluster.jobs[job]["metadata"]["annotations"][names.MIRRORS])
    return [one["name"] for one in told]


def finish_job(world: World, job: str, **failed: Reason) -> None:
    """A run ends: well for all its mirrors but those for which a reason is told."""
    tasks = []
    for name in members(world, job):
        if name in failed:
            tasks.append(build.task(Outcome.FAILED, failed[name], key=f"team/{name}", message="told by the worker"))
        else:
            world.synced(f"github/o/{name}", f"team/{name}")
            tasks.append(build.task(key=f"team/{name}"))
    world.end(job, build.report_text(*tasks), exit_code=ExitCode.TRANSIENT if failed else ExitCode.OK)


def live(world: World) -> list[str]:
    ended = {pod["metadata"]["ownerReferences"][0]["name"] for pod in world.cluster.pods.values()}
    return [job for job in world.cluster.jobs if job not in ended]


def ready(world: World, name: str) -> bool:
    return world.body(name).status.is_true(READY)
