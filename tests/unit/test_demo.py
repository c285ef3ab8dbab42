"""The parts of `make demo` that need no cluster: what it draws, when it is done, how it gets OneDev's token."""

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_onedev_sync.api.mirror import RepositoryMirror
from tests.demo import onedev, servers, steps
from tests.demo.screen import Screen
from tests.demo.watch import read, table
from tests.local_cluster.places import CHECKOUT
from tests.stand_ins.onedev import OneDevStandIn

NOW = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def mirror(ready: str = "True", verified: str = "True", observed: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"name": "flask", "generation": 1, "creationTimestamp": "2026-01-01T12:00:00Z"},
        "spec": {"source": {"repository": "pallets/flask"}},
        "status": {
            "phase": "Completed",
            "refs": {"total": 214},
            "lastSyncTime": "2026-01-01T11:50:30Z",
            "conditions": [
                {"type": "Ready", "status": ready, "reason": "Synced", "message": "", "observedGeneration": observed},
                {"type": "Verified", "status": verified},
            ],
        },
    }


def test_the_table_lines_up_and_tells_times_as_kubectl_does() -> None:
    assert table([read(mirror(), NOW)]) == [
        " NAME    READY   PHASE       SOURCE          REFS   LAST SYNC   AGE",
        " flask   True    Completed   pallets/flask    214   10m         30s",
    ]


def test_a_mirror_without_status_is_shown_all_the_same() -> None:
    bare = {**mirror(), "status": {}}
    assert table([read(bare, NOW)])[1].split() == ["flask", "–", "–", "pallets/flask", "–", "–", "30s"]  # noqa: RUF001


@pytest.mark.parametrize(
    ("changes", "settled"),
    [({}, True), ({"ready": "False"}, False), ({"verified": "False"}, False), ({"observed": 0}, False)],
)
def test_only_verified_mirrors_of_the_newest_generation_end_the_watch(changes: dict[str, Any], settled: bool) -> None:
    assert read(mirror(**changes), NOW).settled is settled


def test_steps_are_numbered_and_their_lines_indented() -> None:
    out = io.StringIO()
    screen = Screen(2, out)
    with screen.step("tools", "all there"):
        pass
    with screen.step("cluster"):
        screen.say("first\nsecond")
        screen.say("third")
    assert out.getvalue().splitlines() == [
        " 1/2 tools      all there",
        " 2/2 cluster    first",
        "                second",
        "                third",
    ]


def test_a_terminal_is_drawn_over() -> None:
    out = io.StringIO()
    screen = Screen(1, out, live=True)
    screen.redraw(["a", "b"])
    screen.redraw(["c", "d"])
    assert out.getvalue() == "\r\033[Ka\nb\n\033[2A\033[Jc\nd\n"


def test_the_sample_is_legal_and_names_what_the_demo_makes() -> None:
    documents = list(yaml.safe_load_all((CHECKOUT / steps.SAMPLE).read_text()))
    mirrors = [
        RepositoryMirror.read({**document, "metadata": {**document["metadata"], "uid": "u", "generation": 1}})
        for document in documents
        if document["kind"] == "RepositoryMirror"
    ]
    assert {document["metadata"]["namespace"] for document in documents} == {steps.NAMESPACE}
    assert len(mirrors) == 6
    assert servers.THIS_PROJECT in {each.spec.source.repository for each in mirrors}


async def test_the_token_of_an_earlier_demo_is_used_again(tmp_path: Path) -> None:
    async with OneDevStandIn(tmp_path, password="secret") as stand_in:
        first = await asyncio.to_thread(onedev._token, stand_in.public_url, "secret")
        again = await asyncio.to_thread(onedev._token, stand_in.public_url, "secret")
        assert first == again
        assert len([token for token in stand_in.store.tokens.values() if token.value == first]) == 1


def test_this_checkout_becomes_a_bundle(tmp_path: Path) -> None:
    bundle, branch = servers.this_project(tmp_path)
    assert branch
    assert bundle.read_bytes().startswith(b"# v2 git bundle")
