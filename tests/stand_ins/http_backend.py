"""git's own server, `git http-backend`, over a folder of bare repositories: no account, hook or status but git's."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aiohttp import web

from .bodies import Answer, request_body
from .misbehaviour import Entry
from .processes import environment
from .serving import StandIn

_HEAD_END = b"\r\n\r\n"


class HttpBackend(StandIn):
    """A CGI host. Whoever comes may push, unless the repository's `http.receivepack` says otherwise.

    settings: git's configuration, beside the repositories' own.
    """

    def __init__(self, root: Path, settings: Mapping[str, str] | None = None, listen: str = "127.0.0.1:0") -> None:
        super().__init__(listen)
        self._root = root
        self._settings = settings or {}

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        answer = _CgiAnswer(request)
        try:
            await self.processes.stream(
                ("git", "http-backend"),
                environment(self._settings, self._variables(request)),
                request_body(request),
                answer.take,
            )
        except web.RequestPayloadError as broken:
            raise ConnectionResetError("the body broke off") from broken
        return await answer.finish()

    def _variables(self, request: web.BaseRequest) -> dict[str, str]:
        split = urlsplit(request.raw_path)
        # The body goes on as it came, so git has to know of its coat and of its length.
        passed = {
            "CONTENT_TYPE": "Content-Type",
            "CONTENT_LENGTH": "Content-Length",
            "HTTP_CONTENT_ENCODING": "Content-Encoding",
            "GIT_PROTOCOL": "Git-Protocol",
        }
        return {
            "GIT_PROJECT_ROOT": str(self._root.absolute()),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": request.method,
            "PATH_INFO": unquote(split.path),
            "QUERY_STRING": split.query,
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
            **{name: request.headers[header] for name, header in passed.items() if header in request.headers},
        }


class _CgiAnswer:
    """Turns a CGI program's output into an HTTP answer, piece by piece."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._head = b""
        self._answer: Answer | None = None

    async def take(self, piece: bytes) -> None:
        if self._answer is None:
            head, found, piece = (self._head + piece).partition(_HEAD_END)
            self._head = head
            if not found:
                return
            self._answer = self._started(head.decode("latin-1"))
            await self._answer.prepare(self._request)
        if piece:
            await self._answer.write(piece)

    def _started(self, head: str) -> Answer:
        headers = dict(line.split(": ", 1) for line in head.split("\r\n"))
        return Answer(self._request, int(headers.pop("Status", "200").split()[0]), headers)

    async def finish(self) -> web.StreamResponse:
        return web.Response(status=500) if self._answer is None else await self._answer.finish()
