"""What deliveries do in the cluster: which mirrors are asked, and which are made for which sync."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from github_onedev_sync.api import mirror, names
from github_onedev_sync.api.errors import ClusterUnavailable
from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.api.observed import ListedRepository
from github_onedev_sync.api.owned import OwnedReposSync
from github_onedev_sync.api.starred import StarredReposSync
from github_onedev_sync.webhook.acting import Acting, Done, takes
from github_onedev_sync.webhook.asking import Asking
from github_onedev_sync.webhook.intents import Look, Offer
from github_onedev_sync.webhook.metrics import Metrics
from github_onedev_sync.webhook.mirrors import Mirrors
from github_onedev_sync.webhook.syncs import Syncs

from .fakes import FakeCluster, mirror_body, sync_body
from .samples import ACME, OCTOCAT, WIDGET

NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
HOST = "api.github.com"
ROW = ListedRepository(WIDGET, "acme/widget", stars=42, language="Python")
STAR = Offer(OCTOCAT, True, ROW, True, HOST)
NEW = Offer(ACME, False, ROW, True, HOST)
INSTALLED = Offer(ACME, False, ListedRepository(WIDGET, "acme/widget"), False, HOST, installed=True)
MADE = f"team/acme-widget-{WIDGET}"


def labelled(name: str, number: int, namespace: str = "team") -> dict[str, Any]:
    body = mirror_body(name, number, namespace)
    body["metadata"]["labels"] = {names.REPOSITORY_ID: str(WIDGET)}
    return body


class Seconds:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def acting(fake: FakeCluster, seconds: Seconds) -> Acting:
    mirrors, syncs = Mirrors(fake, (), seconds), Syncs(fake, (), seconds)
    return Acting(fake, mirrors, syncs, Asking(fake), Metrics(), lambda: NOW)


async def test_all_mirrors_of_a_repository_are_asked(acting: Acting, fake: FakeCluster) -> None:
    fake.put(mirror.PLURAL, mirror_body("by-status", WIDGET))
    fake.put(mirror.PLURAL, labelled("by-label", 0, "else"))
    fake.put(mirror.PLURAL, labelled("both", WIDGET))
    fake.put(mirror.PLURAL, mirror_body("another", 7))
    assert await acting.act([Look(WIDGET)], "guid") == Done(looks=2)
    assert sorted(fake.annotations) == [("team/both", "guid"), ("team/by-status", "guid")]


async def test_a_sync_s_mirror_is_known_by_its_label_until_it_had_its_first_look(
    acting: Acting, fake: FakeCluster
) -> None:
    fake.put(mirror.PLURAL, labelled("by-label", 0))
    assert await acting.act([Look(WIDGET)], "guid") == Done(looks=1)


async def test_what_was_found_is_kept_for_a_while(acting: Acting, fake: FakeCluster, seconds: Seconds) -> None:
    fake.put(mirror.PLURAL, mirror_body("one", WIDGET))
    for moment, asked in ((0, 1), (59, 1), (61, 2)):
        seconds.now = moment
        await acting.act([Look(WIDGET)], f"at-{moment}")
        assert fake.calls["list"] == asked
    for moment, asked in ((100, 4), (104, 4), (106, 6)):
        seconds.now = moment
        assert await acting.act([Look(7)], "nothing") == Done()
        assert fake.calls["list"] == asked


async def test_a_mirror_that_was_exchanged_is_found_again(acting: Acting, fake: FakeCluster) -> None:
    fake.put(mirror.PLURAL, mirror_body("old", WIDGET))
    await acting.act([Look(WIDGET)], "first")
    fake.resources.clear()
    fake.put(mirror.PLURAL, mirror_body("new", WIDGET))
    assert await acting.act([Look(WIDGET)], "second") == Done(looks=1)
    assert fake.annotations == [("team/old", "first"), ("team/new", "second")]


async def test_only_watched_namespaces(fake: FakeCluster, seconds: Seconds) -> None:
    for namespace in ("a", "b", "c"):
        fake.put(mirror.PLURAL, mirror_body("one", WIDGET, namespace))
    assert await Mirrors(fake, ("a", "b"), seconds).of(WIDGET) == {"a/one", "b/one"}


async def test_many_at_once_ask_once(acting: Acting, fake: FakeCluster) -> None:
    fake.put(mirror.PLURAL, mirror_body("one", WIDGET))
    assert await acting.act([Look(WIDGET)] * 20, "guid") == Done(looks=20)
    assert fake.calls["list"] == 1
    assert fake.calls["annotate"] <= 4


async def test_a_cluster_that_is_away(acting: Acting, fake: FakeCluster) -> None:
    fake.trouble = ClusterUnavailable("down")
    for wanted in ([Look(WIDGET)], [Look(WIDGET), Look(7)], [STAR], [Look(WIDGET, starrer=OCTOCAT)]):
        with pytest.raises(ClusterUnavailable):
            await acting.act(wanted, "guid")
    fake.trouble = None
    fake.put(mirror.PLURAL, mirror_body("one", WIDGET))
    assert await acting.act([Look(WIDGET)], "guid") == Done(looks=1)


async def test_an_un_star_matters_where_somebody_mirrors_the_stars(acting: Acting, fake: FakeCluster) -> None:
    fake.put(mirror.PLURAL, mirror_body("one", WIDGET))
    await acting.syncs.refresh()
    assert await acting.act([Look(WIDGET, starrer=OCTOCAT)], "stranger") == Done()
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    await acting.syncs.refresh()
    assert await acting.act([Look(WIDGET, starrer=OCTOCAT)], "guid") == Done(looks=1)


@pytest.mark.parametrize(
    ("kind", "offer"), [(StarredReposSync, STAR), (OwnedReposSync, NEW), (OwnedReposSync, INSTALLED)]
)
async def test_a_mirror_is_made_at_once(
    acting: Acting, fake: FakeCluster, kind: type[StarredReposSync] | type[OwnedReposSync], offer: Offer
) -> None:
    owner = {} if kind is StarredReposSync else {"owner": "acme"}
    fake.put(kind.plural, sync_body(kind, offer.account, **owner))
    assert await acting.act([offer], "guid") == Done(made=1)
    assert fake.mirrors == [MADE]
    made = fake.resources[mirror.PLURAL, MADE]
    assert made["metadata"]["labels"][names.SYNC] == f"{kind.short}.all"
    assert fake.managers == [names.field_manager(kind.short, "all")]
    read = RepositoryMirror.read({**made, "metadata": {**made["metadata"], "uid": "x"}})
    assert (read.spec.source.repository, read.spec.target.project) == ("acme/widget", "acme/widget")


async def test_it_is_made_once_and_then_asked(acting: Acting, fake: FakeCluster) -> None:
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    assert await acting.act([STAR], "one") == Done(made=1)
    assert await acting.act([STAR], "two") == Done(looks=1)
    assert await acting.act([Look(WIDGET)], "push") == Done(looks=1)
    assert fake.calls["apply"] == 1


async def test_of_a_large_installation_a_part_is_left_to_the_poll(
    acting: Acting, fake: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    fake.put(OwnedReposSync.plural, sync_body(OwnedReposSync, ACME))
    rows = [ListedRepository(number, f"acme/number-{number}") for number in range(1, 151)]
    assert await acting.act([replace(INSTALLED, row=row) for row in rows], "guid") == Done(made=100)
    told = [record.__dict__["fields"] for record in caplog.records if record.getMessage() == "left to the poll"]
    assert told == [{"delivery": "guid", "repositories": 50}]


@pytest.mark.parametrize("known", [mirror_body("mine", WIDGET), mirror_body("mine")])
async def test_one_that_a_person_wrote_is_asked_and_not_made_again(
    acting: Acting, fake: FakeCluster, known: dict[str, Any]
) -> None:
    fake.put(mirror.PLURAL, known)
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    assert await acting.act([STAR], "guid") == Done(looks=1)
    assert fake.mirrors == ["team/mine"]


async def test_every_sync_of_that_account_makes_its_own(acting: Acting, fake: FakeCluster) -> None:
    for namespace in ("team", "else"):
        fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT, namespace=namespace))
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, 7, name="of-somebody-else"))
    assert await acting.act([STAR], "guid") == Done(made=2)
    assert sorted(fake.mirrors) == [f"else/acme-widget-{WIDGET}", MADE]


async def test_a_place_that_is_taken_is_left_to_the_poll(acting: Acting, fake: FakeCluster) -> None:
    taken = mirror_body("taken", 7)
    taken["spec"]["source"]["repository"] = "other/widget"
    taken["spec"]["target"]["project"] = "widget"
    fake.put(mirror.PLURAL, taken)
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT, projectTemplate="{name}"))
    assert await acting.act([STAR], "guid") == Done()
    assert fake.mirrors == ["team/taken"]


async def test_a_project_that_onedev_cannot_have_is_left_to_the_poll(acting: Acting, fake: FakeCluster) -> None:
    template = "a" * 300 + "/{name}"
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT, projectTemplate=template))
    assert await acting.act([STAR], "guid") == Done()


async def test_a_sync_that_was_paused_or_deleted_since_it_was_listed(acting: Acting, fake: FakeCluster) -> None:
    body = fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    await acting.syncs.refresh()
    body["spec"]["suspend"] = True
    assert await acting.act([STAR], "guid") == Done()
    fake.resources.clear()
    assert await acting.act([STAR], "guid") == Done()


async def test_a_new_sync_is_seen_when_its_account_comes_by(
    acting: Acting, fake: FakeCluster, seconds: Seconds
) -> None:
    await acting.syncs.refresh()
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    listed = fake.calls["list"]
    for _ in range(100):
        assert await acting.act([STAR], "guid") == Done()
    assert fake.calls["list"] == listed
    seconds.now = 6
    assert await acting.act([STAR], "guid") == Done(made=1)


async def test_a_sync_that_cannot_be_read_is_nobody_s(acting: Acting, fake: FakeCluster) -> None:
    body = fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    del body["spec"]["template"]
    assert await acting.act([STAR], "guid") == Done()


def starred(status: dict[str, Any] | None = None, **spec: Any) -> StarredReposSync:
    body = sync_body(StarredReposSync, OCTOCAT, **spec)
    body["status"] |= status or {}
    return StarredReposSync.read(body)


def owned(**spec: Any) -> OwnedReposSync:
    return OwnedReposSync.read(sync_body(OwnedReposSync, ACME, **spec))


CHANGED_ACCOUNT = {"type": "Ready", "status": "False", "reason": "IdentityChanged"}


@pytest.mark.parametrize(
    ("sync", "offer", "taken"),
    [
        (starred(), STAR, True),
        (starred(filter={"languages": ["python"], "minStars": 42, "include": ["acme/*"]}), STAR, True),
        (starred(filter={"expression": "repository.stars > 41"}), STAR, True),
        (starred(filter={"minStars": 43}), STAR, False),
        (starred(filter={"exclude": ["acme/*"]}), STAR, False),
        (starred(filter={"lists": ["mirrors"]}), STAR, False),
        (starred(filter={"expression": "repository.stars >"}), STAR, False),
        (starred(suspend=True), STAR, False),
        (starred(dryRun=True), STAR, False),
        (starred({"account": None}), STAR, False),
        (starred({"account": {"id": 7, "login": "other"}}), STAR, False),
        (starred({"observedGeneration": 0}), STAR, False),
        (starred({"conditions": [CHANGED_ACCOUNT]}), STAR, False),
        (starred(source={"apiURL": "https://ghe.example.com/api/v3"}), STAR, False),
        (starred(source={"apiURL": "https://ghe.example.com/api/v3"}), replace(STAR, login="SomeBody"), True),
        (owned(owner="acme"), NEW, True),
        (owned(owner="acme"), INSTALLED, True),
        (owned(), NEW, False),
        (owned(), INSTALLED, True),
        (owned(filter={"include": ["acme/w*"], "visibility": "Public"}), INSTALLED, True),
        (owned(filter={"visibility": "Private"}), INSTALLED, False),
        (owned(filter={"minStars": 1}), INSTALLED, False),
        (owned(filter={"topics": ["kubernetes"]}), INSTALLED, False),
    ],
)
def test_which_syncs_take_an_offer(sync: StarredReposSync | OwnedReposSync, offer: Offer, taken: bool) -> None:
    assert takes(sync, offer, NOW) is taken


def test_a_sync_that_is_being_deleted_takes_nothing() -> None:
    body = sync_body(StarredReposSync, OCTOCAT)
    body["metadata"]["deletionTimestamp"] = "2026-11-23T01:00:00Z"
    assert not takes(StarredReposSync.read(body), STAR, NOW)
