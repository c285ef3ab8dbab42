"""What StarredReposSync and OwnedReposSync have in common: a set of repositories, each as a RepositoryMirror."""

from abc import abstractmethod
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from . import names
from .hooks import WebhookStatus
from .mirror import Access, MirrorSettings
from .model import ConditionedStatus, Duration, Metadata, Time, View
from .observed import Scope


class OnUnstar(StrEnum):
    KEEP = "Keep"
    ARCHIVE = "Archive"
    DELETE = "Delete"


class Presence(StrEnum):
    """How a yes-or-no trait of a repository is filtered."""

    INCLUDE = "Include"
    EXCLUDE = "Exclude"
    ONLY = "Only"


class Visibility(StrEnum):
    ALL = "All"
    PUBLIC = "Public"
    PRIVATE = "Private"


class RepositoryFilter(View):
    """`include` and `exclude` are globs over `owner/name`; `max_size_mb` 0 and an empty list mean no limit;
    `expression` is CEL over the variable `repository`."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()
    archived: Presence = Presence.INCLUDE
    forks: Presence = Presence.INCLUDE
    visibility: Visibility = Visibility.ALL
    min_stars: int = 0
    max_size_mb: int = 0
    pushed_within: Duration | None = None
    expression: str | None = None


class SyncSpec(View):
    source: Access = Access()
    interval: Duration = timedelta(minutes=1)
    filter: RepositoryFilter = RepositoryFilter()
    project_template: str = "{owner}/{name}"
    template: MirrorSettings
    on_unstar: OnUnstar = OnUnstar.KEEP
    unstar_grace_period: Duration = timedelta(hours=24)
    max_prune_percent: int = 10
    dry_run: bool = False
    suspend: bool = False


class AccountStatus(View):
    """Whose repositories these are: pinned, so that another account's never take their place."""

    id: int
    login: str


class Counts(View):
    found: int = 0
    matched: int = 0
    mirrored: int = 0
    ready: int = 0
    failed: int = 0
    unstarred: int = 0


class RateLimitStatus(View):
    remaining: int
    reset_at: Time


class Plan(View):
    """What a dry run would do: names of mirrors."""

    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


class SyncStatus(ConditionedStatus):
    account: AccountStatus | None = None
    stars: Counts | None = None
    plan: Plan | None = None
    rate_limit: RateLimitStatus | None = None
    webhook: WebhookStatus | None = None
    last_poll_time: Time | None = None
    last_full_listing_time: Time | None = None
    last_handled_reconcile_at: str | None = None


class ReposSync(View):
    """A StarredReposSync or an OwnedReposSync."""

    kind: ClassVar[str]
    plural: ClassVar[str]
    short: ClassVar[str]

    metadata: Metadata
    status: SyncStatus = SyncStatus()

    @property
    @abstractmethod
    def settings(self) -> SyncSpec:
        """The spec, without what only one kind has."""

    @property
    @abstractmethod
    def scope(self) -> Scope:
        """Which repositories of GitHub it is about."""

    @property
    def key(self) -> str:
        return self.metadata.key

    @property
    def ref(self) -> str:
        """Its key among the syncs of both kinds: `srs/team/my-stars`."""
        return f"{self.short}/{self.key}"

    @property
    def item(self) -> str:
        """Its own word on its mirrors: `srs.my-stars`."""
        return names.sync_word(self.short, self.metadata.name)

    @property
    def requested(self) -> str | None:
        """The token of a request to look now, if it was not handled yet."""
        token = names.request_token(self.metadata.annotations)
        return token if token and token != self.status.last_handled_reconcile_at else None

    @property
    def approved(self) -> str:
        return self.metadata.annotations.get(names.APPROVE, "")
