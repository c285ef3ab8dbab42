"""github.com's LFS server: the batch API for downloads, and the store that it sends clients to."""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aiohttp import web

from ..bodies import Answer
from ..misbehaviour import Entry
from .accounts import Accounts, BadCredentials
from .catalogue import NAME, Catalogue, Repository

BATCH = re.compile(rf"/({NAME})/({NAME}?)(?:\.git)?/info/lfs/objects/batch")
MEDIA = re.compile(r"/_media/(\d+)/([0-9a-f]{64})")
TYPE = "application/vnd.git-lfs+json"
LIMIT = 100
PIECE = 1 << 16
SECONDS = 3600


def pointer(content: bytes) -> str:
    """The file that stands for `content` in a commit."""
    oid = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"


class LfsEndpoint:
    """Objects lie where `git lfs` keeps them, in `lfs/objects` of the repository.

    media_url: where the store seems to be; empty for the server's own address. The store knows no account, only the
    header of the action, and refuses a second credential as S3 does.
    """

    def __init__(self, catalogue: Catalogue, accounts: Accounts) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._signatures: set[str] = set()
        self.media_url = ""

    @staticmethod
    def wants(request: web.BaseRequest) -> bool:
        path = urlsplit(request.raw_path).path
        return BATCH.fullmatch(path) is not None or MEDIA.fullmatch(path) is not None

    def store(self, repository: str, content: bytes) -> str:
        """Keeps an object; returns its pointer."""
        found = self._catalogue.find(repository)
        assert found is not None, repository
        file = _file(found, hashlib.sha256(content).hexdigest())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return pointer(content)

    def forget(self, repository: str, oid: str) -> None:
        """What an incomplete upload, or a deletion by the support, leaves."""
        found = self._catalogue.find(repository)
        assert found is not None, repository
        _file(found, oid).unlink()

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        path = unquote(urlsplit(request.raw_path).path)
        if media := MEDIA.fullmatch(path):
            return await self._media(request, int(media[1]), media[2])
        matched = BATCH.fullmatch(path)
        assert matched is not None
        return await self._batch(request, entry, f"{matched[1]}/{matched[2].removesuffix('.git')}")

    async def _batch(self, request: web.BaseRequest, entry: Entry, full_name: str) -> web.Response:
        if request.method != "POST":
            return _say(404, "Not Found")
        try:
            caller = self._accounts.of_git(request.headers.get("Authorization"))
        except BadCredentials:
            return _say(401, "Bad credentials", {"LFS-Authenticate": 'Basic realm="GitHub"'})
        entry.authenticated = caller is not None
        found = self._catalogue.find(full_name)
        if found is None or (found.metadata.private and not (caller and caller.may_see(found.full_name))):
            if caller is None:
                return _say(401, "Requires authentication", {"LFS-Authenticate": 'Basic realm="GitHub"'})
            return _say(404, "Not Found")
        asked = json.loads(await request.read())
        if len(asked["objects"]) > LIMIT:
            return _say(413, f"You may only request {LIMIT} objects at a time.")
        if asked["operation"] != "download":
            return _say(403, "You must have push access to upload objects.")
        base = self.media_url or f"{request.scheme}://{request.host}"
        objects = [self._object(found, base, one) for one in asked["objects"]]
        return _json(200, {"transfer": "basic", "objects": objects})

    def _object(self, found: Repository, base: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        oid = asked["oid"]
        file = _file(found, oid)
        if not file.is_file():
            error = {"code": 404, "message": "Object does not exist on the server"}
            return {"oid": oid, "size": asked["size"], "error": error}
        signature = secrets.token_hex(8)
        self._signatures.add(signature)
        action = {
            "href": f"{base}/_media/{found.id}/{oid}?X-Amz-Credential=AKIA%2F20261127%2Fus-east-1%2Fs3",
            "header": {"Authorization": f"RemoteAuth {signature}"},
            "expires_in": SECONDS,
        }
        return {"oid": oid, "size": file.stat().st_size, "actions": {"download": action}}

    async def _media(self, request: web.BaseRequest, repository: int, oid: str) -> web.StreamResponse:
        scheme, _, signature = request.headers.get("Authorization", "").partition(" ")
        if scheme != "RemoteAuth":
            return web.Response(status=400 if scheme else 403, text="<Error/>", content_type="application/xml")
        found = next((one for one in self._catalogue.all() if one.id == repository), None)
        if "%2F" not in request.raw_path or signature not in self._signatures:
            return web.Response(status=403, text="<Error/>", content_type="application/xml")
        if found is None or not _file(found, oid).is_file():
            return web.Response(status=404, text="<Error/>", content_type="application/xml")
        file = _file(found, oid)
        answer = Answer(request, headers={"Content-Type": "application/octet-stream"})
        answer.content_length = file.stat().st_size
        await answer.prepare(request)
        with file.open("rb") as content:
            while piece := content.read(PIECE):
                await answer.write(piece)
        return await answer.finish()


def _file(found: Repository, oid: str) -> Path:
    return found.path / "lfs" / "objects" / oid[:2] / oid[2:4] / oid


def _json(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type=TYPE, headers=headers)


def _say(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return _json(status, {"message": message, "documentation_url": "https://docs.github.com"}, headers)
