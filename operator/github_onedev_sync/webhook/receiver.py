"""One request, from its head to its answer: who sends it, how large it is, who signed it, what it says, what to do.

In this order, so that a stranger costs as little as possible and learns nothing: not which repositories are mirrored,
and not what was wrong with a signature.
"""

import asyncio
import logging
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from ..api.delivery import DELIVERY_ID, Payload, essentials
from ..api.errors import ClusterRefused, ClusterUnavailable
from ..observability import logs
from . import body as bodies
from .acting import Acting, Done
from .addresses import RateLimit, is_in, read_address
from .allow_list import AllowList
from .answers import AGAIN, STATUS, Refused, Result
from .body import Room
from .intents import HANDLED, Intent, Unreadable, intents
from .memory import Memory
from .metrics import Metrics
from .secret import Secrets, Verifier, signature_of

log = logging.getLogger(__name__)

# GitHub waits ten seconds for an answer.
_DEADLINE = 9.0
# A call to the API server that failed is worth another one: it may be a replica that is going, and a delivery that is
# refused comes again only when the controller has found it.
_PAUSES = (0.3, 1.5)
# Of all bodies together: what GitHub sends is a few kilobytes, but may be 25 MB.
_ROOM = 64 * 1024 * 1024
_DELIVERY = re.compile(DELIVERY_ID)
_EVENT = re.compile(r"[a-z_]{1,50}")


class Left(Exception):
    """The sender went away before its body was complete."""


@dataclass
class Request:
    """One HTTP request. `pieces` are its body; they raise `Left`."""

    headers: Mapping[str, str]
    client: str
    pieces: AsyncIterator[bytes]
    id: str = field(default_factory=lambda: secrets.token_hex(6))
    # For its line in the log, as far as it was read.
    told: dict[str, Any] = field(default_factory=dict)

    # Empty where they are missing, or are nothing that can be repeated in an answer.
    delivery: str = field(init=False)
    event: str = field(init=False)

    def __post_init__(self) -> None:
        delivery, event = self.headers.get("x-github-delivery", ""), self.headers.get("x-github-event", "")
        self.delivery = delivery if _DELIVERY.fullmatch(delivery) else ""
        self.event = event if _EVENT.fullmatch(event) else ""


@dataclass(frozen=True)
class Answer:
    request: str
    delivery: str
    result: Result
    again: float = 0.0

    @property
    def status(self) -> int:
        return STATUS[self.result]

    @property
    def body(self) -> dict[str, str]:
        ids = {"request": self.request, "delivery": self.delivery, "result": str(self.result)}
        return {name: value for name, value in ids.items() if value}

    @property
    def headers(self) -> dict[str, str]:
        found = {"X-Request-Id": self.request, "X-GitHub-Delivery": self.delivery}
        if again := self.again or AGAIN.get(self.result, 0):
            found["Retry-After"] = str(max(1, round(again + 0.5)))
        return {name: value for name, value in found.items() if value}


