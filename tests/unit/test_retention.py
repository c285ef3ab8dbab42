"""Which archived tips go: a table, and what holds for any set of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.refs import ARCHIVE, ENCODED
from github_onedev_sync.api.retention import ArchivedTip, expired, read_name

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def archived(age: timedelta, ref: str = "heads/main", number: int = 1) -> str:
    extra = f"-{number}" if number > 1 else ""
    return f"{ARCHIVE}{NOW - age:%Y%m%dT%H%M%SZ}{extra}/{ref}"


OLD, OLDER, OLDEST = archived(1 * DAY), archived(2 * DAY), archived(3 * DAY)
OTHER = archived(3 * DAY, "tags/v1")


@pytest.mark.parametrize(
    ("names", "keep_for", "keep_last", "gone"),
    [
        pytest.param([OLD, OLDEST], 0 * DAY, 0, [], id="for ever"),
        pytest.param([], 1 * DAY, 1, [], id="nothing there"),
        pytest.param([OLD, OLDER, OLDEST], 2 * DAY, 0, [OLDEST, OLDER], id="by age, the day itself included"),
        pytest.param([OLD], 2 * DAY, 0, [], id="too young"),
        pytest.param([OLD, OLDER, OLDEST], 0 * DAY, 1, [OLDEST, OLDER], id="by count alone"),
        pytest.param([OLD, OLDER, OLDEST], 0 * DAY, 3, [], id="as many as may stay"),
        pytest.param([OLD, OLDER, OLDEST], 1 * DAY, 2, [OLDEST], id="by age, but never the newest two"),
        pytest.param([OLD, OLDER, OLDEST], 3 * DAY, 1, [OLDEST], id="by age, beyond the newest one"),
        pytest.param([OLDER, OTHER], 1 * DAY, 1, [], id="each ref has newest ones of its own"),
        pytest.param([OLDER, OTHER], 1 * DAY, 0, [OTHER, OLDER], id="the oldest first, across refs"),
        pytest.param(
            [archived(1 * DAY, number=n) for n in (10, 1, 2)],
            0 * DAY,
            1,
            [archived(1 * DAY), archived(1 * DAY, number=2)],
            id="several of one second go by number",
        ),
        pytest.param([archived(-1 * DAY)], 1 * DAY, 0, [], id="from the future"),
        pytest.param([archived(9 * DAY, "notes/commits")], 1 * DAY, 0, [archived(9 * DAY, "notes/commits")], id="note"),
        pytest.param([archived(9 * DAY, "heads/a/b c\n")], 1 * DAY, 0, [archived(9 * DAY, "heads/a/b c\n")], id="odd"),
    ],
)
def test_what_goes(names: list[str], keep_for: timedelta, keep_last: int, gone: list[str]) -> None:
    assert expired(names, NOW, keep_for, keep_last) == gone


@pytest.mark.parametrize(
    "name",
    [
        ENCODED + "tags/a!2Bb",
        ARCHIVE + "20001301T000000Z/heads/main",
        ARCHIVE + "00000101T000000Z/heads/main",
        ARCHIVE + "20000101T000000/heads/main",
        ARCHIVE + "20000101T000000Z-0/heads/main",
        ARCHIVE + "20000101T000000Z-x/heads/main",
        ARCHIVE + "20000101T000000Z-" + "9" * 5000 + "/heads/main",
        ARCHIVE + "20000101T000000Z/heads/",
        ARCHIVE + "20000101T000000Z/pull/1",
        ARCHIVE + "20000101T000000Z",
        ARCHIVE + "2026/main",
        "refs/heads/20000101T000000Z/heads/main",
        "x" + ARCHIVE + "20000101T000000Z/heads/main",
        "",
    ],
)
def test_other_names_never_go(name: str) -> None:
    assert read_name(name) is None
    assert expired([name], NOW, timedelta(seconds=1), 0) == []
    assert expired([name, OLD], NOW, timedelta(0), 1) == []


def test_a_name_is_read() -> None:
    name = "refs/archive/20261123T010203Z-2/tags/v1/x"
    assert read_name(name) == ArchivedTip(datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC), 2, "refs/tags/v1/x", name)


NAMES = st.lists(
    st.builds(
        archived,
        st.integers(0, 10).map(timedelta),
        st.sampled_from(["heads/a", "heads/b", "tags/a"]),
        st.integers(1, 3),
    ),
    unique=True,
)
AGES = st.integers(0, 10).map(timedelta)


def tips(names: list[str]) -> list[ArchivedTip]:
    return [tip for name in names if (tip := read_name(name))]


@given(NAMES, AGES, st.integers(0, 4))
def test_what_goes_is_old_enough_and_not_among_the_newest(
    names: list[str], keep_for: timedelta, keep_last: int
) -> None:
    gone = expired(names, NOW, keep_for, keep_last)
    assert len(set(gone)) == len(gone)
    assert set(gone) <= set(names)
    for tip in tips(gone):
        newer = [other for other in tips(names) if other.ref == tip.ref and other > tip]
        assert len(newer) >= keep_last
        assert NOW - tip.time >= keep_for
    assert not gone or keep_for or keep_last


@given(NAMES, AGES, st.integers(0, 4))
def test_what_stays_has_a_reason_and_a_second_look_finds_nothing(
    names: list[str], keep_for: timedelta, keep_last: int
) -> None:
    gone = set(expired(names, NOW, keep_for, keep_last))
    left = [name for name in names if name not in gone]
    assert expired(left, NOW, keep_for, keep_last) == []
    for tip in tips(left):
        newer = [other for other in tips(names) if other.ref == tip.ref and other > tip]
        assert (not keep_for and not keep_last) or len(newer) < keep_last or NOW - tip.time < keep_for


@given(NAMES.flatmap(lambda names: st.tuples(st.just(names), st.permutations(names))), AGES, st.integers(0, 4))
def test_the_order_of_the_listing_says_nothing(
    orders: tuple[list[str], list[str]], keep_for: timedelta, keep_last: int
) -> None:
    one, other = orders
    assert expired(one, NOW, keep_for, keep_last) == expired(other, NOW, keep_for, keep_last)
