"""What the adapters saw outside, as plain values that any room can pass around."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SourceRepository:
    """A GitHub repository. `size_kb` is GitHub's own, stale, figure; `full_name` the present one, after any rename."""

    id: int
    full_name: str
    clone_url: str
    default_branch: str
    private: bool = False
    archived: bool = False
    disabled: bool = False
    size_kb: int = 0
    pushed_at: datetime | None = None
    description: str | None = None


@dataclass(frozen=True)
class TargetProject:
    """A OneDev project. `path` is its whole path from the root."""

    id: int
    path: str
    description: str | None = None
    parent_id: int | None = None
