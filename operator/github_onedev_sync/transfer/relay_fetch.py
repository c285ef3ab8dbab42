"""The source's end of a relay: one `fetch`, whose pack is handed on as it arrives."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import aiohttp

from ..api.conditions import Reason
from ..api.errors import Retry, SyncError
from .answers import public
from .engine import Endpoint, Trouble
from .side import BROKEN, Side
from .wire import FetchAnswer, WireError, fetch_request, holds_trees_or_blobs

_RESULT = "application/x-git-upload-pack-result"
_HEADERS = {
    "Git-Protocol": "version=2",
    "Content-Type": "application/x-git-upload-pack-request",
    "Accept": _RESULT,
}
# 538 haves are 13 kB, which GitHub and OneDev both take compressed.
_COMPRESS_FROM = 1024
# As long as a frame can be: larger ones would be copied several times over.
_PIECE = 1 << 16
_LEAVE_SECONDS = 1.0
_PROBE_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Timings:
    """Seconds. A source may count objects for long before its first pack byte, but while it stands still in the middle
    of a pack it holds one of OneDev's slots, and OneDev gives up a push after 30 s without a byte.

    `answer`: a server's first byte; `counting`: the first pack byte; `silence`: between two of them; `dribble`: after
    this silence OneDev gets one byte that was held back; `stuck`: OneDev takes no byte; `report`: between two bytes of
    its answer, a wait for a slot included.
    """

    connect: float = 10.0
    answer: float = 120.0
    counting: float = 900.0
    silence: float = 100.0
    dribble: float = 10.0
    stuck: float = 120.0
    report: float = 600.0


class Incoming:
    """A pack on its way. `received` counts its bytes."""

    reason = Reason.SOURCE_UNAVAILABLE

    def __init__(self, side: Side, response: aiohttp.ClientResponse, on_bytes: Callable[[int], None]) -> None:
        self._on_bytes = on_bytes
        self._side = side
        self._content = response.content
        self._answer = FetchAnswer()
        self.received = 0

    @property
    def shallow(self) -> list[str]:
        return self._answer.shallow

    async def read(self, seconds: float) -> bytes:
        """The next bytes of the pack, or none at its very end, seen and proven. Raises TimeoutError after `seconds`
        without any, after which it may be called again, and `SyncError`."""
        async with asyncio.timeout(seconds):
            while not self._answer.ended:
                if pieces := await self._feed():
                    data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                    self.received += len(data)
                    self._on_bytes(self.received)
                    return data
        return b""

    async def read_sections(self, seconds: float) -> None:
        """Reads what comes before the pack."""
        async with asyncio.timeout(seconds):
            while not self._answer.in_pack:
                await self._feed()

    async def leave(self) -> None:
        """Where the answer is over, the connection can serve the next request once its very end has been seen."""
        if self._answer.ended:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LEAVE_SECONDS):
                    await self._content.readany()

    async def _feed(self) -> list[bytes]:
        try:
            data = await self._content.read(_PIECE)
            if not data:
                self._answer.finish()
            return self._answer.feed(data)
        except WireError as error:
            raise self.garbled(error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Trouble(
                self._side.reason, f"{public(self._side.base)} broke off: {error or type(error).__name__}"
            ) from error

    def garbled(self, error: Exception) -> SyncError:
        if "not our ref" in str(error):
            return Retry(Reason.SOURCE_UNAVAILABLE, f"{public(self._side.base)} changed while it was being read")
        return Trouble(self._side.reason, f"{public(self._side.base)} did not send a whole pack: {error}")

    def silent(self, seconds: float) -> SyncError:
        return Trouble(self._side.reason, f"{public(self._side.base)} sent nothing of its pack for {seconds:g} s")


class Fetcher:
    """Asks the repository at `endpoint`, where its refs were read: it follows no redirect."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        timings: Timings,
        on_bytes: Callable[[int], None] = lambda received: None,
    ) -> None:
        self._timings = timings
        self._on_bytes = on_bytes
        # Reads are timed by `Incoming`, which may have to wait for OneDev in between.
        self._side = Side(session, endpoint, aiohttp.ClientTimeout(total=None, connect=timings.connect))

    @asynccontextmanager
    async def fetch(self, request: bytes) -> AsyncIterator[Incoming]:
        """Leaving it early closes the connection. Raises `SyncError`."""
        headers = dict(_HEADERS)
        if len(request) > _COMPRESS_FROM:
            request, headers["Content-Encoding"] = gzip.compress(request, 1, mtime=0), "gzip"
        try:
            async with asyncio.timeout(self._timings.answer) as waiting:
                async with self._side.request("POST", "/git-upload-pack", headers, request) as response:
                    await self._side.expect(response, _RESULT)
                    waiting.reschedule(None)
                    incoming = Incoming(self._side, response, self._on_bytes)
                    yield incoming
                    await incoming.leave()
        except BROKEN as error:
            raise self._side.broken(error) from error

    async def oldest_since(self, tip: str, date: int) -> list[str] | None:
        """The commits in the history of `tip` that are the oldest since `date` (seconds since 1970); none where all of
        it is younger, None where all of it is older, which git answers with a cut."""
        try:
            async with self.fetch(fetch_request([tip], shallow=f"deepen-since {date}")) as incoming:
                await incoming.read_sections(self._timings.counting)
                return incoming.shallow
        except (Trouble, TimeoutError):
            return None

    async def other_objects(self, oids: Iterable[str]) -> frozenset[str]:
        """Those that are neither commits nor tags of commits, by asking without history: a few hundred bytes each."""
        asked = sorted(set(oids))
        if not asked or not await self._hold_others(asked):
            return frozenset()
        if len(asked) == 1:
            return frozenset(asked)
        middle = len(asked) // 2
        return await self.other_objects(asked[:middle]) | await self.other_objects(asked[middle:])

    async def _hold_others(self, oids: list[str]) -> bool:
        pack = bytearray()
        async with self.fetch(fetch_request(oids, shallow="deepen 1")) as incoming:
            try:
                while piece := await incoming.read(self._timings.counting):
                    pack += piece
                    if len(pack) > _PROBE_LIMIT:
                        return True
                return holds_trees_or_blobs(bytes(pack))
            except WireError as error:
                raise incoming.garbled(error) from error
            except TimeoutError as error:
                raise incoming.silent(self._timings.counting) from error
