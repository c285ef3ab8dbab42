"""Engines by name, each made of what a mirror's part of a run has."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from ..api.assignment import Task
from ..transfer.engine import Endpoint, Engine, Progress
from ..transfer.onedev import Repository


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
        judge=kit.task.on_rewrite != "Follow",
        size_kb=kit.task.size_kb,
    )
