"""The HTTP side that both stand-ins share: journal, faults, admin API, start and stop."""

import asyncio
import inspect
import json
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from aiohttp import web

from .bodies import FAULT, Answer, cut
from .misbehaviour import BadFault, Entry, Faults, Journal
from .processes import Processes

ADMIN = "/_stand-in/"
CHUNK = 65536
# Jetty takes 16 KiB of headers; the check is the stand-in's own, so aiohttp must let more through.
HEADER_LIMIT = 65536
STOP_SECONDS = 0.2

Action = Callable[..., Awaitable[Any]]


class ActionError(ValueError):
    """An action that cannot be done; the text names what is wrong."""


class StandIn:
    """One server. Use it with `async with`, or run it with `serve_until_stopped`.

    listen: "host:port", port 0 for any free one. public_url: what the server calls itself in its answers, without a
    trailing slash; where it is not given, what a client on this machine would use.
    """

    def __init__(self, listen: str = "127.0.0.1:0", public_url: str | None = None) -> None:
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]") or "0.0.0.0", int(port)
        self._public_url = public_url
        self._runner: web.ServerRunner | None = None
        self.journal = Journal()
        self.faults = Faults()
        self.processes = Processes()

    @property
    def url(self) -> str:
        """The address on which this machine reaches the server."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::", "") else self._host
        return f"http://{host}:{self._port}"

    @property
    def public_url(self) -> str:
        return self._public_url or self.url

    def actions(self) -> Mapping[str, Action]:
        """What `POST /_stand-in/actions` can do: the name and the coroutine that takes the other members."""
        raise NotImplementedError

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        """Handles one request that no fault has answered; sets `entry.authenticated`."""
        raise NotImplementedError

    async def start(self) -> None:
        server = web.Server(
            self._handle,
            auto_decompress=False,
            access_log=None,
            max_line_size=HEADER_LIMIT,
            max_field_size=HEADER_LIMIT,
            lingering_time=1.0,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=STOP_SECONDS)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self.processes.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.raw_path.startswith(ADMIN):
            return await self._administer(request)
        entry = self.journal.open(request.method, request.raw_path, request.headers)
        started = time.monotonic()
        try:
            response = await self._answer_or_misbehave(request, entry)
            entry.status = response.status
        except ConnectionError:
            entry.status = 0
            response = web.Response(status=500)
        finally:
            entry.seconds = round(time.monotonic() - started, 4)
        return response

    async def _answer_or_misbehave(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        fault = self.faults.take(request.method, request.raw_path)
        if fault is not None:
            entry.fault, request[FAULT] = fault.id, fault
            await asyncio.sleep(fault.delay)
            if fault.drop == "before":
                raise cut(request)
        if request.headers.get("Expect", "").lower() == "100-continue" and fault is None:
            # The low-level server leaves the interim answer to its user.
            assert request.transport is not None
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if fault is not None and fault.status is not None:
            headers = {"Content-Type": "text/plain", **fault.headers}
            return await self._piecewise(
                request, web.Response(status=fault.status, headers=headers, body=fault.body.encode())
            )
        response = await self.answer(request, entry)
        return response if fault is None else await self._piecewise(request, response)

    async def _piecewise(self, request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
        """Sends a finished answer through `Answer`, so that the fault of this request applies to it."""
        if not isinstance(response, web.Response):
            return response
        answer = Answer(request, response.status, response.headers)
        body = response.body if isinstance(response.body, bytes) else b""
        if not answer.lost:
            answer.content_length = len(body)
            await answer.prepare(request)
            await answer.write(body)
        return await answer.finish()

    async def _administer(self, request: web.BaseRequest) -> web.Response:
        path, query = urlsplit(request.raw_path).path[len(ADMIN) :], urlsplit(request.raw_path).query
        parameters = {name: values[-1] for name, values in parse_qs(query).items()}
        body = await _whole(request)
        try:
            if request.method == "PUT":
                return web.json_response(await self.receive(unquote(path), body))
            members = json.loads(body or b"{}")
            result = await self._admin_call(request.method, unquote(path).strip("/"), parameters, members)
        except (BadFault, ActionError, TypeError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"error": f"no {path}"}, status=404) if result is None else web.json_response(result)

    async def _admin_call(self, method: str, path: str, parameters: Mapping[str, str], members: Any) -> Any:
        match method, path:
            case "GET", "journal":
                wanted = {name: parameters[name] for name in ("method", "path") if name in parameters}
                found = self.journal.entries(**wanted, since=int(parameters.get("since", 0)))
                return [asdict(entry) for entry in found]
            case "DELETE", "journal":
                self.journal.clear()
            case "GET", "faults":
                return self.faults.as_json()
            case "POST", "faults":
                return asdict(self.faults.add(**members))
            case "DELETE", "faults":
                self.faults.clear(int(parameters["id"]) if "id" in parameters else None)
            case "GET", "actions":
                return {name: str(inspect.signature(action)) for name, action in self.actions().items()}
            case "POST", "actions":
                return {"result": await self.act(**members)}
            case _:
                return None
        return {}

    async def receive(self, path: str, body: bytes) -> Any:
        """What `PUT /_stand-in/<path>` does with a body that is no JSON. Raises ActionError."""
        raise ActionError(f"nothing to put at {path}, {len(body)} bytes refused")

    async def act(self, action: str, **members: Any) -> Any:
        """Does what `POST /_stand-in/actions` with these members does. Raises ActionError."""
        known = self.actions()
        if action not in known:
            raise ActionError(f"no action {action!r}; there are {', '.join(sorted(known))}")
        return await known[action](**members)


async def _whole(request: web.BaseRequest) -> bytes:
    # `request.read` would refuse what is larger than a mebibyte.
    return b"".join([piece async for piece in request.content.iter_any()])


async def serve_until_stopped(server: StandIn) -> None:
    """Runs the server until SIGTERM or SIGINT; then everything it started is gone."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with server:
        print(f"listening on {server.url}, known as {server.public_url}, process {os.getpid()}", flush=True)
        await stopped.wait()
