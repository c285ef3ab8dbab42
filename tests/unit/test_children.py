"""The mirrors of a sync as manifests: of one that it made, of somebody else's, and of one that it lets go."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api import children, names
from github_onedev_sync.api.mirror import DeletionPolicy, RepositoryMirror
from github_onedev_sync.api.observed import ListedRepository
from github_onedev_sync.api.owned import OwnedReposSync
from github_onedev_sync.api.sync import ReposSync

from . import builders as build

FLASK = ListedRepository(596892, "pallets/flask")
COVERED = "srs.github-onedev-sync.io/stars"
SINCE = datetime(2026, 11, 27, 12, tzinfo=UTC)


def made(sync: ReposSync, row: ListedRepository = FLASK, **said: Any) -> RepositoryMirror:
    """As the API server holds what the sync applied."""
    manifest = children.held(sync, row, **said)
    manifest["metadata"] |= {"uid": "uid-made", "resourceVersion": "1", "generation": 1}
    return RepositoryMirror.read(manifest)


def test_a_mirror_that_it_made() -> None:
    sync = build.sync(source={"secretRef": {"name": "github"}}, projectTemplate="stars/{owner}-{name}")
    manifest = children.held(sync, FLASK)
    digest = manifest["metadata"]["labels"].pop(COVERED)
    assert re.fullmatch("[0-9a-f]{8}", digest)
    assert manifest["metadata"] == {
        "name": "pallets-flask-596892",
        "namespace": "team",
        "labels": {
            "github-onedev-sync.io/repository-id": "596892",
            "github-onedev-sync.io/sync": "srs.stars",
            "app.kubernetes.io/managed-by": "github-onedev-sync",
        },
    }
    assert manifest["spec"]["source"] == {
        "repository": "pallets/flask",
        "apiURL": "https://api.github.com",
        "insecure": False,
        "secretRef": {"name": "github"},
    }
    assert manifest["spec"]["target"] == {"serverRef": {"name": "default"}, "project": "stars/pallets-flask"}
    assert manifest["spec"]["deletionPolicy"] == "Retain"


def test_each_kind_has_words_of_its_own() -> None:
    mine = OwnedReposSync.read(build.sync_body("stars", owner="pallets"))
    labels = children.held(mine, FLASK)["metadata"]["labels"]
    assert labels["github-onedev-sync.io/sync"] == "ors.stars"
    assert "ors.github-onedev-sync.io/stars" in labels


def test_a_renamed_repository_keeps_its_mirror_and_its_project() -> None:
    sync = build.sync()
    after = children.held(sync, ListedRepository(596892, "new/name"), made(sync))
    assert after["metadata"]["name"] == "pallets-flask-596892"
    assert after["spec"]["source"]["repository"] == "new/name"
    assert after["spec"]["target"]["project"] == "pallets/flask"
    nameless = build.mirror("mine", source={"repository": "pallets/flask"})
    assert (
        children.held(sync, ListedRepository(1, "new/name"), nameless)["spec"]["target"]["project"] == "pallets/flask"
    )


@pytest.mark.parametrize(
    ("policy", "cascade", "expected"),
    [
        ("Keep", None, False),
        ("Archive", None, False),
        ("Delete", None, True),
        ("Delete", False, False),
        ("Keep", True, True),
    ],
)
def test_it_goes_with_its_sync_where_unstarring_deletes_it(policy: str, cascade: bool | None, expected: bool) -> None:
    owners = children.held(build.sync(onUnstar=policy), FLASK, cascade=cascade)["metadata"].get("ownerReferences", [])
    assert [(owner["kind"], owner["name"], owner["uid"]) for owner in owners] == (
        [("StarredReposSync", "stars", "uid-stars")] if expected else []
    )


def test_of_somebody_else_s_it_says_only_that_it_covers_it() -> None:
    manifest = children.covered(build.sync(onUnstar="Delete"), build.mirror("mine"))
    assert manifest["metadata"].keys() == {"name", "namespace", "labels"}
    assert manifest["metadata"]["labels"].keys() == {COVERED}
    assert "spec" not in manifest


def test_who_holds_and_who_covers() -> None:
    sync, other = build.sync(), build.sync("others")
    mine, by_hand = made(sync), build.mirror("mine", meta={"labels": {names.SYNC: "srs.stars"}})
    assert children.is_held(mine)
    assert children.holder_of(mine) == "srs.stars"
    assert children.covers(sync, mine)
    assert not children.covers(other, mine)
    assert children.holder_of(by_hand) == "", "a label that a person copied"


@pytest.mark.parametrize(
    ("status", "labels", "expected"),
    [
        ({"source": {"id": 7, "fullName": "a/b"}}, {}, 7),
        ({"source": {"id": 7, "fullName": "a/b"}}, {names.REPOSITORY_ID: "8"}, 7),
        ({}, {names.REPOSITORY_ID: "8", children.MANAGED_BY: "github-onedev-sync"}, 8),
        ({}, {names.REPOSITORY_ID: "8"}, None),
        ({}, {names.REPOSITORY_ID: "x", children.MANAGED_BY: "github-onedev-sync"}, None),
        ({}, {}, None),
    ],
)
def test_which_repository_it_is_of(status: dict[str, Any], labels: dict[str, str], expected: int | None) -> None:
    assert children.repository_id(build.mirror("mine", status=status, meta={"labels": labels})) == expected


def test_since_when_a_star_is_gone() -> None:
    sync = build.sync()
    assert children.unstarred_at(sync, made(sync)) is None
    assert children.unstarred_at(sync, made(sync, gone_since=SINCE)) == SINCE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-27T13:00:00+01:00", SINCE),
        ("2026-11-27T12:00:00", SINCE),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_that_somebody_wrote(text: str, expected: datetime | None) -> None:
    mirror = build.mirror("mine", meta={"annotations": {COVERED: text}})
    assert children.unstarred_at(build.sync(), mirror) == expected


def test_one_that_is_about_to_go_says_what_becomes_of_its_project() -> None:
    manifest = children.held(build.sync(), FLASK, gone_since=SINCE, policy=DeletionPolicy.ARCHIVE)
    assert manifest["spec"]["deletionPolicy"] == "Archive"
    assert manifest["metadata"]["finalizers"] == [names.FINALIZER]
    assert manifest["metadata"]["annotations"] == {COVERED: "2026-11-27T12:00:00Z"}


def test_the_digest_tells_one_word_from_another() -> None:
    sync = build.sync()
    word = children.word_in(sync, children.held(sync, FLASK))
    assert word == children.word_in(sync, children.held(sync, FLASK))
    assert word == children.word_on(sync, made(sync))
    assert children.word_on(sync, build.mirror("mine")) is None
    others = (
        children.held(sync, FLASK, gone_since=SINCE),
        children.held(sync, FLASK, gone_since=SINCE + timedelta(hours=1)),
        children.held(sync, ListedRepository(596892, "new/name")),
        children.held(build.sync(template={"target": {"serverRef": {"name": "default"}}, "interval": "1h"}), FLASK),
        children.covered(sync, made(sync)),
    )
    words = {word, *(children.word_in(sync, other) for other in others)}
    assert len(words) == len(others) + 1


def test_letting_go_of_one_that_it_made_leaves_a_mirror() -> None:
    sync = build.sync(onUnstar="Delete")
    mine = made(sync)
    manifest = children.released(sync, mine)
    assert manifest["metadata"]["labels"].keys() == {names.REPOSITORY_ID, children.MANAGED_BY}
    assert "ownerReferences" not in manifest["metadata"]
    assert manifest["spec"] == mine.spec.plain()


def test_letting_go_of_somebody_else_s_leaves_no_word() -> None:
    manifest = children.released(build.sync(), made(build.sync("others")))
    assert manifest["metadata"].keys() == {"name", "namespace"}
    assert "spec" not in manifest


# --- names


@pytest.mark.parametrize(
    ("repository", "number", "api_url", "expected"),
    [
        ("pallets/flask", 596892, "https://api.github.com", "pallets-flask-596892"),
        ("Pallets/Flask.JS", 1, "https://API.github.com/", "pallets-flask-js-1"),
        ("-/_", 7, "https://api.github.com", "repository-7"),
        ("a/b", 1, "https://github.example.com/api/v3", "a-b-1-3dbb"),
        ("o" * 39 + "/" + "n" * 100, 12345678901, "https://api.github.com", "o" * 39 + "-" + "n" * 11 + "-12345678901"),
    ],
)
def test_the_name_of_a_mirror(repository: str, number: int, api_url: str, expected: str) -> None:
    assert names.mirror_name(repository, number, api_url) == expected


GITHUB_NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,39}/[A-Za-z0-9._-]{1,100}", fullmatch=True)
SYNC_NAMES = st.from_regex(
    r"[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?){0,3}", fullmatch=True
)


@given(
    GITHUB_NAMES, st.integers(1, 2**63 - 1), st.sampled_from(["https://api.github.com", "http://10.0.0.1:8080/api/v3"])
)
def test_every_name_of_a_mirror_is_legal_and_ends_in_the_id(repository: str, number: int, api_url: str) -> None:
    name = names.mirror_name(repository, number, api_url)
    assert re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 63
    assert f"-{number}" in name


@given(SYNC_NAMES, st.sampled_from(["srs", "ors"]))
def test_every_word_of_a_sync_is_a_legal_label(name: str, short: str) -> None:
    legal = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
    assert re.fullmatch(legal, names.sync_word(short, name))
    prefix, _, last = names.covered_by(short, name).partition("/")
    assert prefix == f"{short}.github-onedev-sync.io"
    assert re.fullmatch(legal, last)
    assert len(names.field_manager(short, name)) <= 128


def test_long_names_of_syncs_stay_apart() -> None:
    one, other = "a" * 100, "a" * 99 + "b"
    assert names.covered_by("srs", one) != names.covered_by("srs", other)
    assert names.sync_word("srs", one) != names.sync_word("srs", other)
    assert names.sync_word("srs", "x") != names.sync_word("ors", "x")


@given(GITHUB_NAMES, st.sampled_from(["{owner}/{name}", "{name}", "all/{owner}/{name}", "x{name}", "{owner}_{name}"]))
def test_every_project_is_a_legal_path(repository: str, template: str) -> None:
    for segment in names.project_of(template, repository).split("/"):
        assert re.fullmatch(names.PROJECT_SEGMENT, segment)
        assert segment.lower() not in names.RESERVED_SEGMENTS
        assert not segment.lower().endswith(".git")
