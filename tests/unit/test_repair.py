"""What GitHub could not deliver comes back: which deliveries, how often, for whom, and what is said of it."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import pytest

from github_onedev_sync.api import mirror as mirror_kind
from github_onedev_sync.api import owned, starred
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import ClusterUnavailable, Retry, Stalled, Waiting
from github_onedev_sync.api.hooks import (
    AppHooks,
    Attempt,
    AttemptPage,
    Hook,
    HookList,
    OrganizationHooks,
    RepositoryHooks,
    WebhookStatus,
)
from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.api.owned import OwnedReposSync
from github_onedev_sync.api.starred import StarredReposSync
from github_onedev_sync.api.urgency import Urgency
from github_onedev_sync.decide import deliveries as say
from github_onedev_sync.decide.deliveries import Log
from github_onedev_sync.engine.engine import REPAIR
from github_onedev_sync.engine.recorder import Recorder
from github_onedev_sync.engine.repair import Repairer
from github_onedev_sync.engine.repair_memory import Known
from github_onedev_sync.engine.store import Store
from github_onedev_sync.observability.metrics import Metrics

from . import builders as build
from .builders import NOW, SECRET
from .fakes import UNAVAILABLE, FakeClock, FakeCluster, FakeConnections, FakeGitHub, World, in_virtual_time
from .scenarios import declare_server, running

URL = "https://hooks.example.com/webhook"
APP = Hook(AppHooks(), URL)
ACME = Hook(OrganizationHooks("acme"), URL, 7)
CLICK = Hook(RepositoryHooks("pallets/click"), URL, 8)
DAY = timedelta(days=1)


def attempt(number: int, guid: str, status: int = 502, ago: float = 60, *, again: bool = False) -> Attempt:
    return Attempt(number, guid, NOW - timedelta(seconds=ago), status, again)


# What is to be sent again.


@pytest.mark.parametrize(
    ("rows", "lost", "repaired"),
    [
        ([], [], 0),
        ([attempt(1, "a", 202)], [], 0),
        ([attempt(1, "a", 200), attempt(2, "b", 299)], [], 0),
        ([attempt(1, "a")], ["a"], 0),
        ([attempt(1, "a", 503), attempt(2, "b", 429), attempt(3, "c", 301)], ["a", "b", "c"], 0),
        ([attempt(1, "a"), attempt(2, "a", 202, again=True)], [], 1),
        ([attempt(1, "a"), attempt(2, "a", 504, again=True)], ["a"], 0),
        # Taken once is taken, whatever comes later.
        ([attempt(1, "a", 202), attempt(2, "a", 502, again=True)], [], 1),
        ([attempt(1, "a"), attempt(2, "a", 202, again=True), attempt(3, "a", again=True)], [], 1),
        # A person sent it again, although nothing was wrong with it.
        ([attempt(1, "a", 202), attempt(2, "a", 202, again=True)], [], 0),
        # Still under way, or for too long.
        ([attempt(1, "a", 0, ago=30)], [], 0),
        ([attempt(1, "a", 0, ago=600)], ["a"], 0),
    ],
)
def test_which_are_lost(rows: list[Attempt], lost: list[str], repaired: int) -> None:
    """Newest first as GitHub tells them, and oldest first, and twice, and page by page: it comes to the same."""
    newest_first = list(reversed(rows))
    one_by_one = Log()
    for row in newest_first:
        one_by_one = one_by_one.read([row], NOW)
    for log in (Log().read(newest_first, NOW), Log().read(newest_first * 2, NOW), one_by_one):
        assert sorted(log.lost) == lost
        assert len(log.repaired) == repaired


def test_the_newest_attempt_is_repeated_and_the_oldest_counts() -> None:
    log = Log().read([attempt(9, "a", ago=60, again=True), attempt(5, "a", ago=7200)], NOW)
    (story,) = log.lost.values()
    assert (story.attempt, story.since) == (9, NOW - timedelta(hours=2))


def test_what_github_has_forgotten_is_forgotten() -> None:
    """However often it failed since: it is of the day of its first attempt."""
    rows = [attempt(9, "old", ago=60, again=True), attempt(2, "new", ago=60), attempt(1, "old", ago=3 * 86400)]
    assert sorted(Log().read(rows, NOW).kept(NOW).lost) == ["new"]


@pytest.mark.parametrize(
    ("read_to", "oldest", "goes_on"),
    [
        (None, NOW - 2 * DAY, True),
        (None, NOW - 4 * DAY, False),
        (NOW - timedelta(hours=1), NOW - timedelta(minutes=64), True),
        (NOW - timedelta(hours=1), NOW - timedelta(minutes=66), False),
        (NOW - 5 * DAY, NOW - 4 * DAY, False),
    ],
)
def test_how_far_a_log_is_read(read_to: datetime | None, oldest: datetime, goes_on: bool) -> None:
    log = Log(read_to=read_to)
    assert log.is_older_unread(AttemptPage(next="2", oldest=oldest), NOW) is goes_on
    assert not log.is_older_unread(AttemptPage(next="", oldest=oldest), NOW)
    assert not log.is_older_unread(AttemptPage(next="2"), NOW)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://hooks.example.com/webhook", True),
        ("HTTPS://Hooks.Example.COM:443/webhook/", True),
        ("https://user:word@hooks.example.com/webhook?token=1#a", True),
        (" https://hooks.example.com/webhook", True),
        ("http://hooks.example.com/webhook", False),
        ("https://hooks.example.com:8443/webhook", False),
        ("https://hooks.example.com/Webhook", False),
        ("https://hooks.example.com/", False),
        ("https://other.example.com/webhook", False),
    ],
)
def test_whether_a_webhook_is_ours(url: str, same: bool) -> None:
    assert (say.address(url) == say.address(URL)) is same


@pytest.mark.parametrize(
    "url", ["", "hooks.example.com", "ftp://a/b", "https://", "https://a:99999999/", "https://[a/"]
)
def test_what_is_no_address(url: str) -> None:
    assert say.address(url) == ""


def test_whose_webhooks_are_asked_for_next() -> None:
    a, b, c, d = (RepositoryHooks(f"o/{name}") for name in "abcd")
    looked = {a: NOW, b: NOW - DAY, c: NOW - 2 * DAY}
    assert say.next_repositories([a, b, c, d], looked, {a}, 9) == [a, d, c, b]
    assert say.next_repositories([a, b, c, d], looked, {a, b}, 2) == [b, a]


def test_what_a_status_says() -> None:
    assert say.status([], WebhookStatus(failed=3)) is None
    assert say.status([Log()], None) == WebhookStatus()
    before = WebhookStatus(last_delivery_time=NOW, last_repair_time=NOW - DAY, redelivered=4, failed=9)
    rows = [attempt(4, "b"), attempt(3, "a", 202, ago=120, again=True), attempt(2, "a"), attempt(1, "c", 202, ago=300)]
    one, two = Log().read(rows, NOW), Log().read([attempt(1, "d")], NOW)
    assert say.status([one, two], before) == WebhookStatus(
        last_delivery_time=NOW, last_repair_time=NOW - timedelta(minutes=2), redelivered=1, failed=2
    )


# The rounds.


class Repairs:
    """The repair alone, with what its credential is used for, and a clock that goes from one step to the next."""

    def __init__(self, *resources: dict[str, Any], app: bool = False) -> None:
        self.clock, self.store, self.metrics = FakeClock(), Store(), Metrics()
        self.github = FakeGitHub(anonymous=False, mints_tokens=app, now=self.clock.now)
        self.cluster = FakeCluster(now=self.clock.now)
        self.cluster.watch = self._seen
        self.connections = FakeConnections(github=self.github)
        kinds = {one.PLURAL: one.KIND for one in (mirror_kind, owned, starred)}
        self.recorder = Recorder(self.clock, self.cluster, kinds)
        for body in resources:
            self.cluster.put(body.pop("plural"), body)
        self.restart()

    def restart(self) -> None:
        self.repairer = Repairer(
            self.clock, self.store, self.connections, self.recorder, self.metrics, "https://HOOKS.example.com/webhook/"
        )
        met = [self.repairer.met(access, "team") for access in self._accesses()]
        (((self.key, delay),), *others) = met
        assert not any(others)
        assert 10 <= delay < 20

    def _accesses(self) -> Iterable[Any]:
        return [
            *(one.settings.source for one in self.store.syncs.values()),
            *(one.spec.source for one in self.store.mirrors.values()),
        ]

    def _seen(self, plural: str, name: str) -> None:
        body = build.plain(self.cluster.resources[plural, f"team/{name}"])
        if plural == mirror_kind.PLURAL:
            self.store.put_mirror(RepositoryMirror.read(body))
        else:
            self.store.put_sync((StarredReposSync if plural == starred.PLURAL else OwnedReposSync).read(body))

    def hook(self, *hooks: Hook) -> None:
        for hook in hooks:
            self.github.webhooks.setdefault(hook.place, []).append(hook)

    def failed(self, count: int, hook: Hook, status: int = 502) -> None:
        for _ in range(count):
            number = sum(map(len, self.github.attempts_of.values()))
            self.github.delivered(hook.id, f"guid-{number}", status)
            self.clock.advance(1)

    async def round(self) -> float:
        """Until it rests; how long that took. Then it is the time of the next one."""
        began = self.clock.now()
        for _ in range(2000):
            due = await self.repairer.reconcile(self.key)
            assert due is not None
            pause = due - self.clock.now()
            if pause > timedelta(minutes=5):
                took = (self.clock.now() - began).total_seconds()
                self.clock.advance(pause.total_seconds())
                return took
            self.clock.advance(pause.total_seconds())
        raise AssertionError("it never rests")

    def webhook(self, plural: str, name: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self.cluster.resources[plural, f"team/{name}"].get("status", {}).get("webhook")
        return found

    def counted(self, result: str) -> float:
        name = "github_onedev_sync_redelivered_deliveries_total"
        return self.metrics.registry.get_sample_value(name, {"result": result}) or 0


def own(name: str = "all", **spec: Any) -> dict[str, Any]:
    return {"plural": owned.PLURAL, **build.sync_body(name, source={"secretRef": SECRET}, **spec)}


def stars(name: str = "stars", **spec: Any) -> dict[str, Any]:
    return {"plural": starred.PLURAL, **build.sync_body(name, source={"secretRef": SECRET}, **spec)}


def mirrored(
    name: str = "click", repository: str = "pallets/click", *, admin: bool = True, **spec: Any
) -> dict[str, Any]:
    status = build.synced_status(source={"id": 1, "fullName": repository, "admin": admin})
    source = {"repository": repository, "secretRef": SECRET}
    return {"plural": mirror_kind.PLURAL, **build.mirror_body(name, source=source, status=status, **spec)}


async def test_what_failed_is_sent_again_the_oldest_first_and_once_a_second() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(3, ACME)
    world.failed(2, ACME, 202)
    taken = world.clock.now()
    took = await world.round()
    assert [number for _, number in world.github.again] == [1, 2, 3]
    times = [at for at, _ in world.github.again]
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in itertools.pairwise(times))
    assert took < 60, "and it was looked soon whether they were taken"
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert (said["redelivered"], said["failed"]) == (3, 0)
    assert said["lastDeliveryTime"] == said["lastRepairTime"] > taken.isoformat()
    assert world.counted("taken") == 3
    (told,) = world.cluster.events
    assert (told["type"], told["reason"]) == ("Normal", "DeliveriesRepaired")
    assert told["message"].startswith("3 deliveries that had not reached the webhook pod")
    assert set(world.connections.urgencies) == {Urgency.SWEEP}


async def test_quiet_hours_cost_two_conditional_requests_and_no_write() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(2, ACME, 202)
    await world.round()
    world.cluster.writes.clear()
    world.github.calls.clear()
    for _ in range(24):
        await world.round()
    assert world.github.calls == Counter(hooks=24, attempts=24, unchanged=48)
    assert (world.cluster.writes, world.cluster.events) == ([], [])


async def test_what_fails_once_more_is_asked_for_every_hour_for_three_days() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(2, ACME)
    world.github.answers = 503
    for _ in range(60):
        await world.round()
    assert len(world.github.again) == 120
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert (said["redelivered"], said["failed"]) == (0, 2)
    assert "lastDeliveryTime" not in said
    assert (world.counted("failed"), world.cluster.events) == (120, [])
    world.github.again.clear()
    for _ in range(24):
        await world.round()
    assert 10 <= len(world.github.again) / 2 <= 14
    assert world.webhook(owned.PLURAL, "all") == {"redelivered": 0, "failed": 0}


async def test_a_receiver_that_returns_gets_all() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(5, ACME)
    world.github.answers = 502
    await world.round()
    world.github.answers = 202
    await world.round()
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert (said["redelivered"], said["failed"]) == (5, 0)
    assert (world.counted("failed"), world.counted("taken")) == (5, 5)
    assert len(world.cluster.events) == 1


async def test_a_burst_is_spread_over_hours() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(1200, ACME)
    took = await world.round()
    assert (len(world.github.again), 500 <= took < 600) == (500, True)
    await world.round()
    await world.round()
    assert len({number for _, number in world.github.again}) == 1200
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert (said["redelivered"], said["failed"]) == (1200, 0)


async def test_a_restart_reads_three_days_and_tells_nothing_twice() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(150, ACME)
    await world.round()
    before = world.webhook(owned.PLURAL, "all")
    world.cluster.events.clear()
    world.cluster.writes.clear()
    world.github.again.clear()
    world.restart()
    await world.round()
    assert (world.github.again, world.cluster.events, world.cluster.writes) == ([], [], [])
    assert world.webhook(owned.PLURAL, "all") == before


async def test_after_the_first_time_only_what_is_new_is_read() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(249, ACME, 202)
    world.clock.advance(3600)
    world.failed(1, ACME, 202)
    await world.round()
    assert world.github.calls["attempts"] == 3
    world.failed(1, ACME, 202)
    await world.round()
    assert world.github.calls["attempts"] == 4


async def test_a_long_log_holds_up_nobody() -> None:
    """A step is ten requests at the most; then others have their turn."""
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.github.pages = 10
    world.failed(305, ACME, 202)
    for step in (10, 20, 30):
        assert await world.repairer.reconcile(world.key) == world.clock.now()
        assert world.github.calls["hooks"] + world.github.calls["attempts"] == step
    await world.round()
    assert world.github.calls["attempts"] == 31


async def test_what_is_under_way_is_waited_for() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.github.delivered(7, "slow", 0)
    await world.round()
    assert world.github.again == []
    world.clock.advance(600)
    await world.round()
    assert [number for _, number in world.github.again] == [1], "for GitHub itself says nothing new of it"


def test_what_came_of_what_was_sent_again() -> None:
    """Of one it is not known yet, and GitHub has forgotten another."""
    log = Log().read([attempt(8, "bad", again=True), attempt(7, "good", 202, again=True), attempt(3, "open")], NOW)
    known = Known(ACME, log, asked={"bad": 1, "good": 2, "open": 3, "forgotten": 4})
    assert (known.settle(), known.asked, known.mended) == ((1, 1), {"open": 3}, 1)
    assert (known.settle(), known.mended) == ((0, 0), 1)


async def test_another_address_is_not_ours() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(Hook(ACME.place, "https://other.example.com/webhook", 9), Hook(ACME.place, f"{URL}?from=github", 10))
    world.failed(1, Hook(ACME.place, "", 9))
    world.failed(1, Hook(ACME.place, "", 10))
    await world.round()
    assert [number for _, number in world.github.again] == [2]


# Where webhooks are, and who is told.


async def test_an_app_concerns_all_that_use_it() -> None:
    world = Repairs(own(), stars(user="mona"), own("paused", suspend=True), mirrored(), app=True)
    world.hook(APP, ACME, CLICK)
    world.failed(1, APP)
    await world.round()
    assert world.webhook(owned.PLURAL, "all") == world.webhook(starred.PLURAL, "stars") is not None
    assert world.webhook(owned.PLURAL, "paused") is None
    assert world.webhook(mirror_kind.PLURAL, "click") is None
    assert world.github.calls["hooks"] == 1


async def test_a_token_sees_organisations_and_repositories() -> None:
    world = Repairs(
        own(owner="Acme"),
        own("other", owner="umbrella"),
        stars(),
        mirrored(),
        mirrored("again", onRewrite="Follow"),
        mirrored("foreign", "pallets/flask", admin=False),
        mirrored("paused", "pallets/jinja", suspend=True),
    )
    world.hook(Hook(OrganizationHooks("Acme"), URL, 7), CLICK, Hook(RepositoryHooks("pallets/flask"), URL, 9))
    world.failed(1, ACME, 202)
    world.failed(2, CLICK)
    await world.round()
    said = world.webhook(owned.PLURAL, "all"), world.webhook(mirror_kind.PLURAL, "click")
    assert [one["redelivered"] for one in said if one] == [0, 2]
    assert world.webhook(mirror_kind.PLURAL, "again") == said[1]
    for plural, name in ((owned.PLURAL, "other"), (starred.PLURAL, "stars"), (mirror_kind.PLURAL, "foreign")):
        assert world.webhook(plural, name) is None
    assert world.github.calls["hooks"] == 3, "two organisations, and one repository that it administers"
    assert {event["involvedObject"]["name"] for event in world.cluster.events} == {"click", "again"}


async def test_a_hundred_repositories_an_hour_and_those_with_a_webhook_every_hour() -> None:
    names = [f"o/r{number:03}" for number in range(250)]
    world = Repairs(*(mirrored(name.replace("/", "-"), name) for name in names))
    last = Hook(RepositoryHooks(names[-1]), URL, 8)
    world.hook(last)
    for hour in (1, 2, 3):
        await world.round()
        assert world.github.calls["hooks"] == 100 * hour
    before = world.github.calls["attempts"]
    assert before == 1, "found in the third hour"
    for _ in range(5):
        await world.round()
    assert world.github.calls["attempts"] == 6


async def test_hidden_webhooks_are_told_once_and_let_alone_for_a_day(caplog: pytest.LogCaptureFixture) -> None:
    """A denial is of all of that owner's: it is the token that lacks the permission."""
    caplog.set_level(logging.INFO)
    world = Repairs(own(owner="acme"), *(mirrored(name, f"{owner}/{name}") for owner, name in ("ox", "oy", "pz", "pw")))
    world.github.shown = {
        OrganizationHooks("acme"): HookList(hidden="not for this token"),
        RepositoryHooks("o/x"): HookList(hidden="denied", denied=True),
        RepositoryHooks("o/y"): HookList(hidden="denied", denied=True),
        RepositoryHooks("p/z"): HookList(hidden="gone"),
    }
    for _ in range(20):
        await world.round()
    assert world.cluster.writes == []
    assert world.github.calls["hooks"] == 4 + 19 * 2, "then the organisation, and the one repository that is not hidden"
    assert caplog.messages.count("webhooks hidden") == 3
    for _ in range(8):
        await world.round()
    assert world.github.calls["hooks"] == 4 + 27 * 2 + 2
    assert caplog.messages.count("webhooks hidden") == 3


