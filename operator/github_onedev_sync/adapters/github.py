"""GitHub with one credential: repositories, lists of them, whose they are, and the token that git uses."""

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.conditions import Reason
from ..api.errors import Stalled, SyncError
from ..api.hooks import AttemptPage, Hook, HookList, HookPlace
from ..api.observed import Account, Change, Owned, Page, RateLimit, Scope, SourceRepository, Starred
from ..api.urgency import Urgency
from . import github_accounts, github_errors, github_graphql, github_hooks, github_listing
from .credentials import Anonymous, App, Credentials
from .github_accounts import Person
from .github_budget import CORE
from .github_client import Answer
from .github_http import Counts, GitHubHttp
from .github_listing import Place
from .github_repository import FULL_NAME, read_repository

# A git process must get through its run with it.
_GIT_TOKEN_LASTS = timedelta(minutes=30)
# 10,000 mirrors with one credential find their own answers again; an entry is about 1 KB.
_KEPT_ANSWERS = 16_384


class GitHub:
    """`ports.Source`. `ca` is PEM text; `pool` bounds the requests under way. Close it when done."""

    def __init__(
        self,
        api_url: str,
        credentials: Credentials,
        ca: str | None = None,
        pool: int = 2,
        *,
        clock: Callable[[], datetime],
        counts: Counts | None = None,
    ) -> None:
        self._http = GitHubHttp(api_url, credentials, ca, pool, clock, Counter() if counts is None else counts)
        self._known = _Known()
        self._urgency = Urgency.ASKED

    def with_urgency(self, urgency: Urgency) -> "GitHub":
        """The same connection, limits and answers, for requests of that urgency."""
        view = copy.copy(self)
        view._urgency = urgency
        return view

    @property
    def anonymous(self) -> bool:
        return self._http.anonymous

    @property
    def mints_tokens(self) -> bool:
        return isinstance(self._http.credentials, App)

    @property
    def host(self) -> str:
        return self._http.host

    @property
    def rate_limit(self) -> RateLimit | None:
        """None before the first answer, and where the server has no limits."""
        return self._http.budget.limits.get(CORE)

    @property
    def rate_limits(self) -> Mapping[str, RateLimit]:
        """By resource: `core`, `graphql`, and `app` for what an App asks for itself."""
        return self._http.budget.limits

    async def repository(self, full_name: str) -> SourceRepository:
        if not FULL_NAME.fullmatch(full_name):
            raise Stalled(Reason.INVALID_SPEC, f"spec.source.repository {full_name!r} is not of the form owner/name")
        return await self._repository(f"/repos/{full_name}", f"repository {full_name}", full_name.partition("/")[0])

    async def repository_by_id(self, repository_id: int) -> SourceRepository:
        what = f"repository with the id {repository_id}"
        found = await self._repository(f"/repositories/{repository_id:d}", what)
        if found.id != repository_id:
            raise github_errors.not_github(what, "it has another id")
        return found

    async def account(self, login: str | None) -> Account:
        return (await (self._ask_for_own() if login is None else self._person(login))).account

    async def page(self, scope: Scope, cursor: str = "", etag: str = "") -> Page:
        place = await self._place(scope)
        url = github_listing.page_url(self._http.api_url, place, cursor)
        headers = place.headers | ({"If-None-Match": etag} if etag else {})
        answer = await self._http.get(url, place.what, self._urgency, headers)
        if answer.status == 304 and etag:
            return Page(unchanged=True, etag=etag)
        if answer.status == 404 and place.login:
            self._known.people.pop(place.login.lower(), None)  # it may have become an organisation
            raise self._no_such(place.login, answer)
        if answer.status != 200:
            raise self._http.refused(answer, place.what, needs=place.needs)
        return Page(
            rows=github_listing.read_rows(answer.body, place),
            next=github_listing.next_cursor(answer.headers, self._http.api_url, place, cursor),
            etag=str(answer.headers.get("etag", "")),
        )

    async def is_starred(self, full_name: str) -> bool:
        """GitHub answers with a status alone."""
        what = f"whether {full_name} is starred"
        answer = await self._http.get(f"/user/starred/{full_name}", what, self._urgency)
        if answer.status == 404 and github_errors.is_githubs(answer.body):
            return False
        if answer.status != 204:
            raise self._http.refused(answer, what, needs=github_listing.STARRING)
        return True

    async def star_lists(self, user: str | None) -> Mapping[str, frozenset[int]]:
        return await github_graphql.star_lists(self._http, self._urgency, user)

    async def changes(self, node_ids: Sequence[str]) -> Mapping[str, Change]:
        return await github_graphql.changes(self._http, self._urgency, node_ids) if node_ids else {}

    async def hooks(self, place: HookPlace, etag: str = "") -> HookList:
        return await github_hooks.hooks(self._http, self._urgency, place, etag)

    async def attempts(self, hook: Hook, cursor: str = "", etag: str = "") -> AttemptPage:
        return await github_hooks.attempts(self._http, self._urgency, hook, cursor, etag)

    async def redeliver(self, hook: Hook, attempt: int) -> bool:
        return await github_hooks.redeliver(self._http, self._urgency, hook, attempt)

    async def git_token(self) -> str | None:
        return await self._http.token(_GIT_TOKEN_LASTS)

    async def close(self) -> None:
        self._http.close()

    async def _repository(self, path: str, what: str, owner: str = "") -> SourceRepository:
        kept = self._known.repositories.get(path)
        headers = {"If-None-Match": kept.etag} if kept else {}
        answer = await self._http.get(path, what, self._urgency, headers)
        if answer.status == 304 and kept is not None:
            self._known.keep(path, kept)
            return kept.repository
        if answer.status != 200:
            raise self._http.refused(answer, what, owners_eyes=await self._is_owners(answer, owner))
        repository = read_repository(answer.body, what, self._http.api_url)
        if etag := answer.headers.get("etag"):
            self._known.keep(path, _Kept(etag, repository))
        return repository

    async def _is_owners(self, answer: Answer, owner: str) -> bool:
        """Whether nothing of `owner`'s could be hidden from the token that got this 404.

        Only a classic token tells its scopes, and only its owner's own repositories are all within them.
        """
        scopes = str(answer.headers.get("x-oauth-scopes", "")).split(",")
        if answer.status != 404 or not owner or "repo" not in map(str.strip, scopes):
            return False
        try:
            own = await self._own()
        except SyncError:
            return False  # not known is not gone
        return own.account.login.lower() == owner.lower()

    async def _own(self) -> Person:
        """The token's owner, or who installed the App; asked for once where nothing hangs on a new login."""
        return self._known.own or await self._ask_for_own()

    async def _ask_for_own(self) -> Person:
        match self._http.credentials:
            case Anonymous():
                raise Stalled(
                    Reason.INVALID_SPEC,
                    "Without a token nobody is its owner: set spec.source.secretRef, or spec.user (spec.owner of an "
                    "OwnedReposSync)",
                )
            case App():
                what = "the App's installation"
                answer = await self._http.ask_as_app("GET", "", what, expected=200)
                own = github_accounts.read_installation(answer.body, what)
            case _:
                what = "the token's user"
                answer = await self._http.get("/user", what, self._urgency)
                if answer.status != 200:
                    raise self._http.refused(answer, what, needs="none but a user's own token")
                own = github_accounts.read_person(answer.body, what)
        self._known.own = own
        return own

    async def _person(self, login: str) -> Person:
        github_accounts.check_login(login)
        what = f"the account {login}"
        answer = await self._http.get(f"/users/{login}", what, self._urgency)
        if answer.status == 404:
            raise self._no_such(login, answer)
        if answer.status != 200:
            raise self._http.refused(answer, what)
        person = github_accounts.read_person(answer.body, what)
        self._known.people[login.lower()] = person
        return person

    def _no_such(self, login: str, answer: Answer) -> SyncError:
        if not github_errors.is_githubs(answer.body):
            return github_errors.not_github(f"the account {login}", "status 404")
        return github_errors.user_not_found(login)

    async def _place(self, scope: Scope) -> Place:
        app = isinstance(self._http.credentials, App)
        match scope:
            case Starred(None):
                if app or self.anonymous:
                    raise Stalled(
                        Reason.INVALID_SPEC,
                        "Only a user's own token has stars of its own: set spec.user, or give such a token in "
                        "spec.source.secretRef",
                    )
                return github_listing.stars_of(None)
            case Starred(str() as user):
                github_accounts.check_login(user)
                return github_listing.stars_of(user)
            case Owned(None) if not app:
                raise github_errors.only_for_apps(github_listing.of_installation().what)
            case Owned(str() as owner) if not app:
                return await self._owned_by(owner)
            case _:
                return github_listing.of_installation()

    async def _owned_by(self, owner: str) -> Place:
        person = self._known.people.get(owner.lower()) or await self._person(owner)
        if person.organization:
            return github_listing.owned_by_organization(owner)
        if not self.anonymous and (await self._own()).account.id == person.account.id:
            return github_listing.owned_by_token()
        return github_listing.owned_by_user(owner)


@dataclass(frozen=True)
class _Kept:
    """The last answer of one address, and the ETag for which GitHub says 304."""

    etag: str
    repository: SourceRepository


@dataclass
class _Known:
    """What was answered before: to all who use the credential."""

    repositories: "OrderedDict[str, _Kept]" = field(default_factory=OrderedDict)
    people: dict[str, Person] = field(default_factory=dict)
    own: Person | None = None

    def keep(self, path: str, kept: _Kept) -> None:
        self.repositories[path] = kept
        self.repositories.move_to_end(path)
        if len(self.repositories) > _KEPT_ANSWERS:
            self.repositories.popitem(last=False)
