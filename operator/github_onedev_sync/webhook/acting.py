"""Does in the cluster what deliveries want: asks mirrors to look, and makes those that a sync would make anyway."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ..api import children, mirror, names, selection
from ..api.conditions import ConditionType, Reason
from ..api.delivery import host_of
from ..api.errors import Stalled
from ..api.observed import ListedRepository
from ..api.owned import OwnedReposSync
from ..api.starred import StarredReposSync
from ..api.sync import ReposSync
from ..observability import logs
from .asking import Asking
from .intents import Intent, Look, Offer
from .metrics import Metrics
from .mirrors import Mirrors
from .ports import Cluster
from .syncs import Syncs

log = logging.getLogger(__name__)

# Of one delivery: an installation may bring hundreds of repositories, and others want to be served meanwhile. What is
# offered beyond the limit the sync finds at its next poll.
_AT_ONCE = 8
_OFFERS = 100


@dataclass(frozen=True)
class Done:
    """How many mirrors were asked to look, and how many were made."""

    looks: int = 0
    made: int = 0

    def __add__(self, other: "Done") -> "Done":
        return Done(self.looks + other.looks, self.made + other.made)


@dataclass
class Acting:
    """`now` is the time of the clock on the wall: a filter may ask how long ago something was pushed."""

    cluster: Cluster
    mirrors: Mirrors
    syncs: Syncs
    asking: Asking
    metrics: Metrics
    now: Callable[[], datetime]

    async def act(self, wanted: Sequence[Intent], token: str) -> Done:
        """`token` is what the mirrors are asked with. Raises what the cluster raises; done then may be a part of it."""
        if len(wanted) == 1:
            return await self._one(wanted[0], token)
        offers = [intent for intent in wanted if isinstance(intent, Offer)]
        if left := len(offers[_OFFERS:]):
            logs.event(log, "left to the poll", delivery=token, repositories=left)
        wanted = [*(intent for intent in wanted if isinstance(intent, Look)), *offers[:_OFFERS]]
        places = asyncio.Semaphore(_AT_ONCE)

        async def in_turn(intent: Intent) -> Done:
            async with places:
                return await self._one(intent, token)

        results = await asyncio.gather(*map(in_turn, wanted), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return sum((result for result in results if isinstance(result, Done)), Done())

    async def _one(self, intent: Intent, token: str) -> Done:
        if isinstance(intent, Offer):
            return await self._offer(intent, token)
        if intent.starrer and not await self.syncs.of_account(StarredReposSync, intent.starrer):
            return Done()
        return await self._look(intent, token)

    async def _look(self, look: Look, token: str) -> Done:
        keys = await self.mirrors.of(look.repository)
        there = await asyncio.gather(*(self._ask(key, token) for key in keys))
        if not all(there):
            # One is gone, and another may have come for it.
            self.mirrors.forget(look.repository)
            new = await self.mirrors.of(look.repository) - keys
            there += await asyncio.gather(*(self._ask(key, token) for key in new))
        return Done(looks=sum(there))

    async def _ask(self, key: str, token: str) -> bool:
        there = await self.asking.ask(key, token)
        if there:
            self.metrics.looks.inc()
        return there

    async def _offer(self, offer: Offer, token: str) -> Done:
        kind = StarredReposSync if offer.starred else OwnedReposSync
        done = Done()
        for known in await self.syncs.of_account(kind, offer.account):
            # What was listed may have been paused, changed or deleted since.
            sync = await self.syncs.read(known)
            if sync is not None and takes(sync, offer, self.now()):
                done += await self._take(sync, offer, token)
        return done

    async def _take(self, sync: ReposSync, offer: Offer, token: str) -> Done:
        """Makes the mirror, but where there is one already: the sync knows better what to do with that."""
        row, namespace = offer.row, sync.metadata.namespace
        there = await self.mirrors.in_namespace(row.id, row.full_name, namespace)
        if there:
            asked = await asyncio.gather(*(self._ask(key, token) for key in there))
            return Done(looks=sum(asked))
        if await self._has_no_place(sync, row):
            return Done()
        manager = names.field_manager(sync.short, sync.metadata.name)
        made = await self.cluster.apply(mirror.PLURAL, children.held(sync, row), manager)
        self.mirrors.forget(row.id)
        if made is None:
            return Done()
        self.metrics.made.inc()
        logs.event(log, "mirror made", mirror=f"{namespace}/{made['metadata']['name']}", sync=sync.item, delivery=token)
        return Done(made=1)

    async def _has_no_place(self, sync: ReposSync, row: ListedRepository) -> bool:
        """Whether OneDev's project would be illegal, or another mirror's: the sync tells of it at its next poll."""
        if selection.collisions(sync, [row], ()):
            return True
        path = names.project_of(sync.settings.project_template, row.full_name)
        fields = f"spec.target.project={path}"
        found = self.cluster.list_resources(mirror.PLURAL, sync.metadata.namespace, fields=fields)
        others = [mirror.RepositoryMirror.read(body) async for body in found]
        return bool(selection.collisions(sync, [row], others))


def takes(sync: ReposSync, offer: Offer, now: datetime) -> bool:
    """Whether the sync would make a mirror of it at its next poll. What only the poll can tell is left to that."""
    settings, status = sync.settings, sync.status
    account = status.account
    if account is None or account.id != offer.account or sync.metadata.deletion_timestamp is not None:
        return False
    if settings.suspend or settings.dry_run:
        return False
    # Until the controller has seen the spec as it is now, the account may be another's.
    if status.observed_generation != sync.metadata.generation:
        return False
    if status.has_reason(ConditionType.READY, Reason.IDENTITY_CHANGED):
        return False
    # The same number means somebody else at another GitHub; with the same name, it is one that has two addresses.
    if offer.host != host_of(settings.source.api_url) and offer.login.lower() != account.login.lower():
        return False
    if isinstance(sync, OwnedReposSync) and sync.spec.owner is None and not offer.installed:
        return False
    return _matches(sync, offer, now)


def _matches(sync: ReposSync, offer: Offer, now: datetime) -> bool:
    wanted = sync.settings.filter
    if not offer.detailed and selection.needs_details(wanted):
        return False
    try:
        # In which star lists it is, only the poll can tell: where that matters, nothing matches.
        return selection.Selector(wanted).matches(offer.row, now, {})
    except Stalled:  # an expression that cannot be answered: the controller tells of it in the sync's conditions
        return False
