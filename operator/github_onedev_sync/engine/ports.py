"""What the engine needs of the outside, as Protocols. `controller/` joins them with what fulfils them.

Every method may raise `api.errors.SyncError`; nothing else that an adapter's library raises gets through.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ..api.hooks import AttemptPage, Hook, HookList, HookPlace
from ..api.mirror import Access
from ..api.observed import Account, Change, Page, RateLimit, Scope, SourceRepository, TargetProject
from ..api.refs import Listing
from ..api.server import OneDevServer
from ..api.urgency import Urgency

Body = Mapping[str, Any]


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> datetime:
        """UTC, aware."""
        ...

    def monotonic(self) -> float:
        """Seconds, for durations and deadlines within this process."""
        ...


class Source(Protocol):
    """GitHub's REST API with one credential."""

    @property
    def anonymous(self) -> bool:
        """Whether there is no credential: each call then counts against 60 an hour."""
        ...

    @property
    def mints_tokens(self) -> bool:
        """Whether `git_token` is made for the occasion (a GitHub App) rather than the user's own."""
        ...

    async def repository(self, full_name: str) -> SourceRepository:
        """The repository of that name now; a rename is followed and shows in `full_name`."""
        ...

    async def repository_by_id(self, repository_id: int) -> SourceRepository:
        """The repository of that id now, under whatever name: the way to one whose old name redirects no more."""
        ...

    async def account(self, login: str | None) -> Account:
        """Who that is; None is the token's owner, or who installed the App. Raises `Stalled` (UserNotFound, …)."""
        ...

    async def page(self, scope: Scope, cursor: str = "", etag: str = "") -> Page:
        """One page of the repositories in `scope`, the newest first: the first, or the one that `cursor` leads to.

        With the ETag of the first page, GitHub may answer that nothing has changed, which costs nothing.
        """
        ...

    async def is_starred(self, full_name: str) -> bool:
        """Whether the token's owner has starred it: GitHub's own word, beside the list's."""
        ...

    async def star_lists(self, user: str | None) -> Mapping[str, frozenset[int]]:
        """The ids of the repositories in each of the user's star lists, by the list's name."""
        ...

    async def changes(self, node_ids: Sequence[str]) -> Mapping[str, Change]:
        """How up to 100 repositories stand, in one request; one that is gone, or hidden, is not among them."""
        ...

    async def hooks(self, place: HookPlace, etag: str = "") -> HookList:
        """The webhooks there; that these credentials may not see them is no error, but told in the list."""
        ...

    async def attempts(self, hook: Hook, cursor: str = "", etag: str = "") -> AttemptPage:
        """One page of GitHub's log of what it delivered, the newest first: the first, or where `cursor` leads to."""
        ...

    async def redeliver(self, hook: Hook, attempt: int) -> bool:
        """Has GitHub deliver once more what it tried in that attempt; False where it will not."""
        ...

    @property
    def rate_limit(self) -> RateLimit | None:
        """None before the first answer, and where the server has no limits."""
        ...

    async def git_token(self) -> str | None:
        """What git authenticates with, at least 30 minutes valid; None for anonymous access."""
        ...


class Target(Protocol):
    """OneDev's REST API with one account."""

    async def version(self) -> str: ...

    async def check_account(self) -> None:
        """Raises `Stalled` where the token is refused."""
        ...

    async def may_manage(self, project: TargetProject) -> bool | None:
        """Whether the account may create projects below `project`; None where OneDev does not tell."""
        ...

    async def find_project(self, path: str) -> TargetProject | None: ...

    async def ensure_project(self, path: str, description: str | None) -> TargetProject:
        """Creates what is missing of the path; only a project that is made now gets `description`."""
        ...

    async def describe_project(self, project: TargetProject, description: str) -> None: ...

    async def move_project(self, project: TargetProject, parent: TargetProject, name: str) -> None: ...

    async def has_children(self, project: TargetProject) -> bool: ...

    async def delete_project(self, project: TargetProject) -> None: ...

    async def set_default_branch(self, project: TargetProject, branch: str) -> None: ...


class RefReader(Protocol):
    """Reads the refs of a repository over smart HTTP, without any object."""

    async def source_refs(self, url: str, token: str | None, ca: str | None) -> Listing: ...

    async def target_refs(self, url: str, token: str | None, ca: str | None) -> Listing: ...


class Connections(Protocol):
    """Adapters with the credentials that a resource names: its Secret is read anew, so that a rotation is seen."""

    async def source(self, access: Access, namespace: str, urgency: Urgency = Urgency.ROUTINE) -> "SourceConnection":
        """With the Secret of that namespace. All connections with one credential share its limit."""
        ...

    async def target(self, server: OneDevServer) -> "TargetConnection": ...


@dataclass(frozen=True)
class SourceConnection:
    """`ca` is PEM text."""

    api: Source
    ca: str | None


@dataclass(frozen=True)
class TargetConnection:
    api: Target
    token: str = field(repr=False)
    ca: str | None


class Cluster(Protocol):
    """The Kubernetes API, for what is not watched."""

    async def patch_status(self, plural: str, key: str, resource_version: str, status: Body) -> Body | None:
        """Merge-patches `status`; returns the new body, or None where somebody was faster (409) or it is gone (404)."""
        ...

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes] | None: ...

    async def create_job(self, manifest: Body) -> Body:
        """Creates the Job, or returns the one that already has its name."""
        ...

    async def read_job(self, namespace: str, name: str) -> Body | None: ...

    async def read_resource(self, plural: str, key: str) -> Body | None: ...

    def list_resources(self, plural: str, namespace: str) -> AsyncIterator[Body]:
        """All of a kind, some hundreds at a time; an empty namespace means all of them."""
        ...

    async def apply(self, plural: str, manifest: Body, manager: str, *, take_over: bool = False) -> Body | None:
        """Server-side apply. What a person has set differently stays as it is. None where another sync holds it, unless
        it is to be taken over. Raises `ClusterRefused` with the API server's own sentence where it is not legal."""
        ...

    async def delete_resource(self, plural: str, key: str, uid: str) -> None:
        """The one with that uid; one that is gone already is fine."""
        ...

    async def list_jobs(self, namespace: str) -> list[Body]:
        """Our Jobs; an empty namespace means all of them."""
        ...

    async def list_pods(self, namespace: str, job_uid: str = "") -> list[Body]:
        """Our pods, or those of one Job."""
        ...

    async def create_secret(self, manifest: Body) -> None: ...

    async def delete_job(self, namespace: str, name: str) -> None:
        """With its pods, in the background; a Job that is gone already is fine."""
        ...

    async def record_event(self, manifest: Body) -> None: ...
