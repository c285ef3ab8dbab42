"""A burst of deliveries is few calls, and none is answered before a call that began after it came has succeeded."""

import asyncio

import pytest

from github_onedev_sync.api import mirror
from github_onedev_sync.api.errors import ClusterUnavailable
from github_onedev_sync.webhook.asking import Asking

from .fakes import FakeCluster, mirror_body

KEY = "team/widget"


@pytest.fixture
def asking(cluster: FakeCluster) -> Asking:
    cluster.put(mirror.PLURAL, mirror_body("widget", 1))
    return Asking(cluster)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_one_is_one_call(asking: Asking, cluster: FakeCluster) -> None:
    assert await asking.ask(KEY, "one")
    assert cluster.annotations == [(KEY, "one")]


async def test_a_burst_is_two_calls(asking: Asking, cluster: FakeCluster) -> None:
    cluster.gate.clear()
    first = asyncio.create_task(asking.ask(KEY, "0"))
    await settle()
    assert cluster.calls["annotate"] == 1
    burst = [asyncio.create_task(asking.ask(KEY, str(number))) for number in range(1, 50)]
    await settle()
    assert cluster.calls["annotate"] == 1
    assert not any(task.done() for task in (first, *burst))
    cluster.gate.set()
    assert await asyncio.gather(first, *burst) == [True] * 50
    assert cluster.annotations == [(KEY, "0"), (KEY, "49")]


async def test_who_comes_while_a_call_is_under_way_is_not_answered_by_it(asking: Asking, cluster: FakeCluster) -> None:
    cluster.gate.clear()
    first = asyncio.create_task(asking.ask(KEY, "first"))
    await settle()
    second = asyncio.create_task(asking.ask(KEY, "second"))
    await settle()
    cluster.gate.set()
    assert await first
    assert await second
    assert cluster.calls["annotate"] == 2


async def test_mirrors_do_not_wait_for_each_other(asking: Asking, cluster: FakeCluster) -> None:
    cluster.put(mirror.PLURAL, mirror_body("other", 2))
    cluster.gate.clear()
    tasks = [asyncio.create_task(asking.ask(key, "x")) for key in (KEY, "team/other")]
    await settle()
    assert cluster.calls["annotate"] == 2
    cluster.gate.set()
    assert await asyncio.gather(*tasks) == [True, True]


async def test_a_failure_is_that_of_all_who_shared_the_call_and_of_nobody_else(
    asking: Asking, cluster: FakeCluster
) -> None:
    cluster.trouble = ClusterUnavailable("down")
    cluster.gate.clear()
    tasks = [asyncio.create_task(asking.ask(KEY, "lost")) for _ in range(3)]
    await settle()
    cluster.gate.set()
    assert [type(result) for result in await asyncio.gather(*tasks, return_exceptions=True)] == [ClusterUnavailable] * 3
    cluster.trouble = None
    assert await asking.ask(KEY, "later")
    assert cluster.annotations == [(KEY, "later")]


async def test_who_goes_away_takes_the_call_from_nobody(asking: Asking, cluster: FakeCluster) -> None:
    cluster.gate.clear()
    tasks = [asyncio.create_task(asking.ask(KEY, "x")) for _ in range(2)]
    await settle()
    tasks[0].cancel()
    await settle()
    cluster.gate.set()
    assert await tasks[1]
    await asking.drain()


async def test_a_mirror_that_is_gone(asking: Asking, cluster: FakeCluster) -> None:
    cluster.resources.clear()
    assert not await asking.ask(KEY, "x")
