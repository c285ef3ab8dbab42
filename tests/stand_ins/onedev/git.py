"""OneDev's git endpoint: `/<path>[.git]/info/refs`, `git-upload-pack`, `git-receive-pack`."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from ..bodies import read_ahead
from ..misbehaviour import Entry
from ..processes import Processes
from ..smart_http import NO_CACHE, SERVICES, advertise, compressed, serve_pack
from .hooks import Hooks, Push
from .model import Privilege, Project
from .refusals import CHALLENGE, Refused, page_404
from .security import Principal, Security
from .store import Store

PATH = re.compile(r"/(.+?)/(info/refs|git-upload-pack|git-receive-pack)")
IDLE_SECONDS = 30.0
# What a queued push was seen to send before its connection was full.
BUFFERED_BYTES = 4 << 20
NEEDED = {"git-upload-pack": (Privilege.READ, "pull from"), "git-receive-pack": (Privilege.WRITE, "push to")}
NOT_FOUND = "Project not found or inaccessible: "


@dataclass(frozen=True)
class Target:
    """What a git URL names. `asked`: the path as it was sent, without the leading slash."""

    asked: str
    project: Project | None


class GitEndpoint:
    """slots: pack requests that run at once; others wait with the connection open. None: all run.

    idle_seconds: how long a request's body may be silent before it counts as ended.
    """

    def __init__(
        self, store: Store, security: Security, processes: Processes, hooks: Hooks, slots: int | None = None
    ) -> None:
        self._store = store
        self._security = security
        self._processes = processes
        self._hooks = hooks
        self._slots: asyncio.Semaphore | None = None
        self.set_slots(slots)
        self.idle_seconds = IDLE_SECONDS

    def set_slots(self, slots: int | None) -> None:
        """For the requests that come from now on."""
        self._slots = asyncio.Semaphore(slots) if slots else None

    @staticmethod
    def wants(request: web.BaseRequest) -> bool:
        """Only the exact request type of a pack service counts; anything else falls through to the pages."""
        found = PATH.fullmatch(urlsplit(request.raw_path).path)
        if found is None:
            return False
        if found[2] == "info/refs":
            service = parse_qs(urlsplit(request.raw_path).query).get("service", [""])[0]
            return request.method == "GET" and service in SERVICES
        return request.method == "POST" and request.headers.get("Content-Type") == f"application/x-{found[2]}-request"

    async def answer(self, request: web.BaseRequest, entry: Entry, ready: bool, base_url: str) -> web.StreamResponse:
        try:
            if not ready:
                raise Refused(503, "Server not ready")
            return await self._answer(request, entry, base_url)
        except Refused as refused:
            return compressed(request, refused.response())

    async def _answer(self, request: web.BaseRequest, entry: Entry, base_url: str) -> web.StreamResponse:
        split = urlsplit(request.raw_path)
        matched = PATH.fullmatch(split.path)
        assert matched is not None
        principal = self._security.principal(request.headers)
        entry.authenticated = principal is not None
        what = matched[2]
        service = parse_qs(split.query)["service"][0] if what == "info/refs" else what
        project = self._allowed(principal, self._target(matched[1]), service)
        repository = self._store.repository(project)
        if what == "info/refs":
            body = await advertise(self._processes, request, service, repository, {})
            headers = {"Content-Type": f"application/x-{service}-advertisement", **NO_CACHE}
            return compressed(request, web.Response(body=body, headers=headers))
        if request.headers.get("Content-Encoding") not in (None, "gzip", "x-gzip"):
            return web.Response(status=500)
        async with self._slot(request):
            if service == "git-upload-pack":
                return await self._serve(request, service, repository, {})
            privilege = self._security.privilege(principal, project)
            hint = f"{base_url}/{project.path}/~pulls/new?source={project.id}:"
            with self._hooks.expecting(Push(project, repository, privilege, hint)) as variables:
                return await self._serve(request, service, repository, variables)

    @contextlib.asynccontextmanager
    async def _slot(self, request: web.BaseRequest) -> AsyncIterator[None]:
        """Waits in line, while the connection's buffers fill."""
        slots = self._slots
        if slots is None:
            yield
            return
        filling = asyncio.create_task(read_ahead(request, BUFFERED_BYTES)) if slots.locked() else None
        try:
            await slots.acquire()
        finally:
            if filling is not None:
                filling.cancel()
                await asyncio.gather(filling, return_exceptions=True)
        try:
            yield
        finally:
            slots.release()

    async def _serve(
        self, request: web.BaseRequest, service: str, repository: Path, variables: dict[str, str]
    ) -> web.StreamResponse:
        return await serve_pack(
            self._processes,
            request,
            service,
            repository,
            settings=self._hooks.settings,
            variables=variables,
            idle=self.idle_seconds,
            compress=True,
        )

    def _target(self, asked: str) -> Target:
        """The exact path first, then without one `.git`; never percent-decoded."""
        return Target(asked, self._store.find(asked) or self._store.find(asked.removesuffix(".git")))

    def _allowed(self, principal: Principal | None, target: Target, service: str) -> Project:
        project = target.project
        privilege = self._security.privilege(principal, project) if project else Privilege.NONE
        if project is None or privilege is Privilege.NONE:
            if principal is None:
                raise Refused(401, "Authentication required", headers=CHALLENGE)
            raise Refused(404, NOT_FOUND + (target.asked.removesuffix(".git") if project is None else target.asked))
        needed, words = NEEDED[service]
        if privilege < needed:
            text = f"You do not have permission to {words} this project."
            raise Refused(401, text, headers=CHALLENGE) if principal is None else Refused(403, text)
        return project


def page(request: web.BaseRequest) -> web.Response:
    """What the pages answer to an address that is none of REST's or git's: HTML and a session."""
    response = page_404(urlsplit(request.raw_path).path)
    response.headers["Set-Cookie"] = "JSESSIONID=node01standin0.node0; Path=/; HttpOnly"
    return response
