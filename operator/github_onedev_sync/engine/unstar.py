"""Mirrors whose repository is not listed any more: proving why, marking them, and removing those whose time is over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ..api.conditions import Reason
from ..api.errors import SyncError
from ..api.mirror import RepositoryMirror
from ..api.observed import Starred
from ..api.sync import OnUnstar
from ..decide import syncs as say
from ..decide.children import Change, Family, row_of
from ..decide.syncs import Problem
from ..decide.unstar import Missing, to_approve
from .children import Children
from .memory import Look

# So many repositories are asked about one by one, before a look goes on without knowing of the rest.
_PROOFS = 50
# What was hidden may be shown again, and un-starred then.
_PROOFS_LAST = 24 * 3600.0
# What says that a repository is there no more, or hidden: no reason to take its mirror away.
_GONE = (Reason.GONE, Reason.PRIVATE_OR_GONE, Reason.TAKEN_DOWN, Reason.BLOCKED, Reason.DISABLED)

Absent = tuple[RepositoryMirror, Missing]


@dataclass
class Unstarred:
    children: Children

    async def tend(self, look: Look, family: Family, missing: Sequence[Absent]) -> tuple[list[Change], list[Problem]]:
        """What to change on the mirrors that are to stay for now; those whose time is over are removed at once.

        Raises `SyncError`, and then nothing was removed that should not have been.
        """
        sync, listed, proofs = look.sync, look.memory.listed, look.memory.proofs
        if sync.settings.on_unstar is OnUnstar.KEEP or listed.confirmed_at is None:
            return _changes(family, [(mirror, replace(one, since=None)) for mirror, one in missing]), []
        await self._prove(look, [one.repository_id for _, one in missing if one.since is None])
        found = [(mirror, replace(one, proven=proofs.get(one.repository_id))) for mirror, one in missing]
        gone = to_approve(sync.settings, [one for _, one in found], len(family.covered), sync.approved)
        if gone:
            return [], [say.disappearance(sync, gone, len(family.covered))]
        staying = []
        for mirror, one in found:
            if one.since is None:
                staying.append((mirror, replace(one, since=look.now) if one.proven else one))
            elif await self._is_over(look, one):
                await self.children.remove(sync, family, mirror, one)
            else:
                staying.append((mirror, one))
        return _changes(family, staying), []

    async def _is_over(self, look: Look, one: Missing) -> bool:
        """The last questions before a mirror goes: to the list, and to GitHub about this one repository."""
        listed, proofs = look.memory.listed, look.memory.proofs
        if one.since is None or look.monotonic < self._deadline(look, one.repository_id, one.since):
            return False
        if listed.confirmed_at is None or listed.confirmed_at <= one.since:
            listed.wanted = True
            return False
        proofs.pop(one.repository_id, None)
        await self._prove(look, [one.repository_id])
        return proofs.get(one.repository_id, False)

    def _deadline(self, look: Look, number: int, since: datetime) -> float:
        """The end of the grace period, reckoned once: what the clock is set to afterwards does not matter."""
        left = since + look.sync.settings.unstar_grace_period - look.now
        return look.memory.deadlines.setdefault((number, since), look.monotonic + left.total_seconds())

    async def _prove(self, look: Look, numbers: Iterable[int]) -> None:
        """Asks GitHub about repositories that are not listed: one that is gone, or hidden, was not un-starred."""
        memory, proofs = look.memory, look.memory.proofs
        if look.monotonic - memory.proofs_since >= _PROOFS_LAST:
            memory.proofs_since = look.monotonic
            proofs.clear()
        for number in [number for number in numbers if number not in proofs][:_PROOFS]:
            try:
                found = await look.api.repository_by_id(number)
            except SyncError as error:
                if error.reason not in _GONE:
                    raise
                proofs[number] = False
            else:
                proofs[number] = await self._has_left(look, found.full_name)

    async def _has_left(self, look: Look, full_name: str) -> bool:
        """Whether a repository that GitHub still shows is not among the sync's own any more."""
        scope = look.sync.scope
        if isinstance(scope, Starred):
            return scope.user is not None or not await look.api.is_starred(full_name)
        return scope.owner is None or full_name.partition("/")[0].lower() != look.account.login.lower()


def _changes(family: Family, missing: Iterable[Absent]) -> list[Change]:
    changes = (family.change(row_of(mirror, one.repository_id), mirror, one.since) for mirror, one in missing)
    return [change for change in changes if change is not None]
