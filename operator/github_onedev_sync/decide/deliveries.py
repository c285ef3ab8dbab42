"""Which deliveries of a webhook are to be sent again, for GitHub never does so by itself.

Its log goes back three days and has every attempt. A delivery that was taken once is well, in whatever order its
attempts are read, and reading one twice changes nothing: so a log may be read again from anywhere.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from ..api.hooks import Attempt, AttemptPage, HookPlace, RepositoryHooks, WebhookStatus

WINDOW = timedelta(days=3)
# What was under way, or was told late, is read once more.
_OVERLAP = timedelta(minutes=5)
# GitHub waits 10 s for an answer, an Enterprise server 30 s: longer without one is a failure.
_UNDER_WAY = timedelta(minutes=2)
_PORTS = {"https": 443, "http": 80}
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Story:
    """A delivery that failed, or was sent again. `attempt` is its newest attempt, `since` the time of its oldest."""

    attempt: int
    since: datetime
    failed: bool = False
    taken: datetime | None = None


@dataclass(frozen=True)
class Log:
    """What is known of a webhook's log, by GUID. All deliveries without a story are well.

    `read_to` is how far it was read, `taken` when a delivery was last taken.
    """

    stories: Mapping[str, Story] = field(default_factory=dict)
    read_to: datetime | None = None
    taken: datetime | None = None

    def read(self, rows: Iterable[Attempt], now: datetime) -> "Log":
        stories, taken = dict(self.stories), self.taken
        for row in rows:
            if is_under_way(row, now):
                continue
            if row.taken:
                taken = max(taken or row.at, row.at)
            if not row.taken or row.redelivery or row.guid in stories:
                stories[row.guid] = _with(stories.get(row.guid), row)
        return replace(self, stories=stories, taken=taken)

    def is_older_unread(self, page: AttemptPage, now: datetime) -> bool:
        """Whether the page after this one may hold something new."""
        floor = now - WINDOW if self.read_to is None else max(now - WINDOW, self.read_to - _OVERLAP)
        return bool(page.next) and page.oldest is not None and page.oldest >= floor

    def kept(self, now: datetime) -> "Log":
        """Without what GitHub would not send again."""
        return replace(self, stories={guid: one for guid, one in self.stories.items() if one.since > now - WINDOW})

    @property
    def lost(self) -> dict[str, Story]:
        """What nobody has taken yet."""
        return {guid: one for guid, one in self.stories.items() if one.taken is None}

    @property
    def repaired(self) -> list[datetime]:
        """When those were taken that had failed before."""
        return [one.taken for one in self.stories.values() if one.failed and one.taken is not None]


def is_under_way(row: Attempt, now: datetime) -> bool:
    return row.status == 0 and now - row.at < _UNDER_WAY


def _with(before: Story | None, row: Attempt) -> Story:
    if before is None:
        return Story(row.id, row.at, not row.taken, row.at if row.taken else None)
    taken = max(before.taken or row.at, row.at) if row.taken else before.taken
    return Story(max(before.attempt, row.id), min(before.since, row.at), before.failed or not row.taken, taken)


def status(logs: Collection[Log], before: WebhookStatus | None) -> WebhookStatus | None:
    """What a resource says of its webhooks; None where it has none that lead to us."""
    if not logs:
        return None
    before = before or WebhookStatus()
    repaired = [time for log in logs for time in log.repaired]
    return WebhookStatus(
        last_delivery_time=_latest(before.last_delivery_time, *(log.taken for log in logs)),
        last_repair_time=_latest(before.last_repair_time, *repaired),
        redelivered=len(repaired),
        failed=sum(len(log.lost) for log in logs),
    )


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)


def address(url: str) -> str:
    """Where a webhook leads to, in one spelling and without a query; empty where that is no web address."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return ""
    if parts.scheme not in _PORTS or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}"


def next_repositories(
    candidates: Iterable[RepositoryHooks],
    looked: Mapping[RepositoryHooks, datetime],
    hooked: Collection[HookPlace],
    most: int,
) -> list[RepositoryHooks]:
    """Whose webhooks to ask for next: those known to have one of ours, then those not looked at for the longest."""
    order = sorted(candidates, key=lambda one: (one not in hooked, looked.get(one, _NEVER), one.full_name))
    return order[:most]