async def test_a_webhook_that_was_taken_away_leaves_the_status() -> None:
    for gone in (HookList(hidden="not any more"), HookList()):
        world = Repairs(own(owner="acme"))
        world.hook(ACME)
        world.failed(1, ACME, 202)
        await world.round()
        assert world.webhook(owned.PLURAL, "all") is not None
        world.github.shown[ACME.place] = gone
        await world.round()
        assert world.webhook(owned.PLURAL, "all") is None


async def test_a_mirror_that_is_gone_is_forgotten_and_a_renamed_one_is_found() -> None:
    world = Repairs(mirrored(), mirrored("flask", "pallets/flask"))
    world.hook(CLICK)
    world.failed(1, CLICK, 202)
    await world.round()
    world.cluster.put(mirror_kind.PLURAL, mirrored("click", "pallets/clack"))
    world.github.webhooks = {RepositoryHooks("pallets/clack"): [Hook(RepositoryHooks("pallets/clack"), URL, 8)]}
    world.failed(1, CLICK)
    await world.round()
    said = world.webhook(mirror_kind.PLURAL, "click")
    assert said is not None
    assert said["redelivered"] == 1
    for key in list(world.store.mirrors):
        world.store.drop_mirror(world.store.mirrors[key])
    assert await world.repairer.reconcile(world.key) is None
    assert await world.repairer.reconcile(world.key) is None
    assert world.repairer.met(build.mirror(source={"secretRef": SECRET}).spec.source, "team"), "met anew"


