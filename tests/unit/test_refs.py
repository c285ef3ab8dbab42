"""Globs, digests and differences of ref sets."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.refs import (
    DEFAULT_INCLUDE,
    Difference,
    Listing,
    RefFilter,
    count,
    differences,
    digest,
    digest_differences,
)

from .builders import OID, OTHER

REFS = st.dictionaries(st.sampled_from([f"refs/heads/{name}" for name in "abcdef"]), st.sampled_from([OID, OTHER]))


@pytest.mark.parametrize(
    ("include", "exclude", "name", "kept"),
    [
        pytest.param(DEFAULT_INCLUDE, (), "refs/heads/main", True, id="branch"),
        pytest.param(DEFAULT_INCLUDE, (), "refs/heads/a/b/c", True, id="a star spans slashes"),
        pytest.param(DEFAULT_INCLUDE, (), "refs/tags/v1", True, id="tag"),
        pytest.param(DEFAULT_INCLUDE, (), "refs/pull/1/head", False, id="pull request"),
        pytest.param(DEFAULT_INCLUDE, ("refs/heads/wip/*",), "refs/heads/wip/x", False, id="excluded"),
        pytest.param(DEFAULT_INCLUDE, ("refs/heads/wip/*",), "refs/heads/wip", True, id="only below"),
        pytest.param(("refs/tags/v?",), (), "refs/tags/v1", True, id="question mark"),
        pytest.param(("refs/tags/v?",), (), "refs/tags/v10", False, id="exactly one character"),
        pytest.param(("refs/tags/v?",), (), "refs/tags/v", False, id="not none"),
        pytest.param(("refs/heads/a.b",), (), "refs/heads/axb", False, id="a dot is a dot"),
        pytest.param(("refs/heads/main",), (), "xrefs/heads/main", False, id="the whole name"),
        pytest.param((), (), "refs/heads/main", False, id="nothing included"),
        pytest.param(("*",), ("*",), "refs/heads/main", False, id="exclude wins"),
    ],
)
def test_filter(include: tuple[str, ...], exclude: tuple[str, ...], name: str, kept: bool) -> None:
    assert RefFilter(include, exclude).matches(name) is kept
    assert RefFilter(include, exclude).select({name: OID}) == ({name: OID} if kept else {})


def test_a_listing_keeps_what_belongs_to_its_refs() -> None:
    listing = Listing(
        {"refs/heads/a": OID, "refs/tags/t": OID, "refs/pull/1/head": OID},
        "refs/heads/a",
        {"refs/tags/t": OTHER, "x": OID},
    )
    assert listing.select(RefFilter()) == Listing(
        {"refs/heads/a": OID, "refs/tags/t": OID}, "refs/heads/a", {"refs/tags/t": OTHER}
    )


@given(REFS, REFS)
def test_digests_are_equal_just_where_the_refs_are(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    assert (digest(one) == digest(other)) == (one == other)
    assert (differences(one, other) == []) == (one == other)
    assert (digest_differences(differences(one, other)) == "") == (one == other)


@given(REFS, REFS)
def test_differences_turn_the_target_into_the_source(source: dict[str, str], target: dict[str, str]) -> None:
    found = differences(source, target)
    assert found == sorted(found, key=lambda one: one.name)
    for one in found:
        if one.source is None:
            assert target.pop(one.name) == one.target
        else:
            assert target.get(one.name) == one.target
            target[one.name] = one.source
    assert target == source


def test_what_a_person_approves_does_not_depend_on_order() -> None:
    new, gone = Difference("refs/heads/a", OID, None), Difference("refs/heads/b", None, OID)
    assert digest_differences([new, gone]) == digest_differences([gone, new])
    assert digest_differences([new]) != digest_differences([gone])


def test_count() -> None:
    assert count({"refs/heads/a": OID, "refs/tags/a": OID, "refs/heads/b": OID}, "refs/heads/") == 2
