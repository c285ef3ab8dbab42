"""The receiver over real sockets: senders that are slow, lie, or never end, a certificate that is exchanged, and an end
that loses nothing."""

import asyncio
import contextlib
import gzip
import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from github_onedev_sync.api import mirror
from github_onedev_sync.webhook.app import build_app
from github_onedev_sync.webhook.build import Pod
from github_onedev_sync.webhook.server import Certificate, PatientProtocol, Server, build_server
from github_onedev_sync.webhook.settings import Settings
from tests.local_cluster.certificates import Authority

from .conftest import PATH, headers
from .fakes import FakeCluster, mirror_body
from .samples import WIDGET, raw

HOST = "127.0.0.1"
PATIENCE = 0.2


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, fake: FakeCluster) -> None:
    monkeypatch.setattr(PatientProtocol, "patience", PATIENCE)
    fake.put(mirror.PLURAL, mirror_body("widget", WIDGET))


@contextlib.asynccontextmanager
async def serving(pod: Pod, settings: Settings) -> AsyncIterator[Server]:
    server = build_server(build_app(pod.receiver, PATH), settings, HOST)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0)
    try:
        yield server
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def server(pod: Pod, settings: Settings) -> AsyncIterator[Server]:
    pod.receiver.deadline = PATIENCE
    async with serving(pod, settings) as found:
        yield found


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{server.port}", trust_env=False) as found:
        yield found


def head(length: int | str, more: dict[str, str] | None = None) -> bytes:
    sent = headers(raw("push"), "push") | {"Host": "pod", "Content-Length": str(length)} | (more or {})
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
    return "\r\n".join(lines).encode()


