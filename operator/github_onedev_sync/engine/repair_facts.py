"""Who is looked after with a credential, and what their status says of the webhooks at GitHub."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from ..api import mirror
from ..api.hooks import AppHooks, HookPlace, OrganizationHooks, RepositoryHooks
from ..api.mirror import RepositoryMirror
from ..api.owned import OwnedReposSync
from ..api.sync import ReposSync
from ..decide import deliveries as say
from ..decide.batch import credential_in, credential_of
from ..decide.events import Transition
from ..observability.logs import event
from .recorder import Recorder
from .repair_memory import Desk, Place
from .store import Store

log = logging.getLogger(__name__)

REPAIRED = "DeliveriesRepaired"


@dataclass
class Facts:
    store: Store
    recorder: Recorder

    def syncs(self, key: str) -> list[ReposSync]:
        """Those that use the credential now."""
        return [
            one
            for one in self.store.syncs.values()
            if credential_in(one.settings.source, one.metadata.namespace) == key
            and not one.settings.suspend
            and one.metadata.deletion_timestamp is None
        ]

    def mirrors(self, key: str) -> list[RepositoryMirror]:
        return [
            one
            for one in self.store.mirrors.values()
            if credential_of(one) == key and not one.spec.suspend and one.metadata.deletion_timestamp is None
        ]

    async def tell(self, key: str, desk: Desk, told: set[HookPlace]) -> None:
        """Writes down what was seen in these places, where that is news; those that are through leave the set."""
        syncs = self.syncs(key)
        mirrors: dict[str, list[RepositoryMirror]] = {}
        for one in self.mirrors(key):
            if one.status.source is not None:
                mirrors.setdefault(one.status.source.full_name, []).append(one)
        for place in list(told):
            known = desk.places.get(place, Place())
            for resource in _about(place, syncs, mirrors):
                await self._write(resource, known)
            self._tell_log(desk, place, known)
            told.discard(place)

    async def _write(self, resource: ReposSync | RepositoryMirror, place: Place) -> None:
        """Once more where somebody was faster."""
        for _ in range(2):
            fresh = self._fresh(resource)
            if fresh is None:
                return
            after = say.status([one.log for one in place.webhooks.values()], fresh.status.webhook)
            written = await self.recorder.write(_plural(fresh), fresh, fresh.status.changed(webhook=after))
            if written is not None:
                if written:
                    self._put(type(fresh).read(written))
                break
            body = await self.recorder.cluster.read_resource(_plural(fresh), fresh.metadata.key)
            if body is not None:
                self._put(type(fresh).read(body))
        count = sum(one.mended for one in place.webhooks.values())
        if count:
            told = f"{count:,} deliveries that had not reached the webhook pod were sent again, and were taken"
            await self.recorder.tell(_plural(resource), resource.metadata, Transition("Normal", REPAIRED, told))

    def _fresh(self, resource: ReposSync | RepositoryMirror) -> ReposSync | RepositoryMirror | None:
        if isinstance(resource, RepositoryMirror):
            return self.store.mirrors.get(resource.key)
        return self.store.syncs.get(resource.ref)

    def _put(self, resource: ReposSync | RepositoryMirror) -> None:
        if isinstance(resource, RepositoryMirror):
            self.store.put_mirror(resource)
        else:
            self.store.put_sync(resource)

    def _tell_log(self, desk: Desk, place: HookPlace, known: Place) -> None:
        for one in known.webhooks.values():
            if one.mended:
                event(log, "deliveries repaired", credential=desk.name, webhook=str(place), deliveries=one.mended)
                one.mended = 0


def _plural(resource: ReposSync | RepositoryMirror) -> str:
    return mirror.PLURAL if isinstance(resource, RepositoryMirror) else resource.plural


def _about(
    place: HookPlace, syncs: list[ReposSync], mirrors: dict[str, list[RepositoryMirror]]
) -> Iterator[ReposSync | RepositoryMirror]:
    """Whose status tells of the webhooks of that place: an App's concern all that is listed with it."""
    match place:
        case AppHooks():
            yield from syncs
        case OrganizationHooks(login):
            yield from (one for one in syncs if isinstance(one, OwnedReposSync) and is_of(one, login))
        case RepositoryHooks(full_name):
            yield from mirrors.get(full_name, ())


def is_of(sync: OwnedReposSync, login: str) -> bool:
    return (sync.spec.owner or "").lower() == login.lower()
