"""Who may take a Lease, by what one candidate itself has seen."""

from typing import Any

import pytest

from github_onedev_sync.decide.lease import Observer


def lease(holder: str = "other", renewed: str = "t1", duration: int = 15) -> dict[str, Any]:
    return {"spec": {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": duration}}


@pytest.mark.parametrize(
    ("body", "may"),
    [
        pytest.param({}, True, id="empty"),
        pytest.param({"spec": None}, True, id="no spec"),
        pytest.param(lease("me"), True, id="ours"),
        pytest.param(lease(""), True, id="released"),
        pytest.param(lease("other"), False, id="another one's, seen for the first time"),
    ],
)
def test_at_first_sight(body: dict[str, Any], may: bool) -> None:
    assert Observer("me").may_take(body, 1000.0) is may


def test_a_lease_expires_when_it_was_seen_unchanged_for_its_duration() -> None:
    observer = Observer("me")
    assert not observer.may_take(lease(), 100.0)
    assert not observer.may_take(lease(), 115.0)
    assert observer.may_take(lease(), 115.1)


def test_every_renewal_starts_anew() -> None:
    observer = Observer("me")
    for step in range(20):
        assert not observer.may_take(lease(renewed=f"t{step}"), 100.0 + 14 * step)


def test_another_holder_starts_anew() -> None:
    observer = Observer("me")
    assert not observer.may_take(lease("one"), 100.0)
    assert not observer.may_take(lease("two"), 120.0)
    assert observer.seen == ("two", "t1")
