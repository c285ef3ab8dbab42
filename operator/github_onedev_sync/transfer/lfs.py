"""Copies the LFS objects of a mirror, which is done before the refs that need them: OneDev takes those without."""

import asyncio
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp

from ..api.conditions import Reason
from ..api.errors import Retry, Stalled
from ..api.refs import Listing
from .answers import public
from .engine import Endpoint, Progress
from .lfs_batch import Action, LfsSource, LfsTarget, Offer, batch, portions
from .lfs_pointers import Found, Pointer, find_pointers
from .lfs_stream import Lacking, Stream
from .side import Side

_PHASE = "Copying LFS objects"
_AT_ONCE = 3
# Sources' addresses for what one request asks for are good for an hour or less.
_BYTES = 1024**3
_TIMEOUT = aiohttp.ClientTimeout(total=120, connect=10, sock_read=60)
# What servers say of an object that they do not have, or not of that size.
_LACKING = frozenset((404, 410, 422))
_ABSENT = 404
_TOO_LARGE = 406


@dataclass(frozen=True)
class LfsCounts:
    """`objects` of `bytes` that the target is known to hold, and how many the source itself is `missing`."""

    objects: int = 0
    bytes: int = 0
    missing: int = 0


async def mirror_objects(
    session: aiohttp.ClientSession,
    scratch: Path,
    listing: Listing,
    tips: Collection[str],
    held: Collection[str],
    source: Endpoint,
    target: Endpoint,
    progress: Progress,
) -> LfsCounts:
    """Gives `target` every LFS object in the history of `tips`, object ids in the source's `listing`.

    `held` are the tips that the target has. `scratch` must not exist, and is gone afterwards. Raises `SyncError`, and
    OSError where the disk is full.
    """
    try:
        found = await find_pointers(session, scratch, source, listing, tips, held, progress)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return await copy_objects(session, found, source.at(listing.url), target, progress)


async def copy_objects(
    session: aiohttp.ClientSession,
    found: Found,
    source: Endpoint,
    target: Endpoint,
    progress: Progress,
) -> LfsCounts:
    """Copies what `target` lacks and sees that it is there. Raises `SyncError`; what was copied stays."""
    # Of two pointers that differ in an object's size one is wrong, and its object nowhere.
    wanted = sorted({pointer.oid: pointer for pointer in sorted(found.pointers, reverse=True)}.values())
    copy = _Copy(session, _repository(source), _repository(target), progress)
    return await copy.run(wanted, found.fresh)


def _repository(end: Endpoint) -> Endpoint:
    """The address as the LFS API has it. OneDev finds its project only before a `.git/`."""
    url = end.url.rstrip("/")
    return replace(end, url=url if url.endswith(".git") else url + ".git")


