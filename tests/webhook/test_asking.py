"""A burst of deliveries is few calls, and none is answered before a call that began after it came has succeeded."""

import asyncio

import pytest

from github_onedev_sync.api import mirror
from github_onedev_sync.api.errors import ClusterUnavailable
from github_onedev_sync.webhook.asking import Asking

from .fakes import FakeCluster, mirror_body

KEY = "team/widget"


@pytest.fixture
def asking(fake: FakeCluster) -> Asking:
    fake.put(mirror.PLURAL, mirror_body("widget", 1))
    return Asking(fake)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_is_one_call(asking: Asking, fake: FakeCluster) -> None:
    assert await asking.ask(KEY, "one")
    assert fake.annotations == [(KEY, "one")]


async def test_a_burst_is_two_calls(asking: Asking, fake: FakeCluster) -> None:
    fake.gate.clear()
    first = asyncio.create_task(asking.ask(KEY, "0"))
    await settle()
    assert fake.calls["annotate"] == 1
    burst = [asyncio.create_task(asking.ask(KEY, str(number))) for number in range(1, 50)]
    await settle()
    assert fake.calls["annotate"] == 1
    assert not any(task.done() for task in (first, *burst))
    fake.gate.set()
    assert await asyncio.gather(first, *burst) == [True] * 50
    assert fake.annotations == [(KEY, "0"), (KEY, "49")]


async def test_who_comes_while_a_call_is_under_way_is_not_answered_by_it(asking: Asking, fake: FakeCluster) -> None:
    fake.gate.clear()
    first = asyncio.create_task(asking.ask(KEY, "first"))
    await settle()
    second = asyncio.create_task(asking.ask(KEY, "second"))
    await settle()
    fake.gate.set()
    assert await first
    assert await second
    assert fake.calls["annotate"] == 2


async def test_mirrors_do_not_wait_for_each_other(asking: Asking, fake: FakeCluster) -> None:
    fake.put(mirror.PLURAL, mirror_body("other", 2))
    fake.gate.clear()
    tasks = [asyncio.create_task(asking.ask(key, "x")) for key in (KEY, "team/other")]
    await settle()
    assert fake.calls["annotate"] == 2
    fake.gate.set()
    assert await asyncio.gather(*tasks) == [True, True]


async def test_a_failure_is_that_of_all_who_shared_the_call_and_of_nobody_else(
    asking: Asking, fake: FakeCluster
) -> None:
    fake.trouble = ClusterUnavailable("down")
    fake.gate.clear()
    tasks = [asyncio.create_task(asking.ask(KEY, "lost")) for _ in range(3)]
    await settle()
    fake.gate.set()
    assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [ClusterUnavailable] * 3
    fake.trouble = None
    assert await asking.ask(KEY, "later")
    assert fake.annotations == [(KEY, "later")]


async def test_who_goes_away_takes_the_call_from_nobody(asking: Asking, fake: FakeCluster) -> None:
    fake.gate.clear()
    tasks = [asyncio.create_task(asking.ask(KEY, "x")) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    await settle()
    fake.gate.set()
    assert await tasks[1]
    await asking.drain()


async def test_a_mirror_that_is_gone(asking: Asking, fake: FakeCluster) -> None:
    fake.resources.clear()
    assert not await asking.ask(KEY, "x")
