"""A hundred thousand things that are no delivery: none is taken, none does harm, and nothing of them is kept.

They go through the app in this process, for a socket adds nothing but time. What varies is made by a generator with a
fixed seed; `hypothesis` tries the readers of headers and bodies with what it finds interesting.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from github_onedev_sync.api.delivery import Payload, essentials, from_essentials, sign
from github_onedev_sync.webhook.addresses import RateLimit, read_address
from github_onedev_sync.webhook.app import build_app
from github_onedev_sync.webhook.build import Pod
from github_onedev_sync.webhook.intents import HANDLED, Unreadable, intents
from github_onedev_sync.webhook.secret import Verifier, signature_of

from .conftest import PATH, SECRET, headers
from .fakes import FakeCluster
from .samples import NAMES, event_of, raw

TIMES = 100_000
Header = tuple[bytes, bytes]
KNOWN = [
    b"content-type",
    b"content-length",
    b"content-encoding",
    b"x-github-event",
    b"x-github-delivery",
    b"x-hub-signature-256",
    b"x-hub-signature",
    b"x-forwarded-for",
    b"transfer-encoding",
    b"host",
]
WORDS = [
    b"application/json",
    b"application/x-www-form-urlencoded",
    b"gzip",
    b"identity",
    b"push",
    b"star",
    b"installation",
    b"sha256=" + b"0" * 64,
    b"sha256=" + b"f" * 63,
    b"sha1=" + b"0" * 40,
    b"-1",
    b"99999999999999999999999999",
    b"",
    b"\xff\xfe",
    b"a" * 5000,
    b"%00%0a",
    "١٢".encode(),
]


class Fuzz:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.real = [(event_of(name), raw(name)) for name in NAMES]

    def requests(self) -> Iterator[tuple[list[Header], list[bytes]]]:
        kinds: list[Callable[[], tuple[list[Header], bytes]]] = [self._noise, self._forged, self._changed, self._mixed]
        for number in range(TIMES):
            head, body = kinds[number % len(kinds)]()
            cut = self.random.randrange(len(body) + 1)
            yield head, [body[:cut], body[cut:]]

    def _noise(self) -> tuple[list[Header], bytes]:
        names = self.random.choices(KNOWN, k=self.random.randrange(12))
        return [(name, self._word()) for name in names], self.random.randbytes(self.random.randrange(200))

    def _forged(self) -> tuple[list[Header], bytes]:
        """A real delivery that another secret signed."""
        event, body = self.random.choice(self.real)
        return self._head(body, event, self.random.randbytes(8)), body

    def _changed(self) -> tuple[list[Header], bytes]:
        """A real delivery, signed, of which one bit is another."""
        event, body = self.random.choice(self.real)
        changed = bytearray(body)
        changed[self.random.randrange(len(body))] ^= 1 << self.random.randrange(8)
        return self._head(body, event, SECRET), bytes(changed)

    def _mixed(self) -> tuple[list[Header], bytes]:
        """A real delivery with some of its headers exchanged, and its signature always."""
        event, body = self.random.choice(self.real)
        head = dict(self._head(body, event, SECRET))
        for name in self.random.sample(KNOWN, 3):
            head[name] = self._word()
        head[b"x-hub-signature-256"] = self._word()
        return list(head.items()), body

    def _head(self, body: bytes, event: str, secret: bytes) -> list[Header]:
        sent = headers(body, event, "", secret)
        return [(name.lower().encode(), value.encode()) for name, value in sent.items()]

    def _word(self) -> bytes:
        if self.random.random() < 0.5:
            return self.random.choice(WORDS)
        return self.random.randbytes(self.random.randrange(30))


async def post(app: FastAPI, head: list[Header], pieces: list[bytes]) -> int:
    """As uvicorn would hand it over."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": head,
        "client": ("192.0.2.7", 4711),
        "server": ("pod", 80),
        "state": {},
    }
    left = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    left[-1]["more_body"] = False
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return left.pop(0) if left else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await app(scope, receive, send)
    return status[0]


@pytest.mark.timeout(600)
async def test_nothing_is_taken_and_nothing_is_kept(
    pod: Pod, fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL")
    app, found = build_app(pod.receiver, PATH), Counter[int]()
    process, before = psutil.Process(), 0
    for number, (head, pieces) in enumerate(Fuzz(6).requests()):
        found[await post(app, head, pieces)] += 1
        await asyncio.sleep(0)  # as between two real requests
        if number == TIMES // 10:
            before = process.memory_info().rss
    grown = process.memory_info().rss - before
    assert found.keys() <= {400, 401, 413, 415}
    assert found.total() == TIMES
    assert found[401] > TIMES // 4
    assert not fake.calls
    assert len(pod.receiver.memory) == 0
    assert pod.receiver.room.taken == 0
    assert grown < 10 << 20


async def test_the_fuzzer_s_real_deliveries_are_real(pod: Pod, caplog: pytest.LogCaptureFixture) -> None:
    """Unchanged they are taken, so that what refuses them above is the signature."""
    caplog.set_level("CRITICAL")
    app, fuzz = build_app(pod.receiver, PATH), Fuzz(6)
    for event, body in fuzz.real:
        assert await post(app, fuzz._head(body, event, SECRET), [body]) in (200, 202)


@given(st.text() | st.from_regex(r"sha256=[0-9a-f]{60,68}", fullmatch=True), st.binary(max_size=50))
def test_no_header_is_a_signature_by_accident(header: str, body: bytes) -> None:
    signature = signature_of(header)
    verifier = Verifier((SECRET,))
    verifier.update(body)
    assert signature is None or not verifier.matches(signature) or header.lower() == sign(SECRET, body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
MEMBERS = [*Payload.model_fields, "id", "full_name", "owner", "account", "login", "url"]
OBJECTS = st.recursive(JSON, lambda inner: st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=8), max_leaves=30)


@settings(max_examples=300)
@given(st.sampled_from(sorted(HANDLED)), OBJECTS)
def test_whatever_is_signed_is_read_or_refused(event: str, told: Any) -> None:
    try:
        payload = Payload.model_validate_json(json.dumps(told))
        wanted = intents(event, payload)
    except (ValidationError, Unreadable):
        return
    from_essentials(event, essentials(payload))
    assert all(intent.__class__.__name__ in ("Look", "Offer") for intent in wanted)


@given(st.text())
def test_whatever_a_proxy_says_is_an_address_or_none(text: str) -> None:
    limit = RateLimit(1, lambda: 0.0)
    assert limit.wait(read_address(text)) == 0
