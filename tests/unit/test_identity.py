"""The mark that makes a project ours."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.identity import Mark, describe, mark_in_description, marks_in_refs

from .builders import mark

HOSTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,5}){0,2}(:[0-9]{1,5})?", fullmatch=True)
KUBERNETES_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
MARKS = st.builds(
    lambda host, number, namespace, name: Mark(host, number, f"{namespace}/{name}"),
    HOSTS,
    st.integers(1, 2**40),
    KUBERNETES_NAMES,
    KUBERNETES_NAMES,
)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.github.com", "api.github.com"),
        ("https://GHE.example/api/v3", "ghe.example"),
        ("http://localhost:8080/api/v3", "localhost:8080"),
        ("https://user:secret@ghe.example", "ghe.example"),
    ],
)
def test_a_mark_names_the_host_and_never_a_credential(url: str, host: str) -> None:
    assert Mark.of(url, 1, "team/click") == Mark(host, 1, "team/click")


@given(MARKS, st.none() | st.text())
def test_a_description_gives_back_the_mark(made: Mark, words: str | None) -> None:
    assert mark_in_description(describe(made, "pallets/click", words)) == made


@given(MARKS, MARKS, st.text(max_size=20), st.text(max_size=20))
def test_a_strangers_words_make_no_mark(made: Mark, other: Mark, before: str, after: str) -> None:
    text = describe(made, "pallets/click", f"{before}\n{other.line}\n{after}")
    assert mark_in_description(text) == made
    assert mark_in_description(text.removesuffix(made.line)) is None


def test_the_last_mark_counts() -> None:
    other = mark("team/other")
    assert mark_in_description(f"{mark().line}\n{other.line}") == other


@given(MARKS, MARKS)
def test_different_marks_read_differently(one: Mark, other: Mark) -> None:
    assert (one.line == other.line) == (one == other)


def test_git_accepts_the_ref_name() -> None:
    for made in (mark(), Mark("localhost:8080", 1, "team/a.b.lock-x"), Mark("h", 1, "team/x.lock")):
        subprocess.run(["git", "check-ref-format", made.ref], check=True)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "A project of ours",
        "Mirror of github.com repository x by team/click",
        "see: Mirror of github.com repository 1 by team/click",
        "Mirror of github.com repository 1 by team/click, and more",
    ],
)
def test_other_words_are_no_mark(text: str | None) -> None:
    assert mark_in_description(text) is None


def test_words_of_github_come_first() -> None:
    assert describe(mark(), "pallets/click", " A CLI kit \n") == (
        "A CLI kit\n\npallets/click\nMirror of api.github.com repository 1037 by team/click"
    )
    assert describe(mark(), "pallets/click", "  ").startswith("pallets/click\n")


def test_same_mirror_with_another_repository() -> None:
    assert mark().same_mirror(mark(repository_id=1))
    assert not mark().same_mirror(mark("team/other"))


def test_marks_in_refs() -> None:
    assert marks_in_refs(["refs/heads/main", mark().ref]) == [mark().ref]
