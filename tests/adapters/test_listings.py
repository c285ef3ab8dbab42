"""The controller's session for ref listings: connections are kept from look to look, and not too many are open."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from github_onedev_sync.controller.connections import open_session
from github_onedev_sync.transfer.listing import RefReader

LISTING = b"001e# service=git-upload-pack\n0000" + b"0043" + b"1" * 40 + b" refs/heads/main\0agent\n" + b"0000"


@dataclass
class Server:
    """Answers every listing, and notes from which connections it was asked, and how many at once."""

    url: str = ""
    connections: set[object] = field(default_factory=set)
    now: int = 0
    most: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.connections.add(request.transport)
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return web.Response(body=LISTING, content_type="application/x-git-upload-pack-advertisement")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made, app = Server(), web.Application()
    app.router.add_get("/{path:.*}/info/refs", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    made.url = f"http://{host}:{port}"
    yield made
    await runner.cleanup()


async def test_one_connection_serves_look_after_look(server: Server) -> None:
    async with open_session() as session:
        for number in range(50):
            listing = await RefReader(session).target_refs(f"{server.url}/o/{number}", "token", None)
            assert listing.refs == {"refs/heads/main": "1" * 40}
    assert len(server.connections) == 1


async def test_many_looks_at_once_open_few_connections(server: Server) -> None:
    async with open_session() as session:
        reader = RefReader(session)
        await asyncio.gather(*(reader.target_refs(f"{server.url}/o/{n}", "token", None) for n in range(200)))
    assert len(server.connections) <= 8
    assert server.most <= 8
