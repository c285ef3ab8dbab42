"""PyGithub's requesters in a pool, each for one call at a time.

PyGithub is blocking, and one of its objects used by two threads can return the wrong repository (its issue 1257).
Its retries, sleeps and throttles are off: what an answer means is for the caller to decide.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from github import Auth, Github
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass
from requests.adapters import HTTPAdapter

from .. import __version__
from ..api.errors import SyncError
from .turns import Turns

API_VERSION = "2022-11-28"
# A call in a thread cannot be cancelled; this is for connecting and for each wait for bytes, in seconds.
TIMEOUT = 15
# A call as a whole, its turn in the pool included; PyGithub sleeps between its repetitions of 202.
_CALL_SECONDS = 60
# A repository is some 10 KB, a page of a hundred below 1 MB.
_BODY_LIMIT = 8 * 1024 * 1024
# PyGithub repeats 202 without end.
_EXCHANGES_PER_CALL = 4

# At DEBUG PyGithub writes whole answers into the log, and the answer to an App's request is a token.
logging.getLogger("github").setLevel(logging.INFO)

_Connection = HTTPRequestsConnectionClass | HTTPSRequestsConnectionClass


class Astray(Exception):
    """The call led to another host, or goes on for ever."""


class Closed(Exception):
    """The pool was closed while this call waited for its turn, or before it."""


class Oversized(requests.RequestException):
    """The body is longer than any of GitHub's."""


@dataclass(frozen=True)
class Answer:
    """Header names are lower-case."""

    status: int
    headers: Mapping[str, Any]
    body: str


class Clients:
    """`size` requesters with one credential; `auth` is None for anonymous access."""

    def __init__(self, api_url: str, auth: Auth.Auth | None, trust: ssl.SSLContext | None, size: int) -> None:
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="github")
        self._turns = Turns(_Client(api_url, auth, trust) for _ in range(size))
        self._closed = False

    async def request(
        self,
        verb: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        urgency: int,
        admit: Callable[[], None],
        note: Callable[[Answer], None],
    ) -> Answer:
        """`url` is a path below the API's, or an address of its host. No redirect is followed; 301 is told as 308.

        `admit` is called when it is this call's turn, and may refuse it with a `SyncError`; `note` learns the answer
        before it is anybody else's turn. Raises `requests.RequestException`, `Astray` or `Closed` besides.
        """
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                client = await self._turns.take(urgency)
                try:
                    if self._closed:
                        raise Closed
                    admit()
                except (Closed, SyncError):
                    self._turns.give(client)  # the next who waits must learn it too
                    raise
                work = asyncio.wrap_future(self._threads.submit(client.request, verb, url, dict(headers or {}), body))
                # The thread goes on where this task is cancelled, and keeps its client until it is through.
                work.add_done_callback(lambda done: self._give_back(client, done, note))
                return await asyncio.shield(work)
        except TimeoutError as error:  # bytes came, one by one
            raise requests.Timeout from error

    def close(self) -> None:
        """A call under way is left to end by itself."""
        self._closed = True
        self._threads.shutdown(wait=False)
        for client in self._turns.idle():
            client.close()

    def _give_back(self, client: "_Client", done: "asyncio.Future[Answer]", note: Callable[[Answer], None]) -> None:
        try:
            if not done.cancelled() and done.exception() is None:
                note(done.result())
        finally:
            if self._closed:
                client.close()
            self._turns.give(client)


class _Client:
    """One requester and its connection."""

    def __init__(self, api_url: str, auth: Auth.Auth | None, trust: ssl.SSLContext | None) -> None:
        self._requester = Github(
            base_url=api_url,
            auth=auth,
            user_agent=f"github-onedev-sync/{__version__}",
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
            lazy=True,
            api_version=API_VERSION,
        ).requester
        self._connection = _connect(api_url, trust)

    def request(self, verb: str, url: str, headers: dict[str, str], body: Mapping[str, Any] | None) -> Answer:
        counted = cast(_Connection, _Counted(self._connection))
        headers = {"Accept": "application/vnd.github+json", **headers}
        return Answer(*self._requester.requestJson(verb, url, headers=headers, input=body, cnx=counted))

    def close(self) -> None:
        self._connection.close()


def _connect(api_url: str, trust: ssl.SSLContext | None) -> _Connection:
    url = urlsplit(api_url)
    kind = HTTPSRequestsConnectionClass if url.scheme == "https" else HTTPRequestsConnectionClass
    connection = kind(url.hostname or "", url.port, timeout=TIMEOUT, pool_size=1)
    connection.session.mount(f"{url.scheme}://", _Adapter(trust))
    return connection


class _Adapter(HTTPAdapter):
    """requests' adapter with a TLS context of ours (a private authority without a file on disk), and bounded."""

    def __init__(self, trust: ssl.SSLContext | None) -> None:
        self._trust = trust
        super().__init__(pool_connections=1, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        kwargs["ssl_context"] = self._trust
        super().init_poolmanager(*args, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        kwargs["ssl_context"] = self._trust
        return super().proxy_manager_for(proxy, **kwargs)

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        response.raw = _Bounded(resp)
        return response


class _Bounded:
    """urllib3's response, whose body ends with an error where it is too long."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __getattr__(self, name: str) -> Any:
        return getattr(self._response, name)

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        size = 0
        for piece in self._response.stream(amount, decode_content=decode_content):
            size += len(piece)
            if size > _BODY_LIMIT:
                self._response.close()
                raise Oversized
            yield piece


class _Counted:
    """A connection that ends a call of too many exchanges."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._left = _EXCHANGES_PER_CALL

    def request(self, *args: Any) -> None:
        if not self._left:
            raise Astray
        self._left -= 1
        self._connection.request(*args)

    def getresponse(self) -> Any:
        response = self._connection.getresponse()
        if response.status == 301:  # PyGithub would follow it without the query
            response.status = 308
        return response
