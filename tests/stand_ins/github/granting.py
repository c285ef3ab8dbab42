"""What a test can do about people, tokens, Apps, limits and stars: each method is an action of the admin API."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from ..serving import Action, ActionError
from .accounts import Caller, Installation
from .catalogue import Metadata, Repository
from .documents import RANGES
from .graphql import GraphQL
from .hooking import Hooking
from .listed import invent, moment
from .rest import RestApi

_REST = r"^(/api/v3)?/(repos|repositories|users?|orgs|organizations|installation)(/|$|\?)"
_GRAPHQL = r"^/(api/)?graphql$"
_WALKED = {"core": _REST, "graphql": _GRAPHQL, "any": f"{_REST}|{_GRAPHQL}"}


class Granting(Hooking):
    rest: RestApi
    graphql: GraphQL

    def actions(self) -> dict[str, Action]:
        names = [
            "create_many",
            "declare_user",
            "forget_user",
            "add_token",
            "hand_token",
            "expire_token",
            "revoke_token",
            "add_app",
            "add_repository_to_installation",
            "remove_repository_from_installation",
            "uninstall_app",
            "exhaust_limit",
            "secondary_limit",
            "cut_lists",
            "hide_from_graph",
            "set_hook_ranges",
            "star",
            "unstar",
            "star_many",
            "create_list",
            "delete_list",
        ]
        return {**super().actions(), **{name: getattr(self, name) for name in names}}

    async def create_many(
        self,
        count: int,
        owner_prefix: str = "many",
        starred_by: str | None = None,
        first: int = 0,
        git_of: str | None = None,
        owner: str | None = None,
        **metadata: Any,
    ) -> list[str]:
        """Repositories in memory, `{owner_prefix}-0000/project-00000` and on; returns the names in order.

        No hook is told. Their metadata is of every kind and the same each time (`listed.invent`); further members set
        it for all of them. first: the number to begin with. git_of: the repository whose git side all of them show;
        without it git is told 404. owner: one for all of them, instead of one for every 25. starred_by: who has starred
        them all, one a minute, the last one now.
        """
        git = None if git_of is None else self._repository(git_of).path
        taken = self.catalogue.taken_ids()
        made = []
        for number in range(first, first + count):
            full_name, invented = invent(number, owner_prefix, owner)
            if self.catalogue.listed.find(full_name) is not None:
                raise ActionError(f"{full_name} exists")
            described = Metadata(**{"id": self.catalogue.new_id(full_name, taken), **invented, **metadata})
            taken.add(described.id)
            made.append(self.catalogue.list_in_memory(full_name, git, described).full_name)
        if starred_by is not None:
            await self.star_many(starred_by, made)
        return made

    async def star_many(self, login: str, repositories: list[str], until: str | None = None) -> None:
        """Stars them one a minute, the last one at `until` (now), so that the last one is the newest."""
        last = datetime.now(UTC) if until is None else datetime.fromisoformat(until)
        self.people.declare(login)
        for number, repository in enumerate(repositories):
            at = moment(last - timedelta(minutes=len(repositories) - 1 - number))
            self.rest.stars.add(login, self._repository(repository).id, at)

    async def declare_user(
        self,
        login: str,
        organization: bool = False,
        user_id: int | None = None,
        members: list[str] | None = None,
    ) -> int:
        """Makes a login known that has no token and owns nothing, or says more of a known one; returns its id.

        members: of an organisation; their `/user/repos` has its repositories. user_id: as if the login had been let go
        and taken by somebody else.
        """
        named = None if members is None else frozenset(members)
        return self.people.declare(login, organization=organization, number=user_id, members=named).id

    async def forget_user(self, login: str) -> None:
        """The account is gone: 404, as long as it owns no repository. Its tokens have to be revoked."""
        self.people.forget(login)

    async def add_token(
        self,
        token: str,
        login: str = "octocat",
        repositories: list[str] | None = None,
        scopes: list[str] | None = None,
        permissions: list[str] | None = None,
    ) -> None:
        """repositories: the private ones that the token may see; None for all.

        scopes: makes it a classic token, which sees private repositories with `repo` only. permissions: makes it a
        fine-grained one that lacks all others: `starring` for the lists of one's own stars, `repository_hooks` and
        `organization_hooks` for hooks; `repository_hooks:read` lets it read only.
        """
        self.accounts.add_token(token, login, repositories, scopes, permissions)

    def _token(self, token: str) -> Caller:
        try:
            return self.accounts.token(token)
        except KeyError as error:
            raise ActionError("no such token") from error

    async def hand_token(self, token: str, login: str) -> None:
        """The same token is another account's from now on, as when somebody replaces the content of a Secret."""
        self._token(token)
        self.accounts.hand(token, login)

    async def expire_token(self, token: str, seconds: float = 0) -> None:
        """The token is worth nothing in so many seconds: 401 Bad credentials."""
        self._token(token).expires_at = time.time() + seconds

    async def revoke_token(self, token: str) -> bool:
        return self.accounts.revoke(token)

    async def add_app(
        self,
        app_id: str,
        public_key: str,
        installation_id: int,
        repositories: list[str] | None = None,
        account: str | None = None,
        permissions: dict[str, str] | None = None,
    ) -> None:
        """An App and its installation at `account` (the owner of the first repository; without either, of everybody).

        repositories: those it was given; None for all of the account's. permissions: what its tokens say they may do.
        """
        made = self.accounts.add_app(app_id, public_key, installation_id, repositories, account, permissions)
        self.events.to_app("installation", made, self.events.payloads.installed(made, "created", self._given(made)))

    def _given(self, installation: Installation) -> list[Repository]:
        if installation.repositories is None:
            return list(self.catalogue.of_owner(installation.account))
        given = (self.catalogue.find(name) for name in sorted(installation.repositories))
        return [one for one in given if one is not None]

    def _installation(self, installation_id: int) -> Installation:
        if installation_id not in self.accounts.installations:
            raise ActionError(f"no installation {installation_id}")
        return self.accounts.installations[installation_id]

    async def add_repository_to_installation(self, installation_id: int, repository: str) -> None:
        """The account gives the App one more repository; one that had all has this one only from now on."""
        installation, found = self._installation(installation_id), self._repository(repository)
        installation.repositories = (installation.repositories or set()) | {found.full_name.lower()}
        payload = self.events.payloads.installation_repositories(installation, [found], [])
        self.events.to_app("installation_repositories", installation, payload)

    async def remove_repository_from_installation(self, installation_id: int, repository: str) -> None:
        """The account takes a repository back, of one that had selected ones."""
        installation = self._installation(installation_id)
        if installation.repositories is None:
            raise ActionError("it has all repositories of the account; give it selected ones first")
        self._taken_back(installation, self._repository(repository))

    def _taken_back(self, installation: Installation, found: Repository) -> None:
        if installation.repositories is not None:
            installation.repositories.discard(found.full_name.lower())
        payload = self.events.payloads.installation_repositories(installation, [], [found])
        self.events.to_app("installation_repositories", installation, payload)

    async def uninstall_app(self, installation_id: int) -> None:
        """The account throws the App out: its tokens are worth nothing any more, the installation answers 404."""
        gone = self._installation(installation_id)
        payload = self.events.payloads.installed(gone, "deleted", self._given(gone))
        self.accounts.uninstall(installation_id)
        self.events.to_app("installation", gone, payload)

    async def exhaust_limit(
        self, token: str | None = None, remaining: int = 0, seconds: int = 3600, resource: str = "core"
    ) -> None:
        """The primary limit: so many requests are left until it resets in `seconds`.

        resource: core, graphql, or app for what an App asks as itself, whose id is then the token.
        """
        if token is not None and resource != "app":
            self._token(token)
        self.accounts.exhaust(token, remaining, seconds, resource)

    async def secondary_limit(
        self, count: int | None = 1, status: int = 403, retry_after: int | None = 60, resource: str = "core"
    ) -> int:
        """The next requests meet the secondary limit; returns the id of the fault. resource: core, graphql or any."""
        if resource not in _WALKED:
            raise ActionError(f"resource is one of {', '.join(_WALKED)}")
        words = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        headers = {"Content-Type": "application/json; charset=utf-8", "X-RateLimit-Remaining": "4000"}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        body = f'{{"message":"{words}","documentation_url":"https://docs.github.com/rest","status":"{status}"}}'
        path = _WALKED[resource]
        return self.faults.add(path=path, count=count, status=status, headers=headers, body=body).id

    async def cut_lists(self, path: str, rows: int, count: int | None = 1) -> None:
        """The next `count` requests (None: all) for a list whose path matches see it end after so many rows.

        rows=0 is an empty page with 200. Nothing tells that it was cut. A count of 0 ends all that went before.
        """
        if count == 0:
            self.rest.cuts.clear()
        else:
            self.rest.cuts.add(path, rows, count)

    async def hide_from_graph(self, fields: list[str]) -> None:
        """GraphQL has no such fields from now on, as an older server: ["lists"]. [] brings all back."""
        self.graphql.hidden = frozenset(fields)

    async def set_hook_ranges(self, ranges: list[str] | None = None) -> None:
        """From which networks `/meta` says that hooks come, as ["127.0.0.0/8"]; GitHub's own without it."""
        self.rest.looks.hook_ranges = list(RANGES if ranges is None else ranges)

    async def star(self, login: str, repository: str, at: str | None = None) -> None:
        """at: when, as GitHub writes times; now without it."""
        found, when = self._repository(repository), at or moment(datetime.now(UTC))
        self.people.declare(login)
        self.rest.stars.add(login, found.id, when)
        if self.events.wanted(found):
            self.events.emit("star", found, self.events.payloads.star(found, login, when))
            self.events.emit("watch", found, {"action": "started", **self.events.payloads.common(found, login)})

    async def unstar(self, login: str, repository: str) -> None:
        found = self._repository(repository)
        was = self.rest.stars.remove(login, found.id)
        self.graphql.lists.forget(found.id, login)
        if was is not None and self.events.wanted(found):
            self.events.emit("star", found, self.events.payloads.star(found, login, None))

    async def create_list(self, login: str, name: str, repositories: list[str], private: bool = False) -> str:
        """A list of starred repositories, or another content for it; returns its slug. Only GraphQL shows it."""
        self.people.declare(login)
        items = [self._repository(repository).id for repository in repositories]
        return self.graphql.lists.add(login, name, items, private=private).slug

    async def delete_list(self, login: str, name: str) -> None:
        """The repositories stay starred."""
        self.graphql.lists.remove(login, name)