async def said(server: Server, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that the server says to these pieces until it closes the connection."""
    reader, writer = await asyncio.open_connection(HOST, server.port)
    async with asyncio.timeout(10):
        hearing = asyncio.create_task(hear(reader))
        for piece in pieces:
            with contextlib.suppress(ConnectionError):
                writer.write(piece)
                await writer.drain()
            await asyncio.wait((hearing,), timeout=pause)
            if hearing.done():
                break
        answer = await hearing
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    return answer


async def hear(reader: asyncio.StreamReader) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            heard += piece
    return heard


async def test_a_delivery(client: httpx.AsyncClient, fake: FakeCluster) -> None:
    for _ in range(3):
        answer = await client.post(PATH, content=raw("push"), headers=headers(raw("push"), "push"))
        assert answer.status_code == 202
    assert len(fake.annotations) == 3
    assert "server" not in answer.headers


async def test_a_connection_is_kept_for_the_next_one(server: Server) -> None:
    reader, writer = await asyncio.open_connection(HOST, server.port)
    for _ in range(2):
        writer.write(head(len(raw("push"))) + raw("push"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202 ")
        await asyncio.wait((asyncio.create_task(reader.read(1000)),), timeout=PATIENCE * 2)
    writer.close()
    await writer.wait_closed()


async def test_a_body_in_chunks_without_a_length(client: httpx.AsyncClient) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(raw("push")), 100):
            yield raw("push")[start : start + 100]

    answer = await client.post(PATH, content=pieces(), headers=headers(raw("push"), "push"))
    assert answer.status_code == 202


@pytest.mark.parametrize("sent", [b"", b"POST /webhook HTTP/1.1\r\n", head(10)[:-2]])
async def test_a_head_that_does_not_end(server: Server, sent: bytes) -> None:
    assert await said(server, sent) == b""


async def test_a_head_that_comes_letter_by_letter(server: Server) -> None:
    async with asyncio.timeout(5):
        assert await said(server, *(bytes([letter]) for letter in head(10)[:40]), pause=PATIENCE / 20) == b""


async def test_a_head_that_is_too_long(server: Server) -> None:
    assert (await said(server, head(10, {"X-Long": "x" * 100_000})[:-2])).startswith(b"HTTP/1.1 400 ")


async def test_a_body_that_does_not_come(server: Server) -> None:
    answer = await said(server, head(1000), b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"result":"too slow"' in answer


async def test_a_body_that_drips(server: Server, pod: Pod) -> None:
    answer = await said(server, head(1000), *([b"x"] * 20), pause=PATIENCE / 10)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert pod.receiver.room.taken == 0


async def test_a_connection_is_not_kept_for_the_rest_of_a_body_that_was_refused(server: Server) -> None:
    answer = await said(server, head(1000, {"X-Hub-Signature-256": "none"}), *([b"x"] * 20), pause=PATIENCE / 10)
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_a_body_that_is_too_large(server: Server) -> None:
    assert (await said(server, head(26 << 20))).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_never_ends_and_never_said_how_long_it_is(server: Server, pod: Pod) -> None:
    pod.receiver.deadline = 10
    sent = head(0, {"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    chunk = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    assert (await said(server, sent, *([chunk] * 26))).startswith(b"HTTP/1.1 413 ")
    assert pod.receiver.room.taken == 0


async def test_the_largest_that_github_sends(server: Server, pod: Pod, client: httpx.AsyncClient) -> None:
    pod.receiver.deadline = 10
    body = b'{"x": "' + b"x" * ((25 << 20) - 20) + b'"}'
    answer = await client.post(PATH, content=body, headers=headers(body, "ping"), timeout=20)
    assert answer.status_code == 200
    assert pod.receiver.room.taken == 0


async def test_a_length_that_is_a_lie(server: Server, fake: FakeCluster) -> None:
    """Shorter than said: it never ends. Longer: what is left over is no request."""
    answer = await said(server, head(len(raw("push")) + 1), raw("push"))
    assert answer.startswith(b"HTTP/1.1 408 ")
    answer = await said(server, head(len(raw("push")) - 1), raw("push"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert not fake.annotations


async def test_a_sender_that_goes_away(server: Server, pod: Pod) -> None:
    _, writer = await asyncio.open_connection(HOST, server.port)
    writer.write(head(1000) + b"{" * 100)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    found: float | None = None
    labels = {"event": "push", "result": "gone"}
    while not found:
        await asyncio.sleep(0)
        found = pod.metrics.registry.get_sample_value("github_onedev_sync_webhook_deliveries_total", labels)
    assert pod.receiver.room.taken == 0


async def test_packed_bodies_are_not_unpacked(client: httpx.AsyncClient) -> None:
    packed = gzip.compress(raw("push"))
    sent = headers(packed, "push") | {"Content-Encoding": "gzip"}
    assert (await client.post(PATH, content=packed, headers=sent)).status_code == 415


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\nConnection: close\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhook HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 100,
    ],
)
async def test_what_is_no_http(server: Server, text: bytes) -> None:
    answer = await said(server, text)
    assert answer == b"" or re.match(rb"HTTP/1.1 40[0-9] ", answer)


async def test_more_connections_than_are_allowed(pod: Pod, settings: Settings) -> None:
    async with serving(pod, replace(settings, max_connections=3)) as server:
        waiting = [await asyncio.open_connection(HOST, server.port) for _ in range(3)]
        assert (await said(server, head(0))).startswith(b"HTTP/1.1 503 ")
        for _, writer in waiting:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(
    ("trusted", "forwarded", "client"),
    [
        ("", "192.0.2.7", HOST),
        ("127.0.0.0/8", "192.0.2.7", "192.0.2.7"),
        ("127.0.0.0/8", "198.51.100.1, 192.0.2.7", "192.0.2.7"),
        ("127.0.0.0/8,10.0.0.0/8", "192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("127.0.0.0/8", "192.0.2.7:4711", "192.0.2.7"),
        ("127.0.0.0/8", "<script>", "<script>"),
        ("10.0.0.0/8", "192.0.2.7", HOST),
    ],
)
async def test_only_a_trusted_proxy_is_believed(
    pod: Pod, settings: Settings, trusted: str, forwarded: str, client: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    networks = tuple(ip_network(word) for word in trusted.split(",") if word)
    async with (
        serving(pod, replace(settings, trusted_proxies=networks)) as server,
        httpx.AsyncClient(base_url=f"http://{HOST}:{server.port}", trust_env=False) as sender,
    ):
        sent = headers(raw("push"), "push") | {"X-Forwarded-For": forwarded}
        assert (await sender.post(PATH, content=raw("push"), headers=sent)).status_code == 202
    told = [record.__dict__["fields"]["client"] for record in caplog.records if record.getMessage() == "delivery"]
    assert told == [client]


async def test_an_end_that_finishes_what_was_taken(pod: Pod, settings: Settings, fake: FakeCluster) -> None:
    fake.gate.clear()
    async with (
        serving(pod, settings) as server,
        httpx.AsyncClient(base_url=f"http://{HOST}:{server.port}", trust_env=False) as sender,
    ):
        post = asyncio.create_task(sender.post(PATH, content=raw("push"), headers=headers(raw("push"), "push")))
        await fake.called.wait()
        server.should_exit = True
        await asyncio.wait((post,), timeout=PATIENCE)
        assert not post.done()
        fake.gate.set()
        assert (await post).status_code == 202
    assert len(fake.annotations) == 1


async def handshake(port: int, authority: Authority) -> bool:
    """Whether the server has a certificate of that authority."""
    context = ssl.create_default_context(cafile=authority.certificate("ca"))
    try:
        _, writer = await asyncio.open_connection(HOST, port, ssl=context)
    except ssl.SSLCertVerificationError:
        return False
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return True


async def test_a_certificate_is_exchanged_while_it_serves(
    pod: Pod, settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = [await asyncio.to_thread(Authority.create, tmp_path / name) for name in ("old", "new")]
    for authority in (old, new):
        await asyncio.to_thread(authority.sign, "tls", "pod", "", (f"IP:{HOST}",))
    mounted = tmp_path / "tls.crt", tmp_path / "tls.key"
    for file, source in zip(mounted, (old.certificate("tls"), old.key("tls")), strict=True):
        file.write_bytes(source.read_bytes())
    async with serving(pod, replace(settings, certificate=mounted[0], key=mounted[1])) as server:
        certificate = Certificate(*mounted, server.config.ssl) if server.config.ssl else None
        assert certificate is not None
        assert [await handshake(server.port, authority) for authority in (old, new)] == [True, False]
        certificate.look()
        mounted[0].write_bytes(new.certificate("tls").read_bytes())
        certificate.look()  # half of it: the key is another's
        assert "certificate not loaded" in caplog.text
        assert await handshake(server.port, old)
        mounted[1].write_bytes(new.key("tls").read_bytes())
        certificate.look()
        assert [await handshake(server.port, authority) for authority in (old, new)] == [False, True]
        mounted[0].unlink()
        certificate.look()
        assert await handshake(server.port, new)