class _Copy:
    """Objects from `source` to `target`."""

    def __init__(self, session: aiohttp.ClientSession, source: Endpoint, target: Endpoint, progress: Progress) -> None:
        self._source = LfsSource(session, source, _TIMEOUT)
        self._target = LfsTarget(session, target, _TIMEOUT)
        self._stream = Stream(session, source, target, self._moved)
        self._progress = progress
        self._total = 0
        self._done = 0

    async def run(self, wanted: list[Pointer], fresh: Collection[Pointer]) -> LfsCounts:
        present, lacking = await self._look(wanted)
        copied = await self._copy(lacking)
        # What refs at the target lead to was complete before they were pushed, unless this run found that it was not.
        proven = set(wanted).difference(fresh) if set(copied) <= set(fresh) else ()
        damaged = await self._damaged({pointer: get for pointer, get in present.items() if pointer not in proven})
        copied += await self._copy(dict.fromkeys(damaged, _ABSENT), damaged)
        for left in (await self._look(copied))[1]:
            words = f"{public(self._target.base)} took LFS object {left.oid} and does not have it; it is sent again"
            raise Retry(Reason.TARGET_UNAVAILABLE, words)
        held = set(present).difference(damaged).union(copied)
        return LfsCounts(len(held), sum(pointer.size for pointer in held), len(wanted) - len(held))

    async def _look(self, pointers: Iterable[Pointer]) -> tuple[dict[Pointer, Action], dict[Pointer, int]]:
        """What the target offers for download; what it does not, with the code that it says instead."""
        present: dict[Pointer, Action] = {}
        lacking: dict[Pointer, int] = {}
        for portion in portions(pointers):
            for pointer, offer in (await batch(self._target, "download", portion)).items():
                if offer.action is None:
                    lacking[pointer] = offer.code or _ABSENT
                elif offer.size != pointer.size:
                    raise _odd(self._target, pointer, f"has {offer.size} bytes and not {pointer.size}")
                else:
                    present[pointer] = offer.action
        return present, lacking

    async def _damaged(self, present: Mapping[Pointer, Action]) -> dict[Pointer, Action]:
        """Those of `present` that are not what they should be.

        OneDev writes an object where it is read, and tells nobody its size: one that was on its way when the server
        died counts as there. As objects go in order, that is one of the last.
        """
        last = next(iter(portions(sorted(present, reverse=True), _BYTES)), [])
        return {
            pointer: present[pointer] for pointer in last if not await self._stream.holds(pointer, present[pointer])
        }

    async def _copy(
        self, lacking: Mapping[Pointer, int], anew: Mapping[Pointer, Action] | None = None
    ) -> list[Pointer]:
        """Copies those of `lacking` that the source has, and returns them. `anew` may be put over what is there."""
        self._total += sum(pointer.size for pointer in lacking)
        copied: list[Pointer] = []
        for portion in portions(lacking, _BYTES):
            copied += await self._portion({pointer: lacking[pointer] for pointer in portion}, anew or {})
        return copied

    async def _portion(self, lacking: Mapping[Pointer, int], anew: Mapping[Pointer, Action]) -> list[Pointer]:
        offers = await batch(self._source, "download", list(lacking))
        gets = {pointer: get for pointer, offer in offers.items() if (get := self._obtainable(pointer, offer))}
        self._total -= sum(pointer.size for pointer in lacking if pointer not in gets)
        for pointer in gets:
            _refuse(self._target, pointer, lacking[pointer])
        offers = await batch(self._target, "upload", list(gets)) if gets else {}
        for pointer, offer in offers.items():
            if offer.code is not None:
                _refuse(self._target, pointer, offer.code)
        # A cut would cost OneDev a good object, so it gets nothing but what it asked for, and what was found damaged.
        puts = {pointer: offer.action or anew.get(pointer) for pointer, offer in offers.items()}
        lost = await self._carry([(pointer, gets[pointer], put) for pointer, put in puts.items() if put])
        return [pointer for pointer in gets if pointer not in lost]

    def _obtainable(self, pointer: Pointer, offer: Offer) -> Action | None:
        if offer.code is not None and offer.code not in _LACKING:
            raise _odd(self._source, pointer, f"cannot be got ({offer.code})")
        return offer.action if offer.size == pointer.size else None

    async def _carry(self, ways: Iterable[tuple[Pointer, Action, Action]]) -> set[Pointer]:
        """Carries objects, some at once, and returns those that the source's store lacks."""
        lost: set[Pointer] = set()
        turn = asyncio.Semaphore(_AT_ONCE)

        async def carry(pointer: Pointer, get: Action, put: Action) -> None:
            async with turn:
                try:
                    await self._stream.carry(pointer, get, put)
                except Lacking:
                    lost.add(pointer)
                    self._total -= pointer.size

        try:
            async with asyncio.TaskGroup() as group:
                for way in ways:
                    group.create_task(carry(*way))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        return lost

    def _moved(self, size: int) -> None:
        self._done += size
        self._progress(_PHASE, min(100, 100 * self._done // max(1, self._total)))


def _refuse(target: LfsTarget, pointer: Pointer, code: int) -> None:
    """Raises the error for `code`, unless it says no more than that the object is not there."""
    if code == _TOO_LARGE:
        raise Stalled(
            Reason.TARGET_REFUSED,
            f"{public(target.base)} takes no LFS object as large as {pointer.oid} ({pointer.size} bytes); raise "
            "maxGitLFSFileSize in OneDev's performance settings, or set spec.lfs: false to mirror without",
        )
    if code not in _LACKING:
        raise _odd(target, pointer, f"cannot be stored ({code})")


def _odd(side: Side, pointer: Pointer, what: str) -> Retry:
    return Retry(side.reason, f"LFS object {pointer.oid} {what}, says {public(side.base)}")
