"""Lists of repositories on GitHub: where they are, their rows, and what leads to the next page.

GitHub's pages are addressed by its `Link` header alone: what stands in it is GitHub's matter.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from requests.utils import parse_header_links

from ..api.observed import ListedRepository
from . import github_errors
from .github_http import on_host
from .github_repository import FULL_NAME

_ROWS_PER_PAGE = 100
# With it a row is {starred_at, repo}.
_STARS = "application/vnd.github.star+json"
_NEWEST_FIRST = {"sort": "created", "direction": "desc"}

# The permissions of a fine-grained token, or of an App.
STARRING = "the user permission Starring: read"
METADATA = "the repository permission Metadata: read"


@dataclass(frozen=True)
class Place:
    """Where a list is. `what` names it in sentences, `needs` the permission that it takes.

    `login` is whom GitHub does not know where it answers 404.
    """

    path: str
    what: str
    needs: str
    query: Mapping[str, str]
    starred: bool = False
    login: str = ""

    @property
    def first_page(self) -> str:
        return f"{self.path}?{urlencode({**self.query, 'per_page': _ROWS_PER_PAGE})}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Accept": _STARS} if self.starred else {}


def stars_of(login: str | None) -> Place:
    """None is the token's owner."""
    path, whose = ("/user/starred", "the token's owner") if login is None else (f"/users/{login}/starred", login)
    return Place(path, f"the stars of {whose}", STARRING, _NEWEST_FIRST, starred=True, login=login or "")


def owned_by_token() -> Place:
    """Private ones included, as far as the token goes."""
    return Place("/user/repos", "the token owner's repositories", METADATA, {"affiliation": "owner", **_NEWEST_FIRST})


def owned_by_organization(login: str) -> Place:
    query = {"type": "all", **_NEWEST_FIRST}
    return Place(f"/orgs/{login}/repos", f"the repositories of {login}", METADATA, query, login=login)


def owned_by_user(login: str) -> Place:
    query = {"type": "owner", **_NEWEST_FIRST}
    return Place(f"/users/{login}/repos", f"the repositories of {login}", METADATA, query, login=login)


def of_installation() -> Place:
    """GitHub gives these in an order of its own."""
    return Place("/installation/repositories", "the repositories of the App's installation", METADATA, {})


class _Part(BaseModel):
    """What is read of it; servers of other ages may lack or add members."""

    model_config = ConfigDict(extra="ignore", strict=True)


class _License(_Part):
    key: str | None = None
    spdx_id: str | None = None


class _Owner(_Part):
    id: int = 0


class _Row(_Part):
    id: Annotated[int, Field(gt=0, lt=2**63)]
    full_name: str
    private: bool = False
    archived: bool = False
    fork: bool = False
    stargazers_count: int = 0
    size: Annotated[int, Field(ge=0, lt=2**63)] = 0
    language: str | None = None
    topics: list[str] | None = None
    license: _License | None = None
    description: str | None = None
    created_at: AwareDatetime | None = None
    pushed_at: AwareDatetime | None = None
    owner: _Owner | None = None


class _Star(_Part):
    starred_at: AwareDatetime | None = None
    # Null for one that the token may not see.
    repo: _Row | None


class _OfInstallation(_Part):
    repositories: list[_Row | None]


_STARRED = TypeAdapter(list[_Star | None])
_REPOSITORIES = TypeAdapter(list[_Row | None])


def read_rows(body: str, place: Place) -> tuple[ListedRepository, ...]:
    """The rows of one page, without those that GitHub hides. Raises `Retry` where that is no page of GitHub's."""
    try:
        rows = tuple(_listed(row, starred_at, place.what) for row, starred_at in _raw_rows(body, place))
    except ValidationError as error:
        raise github_errors.not_github(place.what, "it is no list of repositories") from error
    return rows


def _raw_rows(body: str, place: Place) -> Iterable[tuple[_Row, datetime | None]]:
    if place.starred:
        stars = _STARRED.validate_json(body)
        return ((star.repo, star.starred_at) for star in stars if star is not None and star.repo is not None)
    if place.path == of_installation().path:
        rows = _OfInstallation.model_validate_json(body).repositories
    else:
        rows = _REPOSITORIES.validate_json(body)
    return ((row, None) for row in rows if row is not None)


def _listed(row: _Row, starred_at: datetime | None, what: str) -> ListedRepository:
    if not FULL_NAME.fullmatch(row.full_name):
        raise github_errors.not_github(what, "a full_name in it is not owner/name")
    known = row.license
    return ListedRepository(
        id=row.id,
        full_name=row.full_name,
        private=row.private,
        archived=row.archived,
        fork=row.fork,
        stars=row.stargazers_count,
        size_kb=row.size,
        language=_once(row.language),
        topics=tuple(sys.intern(topic) for topic in row.topics or ()),
        license=_once(known.spdx_id or known.key) if known else None,
        description=row.description,
        created_at=_utc(row.created_at),
        pushed_at=_utc(row.pushed_at),
        starred_at=_utc(starred_at),
        owner_id=row.owner.id if row.owner else 0,
    )


def _once(word: str | None) -> str | None:
    """Kept once however many rows have it."""
    return None if word is None else sys.intern(word)


def _utc(time: datetime | None) -> datetime | None:
    """With the one UTC that Python has, instead of an object for each row."""
    return None if time is None else time.astimezone(UTC)


def next_cursor(headers: Mapping[str, Any], api_url: str, place: Place, cursor: str) -> str:
    """Path and query of the next page, empty on the last. Raises `Retry` where it is on another host."""
    links = parse_header_links(str(headers.get("link", "")))
    url = next((link["url"] for link in links if link.get("rel") == "next"), "")
    if not url:
        return ""
    there = on_host(url, api_url)
    found = f"{there.path}?{there.query}" if there else cursor
    if found == cursor:
        raise github_errors.not_github(place.what, "its next page is elsewhere")
    return found


def page_url(api_url: str, place: Place, cursor: str) -> str:
    """The first page, or where `cursor` leads: on the API's own host, whatever stands in it."""
    if not cursor:
        return place.first_page
    here = urlsplit(api_url)
    return f"{here.scheme}://{here.netloc}/{cursor.lstrip('/')}"
