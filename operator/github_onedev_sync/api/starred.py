"""StarredReposSync: a person's stars, each as a RepositoryMirror. The fields are described in `crds/`."""

from typing import ClassVar

from .observed import Scope, Starred
from .sync import RepositoryFilter, ReposSync, SyncSpec

KIND = "StarredReposSync"
PLURAL = "starredrepossyncs"
SHORT = "srs"


class StarFilter(RepositoryFilter):
    """`lists` are names of star lists, of which a repository must be in one; empty means that it does not matter."""

    lists: tuple[str, ...] = ()


class StarredReposSyncSpec(SyncSpec):
    user: str | None = None
    filter: StarFilter = StarFilter()


class StarredReposSync(ReposSync):
    kind: ClassVar[str] = KIND
    plural: ClassVar[str] = PLURAL
    short: ClassVar[str] = SHORT

    spec: StarredReposSyncSpec

    @property
    def settings(self) -> StarredReposSyncSpec:
        return self.spec

    @property
    def scope(self) -> Scope:
        return Starred(self.spec.user)
