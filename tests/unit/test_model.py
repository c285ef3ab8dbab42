"""Views: what they are made of, and that thousands of them fit into memory."""

import json
import sys
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from github_onedev_sync.api.mirror import RepositoryMirror
from github_onedev_sync.api.model import Condition, Metadata, NameReference, View

from . import builders as build

EAST = timezone(timedelta(hours=2))
# What one mirror may take that is synced: ten thousand of them have to fit beside all else in 150 MB.
MIRROR_BYTES = 4500


def read_from_text() -> RepositoryMirror:
    """As a watch tells it: nothing in it is an object that another one has."""
    return RepositoryMirror.read(json.loads(json.dumps(build.mirror_body(status=build.synced_status()))))


def weight(value: Any, seen: set[int]) -> int:
    if id(value) in seen:
        return 0
    seen.add(id(value))
    inner: list[Any] = []
    if isinstance(value, View):
        inner = [getattr(value, name) for name in value.__pydantic_fields__]
    elif isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, tuple):
        inner = list(value)
    return sys.getsizeof(value) + sum(weight(one, seen) for one in inner)


def test_a_view_cannot_be_changed_and_a_copy_is_checked() -> None:
    reference = NameReference(name="github")
    with pytest.raises(FrozenInstanceError):
        reference.name = "other"  # type: ignore[misc]
    assert reference.changed(name="other") == NameReference(name="other")
    with pytest.raises(ValidationError):
        reference.changed(name=7)


def test_a_view_is_read_and_written_in_the_words_of_kubernetes() -> None:
    told = {
        "type": "Ready",
        "status": "True",
        "reason": "Synced",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "new": 1,
    }
    condition = Condition.read(told)
    assert condition.last_transition_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert condition.plain() == {**{key: text for key, text in told.items() if key != "new"}, "message": ""}


@pytest.mark.parametrize(
    ("text", "zone"),
    [("2026-01-02T03:04:05Z", UTC), ("2026-01-02T03:04:05+02:00", EAST), ("0001-01-01T00:00:00+02:00", EAST)],
)
def test_a_time_is_kept_whatever_its_zone(text: str, zone: timezone) -> None:
    read = Metadata.read({"name": "a", "namespace": "b", "uid": "c", "deletionTimestamp": text}).deletion_timestamp
    assert read == datetime.fromisoformat(text)
    assert read is not None
    assert read.utcoffset() == zone.utcoffset(None)


def test_what_mirrors_have_in_common_is_kept_once() -> None:
    first, second = read_from_text(), read_from_text()
    assert first == second
    assert first.spec.refs is second.spec.refs
    assert first.status.conditions[0].reason is second.status.conditions[0].reason
    assert not hasattr(first, "__dict__")
    seen: set[int] = set()
    weight(first, seen)
    assert weight(second, seen) < MIRROR_BYTES
