"""Adapters by credential.

Secrets are read anew at each look; a connection is kept while its Secret stays the same.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

import aiohttp

from ..adapters.credentials import (
    Anonymous,
    Credentials,
    ca_from_secret,
    credentials_from_secret,
    onedev_token_from_secret,
)
from ..adapters.github import GitHub
from ..adapters.onedev import OneDev
from ..api.mirror import Access
from ..api.server import OneDevServer
from ..api.urgency import Urgency
from ..engine.ports import Clock, Cluster, SourceConnection, TargetConnection

_LIMIT = 64

# Looks go on side by side, one listing each; between two of them a connection is kept, for a TLS handshake costs more
# than a listing. Servers close idle ones after a minute or more.
_LISTINGS_AT_ONCE = 32
_LISTINGS_PER_HOST = 8
_KEPT_SECONDS = 45.0


def open_session() -> aiohttp.ClientSession:
    """For ref listings of all servers. No cookie of one account may meet another's requests."""
    connector = aiohttp.TCPConnector(
        limit=_LISTINGS_AT_ONCE, limit_per_host=_LISTINGS_PER_HOST, keepalive_timeout=_KEPT_SECONDS
    )
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


@dataclass
class Connections:
    """`ports.Connections`. At most 64 of either kind are kept open; the longest unused one is closed."""

    cluster: Cluster
    clock: Clock
    _open: "OrderedDict[Hashable, GitHub | OneDev]" = field(default_factory=OrderedDict)
    _closing: set["asyncio.Task[None]"] = field(default_factory=set)

    async def source(self, access: Access, namespace: str, urgency: Urgency = Urgency.ROUTINE) -> SourceConnection:
        credentials: Credentials = Anonymous()
        ca = None
        if access.secret_ref is not None:
            data = await self.cluster.read_secret(namespace, access.secret_ref.name)
            credentials = credentials_from_secret(access.secret_ref.name, data)
            ca = ca_from_secret(access.secret_ref.name, data)
        key = ("source", access.api_url, credentials, ca)
        kept = self._open.get(key)
        api = kept if isinstance(kept, GitHub) else GitHub(access.api_url, credentials, ca, clock=self.clock.now)
        self._keep(key, api)
        return SourceConnection(api, ca)

    async def target(self, server: OneDevServer) -> TargetConnection:
        name = server.spec.secret_ref.name
        data = await self.cluster.read_secret(server.metadata.namespace, name)
        token, ca = onedev_token_from_secret(name, data), ca_from_secret(name, data)
        key = ("target", server.spec.url, token, ca)
        kept = self._open.get(key)
        api = kept if isinstance(kept, OneDev) else OneDev(server.spec.url, token, ca)
        self._keep(key, api)
        return TargetConnection(api, token, ca)

    def _keep(self, key: Hashable, api: GitHub | OneDev) -> None:
        self._open[key] = api
        self._open.move_to_end(key)
        if len(self._open) > _LIMIT:
            _, oldest = self._open.popitem(last=False)
            task = asyncio.create_task(oldest.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for api in self._open.values():
            await api.close()
        self._open.clear()
