"""What differs, and whether a run could change it."""

from typing import Any

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.refs import Listing, RefFilter, differences, digest, digest_differences
from github_onedev_sync.decide.compare import compare, filter_of, waits_for_a_person

from . import builders as build
from .builders import OID, OTHER

MAIN, TAG = "refs/heads/main", "refs/tags/v1"
BOTH = Listing({MAIN: OID, TAG: OID}, MAIN)


@pytest.mark.parametrize(
    ("source", "target", "equal", "head_differs"),
    [
        pytest.param(BOTH, BOTH, True, False, id="equal"),
        pytest.param(BOTH, Listing({}), False, True, id="nothing there"),
        pytest.param(Listing({}), Listing({}), True, False, id="both empty"),
        pytest.param(Listing({}), BOTH, False, False, id="source emptied"),
        pytest.param(BOTH, Listing({MAIN: OTHER, TAG: OID}, MAIN), False, False, id="moved"),
        pytest.param(
            BOTH, Listing({**BOTH.refs, "refs/archive/x": OTHER}, MAIN), True, False, id="archive refs are ours"
        ),
        pytest.param(BOTH, Listing(BOTH.refs, TAG), False, True, id="another HEAD"),
        pytest.param(BOTH, Listing(BOTH.refs, None), False, True, id="no HEAD yet"),
        pytest.param(Listing(BOTH.refs, None), BOTH, True, False, id="source without HEAD"),
        pytest.param(Listing(BOTH.refs, "refs/heads/gone"), BOTH, True, False, id="HEAD of a branch that is not kept"),
    ],
)
def test_compare(source: Listing, target: Listing, equal: bool, head_differs: bool) -> None:
    found = compare(build.mirror(), source, target)
    assert (found.equal, found.head_differs) == (equal, head_differs)


def test_figures() -> None:
    found = compare(build.mirror(), Listing({**BOTH.refs, "refs/pull/1/head": OID}, MAIN), BOTH)
    assert (found.count, found.branches, found.tags, found.digest) == (2, 1, 1, digest(BOTH.refs))


def test_what_a_person_restored_is_neither_a_difference_nor_counted() -> None:
    found = compare(build.mirror(), BOTH, Listing({**BOTH.refs, "refs/heads/restored/x": OTHER}, MAIN))
    assert found.equal
    assert (found.branches, found.tags) == (1, 1)


def test_only_selected_refs_are_compared() -> None:
    mirror = build.mirror(refs={"include": ["refs/heads/*"], "exclude": ["refs/heads/x"]})
    assert filter_of(mirror) == RefFilter(("refs/heads/*",), ("refs/heads/x",))
    assert compare(mirror, BOTH, Listing({MAIN: OID, "refs/heads/x": OID}, MAIN)).equal


LEFT = digest_differences(differences(BOTH.refs, {MAIN: OID}))
NO_TAG, KNOWN = Listing({MAIN: OID}, MAIN), {"refs": {"unequalDigest": LEFT}}
BLOCKED = Reason.REWRITE_BLOCKED


@pytest.mark.parametrize(
    ("reason", "target", "status", "approve", "waits"),
    [
        pytest.param(BLOCKED, NO_TAG, KNOWN, "", True, id="blocked"),
        pytest.param(Reason.MASS_DISAPPEARANCE, NO_TAG, KNOWN, "", True, id="vanished"),
        pytest.param(Reason.REFS_REJECTED, NO_TAG, KNOWN, "", True, id="rejected"),
        pytest.param(Reason.REFS_UNEQUAL, NO_TAG, KNOWN, "", False, id="a run may mend it"),
        pytest.param(Reason.SERVER_NOT_READY, NO_TAG, KNOWN, "", False, id="something else came in between"),
        pytest.param(BLOCKED, BOTH, KNOWN, "", False, id="equal meanwhile"),
        pytest.param(BLOCKED, NO_TAG, {}, "", False, id="never run"),
        pytest.param(BLOCKED, NO_TAG, {"refs": {}}, "", False, id="the last run left nothing"),
        pytest.param(BLOCKED, Listing({MAIN: OTHER}, MAIN), KNOWN, "", False, id="something else differs"),
        pytest.param(BLOCKED, Listing({MAIN: OID}, None), KNOWN, "", False, id="HEAD differs"),
        pytest.param(BLOCKED, NO_TAG, KNOWN, LEFT, False, id="approved"),
        pytest.param(BLOCKED, NO_TAG, KNOWN, "x", True, id="approved other"),
    ],
)
def test_waits_for_a_person(reason: Reason, target: Listing, status: dict[str, Any], approve: str, waits: bool) -> None:
    ready = build.ready("False", reason, message=f"Let it through with: approve={LEFT}")
    mirror = build.annotated(build.mirror(status={"conditions": [ready], **status}), approve=approve)
    assert waits_for_a_person(mirror, compare(mirror, BOTH, target)) is waits


def test_a_new_spec_does_not_wait() -> None:
    ready = build.ready("False", BLOCKED)
    mirror = build.mirror(status={"conditions": [ready], **KNOWN}, meta={"generation": 2})
    assert not waits_for_a_person(mirror, compare(mirror, BOTH, NO_TAG))


def test_head_waits_with_its_branch() -> None:
    """The default branch is the one that OneDev refuses: no run can set HEAD to it."""
    source = Listing({"refs/heads/a+b": OID, MAIN: OID}, "refs/heads/a+b")
    left = digest_differences(differences(source.refs, NO_TAG.refs))
    status = {"conditions": [build.ready("False", Reason.REFS_REJECTED)], "refs": {"unequalDigest": left}}
    mirror = build.mirror(status=status)
    seen = compare(mirror, source, NO_TAG)
    assert seen.head_differs
    assert waits_for_a_person(mirror, seen)
