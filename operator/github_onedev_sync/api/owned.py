"""OwnedReposSync: the repositories of a user, an organisation or a GitHub App's installation, each as a
RepositoryMirror. The fields are described in `crds/`."""

from typing import ClassVar

from .observed import Owned, Scope
from .sync import ReposSync, SyncSpec

KIND = "OwnedReposSync"
PLURAL = "ownedrepossyncs"
SHORT = "ors"


class OwnedReposSyncSpec(SyncSpec):
    """Without `owner`: all that the GitHub App's installation was given."""

    owner: str | None = None


class OwnedReposSync(ReposSync):
    kind: ClassVar[str] = KIND
    plural: ClassVar[str] = PLURAL
    short: ClassVar[str] = SHORT

    spec: OwnedReposSyncSpec

    @property
    def settings(self) -> OwnedReposSyncSpec:
        return self.spec

    @property
    def scope(self) -> Scope:
        return Owned(self.spec.owner)
