"""The addresses that GitHub sends webhooks from, asked of GitHub itself once an hour; the last good answer is kept."""

import asyncio
import logging
from dataclasses import dataclass
from ipaddress import ip_network

import httpx
from pydantic import BaseModel, Field, ValidationError

from .. import __version__
from ..observability import logs
from .addresses import Network

log = logging.getLogger(__name__)

_EVERY_SECONDS = 3600.0
_AGAIN_SECONDS = 60.0
_TIMEOUT_SECONDS = 15.0


class _Meta(BaseModel):
    hooks: list[str] = Field(min_length=1)


@dataclass
class AllowList:
    """`url` is GitHub's `/meta`, which needs no credentials. Until the first answer `networks` is None."""

    url: str
    networks: tuple[Network, ...] | None = None

    async def keep_fresh(self) -> None:
        """Never ends by itself."""
        headers = {"Accept": "application/vnd.github+json", "User-Agent": f"github-onedev-sync/{__version__}"}
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, headers=headers, follow_redirects=True) as client:
            while True:
                known = await self.refresh(client)
                await asyncio.sleep(_EVERY_SECONDS if known else _AGAIN_SECONDS)

    async def refresh(self, client: httpx.AsyncClient) -> bool:
        """Whether GitHub told."""
        try:
            answer = await client.get(self.url)
            answer.raise_for_status()
            told = _Meta.model_validate_json(answer.content)
            self.networks = tuple(ip_network(one) for one in told.hooks)
        except (httpx.HTTPError, ValidationError, ValueError) as error:
            kept = "none" if self.networks is None else str(len(self.networks))
            logs.event(log, "allow list not read", logging.WARNING, url=self.url, message=str(error), kept=kept)
            return False
        logs.event(log, "allow list", networks=len(self.networks))
        return True
