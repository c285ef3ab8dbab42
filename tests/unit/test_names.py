"""Names that OneDev and Kubernetes accept, whatever GitHub and people come up with."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api import names

KUBERNETES_NAMES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", fullmatch=True)
GITHUB_NAMES = st.from_regex(r"[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}", fullmatch=True)


@pytest.mark.parametrize(
    ("repository", "path"),
    [
        ("pallets/click", "pallets/click"),
        ("Pallets/Click.JS", "Pallets/Click.JS"),
        ("github/.github", "github/_.github"),
        ("o/-dash", "o/_-dash"),
        ("-o/name", "_-o/name"),
        ("apache/wicket", "apache/wicket_"),
        ("o/Wicket", "o/Wicket_"),
        ("o/robots.txt", "o/robots.txt_"),
        ("projects/x", "projects_/x"),
        ("o/thing.git", "o/thing.git_"),
        ("o/.git", "o/_.git_"),
    ],
)
def test_project_path(repository: str, path: str) -> None:
    assert names.project_path(repository) == path


@given(GITHUB_NAMES)
def test_every_project_path_is_legal(repository: str) -> None:
    path = names.project_path(repository)
    for segment in path.split("/"):
        assert re.fullmatch(names.PROJECT_SEGMENT, segment)
        assert segment.lower() not in names.RESERVED_SEGMENTS
        assert not segment.endswith(".git")
    assert path.count("/") == 1
    assert len(path) <= len(repository) + 4


@given(KUBERNETES_NAMES, st.text())
def test_every_job_name_is_a_legal_label(mirror: str, part: str) -> None:
    run = names.run_id(part)
    name = names.job_name(mirror, run)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert name.endswith(f"-{run}")
    # Its pods' names are a dash and five characters longer, and are labels too in places.
    assert len(name) <= 63 - 6


def test_a_run_id_is_the_same_for_the_same_parts_only() -> None:
    assert names.run_id("uid", 1, "", "job", 0) == names.run_id("uid", 1, "", "job", 0)
    assert names.run_id("a", "b") != names.run_id("ab", "")
    assert re.fullmatch("[0-9a-f]{8}", names.run_id())
