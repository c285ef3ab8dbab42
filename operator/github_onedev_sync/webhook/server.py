"""The HTTP server of the receiver: uvicorn, with a limit on how long a head may take and a certificate that is
exchanged while it serves."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..observability import logs
from .secret import mark
from .settings import Settings

log = logging.getLogger(__name__)

# From the connection, or a head's first byte, to the head's end. (The body's time is the receiver's.)
HEAD_SECONDS = 10.0
# Longer than a proxy in front keeps connections (nginx: 60), or it would send into one that is being closed.
_KEEP_SECONDS = 75
_HEAD_BYTES = 32 * 1024
# Longer than a delivery may take; then Kubernetes would kill it.
_SHUTDOWN_SECONDS = 15
_LOOK_SECONDS = 10.0


class _OnePiece(asyncio.Transport):
    """Sends at once what is written in one turn of the loop: uvicorn writes head and body of an answer one by one, and
    each system call costs more than it takes to decide on a delivery."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport, self._loop = transport, loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(bytes(data))

    def _send(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)


class PatientProtocol(H11Protocol):
    """Waits for a head, but not for ever; nor for the rest of a body whose request was answered already."""

    patience = HEAD_SECONDS
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_OnePiece(transport, self.loop))
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        unread, _ = self.conn.trailing_data
        if unread or self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        at_work = self.cycle is not None and not self.cycle.response_complete
        if at_work or self.transport.is_closing():
            self._stop()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.patience, self.transport.abort)

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class Server(uvicorn.Server):
    """Leaves signals to the process, which has more to end than this."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def port(self) -> int:
        """The one that it listens on, once it has started."""
        return int(self.servers[0].sockets[0].getsockname()[1])


def build_server(app: FastAPI, settings: Settings, host: str = "0.0.0.0") -> Server:  # noqa: S104 - GitHub is outside
    trusted = [str(network) for network in settings.trusted_proxies]
    config = uvicorn.Config(
        app,
        host=host,
        port=settings.port,
        loop="asyncio",
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Without such a proxy nobody is believed who says for whom he speaks.
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted,
        timeout_keep_alive=_KEEP_SECONDS,
        limit_concurrency=settings.max_connections,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
    )
    return Server(config)


@dataclass
class Certificate:
    """A mounted certificate, loaded anew into the server's context when its files have changed."""

    certificate: Path
    key: Path
    context: ssl.SSLContext
    seen: object = None

    def __post_init__(self) -> None:
        self.seen = self._mark()

    async def keep_fresh(self) -> None:
        """Never ends by itself."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """New connections get the new certificate. Where it is no good, the old one stays."""
        now = self._mark()
        if now == self.seen:
            return
        try:
            # A pair that does not fit leaves its context with half of it: tried on another one first.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.context):
                context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            logs.event(log, "certificate not loaded", logging.ERROR, file=str(self.certificate), message=str(error))
            return
        self.seen = now
        logs.event(log, "certificate loaded", file=str(self.certificate))

    def _mark(self) -> object:
        return mark(self.certificate), mark(self.key)
