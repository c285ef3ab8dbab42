"""OneDev's LFS server, `GitLfsFilter`: the batch API below `<path>.git/info/lfs`, objects at `<path>.git/lfs/objects`.

Locks are left out. What is written is written where it is read, as OneDev does: an upload that fails removes the
object, whatever was there before.
"""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from ..bodies import Answer, request_body
from ..misbehaviour import Entry
from .model import Privilege, Project
from .refusals import Refused, server_error
from .security import Principal, Security
from .store import Store

TYPE = "application/vnd.git-lfs+json"
OID = re.compile(r"[0-9a-f]{64}")
PIECE = 1 << 16
# `maxGitLFSFileSize`, in MiB.
MAX_FILE_SIZE = 4096


class Unheard(Refused):
    """An error as the batch API tells it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, json.dumps({"message": message}), TYPE, headers)


class LfsEndpoint:
    """max_file_size: bytes of the largest object. token_seconds: how long what the actions carry is good.

    survives: False lets a failed upload leave what has arrived, as a server that dies meanwhile does.
    """

    def __init__(self, store: Store, security: Security) -> None:
        self._store = store
        self._security = security
        self._temporary: dict[str, tuple[Principal, float]] = {}
        self.max_file_size = MAX_FILE_SIZE << 20
        self.token_seconds = 300.0
        self.survives = True

    @staticmethod
    def wants(request: web.BaseRequest) -> bool:
        """By a query parameter, or by what the request says that it sends or takes: never by the path."""
        kinds = (request.headers.get("Content-Type", ""), request.headers.get("Accept", ""))
        return _is_transfer(request) or any(kind.startswith(TYPE) for kind in kinds)

    def objects(self, project: Project) -> dict[str, int]:
        """What the project has, as object id and bytes."""
        return {file.name: file.stat().st_size for file in self._folder(project).rglob("*") if file.is_file()}

    def put(self, project: Project, oid: str, content: bytes) -> None:
        """Makes the file of an object hold `content`, whatever it is."""
        file = self._file(project, oid)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def _folder(self, project: Project) -> Path:
        return self._store.repository(project).with_name("lfs")

    def _file(self, project: Project, oid: str) -> Path:
        if not OID.fullmatch(oid):
            raise server_error("Invalid LFS object id")
        return self._folder(project) / oid[:2] / oid[2:4] / oid

    async def answer(self, request: web.BaseRequest, entry: Entry, ready: bool, base_url: str) -> web.StreamResponse:
        try:
            if not ready:
                raise Refused(503, "Server not ready")
            principal = self._principal(request)
            entry.authenticated = principal is not None
            path = urlsplit(request.raw_path).path.lstrip("/")
            # The last one counts, and without one the whole path is taken for the project's.
            asked = path.rpartition(".git/")[0] or path
            project = self._store.find(asked)
            if _is_transfer(request):
                return await self._transfer(request, principal, project, path.rpartition("/")[2])
            if project is None:
                raise Unheard(404, f"Project not found: {asked}")
            if not path.endswith("/batch"):
                return web.Response(status=200, content_type=TYPE)
            return self._batch(json.loads(await request.read()), principal, project, base_url)
        except Refused as refused:
            return refused.response()

    def _principal(self, request: web.BaseRequest) -> Principal | None:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        principal, until = self._temporary.get(bearer, (None, 0.0))
        return principal if time.monotonic() < until else self._security.principal(request.headers)

    def _demand(self, principal: Principal | None, project: Project, needed: Privilege) -> None:
        if self._security.privilege(principal, project) >= needed:
            return
        if principal is not None and principal.user is not None:
            raise Unheard(403, "Permission denied")
        raise Unheard(401, "Authentication required", {"LFS-Authenticate": 'Basic realm="OneDev"'})

    def _batch(self, asked: Any, principal: Principal | None, project: Project, base_url: str) -> web.Response:
        if "basic" not in asked.get("transfers", ["basic"]):
            raise Unheard(406, "This server can only accept basic transfer")
        if asked.get("hash_algo", "sha256") != "sha256":
            raise Unheard(406, "This server can only accept sha256 hash algorithm")
        upload = asked["operation"] == "upload"
        self._demand(principal, project, Privilege.WRITE if upload else Privilege.READ)
        header = self._header(principal)
        objects = [self._object(project, upload, one, base_url, header) for one in asked["objects"]]
        return web.Response(body=json.dumps({"objects": objects}).encode(), content_type=TYPE)

    def _header(self, principal: Principal | None) -> dict[str, Any]:
        if principal is None or principal.user is None:
            value = principal.token.value if principal and principal.token else None
        else:
            value = secrets.token_hex(20)
            self._temporary[value] = (principal, time.monotonic() + self.token_seconds)
        return {"header": {"Authorization": f"Bearer {value}"}} if value else {}

    def _object(
        self, project: Project, upload: bool, asked: Mapping[str, Any], base_url: str, header: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The size is the asker's own word: OneDev does not look."""
        oid, size = asked["oid"], asked["size"]
        there = _there(self._file(project, oid))
        told: dict[str, Any] = {"oid": oid, "size": size}
        action = {"href": f"{base_url}/{project.path}.git/lfs/objects/{oid}?lfs-objects=true", **header}
        if size > self.max_file_size:
            message = f"Exceeded max acceptable LFS file size {self.max_file_size}"
            return {**told, "error": {"code": 406, "message": message}}
        if upload:
            return told if there else {**told, "actions": {"upload": action}}
        if there:
            return {**told, "actions": {"download": action}}
        return {**told, "error": {"code": 404, "message": "Object not found"}}

    async def _transfer(
        self, request: web.BaseRequest, principal: Principal | None, project: Project | None, oid: str
    ) -> web.StreamResponse:
        if project is None:
            raise server_error()
        file = self._file(project, oid)
        if request.method == "GET":
            self._demand(principal, project, Privilege.READ)
            return await self._send(request, file)
        # Any other method is an upload here, HEAD too.
        self._demand(principal, project, Privilege.WRITE)
        await self._receive(request, file)
        return web.Response()

    async def _send(self, request: web.BaseRequest, file: Path) -> web.StreamResponse:
        if not _there(file):
            raise Refused(404, "Object not found")
        answer = Answer(request, headers={"Content-Type": "application/octet-stream"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        with file.open("rb") as content:
            while piece := content.read(PIECE):
                await answer.write(piece)
        return await answer.finish()

    async def _receive(self, request: web.BaseRequest, file: Path) -> None:
        digest, good = hashlib.sha256(), False
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with file.open("wb") as content:
                async for piece in request_body(request):
                    digest.update(piece)
                    content.write(piece)
            good = digest.hexdigest() == file.name
        except web.RequestPayloadError as broken:
            raise ConnectionResetError("the body broke off") from broken
        finally:
            if not good and self.survives:
                _remove(file)
        if not good:
            raise server_error("Invalid uploaded content: hash not equals to object id")


def _there(file: Path) -> bool:
    return file.exists()


def _remove(file: Path) -> None:
    file.unlink()


def _is_transfer(request: web.BaseRequest) -> bool:
    return parse_qs(urlsplit(request.raw_path).query).get("lfs-objects") == ["true"]
