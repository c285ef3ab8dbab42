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
    if found.running():
        yield found
        return
    try:
        found.up()
        yield found
    finally:
        found.down()
