"""Merge-patches: applied as the RFC says, they turn one state into the other, and say nothing more."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.mirror import MirrorStatus, RefsStatus
from github_onedev_sync.engine.patch import merge_patch

from . import builders as build
from .builders import NOW
from .fakes import apply_merge_patch

FULL = MirrorStatus.read(build.synced_status(refs={"branches": 2, "digest": "sha256:0"}))


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        pytest.param(FULL, FULL, {}, id="the same"),
        pytest.param(MirrorStatus(), MirrorStatus(failures=2), {"failures": 2}, id="one field"),
        pytest.param(FULL, FULL.changed(next_sync_time=None), {"nextSyncTime": None}, id="gone"),
        pytest.param(FULL, FULL.changed(target=None), {"target": None}, id="a whole part gone"),
        pytest.param(
            FULL, FULL.changed(refs=RefsStatus(branches=3, digest="sha256:0")), {"refs": {"branches": 3}}, id="nested"
        ),
        pytest.param(
            MirrorStatus(), MirrorStatus(last_sync_time=NOW), {"lastSyncTime": "2026-11-23T01:02:03Z"}, id="time"
        ),
        pytest.param(
            MirrorStatus(last_sync_time=NOW),
            MirrorStatus(last_sync_time=NOW + timedelta(microseconds=9)),
            {},
            id="below a second",
        ),
    ],
)
def test_merge_patch(before: MirrorStatus, after: MirrorStatus, patch: dict[str, Any]) -> None:
    assert merge_patch(before, after) == patch


STATUSES = st.builds(
    MirrorStatus,
    conditions=st.lists(st.sampled_from([build.ready(), build.ready("False")]), max_size=2).map(
        lambda found: build.conditions(*found)
    ),
    target=st.sampled_from([None, FULL.target]),
    source=st.sampled_from([None, FULL.source]),
    refs=st.none() | st.builds(RefsStatus, branches=st.integers(0, 3), digest=st.sampled_from(["", "a"])),
    failures=st.integers(0, 3),
    last_sync_time=st.sampled_from([None, NOW]),
    last_handled_reconcile_at=st.sampled_from([None, "t1"]),
)


@given(STATUSES, STATUSES)
def test_a_patch_turns_one_into_the_other(before: MirrorStatus, after: MirrorStatus) -> None:
    plain = [status.plain() for status in (before, after)]
    patch = merge_patch(before, after)
    assert apply_merge_patch(plain[0], patch) == plain[1]
    assert (patch == {}) == (plain[0] == plain[1])
