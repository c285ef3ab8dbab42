"""Webhooks: of a repository, of an organisation, of a GitHub App."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

SCOPES = {"repository": "Repository", "organization": "Organization", "app": "App"}
CONTENT_TYPES = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
# An App hears of these whether it subscribed or not.
_ALWAYS = ("ping", "installation", "installation_repositories")
_WHEN = "2026-01-01T00:00:00Z"


@dataclass
class Hook:
    """target: the number of the repository, the organisation or the App; name: its name, of an App its id."""

    id: int
    scope: str
    target: int
    name: str
    url: str
    secret: str | None = None
    content_type: str = "json"
    events: list[str] = field(default_factory=lambda: ["push"])
    active: bool = True
    last_response: dict[str, Any] = field(default_factory=lambda: {"code": None, "status": "unused", "message": None})

    def wants(self, event: str) -> bool:
        return self.active and (event in _ALWAYS or "*" in self.events or event in self.events)

    @property
    def target_type(self) -> str:
        """As the headers of a delivery call it."""
        return "integration" if self.scope == "app" else self.scope

    def config(self) -> dict[str, str]:
        secret = {} if self.secret is None else {"secret": "********"}
        return {"content_type": self.content_type, "insecure_ssl": "0", **secret, "url": self.url}

    def shown(self, home: str) -> dict[str, Any]:
        """As REST and the ping have it. home: the URL of the hook itself."""
        document = {
            "type": SCOPES[self.scope],
            "id": self.id,
            "name": "web",
            "active": self.active,
            "events": self.events,
            "config": self.config(),
            "updated_at": _WHEN,
            "created_at": _WHEN,
        }
        if self.scope == "app":
            return {**document, "app_id": self.target, "deliveries_url": f"{home}/deliveries"}
        links = {"url": home, "ping_url": f"{home}/pings", "deliveries_url": f"{home}/deliveries"}
        if self.scope == "organization":
            return {**document, **links}
        return {**document, **links, "test_url": f"{home}/test", "last_response": self.last_response}


class Hooks:
    def __init__(self) -> None:
        self._hooks: dict[int, Hook] = {}
        self._ids = count(500_000_001)

    def __iter__(self) -> Iterator[Hook]:
        return iter(list(self._hooks.values()))

    def add(self, scope: str, target: int, name: str, url: str, **members: Any) -> Hook:
        """An App has one hook: another one replaces it."""
        if scope == "app":
            for one in self.of(scope, target):
                self.remove(one.id)
        hook = Hook(next(self._ids), scope, target, name, url, **members)
        self._hooks[hook.id] = hook
        return hook

    def of(self, scope: str, target: int) -> list[Hook]:
        return [one for one in self if (one.scope, one.target) == (scope, target)]

    def find(self, hook_id: int) -> Hook | None:
        return self._hooks.get(hook_id)

    def remove(self, hook_id: int) -> bool:
        return self._hooks.pop(hook_id, None) is not None

    def forget(self, repository_id: int) -> None:
        """The repository is gone, and its hooks with it."""
        for one in self.of("repository", repository_id):
            self.remove(one.id)

    def renamed(self, repository_id: int, to: str) -> None:
        for one in self.of("repository", repository_id):
            one.name = to
