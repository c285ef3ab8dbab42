"""The cluster of the tests as a pytest fixture."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .choice import Cluster, choose

NAME = "tests"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The cluster `tests`, up: brought up and removed again here unless it runs already."""
    found = choose(NAME)
    ours = not found.running()
    try:
        found.up()
        yield found
    finally:
        if ours:
            found.down()