@dataclass
class Receiver:
    acting: Acting
    secrets: Secrets
    rate_limit: RateLimit
    metrics: Metrics
    allow_list: AllowList | None = None
    memory: Memory = field(default_factory=Memory)
    room: Room = field(default_factory=lambda: Room(_ROOM))
    deadline: float = _DEADLINE
    pauses: tuple[float, ...] = _PAUSES

    async def receive(self, request: Request, *, from_inside: bool = False) -> Answer:
        """Where it came `from_inside` the cluster, at the admin port, its address does not matter."""
        loop = asyncio.get_running_loop()
        began, result = loop.time(), Result.BUG
        again = 0.0
        try:
            result = await self._in_time(request, from_inside)
        except Refused as refused:
            result, again = refused.result, refused.again
            request.told["why"] = refused.why
        except asyncio.CancelledError:
            result = Result.GONE
            raise
        finally:
            self.end(request, result, loop.time() - began)
        return Answer(request.id, request.delivery, result, again)

    def end(self, request: Request, result: Result, seconds: float = 0.0) -> Answer:
        """Counts and logs what became of a request."""
        self.metrics.delivery(request.event, result, seconds)
        level = logging.ERROR if result is Result.BUG else logging.WARNING if STATUS[result] >= 400 else logging.INFO
        ids = {
            "delivery": request.delivery,
            "request": request.id,
            "github_event": request.event,
            "client": request.client,
        }
        logs.event(log, "delivery", level, **ids, **request.told, result=str(result), seconds=round(seconds, 4))
        return Answer(request.id, request.delivery, result)

    async def replay(self, delivery: str) -> Answer | None:
        """Does again what a delivery wanted that is still remembered; None where it is not."""
        wanted = self.memory.wanted(delivery)
        if wanted is None:
            return None
        request = secrets.token_hex(6)
        # Another word than the first time, or the mirrors would know it already.
        token = f"{delivery}.{request}"
        done = await self.acting.act(wanted, token)
        logs.event(log, "replay", delivery=delivery, request=request, looks=done.looks, made=done.made)
        return Answer(request, delivery, Result.ACCEPTED)

    async def _act(self, wanted: Sequence[Intent], token: str) -> Done:
        for pause in self.pauses:
            try:
                return await self.acting.act(wanted, token)
            except ClusterUnavailable:
                await asyncio.sleep(pause)
        return await self.acting.act(wanted, token)

    async def _in_time(self, request: Request, from_inside: bool) -> Result:
        try:
            async with asyncio.timeout(self.deadline) as limit:
                if not from_inside:
                    self._check_address(request)
                return await self._take(request)
        except TimeoutError:
            if not limit.expired():
                raise
            late = Result.CLUSTER_UNAVAILABLE if request.told else Result.TOO_SLOW
            raise Refused(late, "not done in time") from None
        except Left:
            raise Refused(Result.GONE) from None

    async def _take(self, request: Request) -> Result:
        head = request.headers
        kind = bodies.check_head(head.get("content-type"), head.get("content-encoding"), head.get("content-length"))
        if not request.event or not request.delivery:
            raise Refused(Result.NO_DELIVERY, "X-GitHub-Event and X-GitHub-Delivery must be there")
        return await self._verified(request, kind)

    def _check_address(self, request: Request) -> None:
        address = read_address(request.client)
        if self.allow_list is not None:
            if self.allow_list.networks is None:
                raise Refused(Result.NOT_READY, "GitHub's addresses are not known yet")
            if not is_in(address, self.allow_list.networks):
                raise Refused(Result.WRONG_ADDRESS, "not one of GitHub's addresses")
        if wait := self.rate_limit.wait(address):
            raise Refused(Result.TOO_MANY, again=wait)

    async def _verified(self, request: Request, kind: str) -> Result:
        known = self.secrets.current()
        if not known:
            raise Refused(Result.NOT_READY, self.secrets.trouble)
        signature = signature_of(request.headers.get("x-hub-signature-256"))
        if signature is None:
            raise Refused(Result.WRONG_SIGNATURE)
        verifier = Verifier(known)
        body = await bodies.read(request.pieces, verifier, self.room)
        size = len(body)
        try:
            if not verifier.matches(signature):
                raise Refused(Result.WRONG_SIGNATURE)
            if request.event not in HANDLED:
                return Result.PONG if request.event == "ping" else Result.NOT_HANDLED
            payload = self._read(kind, body)
        finally:
            body.clear()
            self.room.give_back(size)
        request.told |= essentials(payload)
        return await self._handle(request, payload)

    @staticmethod
    def _read(kind: str, body: bytearray) -> Payload:
        try:
            return Payload.model_validate_json(bodies.payload_of(kind, body))
        except ValidationError as error:
            places = ", ".join(".".join(map(str, one["loc"])) or "all" for one in error.errors(include_input=False)[:5])
            raise Refused(Result.UNREADABLE, f"it is not as GitHub describes it: {places}") from None

    async def _handle(self, request: Request, payload: Payload) -> Result:
        try:
            wanted = intents(request.event, payload)
        except Unreadable as error:
            raise Refused(Result.UNREADABLE, str(error)) from None
        if self.memory.is_finished(request.delivery):
            return Result.DUPLICATE
        done = Done()
        if wanted:
            try:
                done = await self._act(wanted, request.delivery)
            except (ClusterUnavailable, ClusterRefused) as error:
                self.acting.syncs.doubt()
                raise Refused(Result.CLUSTER_UNAVAILABLE, str(error)) from None
        self.memory.finish(request.delivery, wanted)
        request.told |= {"looks": done.looks, "made": done.made}
        return Result.ACCEPTED if done != Done() else Result.NOTHING_TO_DO
