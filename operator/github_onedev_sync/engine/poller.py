"""Reading a sync's list at GitHub: as little as tells what is new, and now and then all of it."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.observed import ListedRepository, Page, Scope
from ..decide.listing import FULL_LISTING, has_lost, reaches_known_ground
from ..observability.logs import event
from .ports import Source

log = logging.getLogger(__name__)

# A walk that was cut is taken up where it was left, unless the list has had so long to move on.
_RESUMABLE = timedelta(minutes=15)
# So many walks in a row that see different lists, and the list is too busy: the next poll tries again.
_WALKS = 3


@dataclass
class _Walk:
    """A complete listing under way. `first` and `etag` are of its first page."""

    started: datetime
    cursor: str = ""
    ids: set[int] = field(default_factory=set)
    first: tuple[int, ...] = ()
    etag: str = ""
    pages: int = 0


@dataclass
class Listed:
    """What is known of one list, in memory alone: a restart costs a listing.

    `ids` are those of the last complete walk with what polls added; `confirmed_at` is when two walks agreed on them.
    `rows` may hold more: whatever was seen since. `changed` are those that nobody has looked at yet.
    """

    rows: dict[int, ListedRepository] = field(default_factory=dict)
    ids: frozenset[int] | None = None
    confirmed_at: datetime | None = None
    listed_at: datetime | None = None
    changed: set[int] = field(default_factory=set)
    wanted: bool = False
    _first: tuple[int, ...] = ()
    _etag: str = ""
    _walk: _Walk | None = None
    _disagreed: int = 0

    @property
    def hurries(self) -> bool:
        """Whether the next walk need not wait for the next poll: it is to confirm what the last one saw."""
        return self.wanted and self._disagreed % _WALKS != 0

    def is_walk_due(self, now: datetime) -> bool:
        """Whether all of the list is to be read, rather than its first page."""
        fresh = self.listed_at is not None and now - self.listed_at < FULL_LISTING
        return self.wanted or self._walk is not None or self.ids is None or not fresh

    async def poll(
        self, api: Source, scope: Scope, now: datetime, check: Callable[[], Awaitable[None]], *, ordered: bool
    ) -> None:
        """One look at the list, complete where that is due. Raises `SyncError`; what it read until then counts.

        `check` is awaited before rows are taken: they may be another account's. In a list that is not `ordered` new
        rows may be anywhere.
        """
        if not self.is_walk_due(now) and not await self._poll_first(api, scope, now, check, ordered=ordered):
            return
        await self._walk_all(api, scope, now, check)

    async def _poll_first(
        self, api: Source, scope: Scope, now: datetime, check: Callable[[], Awaitable[None]], *, ordered: bool
    ) -> bool:
        """Whether what changed takes a complete walk to understand."""
        page = await api.page(scope, etag=self._etag)
        if page.unchanged:
            return False
        await check()
        etag, first, whole = page.etag, _ids(page), not page.next
        seen, fresh = list(first), {row.id for row in page.rows if row.id not in self.rows}
        pages = [page]
        while ordered and page.next and not reaches_known_ground(_ids(page), self.rows):
            page = await api.page(scope, page.next)
            pages.append(page)
            seen += _ids(page)
            fresh |= {row.id for row in page.rows if row.id not in self.rows}
        lost = not ordered or has_lost(self._first, seen, fresh)
        for one in pages:
            self._take(one)
        self._first, self._etag = first, etag
        self.ids = (self.ids or frozenset()) | fresh
        if whole:
            self._settle(frozenset(first), now)
            return False
        return lost

    async def _walk_all(self, api: Source, scope: Scope, now: datetime, check: Callable[[], Awaitable[None]]) -> None:
        walk = self._walk
        if walk is None or now - walk.started > _RESUMABLE:
            walk = self._walk = _Walk(now)
        while walk.cursor or not walk.pages:
            page = await api.page(scope, walk.cursor)
            if not walk.pages:
                await check()
                walk.first, walk.etag = _ids(page), page.etag
            self._take(page)
            walk.ids.update(_ids(page))
            walk.pages, walk.cursor = walk.pages + 1, page.next
        self._walk, self._first, self._etag = None, walk.first, walk.etag
        event(log, "listed", level=logging.DEBUG, repositories=len(walk.ids), pages=walk.pages)
        ids = frozenset(walk.ids)
        if ids == self.ids or walk.pages == 1:
            self._settle(ids, now)
            return
        self.ids, self.listed_at, self.wanted = ids, now, True
        self._disagreed += 1

    def _settle(self, ids: frozenset[int], now: datetime) -> None:
        """Two walks agree, or one page is all there is: what is not among them is not there."""
        self.ids, self.listed_at, self.confirmed_at = ids, now, now
        self.wanted, self._disagreed = False, 0
        self.rows = {number: row for number, row in self.rows.items() if number in ids}

    def _take(self, page: Page) -> None:
        for row in page.rows:
            if self.rows.get(row.id) != row:
                self.rows[row.id] = row
                self.changed.add(row.id)


def _ids(page: Page) -> tuple[int, ...]:
    return tuple(row.id for row in page.rows)
