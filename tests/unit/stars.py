"""A GitHub with lists in memory, a cluster that knows server-side apply, and what a sync does with both."""

from datetime import datetime, timedelta
from typing import Any

from github_onedev_sync.api import mirror, names
from github_onedev_sync.api.conditions import ConditionType
from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.api.owned import OwnedReposSync
from github_onedev_sync.api.starred import StarredReposSync
from github_onedev_sync.api.sync import ReposSync
from github_onedev_sync.engine.children import Children
from github_onedev_sync.engine.recorder import Recorder
from github_onedev_sync.engine.store import Store
from github_onedev_sync.engine.syncs import SyncReconciler

from . import builders as build
from .fakes import FakeClock, FakeCluster, FakeConnections, FakeGitHub


class StarWorld:
    """Syncs at work on what the cluster holds; what they make is seen at once."""

    def __init__(self, *, size: int = 100) -> None:
        self.clock, self.github = FakeClock(), FakeGitHub(size=size)
        self.cluster, self.store = FakeCluster(now=self.clock.now), Store()
        self.cluster.watch = self._seen
        self.cluster.gone = lambda body: self.store.drop_mirror(RepositoryMirror.read(body))
        self.connections = FakeConnections(github=self.github)
        kinds = {"starredrepossyncs": "StarredReposSync", "ownedrepossyncs": "OwnedReposSync"}
        self.recorder = Recorder(self.clock, self.cluster, kinds)
        self.restart()

    def restart(self) -> None:
        """All that was in memory is gone."""
        children = Children(self.cluster)
        self.syncs = SyncReconciler(self.clock, self.store, self.connections, children, self.recorder)

    def _seen(self, plural: str, name: str) -> None:
        body = build.plain(self.cluster.resources[plural, f"team/{name}"])
        if plural == mirror.PLURAL:
            self.store.put_mirror(RepositoryMirror.read(body))
        else:
            kind = StarredReposSync if plural == "starredrepossyncs" else OwnedReposSync
            self.store.put_sync(kind.read(body))

    def declare(self, name: str = "stars", plural: str = "starredrepossyncs", **spec: Any) -> None:
        """Once more with another spec is an edit."""
        known = self.cluster.resources.get((plural, f"team/{name}"))
        body = build.sync_body(name, **spec)
        if known is not None:
            known["metadata"]["generation"] += 1
            body = {**body, "metadata": known["metadata"], "status": known.get("status", {})}
        self.cluster.put(plural, body)

    def annotate(self, name: str = "stars", plural: str = "starredrepossyncs", **words: str) -> None:
        found = {"requested": names.REQUESTED_AT, "approve": names.APPROVE}
        body = self.cluster.resources[plural, f"team/{name}"]
        body["metadata"].setdefault("annotations", {}).update({found[word]: text for word, text in words.items()})
        self.cluster.put(plural, body)

    async def look(self, ref: str = "srs/team/stars", *, times: int = 12) -> datetime | None:
        """Reconciles, as the queue would, until the sync waits for its next poll."""
        for _ in range(times):
            due = await self.syncs.reconcile(ref)
            if due is None or due > self.clock.now() + timedelta(seconds=2):
                return due
            self.clock.advance(max((due - self.clock.now()).total_seconds(), 0))
        raise AssertionError("it never rests")

    async def poll(self, ref: str = "srs/team/stars", after: float = 70) -> None:
        self.clock.advance(after)
        await self.look(ref)

    def sync(self, ref: str = "srs/team/stars") -> ReposSync:
        return self.store.syncs[ref]

    def ready(self, ref: str = "srs/team/stars") -> tuple[str, str, str]:
        found = self.sync(ref).status.condition(ConditionType.READY)
        assert found is not None
        return found.status, found.reason, found.message

    @property
    def mirrors(self) -> dict[str, RepositoryMirror]:
        """By name, as the cluster holds them."""
        return {
            body["metadata"]["name"]: RepositoryMirror.read(body)
            for (plural, _), body in self.cluster.resources.items()
            if plural == mirror.PLURAL
        }

    @property
    def ids(self) -> set[int]:
        return {int(one.metadata.labels[names.REPOSITORY_ID]) for one in self.mirrors.values()}

    def by_hand(self, name: str, repository: str, number: int | None = None) -> None:
        """A mirror that a person wrote; with a number it was synced."""
        status = build.synced_status(source={"id": number, "fullName": repository}) if number else {}
        body = build.mirror_body(name, source={"repository": repository}, status=status)
        self.cluster.put(mirror.PLURAL, body)


def name_of(number: int) -> str:
    return names.mirror_name(f"o/r{number}", number, mirror.GITHUB_API)
