"""OneDev's end of a relay: one push, whose pack is at hand or on its way."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

import aiohttp

from ..api.conditions import Reason
from ..api.errors import SyncError
from .answers import public
from .engine import Endpoint, Trouble, Unfit
from .git_words import refusal_error
from .pktline import Parser, PktLineError
from .relay_fetch import Incoming, Timings
from .side import BROKEN, Target
from .steps import Command, PushResult
from .wire import PushAnswer, WireError, capabilities_in, push_request

_INFO_REFS = "/info/refs?service=git-receive-pack"
_ADVERTISEMENT = "application/x-git-receive-pack-advertisement"
_RESULT = "application/x-git-receive-pack-result"
_HEADERS = {"Content-Type": "application/x-git-receive-pack-request", "Accept": _RESULT}
_ADVERTISED = 1 << 20
_NEEDED = ("report-status", "side-band-64k", "delete-refs")
# What is held back must be long enough to be handed out byte by byte through a long silence.
_HELD = 64


# By session and server: git's abilities are the same for all projects of one, as long as a worker lives.
_offers: WeakKeyDictionary[aiohttp.ClientSession, dict[str, frozenset[str]]] = WeakKeyDictionary()


class Streamed:
    """A pack on its way as the body of a push: `head`, what has arrived, and the rest as it comes.

    The newest piece is held back, so that there is a byte to give when the source falls silent. It ends as a body ends
    only where the pack did; on any fault it raises, the connection is cut, and OneDev discards everything.
    """

    def __init__(self, head: bytes, arrived: deque[bytes], incoming: Incoming, timings: Timings) -> None:
        self._head = head
        self._arrived = arrived
        self._incoming = incoming
        self._timings = timings
        self.fault: SyncError | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            yield self._head
            while len(self._arrived) > 1:
                yield self._arrived.popleft()
            held, silent = self._arrived.popleft(), 0.0
            while True:
                try:
                    piece = await self._incoming.read(self._timings.dribble)
                except TimeoutError:
                    silent += self._timings.dribble
                    if silent >= self._timings.silence:
                        raise self._incoming.silent(silent) from None
                    if len(held) > 1:
                        yield held[:1]
                        held = held[1:]
                    continue
                silent = 0.0
                if not piece:
                    break
                if len(held) < _HELD:
                    held += piece
                else:
                    yield held
                    held = piece
            yield held
        except SyncError as fault:
            # The transport would tell of a failed write, and not why.
            self.fault = fault
            raise


class Pusher:
    """Pushes to the OneDev project at `endpoint`."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint, timings: Timings) -> None:
        self._timings = timings
        timeout = aiohttp.ClientTimeout(total=None, connect=timings.connect, sock_read=timings.report)
        self._side = Target(session, endpoint, timeout)
        self._offers = _offers.setdefault(session, {})
        self._server = urlsplit(endpoint.url).netloc

    async def offered(self) -> frozenset[str]:
        """What the server's receive-pack can do, asked once. Raises `SyncError` and Unfit."""
        if self._server not in self._offers:
            offered = await self._ask()
            lacking = [name for name in _NEEDED if name not in offered]
            if lacking:
                raise Unfit(f"{public(self._side.base)} does not offer {', '.join(lacking)}")
            self._offers[self._server] = offered
        return self._offers[self._server]

    async def _ask(self) -> frozenset[str]:
        try:
            async with (
                asyncio.timeout(self._timings.answer),
                self._side.request("GET", _INFO_REFS, {}) as response,
            ):
                await self._side.expect(response, _ADVERTISEMENT)
                parser, size = Parser(), 0
                found: frozenset[str] | None = None
                async for data in response.content.iter_any():
                    # The rest is read, too, so that the connection can serve the push.
                    size += len(data)
                    if size > _ADVERTISED:
                        break
                    if found is None:
                        lines = (frame for frame in parser.feed(data) if isinstance(frame, bytes))
                        found = next((capabilities_in(line) for line in lines if b"\0" in line), None)
                if found is None:
                    raise self._garbled(WireError("it lists no capabilities"))
                return found
        except PktLineError as error:
            raise self._garbled(error) from error
        except BROKEN as error:
            raise self._side.broken(error) from error

    async def push(self, commands: Sequence[Command], pack: bytes | tuple[deque[bytes], Incoming]) -> PushResult:
        """`pack` is whole, or what has arrived of it (some), which is used up, and the rest.

        Failures are told, not raised; Unfit is.
        """
        streamed: Streamed | None = None
        try:
            head = push_request(commands, await self.offered())
            if isinstance(pack, bytes):
                return _result(commands, await self._post(head + pack))
            streamed = Streamed(head, *pack, self._timings)
            return _result(commands, await self._post(streamed))
        except SyncError as error:
            return PushResult(error=streamed.fault if streamed and streamed.fault else error)

    async def _post(self, body: bytes | Streamed) -> PushAnswer:
        """OneDev's whole report. Its status says nothing: it comes with the first byte of git's answer."""
        answer, timings, loop = PushAnswer(), self._timings, asyncio.get_running_loop()

        async def watched(streamed: Streamed) -> AsyncIterator[bytes]:
            # While OneDev does not take the body nothing else would ever time out.
            async for piece in streamed.pieces():
                guard.reschedule(loop.time() + timings.stuck)
                yield piece
                guard.reschedule(None)
            guard.reschedule(loop.time() + timings.report)

        try:
            async with asyncio.timeout(timings.report if isinstance(body, bytes) else None) as guard:
                data = body if isinstance(body, bytes) else watched(body)
                async with self._side.request("POST", "/git-receive-pack", _HEADERS, data) as response:
                    await self._side.expect(response, _RESULT)
                    async for piece in response.content.iter_any():
                        answer.feed(piece)
                        guard.reschedule(loop.time() + timings.report)
            answer.finish()
        except WireError as error:
            raise self._garbled(error) from error
        except aiohttp.ClientConnectorError as error:
            raise self._side.broken(error) from error
        except BROKEN as error:
            raise Trouble(self._side.reason, self._side.broken(error).message) from error
        return answer

    def _garbled(self, error: Exception) -> SyncError:
        return Trouble(self._side.reason, f"{public(self._side.base)} did not answer the push as git does: {error}")


def _result(commands: Sequence[Command], answer: PushAnswer) -> PushResult:
    """A push succeeded where it was unpacked and every ref is ok."""
    said = [f"remote: {line}" for line in answer.said]
    if answer.unpack != "ok":
        return PushResult(error=Trouble(Reason.TARGET_UNAVAILABLE, f"OneDev could not take the pack: {answer.unpack}"))
    untold = [command.name for command in commands if command.name not in answer.refs]
    done = tuple(command for command in commands if command.name in answer.refs and answer.refs[command.name] is None)
    asked = {command.name for command in commands}
    refused = {name: why for name, why in answer.refs.items() if why is not None and name in asked}
    if untold:
        return PushResult(
            done, refused, Trouble(Reason.TARGET_UNAVAILABLE, f"OneDev did not say what became of {untold[0]}")
        )
    lacking = [name for name, why in refused.items() if "missing necessary objects" in why]
    if lacking:
        raise Unfit(f"OneDev lacks history behind {lacking[0]}, which the source did not send: it may be shallow")
    return PushResult(done, refused, refusal_error(refused, said) if refused else None)
