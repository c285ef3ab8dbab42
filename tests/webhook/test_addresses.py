"""Who may send how much."""

import ipaddress
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_network

import httpx
import pytest
from aiohttp import web

from github_onedev_sync.webhook.addresses import RateLimit, is_in, read_address
from github_onedev_sync.webhook.allow_list import AllowList
from github_onedev_sync.webhook.app import build_app
from github_onedev_sync.webhook.build import build_pod
from github_onedev_sync.webhook.settings import Settings

from .conftest import GitHub
from .fakes import FakeCluster
from .samples import raw


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("unknown", None),
        ("", None),
        ("192.0.2.7:443", None),
    ],
)
def test_addresses(text: str, address: str | None) -> None:
    assert read_address(text) == (ip_address(address) if address else None)


def test_networks() -> None:
    networks = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
    assert is_in(read_address("192.0.2.7"), networks)
    assert is_in(read_address("2001:db8::7"), networks)
    assert not is_in(read_address("198.51.100.7"), networks)
    assert not is_in(None, networks)


def test_a_hundred_at_once_and_then_as_many_as_the_minute_allows() -> None:
    seconds = Seconds()
    limit, address = RateLimit(100, seconds), ip_address("192.0.2.7")
    assert [limit.wait(address) for _ in range(100)] == [0.0] * 100
    assert limit.wait(address) == pytest.approx(0.6)
    assert limit.wait(ip_address("192.0.2.8")) == 0
    seconds.now = 0.7
    assert limit.wait(address) == 0
    assert limit.wait(address) > 0
    seconds.now = 1000
    assert [limit.wait(address) for _ in range(101)][-2:] == [0.0, pytest.approx(0.6)]


def test_no_limit() -> None:
    limit = RateLimit(0, Seconds())
    assert all(limit.wait(None) == 0 for _ in range(1000))
    assert len(limit) == 0


def test_a_network_of_ipv6_is_one_sender() -> None:
    limit = RateLimit(1, Seconds())
    assert limit.wait(ip_address("2001:db8::1")) == 0
    assert limit.wait(ip_address("2001:db8::2")) > 0
    assert limit.wait(ip_address("2001:db8:0:1::1")) == 0


def test_what_is_known_of_senders_is_bounded() -> None:
    limit = RateLimit(1, Seconds())
    for number in range(30_000):
        limit.wait(ipaddress.IPv4Address(number))
    assert len(limit) == 20_000


class Meta:
    """GitHub's /meta, which a test lets say what it likes."""

    status, text = 200, '{"hooks": ["192.0.2.0/24", "2001:db8::/32"], "web": []}'
    headers: dict[str, str]

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.headers = dict(request.headers)
        return web.Response(status=self.status, text=self.text)


@pytest.fixture
def meta() -> Meta:
    return Meta()


@pytest.fixture
async def allow_list(meta: Meta) -> AsyncIterator[AllowList]:
    runner = web.ServerRunner(web.Server(meta.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield AllowList(f"http://127.0.0.1:{runner.addresses[0][1]}/meta")
    await runner.cleanup()


async def test_the_last_good_list_is_kept(allow_list: AllowList, meta: Meta) -> None:
    async with httpx.AsyncClient() as client:
        assert await allow_list.refresh(client)
        good = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))
        assert allow_list.networks == good
        assert "Authorization" not in meta.headers
        for meta.status, meta.text in (
            (503, "{}"),
            (200, "<html>"),
            (200, "{}"),
            (200, '{"hooks": []}'),
            (200, '{"hooks": ["here"]}'),
            (200, '{"hooks": [7]}'),
        ):
            assert not await allow_list.refresh(client)
            assert allow_list.networks == good
        meta.status, meta.text = 200, '{"hooks": ["198.51.100.0/24"]}'
        assert await allow_list.refresh(client)
        assert list(allow_list.networks) == [ip_network("198.51.100.0/24")]


async def test_a_github_that_cannot_be_reached() -> None:
    unreachable = AllowList("http://127.0.0.1:1/meta")
    async with httpx.AsyncClient() as client:
        assert not await unreachable.refresh(client)
    assert unreachable.networks is None


async def test_only_github_s_addresses(settings: Settings, fake: FakeCluster) -> None:
    pod = build_pod(Settings(secret_folder=settings.secret_folder, allow_list=True, rate_limit=0), fake)
    await pod.syncs.refresh()
    assert pod.allow_list is not None
    assert pod.trouble() == "GitHub's addresses are not known yet"

    async def deliver(address: str) -> int:
        transport = httpx.ASGITransport(build_app(pod.receiver, "/webhook"), client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://pod") as client:
            return (await GitHub(client).deliver(raw("ping"), "ping")).status_code

    assert await deliver("192.0.2.7") == 503
    pod.allow_list.networks = (ip_network("192.0.2.0/24"),)
    assert pod.trouble() == ""
    assert [await deliver(address) for address in ("192.0.2.7", "198.51.100.7", "testclient")] == [200, 403, 403]
