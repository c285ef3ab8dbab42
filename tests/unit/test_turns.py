"""Whoever is more urgent goes first, and nothing that was taken is ever lost."""

import asyncio

import pytest

from github_onedev_sync.adapters.turns import Turns


async def let_them_wait() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_the_more_urgent_go_first_then_the_older() -> None:
    turns, served = Turns(["only"]), []

    async def use(name: str, urgency: int) -> None:
        thing = await turns.take(urgency)
        served.append(name)
        turns.give(thing)

    held = await turns.take(0)
    waiting = [
        asyncio.ensure_future(use(name, urgency))
        for name, urgency in (("sweep", 2), ("routine 1", 1), ("routine 2", 1), ("asked", 0))
    ]
    await let_them_wait()
    assert not served
    turns.give(held)
    await asyncio.gather(*waiting)
    assert served == ["asked", "routine 1", "routine 2", "sweep"]
    assert turns.idle() == ("only",)


async def test_who_gives_up_is_passed_over() -> None:
    turns = Turns(["only"])
    held = await turns.take(0)
    first, second = asyncio.ensure_future(turns.take(0)), asyncio.ensure_future(turns.take(1))
    await let_them_wait()
    first.cancel()
    await let_them_wait()
    turns.give(held)
    assert await second == "only"


@pytest.mark.parametrize("others", [0, 1])
async def test_who_gives_up_in_the_moment_of_being_served_hands_it_on(others: int) -> None:
    turns = Turns(["only"])
    held = await turns.take(0)
    unlucky = asyncio.ensure_future(turns.take(0))
    waiting = [asyncio.ensure_future(turns.take(1)) for _ in range(others)]
    await let_them_wait()
    turns.give(held)
    unlucky.cancel()
    with pytest.raises(asyncio.CancelledError):
        await unlucky
    assert [await one for one in waiting] == ["only"] * others
    assert turns.idle() == ("only",) * (1 - others)
