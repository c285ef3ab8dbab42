"""A world of its own for every test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.transfer.world import REPOSITORY, World, world_in


@pytest.fixture(params=("Relay", "Git"))
def engine(request: pytest.FixtureRequest) -> str:
    """One contract: what moves data is to make no difference."""
    return str(request.param)


@pytest.fixture
async def world(tmp_path: Path, engine: str) -> AsyncIterator[World]:
    """The repository is empty."""
    async with world_in(tmp_path) as made:
        made.engine = engine
        yield made


@pytest.fixture
async def mirrored(world: World) -> World:
    """Two branches and two tags, synced once."""
    await world.github.commit(REPOSITORY, "main", {"a": "1"})
    await world.github.commit(REPOSITORY, "main", {"a": "2"})
    await world.github.create_branch(REPOSITORY, "dev")
    await world.github.commit(REPOSITORY, "dev", {"b": "1"})
    await world.github.create_tag(REPOSITORY, "v1", annotated=True)
    await world.github.create_tag(REPOSITORY, "light")
    report = await world.sync()
    assert report.outcome == "Synced", report
    return world
