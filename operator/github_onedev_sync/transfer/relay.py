"""The engine that keeps nothing: packs stream from the source into OneDev, without a clone, a disk, or git.

It has no objects, so what only objects tell is asked for: OneDev says whether a move is a fast-forward, once the new
tip is there under a name of its own; the source says which tags lead to no commit.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, islice

import aiohttp

from ..api.errors import Stalled, SyncError
from ..api.refs import BRANCHES, STAGED, TAGS, Listing
from .answers import public
from .chunks import pushes
from .engine import Endpoint, Progress, Trouble, Unfit
from .onedev import Repository
from .relay_fetch import Fetcher, Incoming, Timings
from .relay_push import Pusher
from .slices import boundaries, slices_for
from .steps import Command, Kind, Knowledge, Push, PushResult
from .wire import WireError, build_pack, fetch_request, object_count

# A pack that ends within this goes with its length, which proxies like better, and does not wait in OneDev's queue
# while the source does nothing.
BUFFER = 1 << 18
HAVES = 500
# Its twelve bytes are in the first piece or, if a server dribbles, in that many.
_HEADER = 12
# What a source needs to answer questions about its history.
_PROBING = frozenset(("filter", "shallow"))
_USEFUL = (STAGED, BRANCHES, TAGS)
_QUESTIONS = 4
_PHASE = "Streaming objects"


class RelayEngine:
    """`now` is the run's time (seconds since 1970), `size_kb` GitHub's figure. `judge` asks which moves are
    fast-forwards; without it all count as such."""

    name = "Relay"

    def __init__(
        self,
        session: aiohttp.ClientSession,
        source: Endpoint,
        target: Endpoint,
        repository: Repository,
        progress: Progress,
        *,
        now: int,
        judge: bool = True,
        size_kb: int = 0,
        timings: Timings | None = None,
    ) -> None:
        self._session = session
        self._source = source
        self._repository = repository
        self._progress = progress
        self._now = now
        self._judge = judge
        self._size_kb = size_kb
        self._timings = timings or Timings()
        self._pusher = Pusher(session, target, self._timings)
        self._fetcher = self._fetch_from(source)
        self._listed = Listing({})
        self._known: set[str] = set()
        self._staged: dict[str, str] = {}
        self._arrived: dict[str, str] = {}
        # The tip of a history that may be cut: none of it is there yet, and the source answers questions.
        self._trunk: str | None = None
        self._objects = 0
        self._received = 0

    @property
    def received(self) -> int:
        return self._received

    def _fetch_from(self, endpoint: Endpoint) -> Fetcher:
        return Fetcher(self._session, endpoint, self._timings, self._show)

    def _show(self, received: int) -> None:
        if self._size_kb:
            self._progress(_PHASE, min(99, (self._received + received) * 100 // (self._size_kb * 1024)))

    async def prepare(self, wanted: Sequence[Command], source: Listing, target: Listing) -> Knowledge:
        if source.features is None:
            raise Unfit(f"{public(source.url)} does not speak git's protocol version 2")
        self._fetcher = self._fetch_from(self._source.at(source.url))
        self._listed, self._known = target, set(target.refs.values())
        self._staged, self._arrived = {}, {}
        fresh = not any(name.startswith(BRANCHES) for name in target.refs)
        self._trunk = source.refs.get(source.head or "") if fresh and source.features >= _PROBING else None
        if not wanted:
            return Knowledge()
        await self._pusher.offered()
        await self._slice()
        moves = [c for c in wanted if c.old and c.new and c.name.startswith(BRANCHES)] if self._judge else []
        await self._stage({c.new for c in moves if c.new})
        other = await self._other_objects(wanted, source) if source.features >= _PROBING else frozenset()
        return Knowledge(await self._forced(moves), other, dict(self._staged))

    async def _slice(self) -> None:
        """Brings a huge history over in parts, oldest first, so that a cut costs one of them and not everything."""
        count = slices_for(self._size_kb, self._objects)
        if self._trunk and count > 1:
            behind = partial(self._fetcher.oldest_since, self._trunk)
            async for part in boundaries(behind, self._now, count):
                await self._stage(part)

    async def _stage(self, oids: Iterable[str]) -> None:
        tips = sorted(set(oids) - self._known)
        for push in pushes(Kind.STAGED, [Command(STAGED + tip, None, tip) for tip in tips]):
            result = await self.push(push)
            if result.error:
                raise result.error
            self._staged |= {command.name: command.new for command in push.commands if command.new}

    async def _forced(self, moves: Sequence[Command]) -> frozenset[str]:
        limit = asyncio.Semaphore(_QUESTIONS)

        async def lost(command: Command) -> str:
            async with limit:
                try:
                    kept = await self._repository.is_fast_forward(command.old or "", command.new or "")
                except Stalled:
                    kept = False  # What OneDev does not tell is taken for a rewrite, so nothing is lost.
                return "" if kept else command.name

        return frozenset(filter(None, await asyncio.gather(*map(lost, moves))))

    async def _other_objects(self, wanted: Sequence[Command], source: Listing) -> frozenset[str]:
        commits = {oid for name, oid in source.refs.items() if name.startswith(BRANCHES)}
        leads_to = {c.name: source.peeled.get(c.name, c.new or "") for c in wanted if c.name.startswith(TAGS)}
        found = await self._fetcher.other_objects(set(leads_to.values()) - commits)
        return frozenset(name for name, oid in leads_to.items() if oid in found)

    async def push(self, push: Push) -> PushResult:
        new = {command.new for command in push.commands if command.new}
        if push.objects:
            result = await self._pusher.push(push.commands, build_pack(push.objects))
        elif new <= self._known:
            result = await self._pusher.push(push.commands, build_pack() if new else b"")
        else:
            result = await self._relay(push, sorted(new - self._known))
        self._arrived |= {command.name: command.new for command in result.done if command.new}
        self._known |= set(self._arrived.values())
        return result

    async def _relay(self, push: Push, wants: Sequence[str]) -> PushResult:
        try:
            async with self._fetcher.fetch(fetch_request(wants, self._haves(push.commands))) as incoming:
                try:
                    arrived, whole = await self._begin(incoming)
                    if not whole:
                        return await self._pusher.push(push.commands, (arrived, incoming))
                finally:
                    self._received += incoming.received
        except SyncError as error:
            return PushResult(error=error)
        return await self._pusher.push(push.commands, b"".join(arrived))

    async def _begin(self, incoming: Incoming) -> tuple[deque[bytes], bool]:
        """What comes first, and whether that is all. OneDev is not asked for a slot before it is there."""
        pieces: deque[bytes] = deque()
        size, seconds = 0, self._timings.counting
        while size < BUFFER:
            try:
                piece = await incoming.read(seconds)
            except TimeoutError as error:
                raise incoming.silent(seconds) from error
            if not piece:
                break
            pieces.append(piece)
            size, seconds = size + len(piece), self._timings.silence
        self._check(b"".join(piece[:_HEADER] for piece in islice(pieces, _HEADER)), incoming)
        return pieces, size < BUFFER

    def _check(self, data: bytes, incoming: Incoming) -> None:
        try:
            objects = object_count(data)
        except WireError as error:
            raise incoming.garbled(error) from error
        if self._trunk and not self._objects and not self._staged and slices_for(0, objects) > 1:
            # Nothing of it has gone on to OneDev yet: the next attempt brings it in parts.
            self._objects = objects
            raise Trouble(incoming.reason, f"a pack of {objects} objects is too large for one push; it comes in parts")

    def _haves(self, commands: Iterable[Command]) -> list[str]:
        """What OneDev has already, the most useful first: more gains nothing and costs 50 bytes each."""
        refs = self._listed.refs
        by_use = (self._arrived, *({n: o for n, o in refs.items() if n.startswith(space)} for space in _USEFUL))
        listed = chain.from_iterable(reversed(group.values()) for group in by_use)
        return list(dict.fromkeys(filter(None, chain((command.old for command in commands), listed))))[:HAVES]

    async def close(self) -> None:
        """Nothing is left behind."""
