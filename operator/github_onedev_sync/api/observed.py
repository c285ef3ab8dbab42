"""What the adapters saw outside, as plain values that any room can pass around."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class SourceRepository:
    """A GitHub repository. `size_kb` is GitHub's own, stale, figure; `full_name` the present one, after any rename.

    `admin` tells whether the credentials may administer it.
    """

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
    node_id: str | None = None
    admin: bool = False


@dataclass(frozen=True, slots=True)
class ListedRepository:
    """A repository as one row of a list of many. `stars` are its own, `starred_at` when this person starred it."""

    id: int
    full_name: str
    private: bool = False
    archived: bool = False
    fork: bool = False
    stars: int = 0
    size_kb: int = 0
    language: str | None = None
    topics: tuple[str, ...] = ()
    license: str | None = None
    description: str | None = None
    created_at: datetime | None = None
    pushed_at: datetime | None = None
    starred_at: datetime | None = None
    owner_id: int = 0


@dataclass(frozen=True)
class Starred:
    """What somebody has starred; `user` None is the token's owner."""

    user: str | None = None


@dataclass(frozen=True)
class Owned:
    """What somebody owns; `owner` None is all that a GitHub App's installation was given."""

    owner: str | None = None


Scope = Starred | Owned


@dataclass(frozen=True)
class Account:
    """A user or an organisation, or of a GitHub App's installation the account that installed it."""

    id: int
    login: str


@dataclass(frozen=True)
class Page:
    """One page of a list of repositories. `next` is the cursor of the next one, empty on the last.

    `unchanged` tells that the list is still what the ETag stood for; there are no rows then.
    """

    rows: tuple[ListedRepository, ...] = ()
    next: str = ""
    etag: str = ""
    unchanged: bool = False


@dataclass(frozen=True)
class Change:
    """What a sweep saw of one repository: it is as before where all of this is as before."""

    id: int
    full_name: str
    pushed_at: datetime | None
    archived: bool
    private: bool
    disabled: bool
    default_branch: str


@dataclass(frozen=True)
class RateLimit:
    """GitHub's word on a credential's primary limit, as of its last answer."""

    remaining: int
    limit: int
    reset: datetime


@dataclass(frozen=True)
class TargetProject:
    """A OneDev project. `path` is its whole path from the root."""

    id: int
    path: str
    description: str | None = None
    parent_id: int | None = None
