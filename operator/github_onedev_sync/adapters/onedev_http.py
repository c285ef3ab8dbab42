"""Requests to OneDev's REST API: one account, every answer either good or an error with policy."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from .. import __version__
from ..api.conditions import Reason
from ..api.errors import Retry, Stalled
from . import onedev_errors
from .trust import ssl_context

# Seconds. Deleting a large subtree is one transaction, and the answer comes after it.
_TIMEOUT = httpx.Timeout(15, read=60)
# A call as a whole, its turn in the pool included.
_CALL_SECONDS = 90
# A hundred projects are some 100 KB.
_BODY_LIMIT = 8 * 1024 * 1024
_CONNECTIONS = httpx.Limits(max_connections=8)


class Rest:
    """`url` is OneDev's root address, `ca` PEM text. Redirects are not followed: the token stays with `url`."""

    def __init__(self, url: str, token: str, ca: str | None) -> None:
        self.url = _checked_url(url)
        self._host = self.url.netloc.decode("ascii")
        self._token = token
        self._client = httpx.AsyncClient(
            base_url=self.url,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"github-onedev-sync/{__version__}",
            },
            verify=ssl_context(ca),
            timeout=_TIMEOUT,
            limits=_CONNECTIONS,
            # A refused password or token is answered with a cookie that must not come back.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    async def call(self, method: str, path: str, what: str, needs: str = "access", **sent: Any) -> httpx.Response:
        """A successful answer; everything else raises `SyncError`."""
        return await self.accept(await self.send(method, path, **sent), what, needs)

    async def accept(self, answer: httpx.Response, what: str, needs: str) -> httpx.Response:
        if answer.is_success:
            if onedev_errors.is_html(answer):
                raise onedev_errors.not_onedev(f"the attempt to {what}")
            return answer
        if answer.status_code == 401 and not await self.ready():
            raise onedev_errors.starting()  # it knows no token yet
        raise onedev_errors.refusal(answer, what, needs)

    async def send(
        self, method: str, path: str, *, json: Any = None, params: Mapping[str, str | int] | None = None
    ) -> httpx.Response:
        """Any answer. `path` is below `/~api/`. Raises `Retry` where there is none."""
        headers = {"Authorization": f"Bearer {self._token}"}
        # A Content-Type on GET or DELETE is a 415, so `json` goes with POST alone; it may be a plain string.
        body = {"json": json} if method == "POST" else {}
        return await self._request(method, f"/~api/{path}", headers=headers, params=params, **body)

    async def ready(self) -> bool:
        """False while OneDev starts, stops or is under maintenance. Servers before 16.5.1 do not tell: True."""
        answer = await self._request("GET", "/readyz")
        return answer.status_code != 503

    async def close(self) -> None:
        await self._client.aclose()

    async def _request(self, method: str, path: str, **sent: Any) -> httpx.Response:
        if self._client.is_closed:
            raise Retry(Reason.TARGET_UNAVAILABLE, f"The connection to {self._host} is being replaced")
        try:
            async with asyncio.timeout(_CALL_SECONDS), self._client.stream(method, path, **sent) as answer:
                return await _whole(answer)
        except httpx.RequestError as error:
            raise onedev_errors.unreachable(error, self._host) from error
        except TimeoutError as error:  # bytes came, one by one
            raise onedev_errors.unreachable(httpx.ReadTimeout(""), self._host) from error


async def _whole(answer: httpx.Response) -> httpx.Response:
    """The answer with its body, as UTF-8 text and with the headers that have a meaning here."""
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > _BODY_LIMIT:
            raise onedev_errors.not_onedev(f"{answer.request.method} {answer.url.path}")
    if answer.headers.get("content-encoding", "identity") != "identity":  # asked for
        raise onedev_errors.not_onedev(f"{answer.request.method} {answer.url.path}")
    content_type = answer.headers.get("content-type", "").partition(";")[0]
    headers = {"content-type": content_type, "location": answer.headers.get("location", "")}
    return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)


def _checked_url(url: str) -> httpx.URL:
    """Never quoted in a message: it may hold what should not be there."""
    try:
        parsed = httpx.URL(url.rstrip("/"))
        legal = parsed.scheme in ("https", "http") and bool(parsed.host)
    except httpx.InvalidURL:
        legal = False
    if not legal or parsed.userinfo or parsed.query or parsed.fragment:
        raise Stalled(
            Reason.INVALID_SPEC,
            "spec.url must be OneDev's http(s) address without user, password, query or fragment, "
            "such as https://onedev.example.com",
        )
    return parsed
