"""OneDevServer: a OneDev server and the account that mirrors are written with. The fields are described in `crds/`."""

from .model import ConditionedStatus, Metadata, NameReference, View

KIND = "OneDevServer"
PLURAL = "onedevservers"


class ServerSpec(View):
    url: str
    secret_ref: NameReference
    root_project: str = "github"
    max_concurrent_syncs: int = 2
    insecure: bool = False
    suspend: bool = False


class MirrorCounts(View):
    total: int = 0
    ready: int = 0
    failed: int = 0


class ServerStatus(ConditionedStatus):
    version: str | None = None
    mirrors: MirrorCounts | None = None
    last_handled_reconcile_at: str | None = None


class OneDevServer(View):
    metadata: Metadata
    spec: ServerSpec
    status: ServerStatus = ServerStatus()

    @property
    def key(self) -> str:
        return self.metadata.key
