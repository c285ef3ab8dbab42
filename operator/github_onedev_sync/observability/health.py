"""The HTTP endpoints of a process: /livez, /readyz and /metrics."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST


@dataclass
class HealthServer:
    """`live` and `ready` give the empty text while all is well, else what is wrong; `routes` are a role's own."""

    registry: CollectorRegistry
    live: Callable[[], str]
    ready: Callable[[], str]
    port: int
    host: str = "0.0.0.0"  # noqa: S104 - probes and scrapes come from outside the pod
    routes: Iterable[web.RouteDef] = ()

    async def start(self) -> web.AppRunner:
        """Serves until the runner is cleaned up."""
        app = web.Application()
        app.router.add_get("/livez", self._check(self.live))
        app.router.add_get("/readyz", self._check(self.ready))
        app.router.add_get("/metrics", self._metrics)
        app.router.add_routes(self.routes)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, self.host, self.port).start()
        return runner

    def _check(self, probe: Callable[[], str]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_: web.Request) -> web.Response:
            trouble = probe()
            return web.Response(status=503 if trouble else 200, text=f"{trouble or 'ok'}\n")

        return answer

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
