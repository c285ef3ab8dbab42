"""The controller process, from its first line to its exit code."""

import asyncio
import contextlib
import logging
import os
import signal
import sys

import kopf

from .. import __version__
from ..adapters.clock import SystemClock
from ..adapters.cluster import Cluster
from ..api import mirror, owned, server, starred
from ..api.errors import ClusterRefused, ClusterUnavailable
from ..engine.engine import Engine
from ..observability import logs
from ..observability.health import HealthServer
from ..observability.metrics import GitHubUse
from .build import build_engine, gauges, prime
from .connections import Connections, open_session
from .handlers import register
from .kopf_settings import configure
from .leader import Leader
from .settings import Settings, SettingsError, read_settings

log = logging.getLogger(__name__)

EXIT_OK, EXIT_LOST_LEASE, EXIT_SETTINGS, EXIT_CLUSTER, EXIT_BUG = 0, 1, 2, 3, 4
# Longer without one finished reconcile while keys are due, and the process counts as stuck.
_STUCK = 300.0


def main() -> int:
    """Exit codes: 0 asked to stop, 1 lease lost, 2 wrong settings, 3 cluster lacks or refuses something, 4 a bug."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"error: {error}\n  fix: install with the chart, which sets it", file=sys.stderr)  # noqa: T201
        return EXIT_SETTINGS
    logs.configure(settings.log_format, settings.log_level)
    try:
        return asyncio.run(_run(settings))
    except (ClusterUnavailable, ClusterRefused) as error:
        log.error("stopped", extra={"fields": {"message": str(error)}})
        return EXIT_CLUSTER


async def _run(settings: Settings) -> int:
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        cluster = await Cluster.connect()
        stack.push_async_callback(cluster.close)
        await _check_crds(cluster)
        session = await stack.enter_async_context(open_session())
        connections = Connections(cluster, clock)
        stack.push_async_callback(connections.close)
        engine = build_engine(settings, clock, cluster, connections, session)
        leader = Leader(clock, cluster, settings.namespace, settings.lease, settings.identity)
        stop, ready = asyncio.Event(), asyncio.Event()
        health = HealthServer(
            engine.metrics.registry,
            live=lambda: _stuck(engine),
            ready=lambda: "" if ready.is_set() else "not leading, or not watching yet",
            port=settings.http_port,
        )
        engine.metrics.registry.register(gauges(engine))
        engine.metrics.registry.register(GitHubUse(connections.github_requests, connections.rate_limits))
        stack.push_async_callback((await health.start()).cleanup)
        logs.event(log, "starting", version=__version__, identity=settings.identity)
        if not await _lead(leader, stop):
            return EXIT_OK
        try:
            return await _operate(settings, engine, leader, stop, ready)
        finally:
            await leader.release()


async def _check_crds(cluster: Cluster) -> None:
    missing = {mirror.PLURAL, server.PLURAL, starred.PLURAL, owned.PLURAL} - await cluster.groups()
    if missing:
        raise ClusterRefused(
            f"The cluster does not serve {', '.join(sorted(missing))}. Install the CRDs: kubectl apply -f crds/"
        )


async def _lead(leader: Leader, stop: asyncio.Event) -> bool:
    """Whether this process came to lead before it was asked to stop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    acquiring, stopping = asyncio.create_task(leader.acquire()), asyncio.create_task(stop.wait())
    await asyncio.wait((acquiring, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not acquiring.done():
        acquiring.cancel()
        return False
    await acquiring
    return True


async def _operate(
    settings: Settings, engine: Engine, leader: Leader, stop: asyncio.Event, ready: asyncio.Event
) -> int:
    """Watches and works until asked to stop, or until the lease is lost."""
    registry, kopf_settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    configure(kopf_settings)
    register(registry, engine)
    working: list[asyncio.Task[None]] = []

    @kopf.on.startup(registry=registry, backoff=5)
    async def start(**_: object) -> None:
        await prime(engine, settings.watch_namespaces)
        task = asyncio.create_task(engine.run(), name="engine")
        task.add_done_callback(lambda _: stop.set())
        working.append(task)

    @kopf.on.cleanup(registry=registry)
    async def end(**_: object) -> None:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    holding = asyncio.create_task(leader.hold(), name="lease")
    holding.add_done_callback(lambda _: stop.set())
    try:
        await kopf.operator(
            registry=registry,
            settings=kopf_settings,
            standalone=True,
            clusterwide=not settings.watch_namespaces,
            namespaces=settings.watch_namespaces,
            stop_flag=stop,
            ready_flag=ready,
        )
    finally:
        lost = holding.done()
        holding.cancel()
    if any(not task.cancelled() for task in working):
        log.error("the engine ended by itself", exc_info=working[0].exception())
        return EXIT_BUG
    return EXIT_LOST_LEASE if lost else EXIT_OK


def _stuck(engine: Engine) -> str:
    idle = engine.clock.monotonic() - engine.progress
    if engine.progress and len(engine.queue) and engine.queue.oldest() > _STUCK and idle > _STUCK:
        return f"no reconcile has ended for {idle:.0f} s while {len(engine.queue)} keys are due"
    return ""
