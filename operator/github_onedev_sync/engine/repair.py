"""Bringing back what GitHub could not deliver to the webhook pod, for GitHub never tries twice by itself.

Once an hour, with each credential, GitHub's log of deliveries is read. Those that failed are asked for again, one a
second, and a moment later it is looked whether they were taken. A round goes on in small steps, each a turn of its own
in the queue, so it holds up nobody; and nothing that goes wrong here is a failure of a sync or a mirror.
"""

import logging
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..api.errors import Retry, SyncError, Waiting
from ..api.hooks import AppHooks, HookPlace, OrganizationHooks, RepositoryHooks
from ..api.mirror import Access
from ..api.owned import OwnedReposSync
from ..api.urgency import Urgency
from ..decide import deliveries as say
from ..decide.batch import credential_in
from ..decide.schedule import next_attempt, next_interval, spread
from ..observability.logs import event
from ..observability.metrics import Metrics
from .ports import Clock, Connections, Source
from .recorder import Recorder
from .repair_facts import Facts
from .repair_memory import Desk, Known, Place, Round
from .store import Store

log = logging.getLogger(__name__)

INTERVAL = timedelta(hours=1)
# By then the watches have told of all that is there, in seconds.
_FIRST, _FIRST_SPREAD = 10.0, 10.0
# GitHub's own word: at least a second between requests that make it do something.
_BETWEEN = timedelta(seconds=1)
# A receiver has ten seconds to answer; what takes longer with an Enterprise server is seen in the next round.
_ANSWERED = timedelta(seconds=15)
# More in an hour would be a burst to GitHub; what is left is asked for in the next one.
_MOST = 500
_REPOSITORIES = 100
_REQUESTS = 10


