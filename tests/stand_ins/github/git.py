"""github.com's git endpoint: reading only, `/{owner}/{name}.git` and the same without `.git`."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from ..misbehaviour import Entry
from ..processes import Processes
from ..smart_http import NO_CACHE, SERVICES, UnknownEncoding, advertise, serve_pack
from .accounts import Accounts, BadCredentials, Caller
from .catalogue import NAME, Catalogue, Repository

PATH = re.compile(rf"/({NAME})/({NAME}?)(?:\.git)?/(info/refs|git-upload-pack|git-receive-pack)")
SETTINGS = {
    "uploadpack.allowFilter": "true",
    "uploadpack.allowTipSHA1InWant": "true",
    "uploadpack.allowReachableSHA1InWant": "true",
}
CHALLENGE = {"WWW-Authenticate": 'Basic realm="GitHub"'}


def text(status: int, body: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=body, content_type="text/plain", headers=headers)


class GitEndpoint:
    def __init__(self, catalogue: Catalogue, accounts: Accounts, processes: Processes) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._processes = processes

    @staticmethod
    def wants(request: web.BaseRequest) -> bool:
        return PATH.fullmatch(urlsplit(request.raw_path).path) is not None

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        split = urlsplit(request.raw_path)
        matched = PATH.fullmatch(unquote(split.path))
        assert matched is not None
        full_name, what = f"{matched[1]}/{matched[2].removesuffix('.git')}", matched[3]
        service = parse_qs(split.query).get("service", [""])[0] if what == "info/refs" else what
        if not request.headers.get("User-Agent", "").startswith("git/"):
            # Others are taken for browsers; what they get is a page, never refs.
            return web.Response(status=403, text="<html><body>Forbidden</body></html>", content_type="text/html")
        if service not in SERVICES:
            return text(403, "Please upgrade your git client.\nGitHub.com no longer supports git over dumb-http.\n")
        try:
            caller = self._accounts.of_git(request.headers.get("Authorization"))
        except BadCredentials:
            words = "Invalid username or token. Password authentication is not supported for Git operations."
            return text(401, words, CHALLENGE)
        entry.authenticated = caller is not None
        found = self._catalogue.find(full_name)
        if found is None and (moved := self._catalogue.find_former(full_name)) and _sees(caller, moved):
            return self._moved(request, moved, what, split.query)
        return self._refusal(caller, found, service) or await self._serve(request, found, what, service)

    def _moved(self, request: web.BaseRequest, moved: Repository, what: str, query: str) -> web.Response:
        if what != "info/refs":
            return text(404, "Repository not found.")
        place = f"{request.scheme}://{request.host}/{moved.full_name}.git/info/refs?{query}"
        return web.Response(status=301, headers={"Location": place}, content_type="text/html")

    def _refusal(self, caller: Caller | None, found: Repository | None, service: str) -> web.Response | None:
        if service == "git-receive-pack" and caller is None:
            return text(401, "No anonymous write access.", CHALLENGE)
        if found is None or not found.has_git or not _sees(caller, found):
            if caller is None:
                return text(401, "Repository not found.", CHALLENGE)
            return text(404, "Repository not found.")
        if found.metadata.block_status is not None:
            reason = found.metadata.block_reason.upper()
            return text(403, f"Repository unavailable due to {reason} takedown.\n")
        if found.metadata.disabled or found.metadata.disabled_for_git:
            return text(
                403, f"Repository '{found.full_name}' is disabled.\nPlease ask the owner to check their account.\n"
            )
        if service == "git-receive-pack":
            who = caller.login if caller and caller.login else "app"
            return text(403, f"Permission to {found.full_name}.git denied to {who}.")
        return None

    async def _serve(
        self, request: web.BaseRequest, found: Repository | None, what: str, service: str
    ) -> web.StreamResponse:
        assert found is not None
        if what == "info/refs":
            body = await advertise(self._processes, request, service, found.path, SETTINGS)
            headers = {"Content-Type": f"application/x-{service}-advertisement", **NO_CACHE}
            return web.Response(body=body, headers=headers)
        if request.method != "POST":
            return text(405, "")
        try:
            return await serve_pack(self._processes, request, service, found.path, settings=SETTINGS)
        except UnknownEncoding:
            return text(415, "")


def _sees(caller: Caller | None, found: Repository) -> bool:
    return not found.metadata.private or (caller is not None and caller.may_see(found.full_name))
