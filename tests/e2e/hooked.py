"""A release with the webhook, and repositories at GitHub whose hooks lead to it: all of it in pods."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from github_onedev_sync.api.mirror import HistoryEntry, RepositoryMirror
from tests.local_cluster.choice import Cluster

from .installed import Installed, installation
from .world import eventually

SECRET = "a-secret-of-the-webhook"
# So that polling cannot be what did it.
INTERVAL = "24h"
EVENTS = ["push", "create", "delete", "star", "repository"]


class Hooked:
    """A release with the webhook, and repositories at GitHub whose hooks lead to it."""

    def __init__(self, installed: Installed) -> None:
        self.installed, self.world = installed, installed.world
        self.hooks: dict[str, int] = {}

    @property
    def url(self) -> str:
        return f"http://{self.installed.name}-webhook.{self.installed.name}.svc/webhook"

    def github(self, action: str, **members: Any) -> Any:
        return self.installed.act("github", action, **members)

    def repository(self, name: str) -> str:
        repository = f"octocat/{name}"
        self.github("create_repository", repository=repository)
        self.push(repository)
        self.hook(repository)
        return repository

    def hook(self, repository: str) -> None:
        hook = {"scope": "repository", "target": repository, "url": self.url, "secret": SECRET, "events": EVENTS}
        self.hooks[repository] = self.github("add_hook", **hook)

    def push(self, repository: str) -> str:
        commit: str = self.github("commit", repository=repository)
        return commit

    def mirrored(self, name: str) -> str:
        """A repository with a hook, whose mirror has come to rest."""
        repository = self.repository(name)
        self.world.mirror(name, repository, interval=INTERVAL)
        self.world.wait_ready(name)
        return repository

    def pinged(self, repository: str) -> bool:
        """Whether a new hook's first delivery arrived; the hook replaces the one that was there."""
        self.github("remove_hook", hook_id=self.hooks.pop(repository))
        self.hook(repository)
        return bool(self.deliveries(repository)[0]["status_code"] == 200)

    def wait_equal(self, repository: str) -> None:
        """Until OneDev's branches and tags are GitHub's."""

        def refs(server: str, **of: str) -> dict[str, str]:
            found = self.installed.act(server, "refs", **of)
            return {ref: oid for ref, oid in found.items() if ref.startswith(("refs/heads/", "refs/tags/"))}

        wanted = refs("github", repository=repository)
        project = f"{self.world.root}/{repository}"
        eventually(f"{project} is equal", lambda: refs("onedev", project=project) == wanted, within=60)

    def deliveries(self, repository: str) -> list[dict[str, Any]]:
        """Newest first, once all have been answered."""
        self.github("settle_deliveries")
        found: list[dict[str, Any]] = self.github("delivery_log", hook_id=self.hooks[repository])
        return found

    def history(self, mirror: str) -> Sequence[HistoryEntry]:
        """Its runs, newest first, once nothing is asked for and none is under way."""

        def rests() -> Sequence[HistoryEntry]:
            read = RepositoryMirror.read(self.world.get("rmir", mirror))
            done = read.status.last_run is not None and read.status.last_run.outcome is not None
            return read.status.history if done and read.requested is None else ()

        return eventually(f"{mirror} rests", rests)

    @property
    def replicas(self) -> str:
        """Selects the pods of the webhook."""
        return f"--selector=app.kubernetes.io/instance={self.installed.name},app.kubernetes.io/component=webhook"

    def log(self) -> str:
        return self.installed.run("kubectl", "-n", self.installed.name, "logs", self.replicas, "--tail=-1")


@contextmanager
def hooked_up(cluster: Cluster, image: str, kind: str, folder: Path, **webhook: Any) -> Iterator[Hooked]:
    """`webhook` are its values; the server `default` is Ready."""
    with installation(cluster, kind, folder) as installed:
        installed.secret("github-webhook", secret=SECRET)
        found = Hooked(installed)
        told = {"enabled": True, "url": found.url, "secretName": "github-webhook", "admissionPolicy": {"enabled": True}}
        installed.install(image, webhook={**told, **webhook})
        world = installed.world
        world.secret("github", token="github-stand-in-token")
        world.secret("onedev", token="onedev-stand-in-token")
        world.server("default")
        world.wait_for("ods", "default", "Ready", "True")
        found.repository("first")
        # The nodes take a moment after the pods before a new Service leads to them.
        eventually("GitHub reaches the webhook", lambda: found.pinged("octocat/first"))
        yield found