async def test_a_secret_that_becomes_an_app_s_has_no_webhooks_but_that_one() -> None:
    world = Repairs(own(owner="acme"), mirrored())
    world.hook(ACME, CLICK, APP)
    world.failed(1, ACME)
    world.github.answers = 502
    await world.round()
    world.github.mints_tokens = True
    world.failed(1, APP)
    await world.round()
    assert [number for _, number in world.github.again] == [1, 3]


# What goes wrong.


def at_once(due: datetime | None, world: Repairs) -> float:
    assert due is not None
    return (due - world.clock.now()).total_seconds()


async def test_without_an_address_or_a_credential_nothing_is_asked() -> None:
    world = Repairs(own(owner="acme"))
    assert world.repairer.met(build.mirror().spec.source, "team") == []
    off = Repairer(world.clock, world.store, world.connections, world.recorder, world.metrics)
    assert off.met(build.mirror(source={"secretRef": SECRET}).spec.source, "team") == []
    world.github.anonymous = True
    await world.round()
    assert world.github.calls == Counter()


@pytest.mark.parametrize("call", ["hooks", "attempts", "redeliver"])
async def test_a_limit_is_waited_for_and_the_round_goes_on(call: str) -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(2, ACME)
    world.github.trouble = {call: Waiting(Reason.RATE_LIMITED, "kept for others", timedelta(minutes=3))}
    for _ in range(6):
        assert at_once(await world.repairer.reconcile(world.key), world) == 180
        world.clock.advance(180)
    asked = Counter(world.github.calls)
    world.github.trouble = {}
    await world.round()
    assert world.github.calls["hooks"] == asked["hooks"] + (call == "hooks")
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert (said["redelivered"], said["failed"]) == (2, 0)


