"""What a Job is told arrives as it was meant, or not at all."""

import pytest

from github_onedev_sync.api.assignment import Assignment, Remote, Task
from github_onedev_sync.api.refs import RefFilter

TASK = Task(
    key="default/name",
    source=Remote("https://github.com/o/r.git", "/var/run/secrets/source"),
    target=Remote("https://onedev/o/r"),
    api_url="https://onedev/~api",
    project_id=7,
    mark_ref="refs/github-onedev-sync/github_com/1/default/name",
    mark="Mirror of github.com repository 1 by default/name",
    archive_time="20261123T010203Z",
    default_branch="main",
    exclude=("refs/heads/wip/*",),
    on_rewrite="Block",
    approved="sha256:0",
)


def test_an_assignment_survives_the_way() -> None:
    assignment = Assignment("r1", 3600.0, (TASK, TASK))
    assert Assignment.from_json(assignment.to_json()) == assignment


def test_the_filter_of_a_task() -> None:
    assert TASK.refs == RefFilter(("refs/heads/*", "refs/tags/*"), ("refs/heads/wip/*",))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not an assignment"),
        ("{", "not an assignment"),
        ("[]", "not an assignment"),
        ('{"v":1}', "not an assignment"),
        ('{"v":2,"run":"r","timeout_seconds":1,"tasks":[]}', "differ in version"),
        ('{"v":1,"run":"r","timeout_seconds":1,"tasks":[{"key":"a"}]}', "not an assignment"),
        ('{"v":1,"run":"r","timeout_seconds":1,"tasks":[{"colour":"red"}]}', "not an assignment"),
    ],
)
def test_what_is_no_assignment_is_refused_with_a_sentence(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Assignment.from_json(text)
