"""StarredReposSync: a person's stars, each as a RepositoryMirror. The fields are described in `crds/`."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from .mirror import GITHUB_API, MirrorSettings
from .model import ConditionedStatus, Duration, Metadata, NameReference, Time, View

KIND = "StarredReposSync"
PLURAL = "starredrepossyncs"


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


class StarSource(View):
    api_url: str = GITHUB_API
    secret_ref: NameReference | None = None
    insecure: bool = False


class StarFilter(View):
    """`include` and `exclude` are globs over `owner/name`; `max_size_mb` 0 and an empty list mean no limit."""

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


class StarredReposSyncSpec(View):
    user: str | None = None
    source: StarSource = StarSource()
    interval: Duration = timedelta(minutes=1)
    filter: StarFilter = StarFilter()
    project_template: str = "{owner}/{name}"
    template: MirrorSettings
    on_unstar: OnUnstar = OnUnstar.KEEP
    unstar_grace_period: Duration = timedelta(hours=24)
    max_prune_percent: int = 10
    dry_run: bool = False
    suspend: bool = False


class StarCounts(View):
    found: int = 0
    matched: int = 0
    mirrored: int = 0
    ready: int = 0
    failed: int = 0
    unstarred: int = 0


class RateLimit(View):
    remaining: int
    reset_at: Time


class Plan(View):
    """What a dry run would do: names of mirrors."""

    create: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()


class StarredReposSyncStatus(ConditionedStatus):
    stars: StarCounts | None = None
    plan: Plan | None = None
    rate_limit: RateLimit | None = None
    last_poll_time: Time | None = None
    last_full_listing_time: Time | None = None
    last_handled_reconcile_at: str | None = None


class StarredReposSync(View):
    metadata: Metadata
    spec: StarredReposSyncSpec
    status: StarredReposSyncStatus = StarredReposSyncStatus()

    @classmethod
    def read(cls, body: Any) -> "StarredReposSync":
        return cls.model_validate(body)

    @property
    def key(self) -> str:
        return self.metadata.key
