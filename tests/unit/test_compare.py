"""What differs, and whether a run could change it."""

from typing import Any

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.refs import Listing, RefFilter, differences, digest, digest_differences
from github_onedev_sync.decide.compare import compare, filter_of, needs_run

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


def test_only_selected_refs_are_compared() -> None:
    mirror = build.mirror(refs={"include": ["refs/heads/*"], "exclude": ["refs/heads/x"]})
    assert filter_of(mirror) == RefFilter(("refs/heads/*",), ("refs/heads/x",))
    assert compare(mirror, BOTH, Listing({MAIN: OID, "refs/heads/x": OID}, MAIN)).equal


LEFT = digest_differences(differences(BOTH.refs, {MAIN: OID}))


@pytest.mark.parametrize(
    ("target", "status", "approve", "needed"),
    [
        pytest.param(BOTH, {}, "", False, id="equal"),
        pytest.param(Listing({}), {}, "", True, id="never run"),
        pytest.param(Listing({MAIN: OID}, MAIN), {"refs": {}}, "", True, id="the last run left nothing"),
        pytest.param(Listing({MAIN: OID}, MAIN), {"refs": {"unequalDigest": LEFT}}, "", False, id="known and final"),
        pytest.param(
            Listing({MAIN: OID}, MAIN), {"refs": {"unequalDigest": LEFT}, "failures": 1}, "", True, id="known, to retry"
        ),
        pytest.param(
            Listing({MAIN: OTHER}, MAIN), {"refs": {"unequalDigest": LEFT}}, "", True, id="something else differs"
        ),
        pytest.param(Listing({MAIN: OID}, None), {"refs": {"unequalDigest": LEFT}}, "", True, id="HEAD differs"),
        pytest.param(Listing({MAIN: OID}, MAIN), {"refs": {"unequalDigest": LEFT}}, LEFT, True, id="approved"),
        pytest.param(Listing({MAIN: OID}, MAIN), {"refs": {"unequalDigest": LEFT}}, "x", False, id="approved other"),
    ],
)
def test_needs_run(target: Listing, status: dict[str, Any], approve: str, needed: bool) -> None:
    blocked = build.ready("False", Reason.REWRITE_BLOCKED, message=f"Let it through with: approve={LEFT}")
    mirror = build.annotated(build.mirror(status={"conditions": [blocked], **status}), approve=approve)
    assert needs_run(mirror, compare(mirror, BOTH, target)) is needed
