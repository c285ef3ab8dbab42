"""Webhooks at GitHub and its log of what they delivered, as plain values; and what a status says of both."""

from dataclasses import dataclass
from datetime import datetime

from .model import Time, View


class WebhookStatus(View):
    """As GitHub's log has it. `redelivered` and `failed` are of the last three days, beyond which it does not go."""

    last_delivery_time: Time | None = None
    last_repair_time: Time | None = None
    redelivered: int = 0
    failed: int = 0


@dataclass(frozen=True)
class AppHooks:
    """The one webhook of a GitHub App, which hears of all its installations."""

    def __str__(self) -> str:
        return "the GitHub App"


@dataclass(frozen=True)
class OrganizationHooks:
    login: str

    def __str__(self) -> str:
        return self.login


@dataclass(frozen=True)
class RepositoryHooks:
    full_name: str

    def __str__(self) -> str:
        return self.full_name

    @property
    def owner(self) -> str:
        """As it never is the name of a place: `octo/`."""
        return self.full_name.partition("/")[0].lower() + "/"


HookPlace = AppHooks | OrganizationHooks | RepositoryHooks


@dataclass(frozen=True)
class Hook:
    """`url` is where it delivers to. An App's has no number of its own."""

    place: HookPlace
    url: str
    id: int = 0


@dataclass(frozen=True)
class HookList:
    """The webhooks of one place. `unchanged` tells that they are still those that the ETag stood for.

    `hidden` says why they are not shown to these credentials, `denied` that others of the same owner would not be
    shown either.
    """

    hooks: tuple[Hook, ...] = ()
    etag: str = ""
    unchanged: bool = False
    hidden: str = ""
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to deliver. All tries of one delivery have its `guid`; `status` is 0 as long as it is under way."""

    id: int
    guid: str
    at: datetime
    status: int
    redelivery: bool = False

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True)
class AttemptPage:
    """One page of a webhook's log, the newest first. `next` is the cursor of the next one, empty on the last.

    `newest` and `oldest` are times of all rows, those of other installations included, which are not in `rows`.
    """

    rows: tuple[Attempt, ...] = ()
    next: str = ""
    etag: str = ""
    unchanged: bool = False
    newest: datetime | None = None
    oldest: datetime | None = None
