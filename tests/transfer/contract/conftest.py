"""The contract's worlds, over each engine."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.stand_ins.repositories import Import
from tests.transfer.contract.world import ENGINES, Contract, contract_in


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def target_name() -> str:
    """OneDev, where a module does not say otherwise."""
    return "OneDev"


@pytest.fixture
async def empty(tmp_path: Path, engine: str, target_name: str) -> AsyncIterator[Contract]:
    """A repository without a commit, and an empty project."""
    async with contract_in(tmp_path, engine, target_name) as made:
        yield made


@pytest.fixture(scope="session")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a first sync leaves, to be copied: it is the beginning of nearly every test."""
    folder = tmp_path_factory.mktemp("synced")

    async def sync() -> None:
        async with contract_in(folder, "Relay", "OneDev") as made:
            fill(made)
            await made.succeeds()

    with ThreadPoolExecutor() as apart:  # from the tests' own event loops
        apart.submit(asyncio.run, sync()).result()
    return folder


@pytest.fixture
async def contract(synced: Path, tmp_path: Path, engine: str, target_name: str) -> AsyncIterator[Contract]:
    """Two branches and two tags, synced once."""
    shutil.copytree(synced, tmp_path, dirs_exist_ok=True)
    async with contract_in(tmp_path, engine, target_name) as made:
        yield made


def fill(world: Contract) -> None:
    stream = Import()
    stream.commit("refs/heads/main", "Number 1", {"a": "1"})
    stream.commit("refs/heads/main", "Number 2", {"a": "2"})
    stream.point("refs/heads/dev", "refs/heads/main")
    stream.commit("refs/heads/dev", "Number 3", {"b": "1"})
    stream.annotate("v1", "refs/heads/main", "The first\n")
    stream.point("refs/tags/light", "refs/heads/main")
    stream.run(world.source_repository)
