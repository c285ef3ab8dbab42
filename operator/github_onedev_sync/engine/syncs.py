"""A StarredReposSync is accepted and kept, and says plainly that this version does not poll stars yet."""

from dataclasses import dataclass
from datetime import datetime

from ..api.conditions import ConditionType, Reason
from ..api.starred import PLURAL
from ..decide.conditions import Conditions
from .ports import Clock
from .recorder import Recorder
from .store import Store

MESSAGE = (
    "This version does not poll stars yet, so no mirror is made from this resource. "
    "Declare a RepositoryMirror for each repository; this manifest will work unchanged once stars are polled"
)


@dataclass
class SyncReconciler:
    clock: Clock
    store: Store
    recorder: Recorder

    async def reconcile(self, key: str) -> datetime | None:
        sync = self.store.syncs.get(key)
        if sync is None or sync.metadata.deletion_timestamp is not None:
            return None
        conditions = (
            Conditions(sync.status.conditions, sync.metadata.generation, self.clock.now())
            .set(ConditionType.READY, False, Reason.NOT_SUPPORTED, MESSAGE)
            .set(ConditionType.STALLED, True, Reason.NOT_SUPPORTED, MESSAGE)
        )
        after = sync.status.changed(conditions=conditions.build(), observed_generation=sync.metadata.generation)
        await self.recorder.write(PLURAL, sync, after)
        return None
