"""Somebody at GitHub whose repositories a sync mirrors: what a test of syncs speaks with, beside its world."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from github_onedev_sync.api import owned, starred

from .world import GROUP, World, eventually

KINDS = {"srs": starred.KIND, "ors": owned.KIND}


@dataclass(frozen=True)
class Fan:
    """A login, its token, the Secret that holds it, and a sync: all of one name. `suspended` mirrors need no pods."""

    world: World
    name: str
    kind: str = "srs"
    suspended: bool = True

    @classmethod
    def of(cls, world: World, name: str, *starred_ones: str, kind: str = "srs", suspended: bool = True) -> "Fan":
        """With stars, of repositories of `e2e` that are made where they are missing."""
        fan = cls(world, name, kind, suspended)
        world.github.act("add_token", token=fan.token, login=name)
        world.secret(name, token=fan.token)
        for repository in starred_ones:
            world.repository(repository)
        fan.star(*starred_ones)
        return fan

    @property
    def token(self) -> str:
        return f"ghp_of{self.name.replace('-', '')}"

    def star(self, *names: str) -> None:
        for name in names:
            self.world.github.act("star", login=self.name, repository=f"e2e/{name}")

    def unstar(self, *names: str) -> None:
        for name in names:
            self.world.github.act("unstar", login=self.name, repository=f"e2e/{name}")

    def sync(self, template: Mapping[str, Any] | None = None, **spec: Any) -> None:
        """Declares the sync; `spec` and `template` are merged over the usual ones."""
        self.world.apply(self.manifest(template, **spec))

    def manifest(self, template: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
        source = {"apiURL": self.world.github.url, "insecure": True, "secretRef": {"name": self.name}}
        usual = {"target": {"serverRef": {"name": "default"}}, "suspend": self.suspended}
        return {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": KINDS[self.kind],
            "metadata": {"name": self.name},
            "spec": {"source": source, "template": {**usual, **(template or {})}, **spec},
        }

    def patch(self, spec: str) -> None:
        self.world.kubectl("patch", self.kind, self.name, "--type=merge", "-p", f'{{"spec": {spec}}}')

    def wait_ready(self) -> dict[str, Any]:
        """Its status, once it is Ready."""
        self.world.wait_for(self.kind, self.name, "Ready", "True")
        return self.status

    def wait_failed(self, reason: str, *words: str) -> dict[str, Any]:
        condition = self.world.wait_failed(self.name, reason, *words, kind=self.kind)
        assert self.token not in condition["message"]
        return condition

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.world.get(self.kind, self.name).get("status", {})
        return found

    def ask(self) -> None:
        """Has the whole list read, and waits until that is done."""
        self.world.ask(self.name, kind=self.kind)
        annotations = self.world.get(self.kind, self.name)["metadata"]["annotations"]
        token = annotations[f"{GROUP}/requestedAt"]
        eventually(f"{self.name} was asked", lambda: self.status.get("lastHandledReconcileAt") == token)

    def approve(self, what: str) -> None:
        self.world.kubectl("annotate", "--overwrite", self.kind, self.name, f"{GROUP}/approve={what}")

    @property
    def label(self) -> str:
        return f"{self.kind}.{GROUP}/{self.name}"

    def mirrors(self) -> dict[str, dict[str, Any]]:
        """Those that the sync covers, by their repository's name."""
        found = self.world.items("rmir", f"--selector={self.label}")
        return {one["spec"]["source"]["repository"].partition("/")[2]: one for one in found}

    def wait_mirrors(self, *names: str) -> None:
        """Until just these are covered."""
        eventually(f"{self.name} covers {', '.join(names) or 'nothing'}", lambda: self.mirrors().keys() == set(names))

    def marks(self) -> set[str]:
        """Repositories whose mirrors are marked as un-starred."""
        return {name for name, one in self.mirrors().items() if self.label in one["metadata"].get("annotations", {})}
