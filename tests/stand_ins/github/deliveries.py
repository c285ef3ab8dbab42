"""Sends what hooks are to hear, and keeps the log of it: once each, never again by itself, as GitHub."""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from urllib.parse import quote_plus

import aiohttp

from .hooks import CONTENT_TYPES, Hook
from .listed import moment

TIMEOUT = 10.0
# The log goes back this far, and what is not in it cannot be sent again.
KEPT_SECONDS = 3 * 24 * 3600
LARGEST = 25 * 1024 * 1024
DISTURBANCES = ("fail", "skip", "late", "twice")
LOG_LENGTH = 50_000
_ANSWER_KEPT = 10_000


@dataclass(frozen=True)
class Event:
    """What a hook is to hear."""

    name: str
    payload: dict[str, Any]
    repository_id: int | None = None
    installation_id: int | None = None


@dataclass
class Delivery:
    """status_code is 0 as long as it runs."""

    id: int
    guid: str
    hook_id: int
    event: Event
    at: float
    redelivery: bool = False
    duration: float = 0.0
    status: str = ""
    status_code: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: str = ""
    url: str = ""

    @property
    def ended(self) -> bool:
        return self.status_code != 0

    @property
    def failed(self) -> bool:
        return not 200 <= self.status_code < 400

    def shown(self, *, full: bool = False) -> dict[str, Any]:
        document = {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": moment(datetime.fromtimestamp(self.at, UTC)),
            "redelivery": self.redelivery,
            "duration": round(self.duration, 2),
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event.name,
            "action": self.event.payload.get("action"),
            "installation_id": self.event.installation_id,
            "repository_id": self.event.repository_id,
            "throttled_at": None,
        }
        if full:
            document["url"] = self.url
            document["request"] = {"headers": self.headers, "payload": self.event.payload}
            document["response"] = {"headers": self.answer_headers, "payload": self.answer}
        return document


@dataclass
class Disturbance:
    how: str
    count: int | None
    seconds: float


class Deliveries:
    """timeout: seconds in which a receiver has to answer."""

    def __init__(self) -> None:
        self._log: deque[Delivery] = deque(maxlen=LOG_LENGTH)
        self._ids = count(90_000_000_001)
        self._running: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._disturbances: list[Disturbance] = []
        self.timeout = TIMEOUT

    def disturb(self, how: str, times: int | None, seconds: float) -> None:
        self._disturbances = [one for one in self._disturbances if one.count != 0]
        self._disturbances.append(Disturbance(how, times, seconds))

    def undisturbed(self) -> None:
        self._disturbances.clear()

    def send(self, hook: Hook, event: Event) -> None:
        """Begins a delivery; `settled` waits for its end."""
        disturbance = self._disturbance()
        how = disturbance.how if disturbance else ""
        if how == "skip" or len(json.dumps(event.payload)) > LARGEST:
            return
        guid = str(uuid.uuid4())
        delay = disturbance.seconds if disturbance and how == "late" else 0.0
        for _ in range(2 if how == "twice" else 1):
            self._begin(hook, event, guid, delay=delay, fail=how == "fail")

    def again(self, hook: Hook, delivery: Delivery) -> None:
        """The same event with the same GUID, to where the hook leads now."""
        self._begin(hook, delivery.event, delivery.guid, redelivery=True)

    def _disturbance(self) -> Disturbance | None:
        for one in self._disturbances:
            if one.count != 0:
                one.count = None if one.count is None else one.count - 1
                return one
        return None

    def _begin(
        self, hook: Hook, event: Event, guid: str, *, delay: float = 0.0, fail: bool = False, redelivery: bool = False
    ) -> None:
        delivery = Delivery(next(self._ids), guid, hook.id, event, time.time(), redelivery, url=hook.url)
        task = asyncio.create_task(self._deliver(hook, delivery, delay, fail))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _deliver(self, hook: Hook, delivery: Delivery, delay: float, fail: bool) -> None:
        await asyncio.sleep(delay)
        body = _body(hook, delivery.event)
        delivery.headers = _headers(hook, delivery, body)
        delivery.at = time.time()
        self._log.append(delivery)
        started = time.monotonic()
        try:
            status = 0 if fail else await self._post(delivery, body)
            delivery.status = "OK" if 200 <= status < 300 else f"Invalid HTTP Response: {status}"
            delivery.status_code = status
            if fail:
                delivery.status, delivery.status_code = "failed to connect to host", 502
        except TimeoutError:
            delivery.status, delivery.status_code = "timed out", 504
        except (aiohttp.ClientError, OSError, ValueError):
            delivery.status, delivery.status_code = "failed to connect to host", 502
        delivery.duration = time.monotonic() - started
        state = "active" if delivery.status == "OK" else "error"
        hook.last_response = {"code": delivery.status_code, "status": state, "message": delivery.status}

    async def _post(self, delivery: Delivery, body: bytes) -> int:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        limit = aiohttp.ClientTimeout(total=self.timeout)
        url, headers = delivery.url, delivery.headers
        async with self._session.post(url, data=body, headers=headers, timeout=limit, allow_redirects=False) as answer:
            delivery.answer = (await answer.text(errors="replace"))[:_ANSWER_KEPT]
            delivery.answer_headers = dict(answer.headers)
            return answer.status

    async def settled(self) -> None:
        """Nothing is under way any more."""
        while self._running:
            await asyncio.gather(*self._running)

    async def close(self) -> None:
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def of(self, hook_id: int) -> Iterator[Delivery]:
        """Newest first, those that have ended and that GitHub still knows."""
        oldest = time.time() - KEPT_SECONDS
        kept = (one for one in self._log if one.hook_id == hook_id and one.ended and one.at >= oldest)
        return iter(sorted(kept, key=lambda one: one.id, reverse=True))

    def find(self, hook_id: int, number: int) -> Delivery | None:
        return next((one for one in self.of(hook_id) if one.id == number), None)

    def age(self, seconds: float) -> None:
        """As if all that was sent had been sent so much earlier."""
        for one in self._log:
            one.at -= seconds

    def forget(self) -> None:
        self._log.clear()


def _body(hook: Hook, event: Event) -> bytes:
    text = json.dumps(event.payload, separators=(",", ":"))
    return f"payload={quote_plus(text)}".encode() if hook.content_type == "form" else text.encode()


def _headers(hook: Hook, delivery: Delivery, body: bytes) -> dict[str, str]:
    headers = {
        "Accept": "*/*",
        "Content-Type": CONTENT_TYPES[hook.content_type],
        "User-Agent": "GitHub-Hookshot/0123abc",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event.name,
        "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-ID": str(hook.target),
        "X-GitHub-Hook-Installation-Target-Type": hook.target_type,
    }
    if hook.secret:
        for name, algorithm in (("X-Hub-Signature", hashlib.sha1), ("X-Hub-Signature-256", hashlib.sha256)):
            signature = hmac.new(hook.secret.encode(), body, algorithm).hexdigest()
            headers[name] = f"{algorithm().name}={signature}"
    return headers
