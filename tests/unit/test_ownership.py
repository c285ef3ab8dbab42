"""Whose project is it?"""

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Stalled
from github_onedev_sync.api.identity import Mark
from github_onedev_sync.api.observed import TargetProject
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.decide.ownership import check_identity, check_ownership

from .builders import OID, REPOSITORY_ID, mark

OURS = mark()
EMPTY = Listing({})
FOREIGN = Listing({"refs/heads/main": OID})
ANOTHERS = Listing({mark("team/other").ref: OID})
MARKED = Listing({"refs/heads/main": OID, OURS.ref: OID})


def project(description: str | None) -> TargetProject:
    return TargetProject(7, "github/pallets/click", description)


@pytest.mark.parametrize(
    ("description", "refs", "approved"),
    [
        pytest.param(f"words\n{OURS.line}", EMPTY, "", id="described, empty"),
        pytest.param(OURS.line, FOREIGN, "", id="adopted by a person"),
        pytest.param(None, MARKED, "", id="only the ref speaks"),
        pytest.param("edited by a person", MARKED, "", id="description lost"),
        pytest.param(mark(repository_id=1).line, MARKED, str(REPOSITORY_ID), id="another id, approved"),
    ],
)
def test_ours(description: str | None, refs: Listing, approved: str) -> None:
    check_ownership(project(description), refs, OURS, approved)


@pytest.mark.parametrize(
    ("description", "refs", "approved", "reason", "says"),
    [
        pytest.param(None, FOREIGN, "", Reason.TARGET_NOT_OURS, "holds commits that this mirror", id="foreign"),
        pytest.param(None, EMPTY, "", Reason.TARGET_NOT_OURS, "was not made by this mirror", id="foreign and empty"),
        pytest.param(
            mark("team/other").line, MARKED, "", Reason.TARGET_NOT_OURS, "belongs to mirror team/other", id="another's"
        ),
        pytest.param(
            Mark("ghe.example", REPOSITORY_ID, "team/click").line,
            MARKED,
            "",
            Reason.TARGET_NOT_OURS,
            "ghe.example",
            id="another GitHub",
        ),
        pytest.param(
            mark(repository_id=1).line, MARKED, "", Reason.IDENTITY_CHANGED, "id 1037 instead of 1", id="another id"
        ),
        pytest.param(
            mark(repository_id=1).line, MARKED, "1", Reason.IDENTITY_CHANGED, "approve=1037", id="approved the old one"
        ),
        pytest.param(None, ANOTHERS, "", Reason.TARGET_NOT_OURS, "mirror", id="another's ref"),
    ],
)
def test_not_ours(description: str | None, refs: Listing, approved: str, reason: Reason, says: str) -> None:
    with pytest.raises(Stalled, match=says) as caught:
        check_ownership(project(description), refs, OURS, approved)
    assert caught.value.reason is reason
    assert "github/pallets/click" in caught.value.message


def test_the_way_out_is_a_line_that_can_be_pasted() -> None:
    with pytest.raises(Stalled) as caught:
        check_ownership(project(None), FOREIGN, OURS, "")
    pasted = caught.value.message.split('"')[1]
    check_ownership(project(f"theirs\n{pasted}"), FOREIGN, OURS, "")


@pytest.mark.parametrize(
    ("pinned", "approved", "passes"),
    [(None, "", True), (5, "", True), (6, "5", True), (6, "", False), (6, "6", False), (6, "55", False)],
)
def test_identity(pinned: int | None, approved: str, passes: bool) -> None:
    if passes:
        check_identity(pinned, 5, "pallets/click", approved)
        return
    with pytest.raises(Stalled, match="approve=5") as caught:
        check_identity(pinned, 5, "pallets/click", approved)
    assert caught.value.reason is Reason.IDENTITY_CHANGED
