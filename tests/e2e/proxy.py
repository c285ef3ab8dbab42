"""A way to the API server that can be cut, and that holds a single request at the very moment a test wants."""

import asyncio
import json
import re
import subprocess
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from aiohttp import web

from tests.local_cluster.choice import Cluster, environment

T = TypeVar("T")

_HOP_BY_HOP = frozenset(("connection", "content-length", "host", "keep-alive", "transfer-encoding"))


@dataclass
class Hold:
    """The first request that matches stops here: before the API server knows of it, or with its answer in hand.

    Later ones pass. What is held is never answered: its client is meant to be killed.
    """

    method: str
    pattern: str
    done: bool = False
    reached: threading.Event = field(default_factory=threading.Event)

    def takes(self, method: str, text: str) -> bool:
        return not self.reached.is_set() and method == self.method and re.search(self.pattern, text) is not None


class ApiProxy:
    """Plain HTTP before `kubectl proxy`, which knows how to speak with any cluster. Runs in a thread of its own."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._kubectl = subprocess.Popen(
            [str(cluster.kubectl), "proxy", "--port=0"], env=environment(cluster), stdout=subprocess.PIPE, text=True
        )
        assert self._kubectl.stdout is not None
        self._upstream = "http://" + self._kubectl.stdout.readline().split()[-1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._holds: list[Hold] = []
        self.created: list[str] = []
        self._port = self._in_loop(self._start())
        self.kubeconfig = folder / "through-the-proxy.kubeconfig"
        self.kubeconfig.write_text(json.dumps(_kubeconfig(f"http://127.0.0.1:{self._port}")))

    def _in_loop(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> int:
        self._session = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        port: int = self._runner.addresses[0][1]
        return port

    def hold(self, method: str, pattern: str, *, done: bool = False) -> Hold:
        """`pattern` is searched in path, blank and body; `done` holds the answer instead of the request."""
        hold = Hold(method, pattern, done)
        self._holds.append(hold)
        return hold

    def jobs_created(self, mirror: str) -> list[str]:
        """Every Job that the API server ever made for a mirror of that name."""
        return [name for name in self.created if re.fullmatch(f"{re.escape(mirror)}-[0-9a-f]{{8}}", name)]

    def cut(self) -> None:
        """As a restart of the API server: every connection ends and no new one comes about, until `restore`."""
        self._in_loop(self._cut())

    async def _cut(self) -> None:
        await self._site.stop()
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()

    def restore(self) -> None:
        self._in_loop(self._restore())

    async def _restore(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await self._site.start()

    def stop(self) -> None:
        self._in_loop(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._kubectl.terminate()
        self._kubectl.communicate(timeout=10)

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._forward(request)
        except (ConnectionError, aiohttp.ClientError):
            return web.Response(status=502)  # its client is gone

    async def _forward(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        text = f"{request.path} {body.decode()}"
        hold = next((hold for hold in self._holds if hold.takes(request.method, text)), None)
        if hold is not None and not hold.done:
            await _keep(hold)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = self._upstream + request.raw_path
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            if request.method == "POST" and request.path.endswith("/jobs") and answer.status == 201:
                self.created.append(json.loads(body)["metadata"]["name"])
            if hold is not None:
                await _keep(hold)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            await response.write_eof()
            return response


async def _keep(hold: Hold) -> None:
    hold.reached.set()
    await asyncio.Event().wait()


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": server}}],
        "users": [{"name": "nobody", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
    }
