"""A stand-in for GitHub: a REST subset at `/` and `/api/v3`, GraphQL, git and LFS at `/{owner}/{name}.git`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from ..misbehaviour import Entry
from ..serving import Action
from .accounts import ANONYMOUS_LIMIT, Accounts
from .catalogue import Catalogue
from .cues import Cues
from .deliveries import Deliveries
from .events import Events
from .git import GitEndpoint
from .graphql import GraphQL
from .hooks import Hooks
from .lfs import LfsEndpoint
from .people import People
from .rest import RestApi
from .steering import Steering

__all__ = ["GitHubStandIn"]


class GitHubStandIn(Steering):
    """Serves any folder of bare `owner/name.git` repositories.

    tokens: token to login. anonymous_limit: requests per hour without a token, None to count nothing.
    """

    def __init__(
        self,
        repositories: Path,
        *,
        listen: str = "127.0.0.1:0",
        public_url: str | None = None,
        tokens: Mapping[str, str] | None = None,
        anonymous_limit: int | None = ANONYMOUS_LIMIT,
    ) -> None:
        super().__init__(listen, public_url)
        self.repositories = repositories
        self.catalogue = Catalogue(repositories)
        self._cues = Cues()
        self.people = People(self.catalogue)
        self.accounts = Accounts(self.people, anonymous_limit)
        for token, login in (tokens or {}).items():
            self.accounts.add_token(token, login)
        # Without a name of its own it goes by whatever the client called it, as a server behind an address has to.
        self.hooks, self.deliveries = Hooks(), Deliveries()
        self.events = Events(self.hooks, self.deliveries, self.accounts, self.people, lambda: self.public_url)
        known = (self.catalogue, self.accounts, self.people)
        self.rest = RestApi(*known, self.hooks, self.deliveries, self.events, public_url)
        self.graphql = GraphQL(self.accounts, self.rest.visibility, self.rest.stars, public_url)
        self.lfs = LfsEndpoint(self.catalogue, self.accounts)
        self._git_endpoint = GitEndpoint(self.catalogue, self.accounts, self.processes)

    def actions(self) -> dict[str, Action]:
        return {**super().actions(), "commit_lfs": self.commit_lfs, "cue": self.cue}

    async def cue(self, path: str, then: dict[str, Any], after: int = 1) -> None:
        """Does the action `then` ({"action": "star", …}) once the `after`-th request whose path matches is answered.

        The next request sees it done. Requests that a fault answers do not count.
        """
        self._cues.add(path, after, then)

    async def commit_lfs(self, repository: str, files: dict[str, str], branch: str | None = None) -> str:
        """Keeps each file's content as an LFS object and adds a commit with the pointers; returns the commit."""
        pointers = {name: self.lfs.store(repository, content.encode()) for name, content in files.items()}
        return await self.commit(repository, branch, pointers)

    async def answer(self, request: web.BaseRequest, entry: Entry) -> web.StreamResponse:
        if GitEndpoint.wants(request):
            return await self._git_endpoint.answer(request, entry)
        if LfsEndpoint.wants(request):
            return await self.lfs.answer(request, entry)
        api = self.graphql if GraphQL.wants(request) else self.rest
        response = await api.answer(request, entry)
        for action in self._cues.answered(request.raw_path):
            await self.act(**action)
        return response
