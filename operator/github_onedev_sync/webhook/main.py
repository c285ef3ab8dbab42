"""The webhook process, from its first line to its exit code."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import ssl
import sys

from .. import __version__
from ..adapters.cluster import Cluster
from ..api.errors import ClusterUnavailable
from ..environment import SettingsError
from ..observability import logs
from ..observability.health import HealthServer
from .app import build_app
from .build import Pod, build_pod
from .replay import routes
from .server import Certificate, Server, build_server
from .settings import Settings, read_settings

log = logging.getLogger(__name__)

EXIT_OK, EXIT_BUG, EXIT_SETTINGS, EXIT_CLUSTER = 0, 1, 2, 3
# For what deliveries have begun in the cluster.
_DRAIN_SECONDS = 5.0


def main() -> int:
    """Exit codes: 0 asked to stop, 1 a bug, 2 wrong settings, 3 no way to a cluster."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"error: {error}\n  fix: install with the chart, which sets it", file=sys.stderr)  # noqa: T201
        return EXIT_SETTINGS
    logs.configure(settings.log_format, settings.log_level)
    # Of requests our own lines tell more.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        return asyncio.run(_run(settings))
    except ClusterUnavailable as error:
        log.error("stopped", extra={"fields": {"message": str(error)}})
        return EXIT_CLUSTER
    except (OSError, ssl.SSLError) as error:
        log.error("stopped", extra={"fields": {"message": f"no port, or no certificate that can be loaded: {error}"}})
        return EXIT_SETTINGS


async def _run(settings: Settings) -> int:
    async with contextlib.AsyncExitStack() as stack:
        cluster = await Cluster.connect()
        stack.push_async_callback(cluster.close)
        pod = build_pod(settings, cluster)
        server = build_server(build_app(pod.receiver, settings.path), settings)
        server.config.load()
        health = HealthServer(
            pod.metrics.registry, lambda: "", pod.trouble, settings.http_port, routes=routes(pod.receiver)
        )
        stack.push_async_callback((await health.start()).cleanup)
        logs.event(log, "starting", version=__version__, port=settings.port, path=settings.path)
        # What was made until here stays; looking through it again and again would hold up deliveries.
        gc.collect()
        gc.freeze()
        return await _serve(settings, pod, server)


async def _serve(settings: Settings, pod: Pod, server: Server) -> int:
    """Until asked to stop; then what was taken is finished."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    background = [asyncio.create_task(one) for one in pod.background()]
    if settings.certificate and settings.key and server.config.ssl:
        exchange = Certificate(settings.certificate, settings.key, server.config.ssl)
        background.append(asyncio.create_task(exchange.keep_fresh()))
    serving = asyncio.create_task(server.serve())
    try:
        await asyncio.wait((serving, *background), return_when=asyncio.FIRST_COMPLETED)
        for task in background:
            if task.done():
                log.error("ended by itself", exc_info=task.exception())
                return EXIT_BUG
        await serving
    finally:
        server.should_exit = True
        await asyncio.wait((serving,))
        for task in background:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await pod.asking.drain()
    return EXIT_OK
