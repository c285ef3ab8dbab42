"""What each event is good for, and what a log line of it is good for."""

import json
from dataclasses import replace
from typing import Any

import pytest

from github_onedev_sync.api.delivery import Payload, essentials, from_essentials, host_of
from github_onedev_sync.api.observed import ListedRepository
from github_onedev_sync.webhook.intents import HANDLED, Intent, Look, Offer, Unreadable, intents

from .samples import ACME, NAMES, OCTOCAT, SECRET_WIDGET, WIDGET, body, event_of, raw

HOST = "api.github.com"
LOOK = Look(WIDGET)


def wanted(name: str) -> tuple[Intent, ...]:
    return intents(event_of(name), Payload.model_validate_json(raw(name)))


def few(number: int, name: str, private: bool = False) -> Offer:
    """A repository as the events of an installation tell it."""
    return Offer(ACME, False, ListedRepository(number, name, private), False, HOST, True, "acme")


TWO = (few(WIDGET, "acme/widget"), few(SECRET_WIDGET, "acme/secret-widget", True))

TABLE: dict[str, tuple[Intent, ...] | None] = {
    "push": (LOOK,),
    "push.tag": (LOOK,),
    "push.branch_deleted": (LOOK,),
    "push.forced": (LOOK,),
    "create": (LOOK,),
    "delete": (LOOK,),
    "public": (LOOK,),
    "ping": (),
    "ping.organization": (),
    "repository.renamed": (LOOK,),
    "repository.archived": (LOOK,),
    "repository.unarchived": (LOOK,),
    "repository.privatized": (LOOK,),
    "repository.publicized": (LOOK,),
    "repository.deleted": (LOOK,),
    "repository.edited": (LOOK,),
    # with a row of its own: below
    "repository.transferred": None,
    "repository.created": None,
    "repository.created.app": None,
    "star.created": None,
    "star.deleted": (Look(WIDGET, starrer=OCTOCAT),),
    "installation.created": TWO,
    "installation.deleted": (LOOK, Look(SECRET_WIDGET)),
    "installation.suspend": (),
    "installation.new_permissions_accepted": (),
    "installation_repositories.added": TWO,
    "installation_repositories.removed": (LOOK,),
}


def test_the_table_has_every_sample() -> None:
    assert sorted(TABLE) == NAMES
    assert {event_of(name) for name in NAMES} - {"ping"} == HANDLED


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row is not None])
def test_what_comes_of_it(name: str) -> None:
    assert wanted(name) == TABLE[name]


def row(**told: Any) -> ListedRepository:
    found = Payload.model_validate_json(raw("repository.created")).repository
    assert found is not None
    return replace(found.listed(), **told)


def test_a_new_star_is_offered_to_whoever_starred_it() -> None:
    (offer,) = wanted("star.created")
    starred_at = Payload.model_validate_json(raw("star.created")).starred_at
    assert starred_at is not None
    assert offer == Offer(OCTOCAT, True, row(starred_at=starred_at), True, HOST, login="octocat")


def test_a_row_has_all_that_a_filter_may_ask_for() -> None:
    told = row()
    assert (told.id, told.full_name, told.stars, told.size_kb) == (WIDGET, "acme/widget", 42, 1234)
    assert (told.language, told.topics, told.license) == ("Python", ("kubernetes", "operator"), "Apache-2.0")
    assert (told.private, told.archived, told.fork, told.owner_id) == (False, False, False, ACME)
    assert told.created_at is not None
    assert told.pushed_at is not None
    assert (told.created_at.year, told.pushed_at.year) == (2020, 2026)


def test_a_new_repository_is_offered_to_its_owner() -> None:
    assert wanted("repository.created") == (Offer(ACME, False, row(), True, HOST, login="acme"),)
    assert wanted("repository.created.app") == (Offer(ACME, False, row(), True, HOST, installed=True, login="acme"),)
    assert wanted("repository.transferred") == (LOOK, Offer(ACME, False, row(), True, HOST, login="acme"))


@pytest.mark.parametrize("event", ["release", "fork", "watch", "meta", "workflow_run", "nothing"])
def test_other_events_are_no_matter(event: str) -> None:
    assert intents(event, Payload.model_validate_json(raw("push"))) == ()


@pytest.mark.parametrize("action", ["locked", "", None, 7.5])
def test_other_actions_are_no_matter(action: Any) -> None:
    text = body("repository.edited", action=action if action != 7.5 else "something new")
    assert intents("repository", Payload.model_validate_json(text)) == ()


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("push", {"repository": None}, "no repository"),
        ("star.created", {"sender": None}, "no sender.id"),
        ("star.created", {"sender": {"login": "octocat"}}, "no sender.id"),
        ("repository.created", {"repository": {"id": 1, "full_name": "a/b"}}, "no repository.owner.id"),
        ("installation.created", {"installation": None}, "no installation.account.id"),
        ("installation_repositories.added", {"installation": {"id": 1}}, "no installation.account.id"),
    ],
)
def test_what_an_event_cannot_do_without(name: str, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        intents(event_of(name), Payload.model_validate_json(body(name, **changes)))


def test_an_old_push_whose_owner_has_no_id() -> None:
    repository = json.loads(raw("push"))["repository"] | {"owner": {"name": "acme", "email": None}}
    assert intents("push", Payload.model_validate_json(body("push", repository=repository))) == (LOOK,)


@pytest.mark.parametrize("name", NAMES)
def test_a_log_line_is_enough_to_do_it_again(name: str) -> None:
    """But for what only a whole row tells: then a filter that needs it leaves the repository to the poll."""
    told = {key: value for key, value in essentials(Payload.model_validate_json(raw(name))).items() if value}
    line = json.loads(json.dumps(told))
    again = intents(event_of(name), Payload.model_validate_json(from_essentials(event_of(name), line)))
    assert [_bare(intent) for intent in again] == [_bare(intent) for intent in wanted(name)]
    assert all(not intent.detailed for intent in again if isinstance(intent, Offer))


def _bare(intent: Intent) -> Intent:
    if isinstance(intent, Look):
        return intent
    return replace(intent, row=ListedRepository(intent.row.id, intent.row.full_name), detailed=False)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.github.com/users/octocat", "api.github.com"),
        ("https://GHE.example.com/api/v3/users/o", "ghe.example.com"),
        ("http://127.0.0.1:8081", "127.0.0.1:8081"),
        ("https://user:word@host/", "host"),
        ("nonsense", ""),
        ("", ""),
        ("https://[broken", ""),
    ],
)
def test_hosts(url: str, host: str) -> None:
    assert host_of(url) == host
