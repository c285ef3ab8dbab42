"""What a test can do about webhooks: each method is an action of the admin API."""

from typing import Any

from ..serving import Action, ActionError, StandIn
from .accounts import Accounts
from .catalogue import Catalogue, Repository
from .deliveries import DISTURBANCES, Deliveries, Event
from .events import Events
from .hooks import CONTENT_TYPES, SCOPES, Hook, Hooks
from .people import People

_SETTINGS = ("url", "secret", "content_type", "events", "active")


class Hooking(StandIn):
    """Every other action tells the hooks what it did; what is sent is sent in the background."""

    catalogue: Catalogue
    accounts: Accounts
    people: People
    hooks: Hooks
    deliveries: Deliveries
    events: Events

    def actions(self) -> dict[str, Action]:
        names = [
            "add_hook",
            "set_hook",
            "remove_hook",
            "send_event",
            "disturb_deliveries",
            "settle_deliveries",
            "age_deliveries",
            "forget_deliveries",
            "delivery_log",
            "set_hook_timeout",
        ]
        return {name: getattr(self, name) for name in names}

    async def stop(self) -> None:
        await self.deliveries.close()
        await super().stop()

    def _repository(self, repository: str) -> Repository:
        found = self.catalogue.find(repository)
        if found is None:
            raise ActionError(f"no repository {repository}")
        return found

    def _hook(self, hook_id: int) -> Hook:
        found = self.hooks.find(hook_id)
        if found is None:
            raise ActionError(f"no hook {hook_id}")
        return found

    async def add_hook(
        self,
        scope: str,
        target: str,
        url: str,
        secret: str | None = None,
        content_type: str = "json",
        events: list[str] | None = None,
    ) -> int:
        """A hook of a repository (target owner/name), an organization (its login) or an app (its id); returns its id.

        It is pinged. content_type: json or form. events: push, create, delete, repository, star, public …, ["*"] for
        all; push without it. An App hears of its installations in any case, and of repositories they cover.
        """
        if scope not in SCOPES:
            raise ActionError(f"scope is one of {', '.join(SCOPES)}")
        members = {"secret": secret, "content_type": content_type, "events": events or ["push"]}
        _check(members)
        found = self._repository(target) if scope == "repository" else None
        if found is not None:
            hook = self.hooks.add(scope, found.id, found.full_name, url, **members)
        elif scope == "organization":
            who = self.people.declare(target, organization=True)
            hook = self.hooks.add(scope, who.id, who.login, url, **members)
        else:
            hook = self.hooks.add(scope, int(target) if target.isdigit() else 1, target, url, **members)
        self.events.ping(hook, found)
        return hook.id

    async def set_hook(self, hook_id: int, **members: Any) -> None:
        """Changes url, secret, content_type, events or active, as its owner does in the settings."""
        hook = self._hook(hook_id)
        if unknown := members.keys() - set(_SETTINGS):
            raise ActionError(f"a hook has no {', '.join(sorted(unknown))}")
        _check(members)
        for name, value in members.items():
            setattr(hook, name, value)

    async def remove_hook(self, hook_id: int) -> None:
        self.hooks.remove(self._hook(hook_id).id)

    async def send_event(self, hook_id: int, event: str, payload: dict[str, Any]) -> None:
        """Sends the hook a payload as it is, whatever it subscribed to and without anything having happened."""
        hook = self._hook(hook_id)
        repository = payload.get("repository") or {}
        installation = payload.get("installation") or {}
        self.deliveries.send(hook, Event(event, payload, repository.get("id"), installation.get("id")))

    async def disturb_deliveries(self, how: str, count: int | None = 1, seconds: float = 0) -> None:
        """What becomes of the next `count` deliveries (None: all; 0: ends all that went before).

        fail: the receiver is not reached, the log says so. skip: never sent and not in the log. late: sent after so
        many seconds, so that others overtake it. twice: sent twice with the same GUID.
        """
        if how not in DISTURBANCES:
            raise ActionError(f"how is one of {', '.join(DISTURBANCES)}")
        if count == 0:
            self.deliveries.undisturbed()
        else:
            self.deliveries.disturb(how, count, seconds)

    async def settle_deliveries(self) -> None:
        """Waits until every delivery has been answered or given up."""
        await self.deliveries.settled()

    async def age_deliveries(self, seconds: float) -> None:
        """As if all that was sent so far had been sent so much earlier; after three days it is forgotten."""
        self.deliveries.age(seconds)

    async def forget_deliveries(self) -> None:
        """The log is empty, of every hook."""
        self.deliveries.forget()

    async def delivery_log(self, hook_id: int) -> list[dict[str, Any]]:
        """What GitHub's log has of a hook, newest first, with request and answer."""
        return [one.shown(full=True) for one in self.deliveries.of(self._hook(hook_id).id)]

    async def set_hook_timeout(self, seconds: float) -> None:
        """How long a receiver may take: 10 s with GitHub."""
        self.deliveries.timeout = seconds


def _check(members: dict[str, Any]) -> None:
    if members.get("content_type", "json") not in CONTENT_TYPES:
        raise ActionError(f"content_type is one of {', '.join(CONTENT_TYPES)}")
