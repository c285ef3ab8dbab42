"""Adapters by credential.

Secrets are read anew at each look; a connection is kept while its Secret stays the same.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
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
from ..api.observed import RateLimit
from ..api.server import OneDevServer
from ..api.urgency import Urgency
from ..engine.ports import Clock, Cluster, SourceConnection, TargetConnection

_LIMIT = 64
# What a credential is called where there is no Secret.
_ANONYMOUS = "anonymous"

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
    """`ports.Connections`. At most 64 are kept open; the longest unused one is closed.

    `github_requests` counts by resource and status, of all connections that there were.
    """

    cluster: Cluster
    clock: Clock
    github_requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    _open: "OrderedDict[Hashable, GitHub | OneDev]" = field(default_factory=OrderedDict)
    _named: dict[tuple[str, str], Hashable] = field(default_factory=dict)
    _closing: set["asyncio.Task[None]"] = field(default_factory=set)

    async def source(self, access: Access, namespace: str, urgency: Urgency = Urgency.ROUTINE) -> SourceConnection:
        credentials: Credentials = Anonymous()
        ca, name = None, _ANONYMOUS
        if access.secret_ref is not None:
            name = f"{namespace}/{access.secret_ref.name}"
            data = await self.cluster.read_secret(namespace, access.secret_ref.name)
            credentials = credentials_from_secret(access.secret_ref.name, data)
            ca = ca_from_secret(access.secret_ref.name, data)
        key = ("source", access.api_url, credentials, ca)
        kept = self._open.get(key)
        if not isinstance(kept, GitHub):
            kept = GitHub(access.api_url, credentials, ca, clock=self.clock.now, counts=self.github_requests)
        self._keep(key, kept)
        self._named[kept.host, name] = key
        return SourceConnection(kept.with_urgency(urgency), ca)

    def rate_limits(self) -> Iterator[tuple[str, str, str, RateLimit]]:
        """(API host, credential, resource, limit); a credential goes by its Secret's `namespace/name`."""
        for (host, name), key in self._named.items():
            api = self._open.get(key)
            if isinstance(api, GitHub):
                for resource, limit in api.rate_limits.items():
                    yield host, name, resource, limit

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
            self._named = {name: key for name, key in self._named.items() if key in self._open}
            task = asyncio.create_task(oldest.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        for api in self._open.values():
            await api.close()
        self._open.clear()
