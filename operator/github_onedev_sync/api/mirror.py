"""RepositoryMirror: one GitHub repository, kept equal in one OneDev project. The fields are described in `crds/`."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from . import names
from .hooks import WebhookStatus
from .model import SHARED, ConditionedStatus, Duration, Metadata, NameReference, Time, View, Word
from .refs import DEFAULT_INCLUDE

KIND = "RepositoryMirror"
PLURAL = "repositorymirrors"
GITHUB_API = "https://api.github.com"


class OnRewrite(StrEnum):
    ARCHIVE = "Archive"
    FOLLOW = "Follow"
    BLOCK = "Block"


class EngineChoice(StrEnum):
    AUTO = "Auto"
    RELAY = "Relay"
    GIT = "Git"


class DeletionPolicy(StrEnum):
    RETAIN = "Retain"
    ARCHIVE = "Archive"
    DELETE = "Delete"


class Phase(StrEnum):
    """For people and printer columns: derived from the conditions, never read back."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Access(View):
    """Which GitHub, and with whose credentials; without a Secret anonymously."""

    api_url: Word = GITHUB_API
    secret_ref: NameReference | None = None
    insecure: bool = False

    @property
    def github(self) -> str:
        """The API's URL in one spelling: the same for the same GitHub."""
        return self.api_url.rstrip("/").lower()


class Source(Access):
    repository: str


class Target(View):
    server_ref: NameReference
    project: str | None = None


class RefSelection(View):
    include: tuple[str, ...] = DEFAULT_INCLUDE
    exclude: tuple[str, ...] = ()


class ArchiveRetention(View):
    keep_for: Duration = timedelta(0)
    keep_last: int = 0


class MirrorSettings(View):
    """Everything of a mirror's spec but its source: a sync gives these to the mirrors it makes."""

    target: Target
    refs: Annotated[RefSelection, SHARED] = RefSelection()
    on_rewrite: OnRewrite = OnRewrite.ARCHIVE
    archive: Annotated[ArchiveRetention, SHARED] = ArchiveRetention()
    engine: EngineChoice = EngineChoice.AUTO
    lfs: bool = False
    interval: Duration = timedelta(minutes=10)
    timeout: Duration = timedelta(hours=1)
    suspend: bool = False
    deletion_policy: DeletionPolicy = DeletionPolicy.RETAIN


class MirrorSpec(MirrorSettings):
    source: Source


class SourceStatus(View):
    """`admin` tells whether the credentials may administer it."""

    id: int
    node_id: str | None = None
    full_name: str
    clone_url: str = ""
    default_branch: Word | None = None
    private: bool = False
    archived: bool = False
    admin: bool = False
    size_kb: int = 0
    pushed_at: Time | None = None


class TargetStatus(View):
    """`server` is the OneDevServer's name, `path` the project's whole path there."""

    server: Word
    project_id: int
    path: str
    web_url: str


class RefsStatus(View):
    """Counts of the target's refs, the digest of the source's, and what still differs (digest empty if nothing)."""

    branches: int = 0
    tags: int = 0
    total: int = 0
    archived: int = 0
    digest: str = ""
    unequal: int = 0
    unequal_digest: str = ""


class LfsStatus(View):
    """What OneDev holds, and how many of the objects GitHub itself lacks."""

    objects: int = 0
    bytes: int = 0
    missing: int = 0


class RunStatus(View):
    """The last run. Without `outcome` it is still under way. `fallback` says why git did what the relay should have."""

    job: Word
    engine: Word | None = None
    fallback: str | None = None
    started_at: Time
    outcome: Word | None = None
    seconds: float | None = None
    bytes: int | None = None
    created: int | None = None
    updated: int | None = None
    deleted: int | None = None
    archived: int | None = None
    pruned: int | None = None
    rejected: int | None = None


class HistoryEntry(View):
    """One finished run: when it started, how long it took, how it ended."""

    job: Word
    started_at: Time
    seconds: float = 0.0
    outcome: Word
    reason: Word
    message: str = ""
    refs_changed: int = 0
    bytes: int = 0


class MirrorStatus(ConditionedStatus):
    phase: Phase | None = None
    source: SourceStatus | None = None
    target: TargetStatus | None = None
    refs: RefsStatus | None = None
    lfs: LfsStatus | None = None
    webhook: WebhookStatus | None = None
    last_sync_time: Time | None = None
    last_attempt_time: Time | None = None
    next_sync_time: Time | None = None
    failures: int = 0
    last_handled_reconcile_at: str | None = None
    last_run: RunStatus | None = None
    history: tuple[HistoryEntry, ...] = ()


class RepositoryMirror(View):
    metadata: Metadata
    spec: MirrorSpec
    status: MirrorStatus = MirrorStatus()

    @property
    def key(self) -> str:
        return self.metadata.key

    @property
    def requested(self) -> str | None:
        """The token of a request to sync now, if it was not handled yet."""
        token = names.request_token(self.metadata.annotations)
        return token if token and token != self.status.last_handled_reconcile_at else None

    @property
    def approved(self) -> str:
        return self.metadata.annotations.get(names.APPROVE, "")
