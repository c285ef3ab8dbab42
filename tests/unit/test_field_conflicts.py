"""What a sync leaves to others where server-side apply finds that they have set the same fields."""

import copy
from typing import Any

import pytest

from github_onedev_sync.adapters.field_conflicts import give_way
from github_onedev_sync.api import names

SYNC = names.field_manager("srs", "other")
PERSON = "kubectl-edit"
HOLDER = f".metadata.labels.{names.SYNC}"
MANIFEST: dict[str, Any] = {
    "apiVersion": names.API_VERSION,
    "kind": "RepositoryMirror",
    "metadata": {
        "name": "octo-public-7",
        "labels": {names.SYNC: "srs.mine", names.REPOSITORY_ID: "7"},
        "annotations": {names.covered_by("srs", "mine"): "2026-01-01T00:00:00Z"},
        "ownerReferences": [{"uid": "1"}],
    },
    "spec": {"interval": "10m", "source": {"repository": "octo/public"}, "refs": {"include": ["refs/heads/*"]}},
}


def cause(field: str, manager: str, **more: str) -> dict[str, str]:
    """As API servers of 1.25 and later write it."""
    message = f'conflict with "{manager}" using {names.API_VERSION} at 2026-01-01T00:00:00Z'
    return {"reason": "FieldManagerConflict", "message": message, "field": field, **more}


def refusal(*causes: Any) -> dict[str, Any]:
    return {"kind": "Status", "code": 409, "reason": "Conflict", "details": {"causes": list(causes)}}


def without(*path: str) -> dict[str, Any]:
    left = copy.deepcopy(MANIFEST)
    place = left
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return left


@pytest.mark.parametrize(
    ("causes", "left"),
    [
        pytest.param([], MANIFEST, id="nothing told"),
        pytest.param([cause(".spec.interval", PERSON)], without("spec", "interval"), id="a setting"),
        pytest.param([cause(".spec.refs.include", PERSON)], without("spec", "refs", "include"), id="a list"),
        pytest.param([cause(".spec.source", PERSON)], without("spec", "source"), id="a group"),
        pytest.param(
            [cause('.metadata.ownerReferences[uid="1"].name', PERSON)],
            without("metadata", "ownerReferences"),
            id="an item of a list",
        ),
        pytest.param(
            [cause(f".metadata.labels.{names.REPOSITORY_ID}", PERSON)],
            without("metadata", "labels", names.REPOSITORY_ID),
            id="a label, whose name has dots",
        ),
        pytest.param([cause(HOLDER, PERSON)], without("metadata", "labels", names.SYNC), id="a person's own holder"),
        pytest.param(
            [cause(f".metadata.annotations.{names.covered_by('srs', 'mine')}", PERSON)],
            without("metadata", "annotations", names.covered_by("srs", "mine")),
            id="an annotation",
        ),
        pytest.param([cause(".spec.interval", SYNC)], MANIFEST, id="what another sync left behind"),
        pytest.param([cause(".spec.lfs", PERSON)], MANIFEST, id="a field that is not ours"),
        pytest.param([cause(".status.failures.x", PERSON)], MANIFEST, id="below nothing of ours"),
        pytest.param([cause(".spec.interval.x", PERSON)], MANIFEST, id="below a plain value"),
        pytest.param([cause(".spec.interval", PERSON, reason="Other")], MANIFEST, id="a cause of another kind"),
        pytest.param([{"reason": "FieldManagerConflict"}], MANIFEST, id="a cause that tells nothing"),
    ],
)
def test_a_persons_word_stays(causes: list[Any], left: dict[str, Any]) -> None:
    before = copy.deepcopy(MANIFEST)
    assert give_way(MANIFEST, refusal(*causes), take_over=False) == left
    assert before == MANIFEST


@pytest.mark.parametrize("refused", [{}, {"details": None}, {"details": {"causes": None}}])
def test_a_refusal_without_details(refused: dict[str, Any]) -> None:
    assert give_way(MANIFEST, refused, take_over=False) == MANIFEST


def test_another_syncs_mirror_is_let_alone_unless_it_is_taken_over() -> None:
    causes = refusal(cause(".spec.interval", PERSON), cause(HOLDER, SYNC), cause(".spec.source.repository", SYNC))
    assert give_way(MANIFEST, causes, take_over=False) is None
    assert give_way(MANIFEST, causes, take_over=True) == without("spec", "interval")
