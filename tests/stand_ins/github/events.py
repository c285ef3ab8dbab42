"""What happens and who hears of it: the hooks of the repository, of its organisation, and of Apps that may see it."""

from collections.abc import Callable
from typing import Any

from .accounts import Accounts, Installation
from .deliveries import Deliveries, Event
from .hooks import Hook, Hooks
from .payloads import ZEN, Payloads
from .people import People
from .repository import Repository

# A repository's own hook is not there yet, or not any more.
_NOT_BY_ITSELF = {("repository", "created"), ("repository", "deleted")}


class Events:
    def __init__(
        self, hooks: Hooks, deliveries: Deliveries, accounts: Accounts, people: People, where: Callable[[], str]
    ) -> None:
        self._hooks = hooks
        self._deliveries = deliveries
        self._accounts = accounts
        self._people = people
        self.payloads = Payloads(people, where)

    def wanted(self, found: Repository) -> bool:
        """Whether anybody hears of that repository, so that it pays to look for what to tell."""
        return bool(self._hearers(found))

    def _hearers(self, found: Repository) -> list[tuple[Hook, Installation | None]]:
        owner = self._people.of(found.owner)
        hearers: list[tuple[Hook, Installation | None]] = []
        for hook in self._hooks:
            match hook.scope:
                case "repository" if hook.target == found.id:
                    hearers.append((hook, None))
                case "organization" if owner.organization and hook.target == owner.id:
                    hearers.append((hook, None))
                case "app":
                    for one in self._accounts.installations.values():
                        if one.app_id == hook.name and one.has(found.full_name):
                            hearers.append((hook, one))
        return hearers

    def emit(self, name: str, found: Repository, payload: dict[str, Any]) -> None:
        """Tells all who are to hear of something that happened to a repository."""
        owner = self._people.of(found.owner)
        for hook, installation in self._hearers(found):
            if not hook.wants(name) or (hook.scope == "repository" and (name, payload.get("action")) in _NOT_BY_ITSELF):
                continue
            told = dict(payload)
            if owner.organization:
                told["organization"] = self.payloads.organization(owner)
            if installation is not None:
                told["installation"] = {"id": installation.id, "node_id": f"MDIzOklud{installation.id}"}
            number = None if installation is None else installation.id
            self._deliveries.send(hook, Event(name, told, found.id, number))

    def to_app(self, name: str, installation: Installation, payload: dict[str, Any]) -> None:
        """Tells an App of an installation."""
        for hook in self._hooks:
            if hook.scope == "app" and hook.name == installation.app_id and hook.wants(name):
                self._deliveries.send(hook, Event(name, payload, None, installation.id))

    def ping(self, hook: Hook, found: Repository | None) -> None:
        """found: the repository of a repository's hook."""
        payload: dict[str, Any] = {"zen": ZEN, "hook_id": hook.id, "hook": hook.shown(self.home(hook))}
        if found is not None:
            payload |= self.payloads.common(found)
        elif hook.scope == "organization":
            owner = self._people.of(hook.name)
            payload["organization"] = self.payloads.organization(owner)
            payload["sender"] = self.payloads.user(next(iter(sorted(owner.members)), "octocat"))
        self._deliveries.send(hook, Event("ping", payload, None if found is None else found.id))

    def home(self, hook: Hook) -> str:
        """The URL of the hook itself."""
        site = self.payloads.site
        if hook.scope == "app":
            return f"{site}/app/hook"
        return f"{site}/{'repos' if hook.scope == 'repository' else 'orgs'}/{hook.name}/hooks/{hook.id}"
