"""Engines by name, and what copies LFS objects, made of what a mirror's part of a run has."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from ..api.assignment import Task
from ..api.refs import Listing
from ..api.retention import moment
from ..transfer.engine import Endpoint, Engine, Progress
from ..transfer.onedev import Repository

if TYPE_CHECKING:
    from ..transfer.lfs import LfsCounts


@dataclass(frozen=True)
class Kit:
    """`scratch` does not exist yet."""

    task: Task
    session: aiohttp.ClientSession
    source: Endpoint
    target: Endpoint
    repository: Repository
    scratch: Path
    progress: Progress


EngineFactory = Callable[[str, Kit], Engine]


def make_engine(name: str, kit: Kit) -> Engine:
    """`name` is `Relay` or `Git`. Each is imported only where it is needed: a worker's start and memory are counted."""
    if name == "Git":
        from ..transfer.git_engine import GitEngine

        return GitEngine(kit.scratch, kit.source, kit.target, kit.progress)
    from ..transfer.relay import RelayEngine

    return RelayEngine(
        kit.session,
        kit.source,
        kit.target,
        kit.repository,
        kit.progress,
        now=int(moment(kit.task.archive_time).timestamp()),
        judge=kit.task.on_rewrite != "Follow",
        size_kb=kit.task.size_kb,
    )


def make_copier(kit: Kit) -> "Callable[[Listing, Collection[str], Listing], Awaitable[LfsCounts]] | None":
    """What copies the LFS objects behind tips of the source, None where they are not asked for."""
    if not kit.task.lfs:
        return None

    async def copy(source: Listing, tips: Collection[str], target: Listing) -> "LfsCounts":
        from ..transfer.lfs import mirror_objects

        scratch = kit.scratch.with_name(f"{kit.scratch.name}-lfs")
        held = set(target.refs.values())
        return await mirror_objects(kit.session, scratch, source, tips, held, kit.source, kit.target, kit.progress)

    return copy
