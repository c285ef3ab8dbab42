"""A stand-in for OneDev 16.5.6: its REST subset at `/~api`, git at `/<path>`, probes at `/healthz` and `/readyz`."""

from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from ..misbehaviour import Entry
from ..serving import Action
from .accounts import Accounts
from .git import GitEndpoint, page
from .hooks import Hooks
from .lfs import LfsEndpoint
from .projects import Projects
from .protections import Protections
from .refusals import page_404
from .repositories import Repositories
from .resources import BASE, HEADER_LIMIT, Resources
from .security import Security
from .steering import Steering
from .store import Store

__all__ = ["OneDevStandIn"]


class OneDevStandIn(Steering):
    """A OneDev whose projects live below `data`, so that another one on the same folder has them again.

    tokens: access tokens of the administrator `admin`, whose password is `password`. server_url: what clone-url and
    hints say, by default `public_url`. slots: pack requests that run at once, None for all. reuse_ids: after a
    restart begin behind the highest project id in use, as OneDev does. idle_seconds: silence that ends a body.
    """

    def __init__(
        self,
        data: Path,
        *,
        listen: str = "127.0.0.1:0",
        public_url: str | None = None,
        tokens: Iterable[str] = (),
        password: str = "admin",
        slots: int | None = None,
        reuse_ids: bool = False,
        idle_seconds: float | None = None,
    ) -> None:
        super().__init__(listen, public_url)
        self.store = Store(data, reuse_ids=reuse_ids)
        if not self.store.users:
            self.store.add_user("admin", password=password)
        for token in tokens:
            self.add_token(token)
        self.security = Security(self.store)
        self.hooks = Hooks(data / "hooks", self.processes, Protections(self.store, self.processes))
        self.projects = Projects(self.store, self.security, self.processes)
        self.accounts = Accounts(self.store, self.projects)
        repositories = Repositories(self.store, self.projects, self.processes, lambda: self.public_url)
        routes = [*self.projects.routes(), *repositories.routes(), *self.accounts.routes()]
        # The first route that fits wins: the longer patterns of a resource are more particular.
        self._resources = Resources(self.security, sorted(routes, key=lambda route: -route.pattern.count("/")))
        self.git = GitEndpoint(self.store, self.security, self.processes, self.hooks, slots)
        self.lfs = LfsEndpoint(self.store, self.security)
        self.git.idle_seconds = idle_seconds or self.git.idle_seconds

    async def start(self) -> None:
        await self.hooks.start()
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await self.hooks.stop()

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if sum(len(name) + len(value) + 4 for name, value in request.raw_headers) > HEADER_LIMIT:
            return web.Response(status=431, text="<h1>Bad Message 431</h1>", content_type="text/html")
        if path in ("/healthz", "/readyz"):
            return self._probe(request, path)
        if self.mode == "starting":
            return page_404(path)
        if request.method in ("OPTIONS", "TRACE"):
            return web.Response(status=204 if request.method == "OPTIONS" else 405)
        ready = self.mode == "ready"
        if LfsEndpoint.wants(request):
            return await self.lfs.answer(request, entry, ready, self.public_url)
        if GitEndpoint.wants(request):
            return await self.git.answer(request, entry, ready, self.public_url)
        if path.startswith(BASE + "/"):
            return await self._resources.answer(request, entry, ready)
        return page(request)

    def actions(self) -> dict[str, Action]:
        return {**super().actions(), "lfs_objects": self.lfs_objects}

    async def lfs_objects(self, project: str) -> dict[str, int]:
        """The LFS objects of a project: id and bytes."""
        return self.lfs.objects(self.project(project))

    def _probe(self, request: web.BaseRequest, path: str) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=405, headers={**headers, "Allow": "GET, HEAD"})
        good = path == "/healthz" or self.mode == "ready"
        body = "ok\n" if good else "not ready\n"
        return web.Response(status=200 if good else 503, text=body, charset="utf-8", headers=headers)
