"""Which repositories a filter lets through, and which of them OneDev has no place for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Stalled
from github_onedev_sync.api.mirror import GITHUB_API
from github_onedev_sync.api.observed import ListedRepository
from github_onedev_sync.api.selection import Selector, collisions, needs_details, unknown_lists
from github_onedev_sync.api.starred import StarFilter
from github_onedev_sync.api.sync import RepositoryFilter

from . import builders as build

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def row(number: int = 1, full_name: str = "Pallets/Flask", **traits: Any) -> ListedRepository:
    known = {"stars": 100, "size_kb": 10 * 1024, "language": "Python", "topics": ("wsgi", "web"), "pushed_at": NOW}
    return ListedRepository(number, full_name, **{**known, **traits})


def matches(wanted: dict[str, Any], found: ListedRepository | None = None, **lists: frozenset[int]) -> bool:
    selector = Selector(StarFilter.read(wanted))
    return selector.matches(found or row(), NOW, {name.replace("_", " "): ids for name, ids in lists.items()})


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, True),
        ({"include": ["pallets/*"]}, True),
        ({"include": ["PALLETS/FLASK"]}, True),
        ({"include": ["*flask"]}, True),
        ({"include": ["p*k"]}, True),
        ({"include": ["?allets/flask"]}, True),
        ({"include": ["flask"]}, False),
        ({"include": ["other/*", "*/flask"]}, True),
        ({"exclude": ["pallets/*"]}, False),
        ({"include": ["pallets/*"], "exclude": ["*/FL*"]}, False),
        ({"languages": ["python"]}, True),
        ({"languages": ["Go", "PYTHON"]}, True),
        ({"languages": ["Go"]}, False),
        ({"topics": ["wsgi", "asgi"]}, True),
        ({"topics": ["asgi"]}, False),
        ({"minStars": 100}, True),
        ({"minStars": 101}, False),
        ({"maxSizeMB": 10}, True),
        ({"maxSizeMB": 9}, False),
        ({"pushedWithin": "24h"}, True),
        ({"expression": "repository.stars == 100"}, True),
        ({"expression": "repository.stars != 100"}, False),
        ({"archived": "Only"}, False),
        ({"archived": "Exclude"}, True),
        ({"forks": "Only"}, False),
        ({"forks": "Exclude"}, True),
        ({"visibility": "Public"}, True),
        ({"visibility": "Private"}, False),
        ({"languages": ["Python"], "minStars": 101}, False),
    ],
)
def test_each_part_of_a_filter(wanted: dict[str, Any], expected: bool) -> None:
    assert matches(wanted) is expected


@pytest.mark.parametrize(
    ("wanted", "traits", "expected"),
    [
        ({"languages": ["Python"]}, {"language": None}, False),
        ({"topics": ["web"]}, {"topics": ()}, False),
        ({"pushedWithin": "24h"}, {"pushed_at": NOW - timedelta(hours=24)}, True),
        ({"pushedWithin": "24h"}, {"pushed_at": NOW - timedelta(hours=24, seconds=1)}, False),
        ({"pushedWithin": "24h"}, {"pushed_at": None}, False),
        ({}, {"pushed_at": None}, True),
        ({"archived": "Only"}, {"archived": True}, True),
        ({"archived": "Exclude"}, {"archived": True}, False),
        ({"archived": "Include"}, {"archived": True}, True),
        ({"forks": "Only"}, {"fork": True}, True),
        ({"forks": "Exclude"}, {"fork": True}, False),
        ({"visibility": "Private"}, {"private": True}, True),
        ({"visibility": "Public"}, {"private": True}, False),
        ({"maxSizeMB": 10}, {"size_kb": 10 * 1024 + 1}, False),
    ],
)
def test_traits(wanted: dict[str, Any], traits: dict[str, Any], expected: bool) -> None:
    assert matches(wanted, row(**traits)) is expected


def test_star_lists_have_any_case_and_any_of_them_will_do() -> None:
    wanted = {"lists": ["Self hosted", "later"]}
    assert matches(wanted, row(3), Later=frozenset({3}), other=frozenset({4}))
    assert matches(wanted, row(4), SELF_HOSTED=frozenset({4}))
    assert not matches(wanted, row(4), other=frozenset({4}))
    assert not matches(wanted, row(4))
    assert matches({}, row(4), other=frozenset())


def test_lists_that_are_not_there_are_named() -> None:
    wanted = StarFilter(lists=("Self hosted", "gone"))
    assert unknown_lists(wanted, {"self HOSTED": frozenset(), "x": frozenset()}) == ("gone",)
    assert unknown_lists(RepositoryFilter(), {}) == ()


def test_a_glob_with_many_stars_is_quick() -> None:
    """It would take longer than the universe is old, were each star tried at each place."""
    assert not matches({"include": ["*a" * 60 + "b"]}, row(full_name="a" * 39 + "/" + "a" * 100))


def test_a_bad_expression_is_found_when_the_filter_is_read() -> None:
    with pytest.raises(Stalled) as caught:
        Selector(RepositoryFilter(expression="repository.stras > 3"))
    assert caught.value.reason is Reason.INVALID_EXPRESSION


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, False),
        ({"include": ["a/*"], "exclude": ["a/b"], "visibility": "Public"}, False),
        ({"languages": ["Go"]}, True),
        ({"topics": ["x"]}, True),
        ({"archived": "Only"}, True),
        ({"forks": "Exclude"}, True),
        ({"minStars": 1}, True),
        ({"maxSizeMB": 1}, True),
        ({"pushedWithin": "1h"}, True),
        ({"expression": "true"}, True),
        ({"lists": ["x"]}, True),
    ],
)
def test_what_a_short_webhook_cannot_answer(wanted: dict[str, Any], expected: bool) -> None:
    assert needs_details(StarFilter.read(wanted)) is expected


# --- places in OneDev


def refused(rows: list[ListedRepository], *mirrors: Any, **spec: Any) -> dict[int, tuple[Reason, str]]:
    return collisions(build.sync(**spec), rows, mirrors)


def test_owner_and_name_are_never_shared() -> None:
    assert not refused([row(1, "a/x"), row(2, "b/x"), row(3, "a/y")])


def test_the_lowest_id_keeps_a_path_that_several_would_get() -> None:
    rows = [row(9, "c/x"), row(7, "b/X"), row(5, "a/x"), row(6, "a/y")]
    found = refused(rows, projectTemplate="stars/{name}")
    assert {number: reason for number, (reason, _) in found.items()} == dict.fromkeys((7, 9), Reason.PROJECT_COLLISION)
    assert found[7][1].startswith(
        "b/X is not mirrored: its OneDev project stars/X is that of a/x. Make spec.projectTempl"
    )


def test_a_mirror_that_is_there_keeps_its_path() -> None:
    by_hand = build.mirror("mine", source={"repository": "z/other"}, target={"project": "A/X"})
    found = refused([row(1, "a/x"), row(2, "a/y")], by_hand)
    assert list(found) == [1]
    assert "its OneDev project a/x is that of mirror mine of z/other" in found[1][1]


def test_another_server_is_another_place() -> None:
    elsewhere = {"project": "a/x", "serverRef": {"name": "elsewhere"}}
    assert not refused([row(1, "a/x")], build.mirror("mine", source={"repository": "z/x"}, target=elsewhere))


def test_the_repository_of_another_github_is_another_repository() -> None:
    source = {"repository": "a/x", "apiURL": "https://github.example.com/api/v3"}
    assert list(refused([row(1, "a/x")], build.mirror("mine", source=source))) == [1]


@pytest.mark.parametrize(
    "parts",
    [
        {"source": {"repository": "A/X", "apiURL": f"{GITHUB_API}/"}},
        {"source": {"repository": "before/renaming"}, "status": {"source": {"id": 1, "fullName": "a/x"}}},
        {
            "source": {"repository": "before/renaming"},
            "meta": {"labels": {names.REPOSITORY_ID: "1", "app.kubernetes.io/managed-by": "github-onedev-sync"}},
        },
    ],
)
def test_what_is_mirrored_already_needs_no_place(parts: dict[str, Any]) -> None:
    mine = build.mirror("mine", target={"project": "my/place"}, **parts)
    other = build.mirror("other", source={"repository": "z/z"}, target={"project": "a/x"})
    assert not refused([row(1, "a/x")], other, mine)


def test_paths_that_onedev_would_not_take() -> None:
    long = f"{'o' * 39}/{'n' * 100}"
    found = refused(
        [row(1, long), row(2, "a/naïve"), row(3, "a/x")], projectTemplate="some/where/else/again/{owner}/{name}"
    )
    assert {number: reason for number, (reason, _) in found.items()} == dict.fromkeys(
        (1, 2), Reason.TARGET_PATH_ILLEGAL
    )
    assert "its OneDev path would have 162 characters, and 160 are allowed. Shorten spec.projectTemplate" in found[1][1]
    assert "'some/where/else/again/a/_naïve' is no OneDev path" in found[2][1]


OWNERS, NAMES = (
    st.sampled_from(["a", "A", "b", "-c"]),
    st.sampled_from(["x", "X", "y", ".github", "_.github", "wicket"]),
)
ROWS = st.lists(st.tuples(OWNERS, NAMES), max_size=12, unique_by=lambda one: "/".join(one).lower())


@given(ROWS, st.sampled_from(["{owner}/{name}", "{name}", "all/{owner}-{name}"]), st.integers(0, 12))
def test_no_two_that_are_let_through_share_a_place(found: list[tuple[str, str]], template: str, made: int) -> None:
    rows = [row(number, f"{owner}/{name}") for number, (owner, name) in enumerate(found, start=1)]
    mirrors = [build.mirror(f"m{one.id}", source={"repository": one.full_name}) for one in rows[:made]]
    bad = collisions(build.sync(projectTemplate=template), reversed(rows), mirrors)
    fine = [one for one in rows[made:] if one.id not in bad]
    places = [names.project_of(template, one.full_name).lower() for one in fine]
    assert len({*places}) == len(places)
    assert not {*places} & {names.project_path(one.full_name).lower() for one in rows[:made]}
