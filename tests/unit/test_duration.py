"""Durations as people write them, and as they are shown."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api import duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("250ms", 0.25),
        ("30s", 30),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("1h1m1s", 3661),
        ("30s1h", 3630),
        ("720h", 30 * 86400),
    ],
)
def test_parse(text: str, seconds: float) -> None:
    assert duration.parse(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "30", "s", "-30s", "+30s", "1d", "1 h", "1h ", "1,5h", ".5h", "1h\n", "9" * 18 + "h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration such as 30s"):
        duration.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (0.4, "0s"),
        (45, "45s"),
        (60, "1m"),
        (3900, "1h 5m"),
        (3601, "1h 1s"),
        (3 * 86400 + 2 * 3600 + 60, "3d 2h"),
    ],
)
def test_show(seconds: float, text: str) -> None:
    assert duration.show(timedelta(seconds=seconds)) == text


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_parts_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert duration.parse(f"{hours}h{minutes}m{seconds}s") == timedelta(hours=hours, minutes=minutes, seconds=seconds)
