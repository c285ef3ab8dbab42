"""Condition types and reasons: the words that people and other programs read in `status.conditions`.

They follow kstatus and Flux: `Ready` is always there after the first reconcile; `Reconciling` and `Stalled`
are abnormal-true, present only while true, and never both. A reason word is API: it is listed here, documented
in `docs/`, and never built from exception text.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """The types that our resources carry."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SOURCE_AVAILABLE = "SourceAvailable"
    TARGET_AVAILABLE = "TargetAvailable"
    VERIFIED = "Verified"
    LFS_COMPLETE = "LFSComplete"


class Reason(StrEnum):
    """Why a condition has its status."""

    # at rest, and on the way
    SYNCED = "Synced"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    SUSPENDED = "Suspended"

    # what a person wrote
    INVALID_SPEC = "InvalidSpec"
    NOT_SUPPORTED = "NotSupported"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_INVALID = "SecretInvalid"

    # the source
    SOURCE_UNAVAILABLE = "SourceUnavailable"
    SOURCE_AUTHENTICATION_FAILED = "SourceAuthenticationFailed"
    SOURCE_EMPTY = "Empty"
    RENAMED = "Renamed"
    ARCHIVED_UPSTREAM = "ArchivedUpstream"
    GONE = "Gone"
    PRIVATE_OR_GONE = "PrivateOrGone"
    TAKEN_DOWN = "TakenDown"
    BLOCKED = "Blocked"
    DISABLED = "Disabled"
    RATE_LIMITED = "RateLimited"
    IDENTITY_CHANGED = "IdentityChanged"

    # a sync
    USER_NOT_FOUND = "UserNotFound"
    INVALID_EXPRESSION = "InvalidExpression"
    EXPRESSION_TOO_COSTLY = "ExpressionTooCostly"
    PROJECT_COLLISION = "ProjectCollision"
    MIRROR_REFUSED = "MirrorRefused"

    # the target
    SERVER_NOT_FOUND = "ServerNotFound"
    SERVER_NOT_READY = "ServerNotReady"
    TARGET_UNAVAILABLE = "TargetUnavailable"
    TARGET_AUTHENTICATION_FAILED = "TargetAuthenticationFailed"
    TARGET_NOT_PERMITTED = "TargetNotPermitted"
    TARGET_NOT_OURS = "TargetNotOurs"
    TARGET_PATH_ILLEGAL = "TargetPathIllegal"
    TARGET_CHANGED = "TargetChanged"
    TARGET_REFUSED = "TargetRefused"

    # a run
    TIMED_OUT = "TimedOut"
    OUT_OF_MEMORY = "OutOfMemory"
    OUT_OF_SPACE = "OutOfSpace"
    POD_NOT_STARTED = "PodNotStarted"
    RUN_LOST = "RunLost"
    WORKER_FAILED = "WorkerFailed"
    REFS_REJECTED = "RefsRejected"
    REWRITE_BLOCKED = "RewriteBlocked"
    MASS_DISAPPEARANCE = "MassDisappearance"

    # Verified
    REFS_EQUAL = "RefsEqual"
    REFS_UNEQUAL = "RefsUnequal"

    # LFSComplete
    LFS_COPIED = "LFSCopied"
    LFS_MISSING = "LFSMissing"

    # the end of a resource
    DELETION_FAILED = "DeletionFailed"


# Which domain condition a reason also shows in.
SOURCE_REASONS = frozenset(
    (
        Reason.SOURCE_UNAVAILABLE,
        Reason.SOURCE_AUTHENTICATION_FAILED,
        Reason.GONE,
        Reason.PRIVATE_OR_GONE,
        Reason.TAKEN_DOWN,
        Reason.BLOCKED,
        Reason.DISABLED,
        Reason.RATE_LIMITED,
        Reason.IDENTITY_CHANGED,
    )
)
TARGET_REASONS = frozenset(
    (
        Reason.SERVER_NOT_FOUND,
        Reason.SERVER_NOT_READY,
        Reason.TARGET_UNAVAILABLE,
        Reason.TARGET_AUTHENTICATION_FAILED,
        Reason.TARGET_NOT_PERMITTED,
        Reason.TARGET_NOT_OURS,
        Reason.TARGET_PATH_ILLEGAL,
        Reason.TARGET_REFUSED,
    )
)
