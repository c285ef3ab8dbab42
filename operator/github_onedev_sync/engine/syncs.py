"""Reconciling a StarredReposSync or an OwnedReposSync: one look at its list, then its mirrors as they should be."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.observed import Account, ListedRepository, Owned, Starred
from ..api.selection import collisions
from ..api.starred import StarFilter
from ..api.sync import ReposSync, SyncStatus
from ..api.urgency import Urgency
from ..decide import syncs as say
from ..decide.children import Change, Family
from ..decide.listing import next_poll
from ..decide.syncs import Looked, Problem
from ..observability.logs import event
from .children import Children
from .memory import Look, Memory
from .ports import Clock, Connections, Source
from .recorder import Recorder
from .store import Store
from .unstar import Unstarred

log = logging.getLogger(__name__)

_TOO_LATE = timedelta(seconds=1)
# An expression is worth some hundred microseconds a row; between so many the event loop gets its turn.
_ROWS = 100
_MIRRORS = 1000


@dataclass
class SyncReconciler:
    clock: Clock
    store: Store
    connections: Connections
    children: Children
    recorder: Recorder
    unstarred: Unstarred = field(init=False)
    _memories: dict[str, Memory] = field(default_factory=dict)
    _failures: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.unstarred = Unstarred(self.children)

    async def reconcile(self, ref: str) -> datetime | None:
        sync = self.store.syncs.get(ref)
        if sync is None or sync.metadata.deletion_timestamp is not None or sync.settings.suspend:
            self._memories.pop(ref, None)
            self._failures.pop(ref, None)
            if sync is not None and sync.metadata.deletion_timestamp is None:
                await self._write(sync, say.suspended(sync, self.clock.now()))
            return None
        now = self.clock.now()
        try:
            due = await self._look(sync, now)
        except SyncError as error:
            self._failures[ref] = self._failures.get(ref, 0) + 1
            await self._failed(sync, error, now)
            return say.next_look(sync, error, self._failures[ref], now)
        self._failures.pop(ref, None)
        return due

    async def _look(self, sync: ReposSync, now: datetime) -> datetime | None:
        memory = self._memories[sync.ref] = Memory.of(sync, self._memories.get(sync.ref))
        urgency = Urgency.ROUTINE if sync.requested is None else Urgency.ASKED
        api = (await self.connections.source(sync.settings.source, sync.metadata.namespace, urgency)).api
        if sync.requested is not None:
            memory.listed.wanted, memory.due = True, None
            memory.proofs.clear()
        account = memory.account or await self._check_account(sync, memory, api)
        monotonic = self.clock.monotonic()
        if memory.due is None or monotonic >= memory.due or memory.listed.hurries:
            account = await self._poll(sync, memory, api, account, now)
        await self._select(sync, memory, account, now)
        seen, again = await self._tend(Look(sync, memory, api, account, now, monotonic))
        if not await self._write(sync, say.looked(sync, seen, now)):
            return now + _TOO_LATE
        due = now + timedelta(seconds=max((memory.due or 0.0) - monotonic, 0.0))
        return now if memory.listed.hurries else min(again or due, due)

    async def _poll(self, sync: ReposSync, memory: Memory, api: Source, account: Account, now: datetime) -> Account:
        async def check() -> None:
            nonlocal account
            account = await self._check_account(sync, memory, api)

        ordered = not (isinstance(sync.scope, Owned) and api.mints_tokens)
        await memory.listed.poll(api, sync.scope, now, check, ordered=ordered)
        memory.polled_at = now
        wait = next_poll(sync.settings.interval, api.rate_limit, now) - now
        memory.due = self.clock.monotonic() + wait.total_seconds()
        return account

    async def _check_account(self, sync: ReposSync, memory: Memory, api: Source) -> Account:
        """Whose list it is, with the star lists of the moment. Raises `Stalled` where it is another's than before."""
        scope, wanted = sync.scope, sync.settings.filter
        account = await api.account(scope.user if isinstance(scope, Starred) else scope.owner)
        say.check_account(sync, account)
        if isinstance(scope, Starred) and isinstance(wanted, StarFilter) and wanted.lists:
            memory.lists = dict(await api.star_lists(scope.user))
        memory.account = account
        return account

    async def _select(self, sync: ReposSync, memory: Memory, account: Account, now: datetime) -> None:
        """Passes the filter's verdict on rows that are new or look different."""
        changed = sorted(memory.listed.changed)
        for start in range(0, len(changed), _ROWS):
            for number in changed[start : start + _ROWS]:
                row = memory.listed.rows.get(number)
                if row is not None:
                    ours = _is_in_scope(sync, row, account)
                    memory.verdicts[number] = ours and memory.selector.matches(row, now, memory.lists)
            await asyncio.sleep(0)
        memory.listed.changed.clear()

    async def _tend(self, look: Look) -> tuple[Looked, datetime | None]:
        """Makes the mirrors what they should be, some hundreds at a time; also when to go on, where not all is done."""
        sync, memory = look.sync, look.memory
        family = Family(sync, self.store.mirrors.values(), self.store.syncs.values(), memory.words)
        rows = [row for number, row in memory.listed.rows.items() if memory.verdicts.get(number)]
        bad = collisions(sync, rows, family.neighbours)
        changes, mirrored = await self._changes(family, rows, bad)
        create = {change.name for change in changes if change.known is None}
        missing = list(family.missing(memory.listed.rows, memory.proofs))
        problems, again = [*say.unknown_star_lists(sync, memory.lists), *(Problem(*why) for why in bad.values())], None
        if not sync.settings.dry_run:
            marks, troubles = await self.unstarred.tend(look, family, missing)
            changes += marks
            again = await self.children.apply(sync, changes, memory.applied, look.now)
            problems += [*troubles, *memory.applied.problems(changes)]
        done = {change.name for change in changes if memory.applied.is_done(change)}
        seen = Looked(
            account=look.account,
            found=len(memory.listed.rows),
            matched=len(rows),
            mirrored=mirrored + len(done & create),
            left=0 if sync.settings.dry_run else len(changes) - len(done),
            covered=[mirror for mirror, _ in family.covered.values()],
            missing=[one for _, one in missing],
            limit=look.api.rate_limit,
            polled_at=memory.polled_at or look.now,
            listed_at=memory.listed.listed_at,
            problems=problems,
            create=sorted(create),
        )
        return seen, again

    async def _changes(
        self, family: Family, rows: list[ListedRepository], bad: dict[int, tuple[Reason, str]]
    ) -> tuple[list[Change], int]:
        """What to make or change, and how many of the repositories have a mirror already. Adds to what is `bad`."""
        changes, mirrored = [], 0
        for index, row in enumerate(rows):
            if index % _MIRRORS == 0:
                await asyncio.sleep(0)
            known = family.find(row)
            mirrored += known is not None
            if known is None and row.id in bad:
                continue
            change = family.change(row, known)
            if change is not None and known is None and (other := family.named(change.name)) is not None:
                bad[row.id] = say.name_taken(row.full_name, other)
            elif change is not None:
                changes.append(change)
        return changes, mirrored

    async def _failed(self, sync: ReposSync, error: SyncError, now: datetime) -> None:
        decision, reason, message = type(error).__name__, error.reason, error.message
        event(log, "reconcile", level=logging.WARNING, sync=sync.ref, decision=decision, reason=reason, message=message)
        await self._write(sync, say.unavailable(sync, error, now))

    async def _write(self, sync: ReposSync, after: SyncStatus) -> bool:
        """False where the write came too late: what the watch tells of then is looked at again."""
        written = await self.recorder.write(sync.plural, sync, after)
        if written:
            self.store.put_sync(type(sync).read(written))
        return written is not None


def _is_in_scope(sync: ReposSync, row: ListedRepository, account: Account) -> bool:
    """An installation lists what all its owners gave it."""
    scope = sync.scope
    return isinstance(scope, Starred) or scope.owner is None or row.owner_id in (0, account.id)