@pytest.mark.parametrize("call", ["hooks", "attempts", "redeliver"])
async def test_what_fails_again_and_again_holds_up_only_itself(call: str) -> None:
    world = Repairs(own(owner="acme"), own("other", owner="umbrella"))
    world.hook(ACME, Hook(OrganizationHooks("umbrella"), URL, 9))
    world.failed(1, ACME)
    error = Retry(Reason.SOURCE_UNAVAILABLE, "answers 500")
    world.github.trouble = {call: error}
    pauses = [at_once(await world.repairer.reconcile(world.key), world) for _ in range(3)]
    assert pauses == sorted(pauses)
    assert 10 <= pauses[0] <= 12
    assert 40 <= pauses[2] <= 48
    world.github.trouble = {}
    await world.round()
    assert world.webhook(owned.PLURAL, "other") is not None
    await world.round()
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert said["redelivered"] == 1


@pytest.mark.parametrize("call", ["source", "hooks"])
async def test_what_only_a_person_can_mend_is_tried_in_an_hour(call: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = Repairs(own(owner="acme"), mirrored())
    error = Stalled(Reason.SOURCE_AUTHENTICATION_FAILED, "GitHub refuses the token")
    (world.connections if call == "source" else world.github).trouble = {call: error}
    assert 3400 < at_once(await world.repairer.reconcile(world.key), world) < 3800
    assert "repair put off" in caplog.messages
    assert world.cluster.writes == []
    world.connections.trouble = world.github.trouble = {}
    world.hook(ACME)
    world.failed(1, ACME)
    await world.round()
    assert world.counted("taken") == 1


async def test_credentials_that_may_only_read_are_not_tried_five_hundred_times(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = Repairs(own(owner="acme"), mirrored())
    world.hook(ACME, CLICK)
    world.failed(20, ACME)
    world.github.answers = 0
    await world.round()
    assert (len(world.github.again), world.counted("refused")) == (3, 3)
    assert "redelivery refused" in caplog.messages
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert said["failed"] == 20
    await world.round()
    assert len(world.github.again) == 6, "the permission may have been given"


async def test_a_cluster_that_is_away_loses_nothing() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(2, ACME)
    world.cluster.trouble = {"patch_status": UNAVAILABLE}
    with pytest.raises(ClusterUnavailable):
        await world.round()
    world.cluster.trouble = {}
    await world.round()
    said = world.webhook(owned.PLURAL, "all")
    assert said is not None
    assert said["redelivered"] == 2


@pytest.mark.parametrize("gone", [False, True])
async def test_whoever_is_faster_is_read_anew(gone: bool) -> None:
    world = Repairs(own(owner="acme"), mirrored())
    world.hook(ACME, CLICK)
    world.failed(1, ACME, 202)
    world.failed(1, CLICK, 202)
    world.cluster.watch = lambda plural, name: None
    for key in list(world.cluster.resources):
        if gone:
            world.cluster.resources.pop(key)
        else:
            world.cluster.put(key[0], world.cluster.resources[key])
    await world.round()
    for plural, name in () if gone else ((owned.PLURAL, "all"), (mirror_kind.PLURAL, "click")):
        assert world.webhook(plural, name) is not None
        assert world.cluster.calls["patch_status"] == 4


async def test_one_that_vanishes_meanwhile() -> None:
    world = Repairs(own(owner="acme"))
    world.hook(ACME)
    world.failed(1, ACME)
    world.github.trouble = {"attempts": Retry(Reason.SOURCE_UNAVAILABLE, "later")}
    await world.repairer.reconcile(world.key)
    world.store.syncs.clear()
    world.github.trouble = {}
    for _ in range(10):
        if await world.repairer.reconcile(world.key) is None:
            break
        world.clock.advance(3600)
    assert world.cluster.writes == []


# In the engine.


def test_the_engine_repairs_at_its_start_and_every_hour() -> None:
    async def run(clock: FakeClock) -> None:
        world = World(clock, webhook=URL)
        world.github.anonymous, world.github.token = False, "token"
        declare_server(world, checked=True)
        body = mirrored()
        world.cluster.put(body.pop("plural"), body)
        world.synced()
        world.github.webhooks = {CLICK.place: [CLICK]}
        world.github.delivered(8, "lost", 502)
        async with running(world):
            await asyncio.sleep(60)
            said = world.body().status.webhook
            assert said is not None
            assert (said.redelivered, said.failed) == (1, 0)
            world.github.delivered(8, "lost too", 502)
            await asyncio.sleep(4000)
            said = world.body().status.webhook
            assert said is not None
            assert (said.redelivered, said.failed) == (2, 0)
        name, labels = "github_onedev_sync_reconcile_total", {"kind": REPAIR, "result": "ok"}
        assert (world.metrics.registry.get_sample_value(name, labels) or 0) >= 4

    in_virtual_time(run)