@dataclass
class Repairer:
    """`url` is where our webhooks lead to; without it there is nothing to repair."""

    clock: Clock
    store: Store
    connections: Connections
    recorder: Recorder
    metrics: Metrics
    url: str = ""
    facts: Facts = field(init=False)
    _desks: dict[str, Desk] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.url = say.address(self.url)
        self.facts = Facts(self.store, self.recorder)

    def met(self, access: Access, namespace: str) -> list[tuple[str, float]]:
        """The credential where it is new, and in how many seconds to reconcile it."""
        if not self.url or access.secret_ref is None:
            return []
        key = credential_in(access, namespace)
        if key in self._desks:
            return []
        own = Access(api_url=access.api_url, secret_ref=access.secret_ref, insecure=access.insecure)
        self._desks[key] = Desk(own, namespace)
        return [(key, _FIRST + _FIRST_SPREAD * spread(key))]

    async def reconcile(self, key: str) -> datetime | None:
        """Goes on with the round, or begins one; when to come back, None where nobody uses the credential any more."""
        desk = self._desks.get(key)
        if desk is None:
            return None
        if desk.round is None and not self.facts.syncs(key) and not self.facts.mirrors(key):
            del self._desks[key]
            return None
        now = self.clock.now()
        try:
            api = (await self.connections.source(desk.access, desk.namespace, Urgency.SWEEP)).api
            desk.round = desk.round or self._begin(key, desk, api, now)
            due = await self._go_on(key, desk, desk.round, api, now)
        except SyncError as error:
            return self._put_off(key, desk, error, now)
        desk.failures = 0
        return due or self._rest(key, desk, now)

    def _rest(self, key: str, desk: Desk, now: datetime) -> datetime:
        desk.round = None
        return next_interval(key, INTERVAL, now)

    def _put_off(self, key: str, desk: Desk, error: SyncError, now: datetime) -> datetime:
        decision, reason, message = type(error).__name__, error.reason, error.message
        event(log, "repair put off", credential=desk.name, decision=decision, reason=reason, message=message)
        if isinstance(error, Waiting):
            return now + error.after
        desk.failures += 1
        return next_attempt(key, desk.failures, now) if isinstance(error, Retry) else self._rest(key, desk, now)

    def _begin(self, key: str, desk: Desk, api: Source, now: datetime) -> Round:
        """All places where there may be a webhook of ours."""
        if api.mints_tokens:
            desk.keep({AppHooks()})
            return Round(deque((AppHooks(),)))
        if api.anonymous:  # a Secret can hold a certificate authority alone
            return Round(deque())
        owned = (one.spec.owner for one in self.facts.syncs(key) if isinstance(one, OwnedReposSync))
        organizations = [OrganizationHooks(login) for login in dict.fromkeys(owned) if login]
        seen = (one.status.source for one in self.facts.mirrors(key))
        there = dict.fromkeys(RepositoryHooks(one.full_name) for one in seen if one is not None and one.admin)
        desk.keep({*organizations, *there})
        shown = [place for place in there if not desk.is_shut(place, now)]
        repositories = say.next_repositories(shown, desk.looked, desk.hooked(), _REPOSITORIES)
        return Round(deque((*organizations, *repositories)))

    async def _go_on(self, key: str, desk: Desk, this: Round, api: Source, now: datetime) -> datetime | None:
        """One step; when to do the next, None where the round is at its end."""
        for _ in range(_REQUESTS):
            if this.tasks:
                await self._do(desk, this, api, now)
        if this.tasks:
            return now
        if this.lost is None:
            self._settle(desk)
            await self.facts.tell(key, desk, this.told)
            this.lost = deque(() if this.last else desk.lost(_MOST, now))
        if this.lost:
            await self._redeliver(desk, this, this.lost, api)
            return now + _BETWEEN
        if this.asked:
            event(log, "deliveries sent again", credential=desk.name, deliveries=this.sent)
            desk.round = Round(deque(this.asked), last=True)
            return now + _ANSWERED
        return None

    async def _do(self, desk: Desk, this: Round, api: Source, now: datetime) -> None:
        """One request. A task that went wrong comes last, and is tried again a few times."""
        task = this.tasks.popleft()
        try:
            if isinstance(task, Known):
                await self._read(this, task, api, now)
            else:
                await self._list(desk, this, task, api, now)
        except SyncError as error:
            if desk.tries_again(error):
                this.tasks.append(task)
            raise

    async def _list(self, desk: Desk, this: Round, place: HookPlace, api: Source, now: datetime) -> None:
        if isinstance(place, RepositoryHooks):
            if desk.is_shut(place, now):  # since this round began
                return
            desk.looked[place] = now
        known = desk.places.setdefault(place, Place())
        found = await api.hooks(place, known.etag)
        if found.hidden:
            known.lists([], "")
            if desk.shuts(place, now, denied=found.denied):
                event(log, "webhooks hidden", credential=desk.name, message=found.hidden)
        elif not found.unchanged:
            known.lists([hook for hook in found.hooks if say.address(hook.url) == self.url], found.etag)
        this.told.add(place)
        for one in known.webhooks.values():
            one.cursor = ""
            this.tasks.appendleft(one)

    async def _read(self, this: Round, known: Known, api: Source, now: datetime) -> None:
        """One page of a log, and on to the next where that may hold news."""
        first = not known.cursor
        page = await api.attempts(known.hook, known.cursor, known.etag if first else "")
        this.told.add(known.hook.place)
        known.log = known.log.kept(now)
        if page.unchanged:
            return
        if first:
            known.newest = page.newest
            # Of what is under way the list will not tell when that has taken too long.
            known.next_etag = "" if any(say.is_under_way(row, now) for row in page.rows) else page.etag
        known.log = known.log.read(page.rows, now)
        if known.log.is_older_unread(page, now):
            known.cursor = page.next
            this.tasks.appendleft(known)
            return
        known.log = replace(known.log.kept(now), read_to=known.newest or known.log.read_to)
        known.cursor, known.etag = "", known.next_etag

    def _settle(self, desk: Desk) -> None:
        for place in desk.places.values():
            for known in place.webhooks.values():
                taken, failed = known.settle()
                self.metrics.delivery_repaired("taken", taken)
                self.metrics.delivery_repaired("failed", failed)
                known.refusals = 0

    async def _redeliver(self, desk: Desk, this: Round, lost: "deque[tuple[Known, str, int]]", api: Source) -> None:
        known, guid, attempt = lost.popleft()
        try:
            sent = await api.redeliver(known.hook, attempt)
        except SyncError as error:
            if desk.tries_again(error):
                lost.append((known, guid, attempt))
            raise
        if sent:
            known.refusals, known.asked[guid] = 0, attempt
            this.asked.add(known)
            this.sent += 1
            return
        known.refusals += 1
        self.metrics.delivery_repaired("refused", 1)
        if known.gives_up:
            webhook = str(known.hook.place)
            this.lost = deque(one for one in lost if one[0] is not known)
            event(log, "redelivery refused", level=logging.WARNING, credential=desk.name, webhook=webhook)
