"""What the API server itself says to bad manifests: each is refused, in words that a person can act on."""

import json
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.local_cluster.choice import Cluster, environment

from . import bad_manifests
from .bad_manifests import BAD, GOOD_ROWS, Row, manifest

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))
CRDS = sorted((ROOT / "crds").glob("*.yaml"))
# `error when creating "FILE": ` is there for more than one object; the kind carries its group.
REFUSAL = re.compile(r'(?:^|: )(?:The )?\w+(?:\.[\w.-]+)? "(?P<name>[a-z0-9-]+)" is invalid: (?P<words>.*)')

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    """`kubectl(*arguments, stdin=...)` in a namespace of its own, with the CRDs established."""
    namespace = f"admission-{uuid.uuid4().hex[:8]}"
    variables = environment(cluster)

    def run(*arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        command = ["kubectl", "--namespace", namespace, *arguments]
        text = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
        return subprocess.run(command, input=text, env=variables, capture_output=True, text=True, timeout=60)

    def must(*arguments: str) -> None:
        done = run(*arguments)
        assert done.returncode == 0, done.stderr

    must("apply", *(f"--filename={crd}" for crd in CRDS))
    must("wait", "--for=condition=Established", "--timeout=30s", *(f"--filename={crd}" for crd in CRDS))
    must("create", "namespace", namespace)
    yield run
    must("delete", "namespace", namespace, "--wait=false")


def send(kubectl: Kubectl, rows: tuple[Row, ...]) -> tuple[set[str], dict[str, str]]:
    """All rows in one go: the names that were taken, and of the others what the API server said."""
    items = "\n---\n".join(json.dumps(row.manifest) for row in rows)
    done = kubectl("create", "--dry-run=server", "--validate=strict", "--output=name", "--filename=-", stdin=items)
    refused = {}
    for line in done.stderr.splitlines():
        if found := REFUSAL.search(line):
            refused[found["name"]] = found["words"]
        elif line.strip():
            # A typo is refused before the object's name is read: found again by the field that it names.
            typos = (row for row in rows if row.says and row.says[0].startswith("unknown field"))
            refused |= {row.name: line for row in typos if row.says[0] in line}
    return {name.partition("/")[2] for name in done.stdout.split()}, refused


@pytest.fixture(scope="module")
def refusals(kubectl: Kubectl) -> dict[str, str]:
    taken, refused = send(kubectl, BAD)
    assert not taken, "bad manifests were taken"
    return refused


@pytest.mark.parametrize("row", BAD, ids=lambda row: row.name)
def test_a_bad_manifest_is_refused_in_words_to_act_on(row: Row, refusals: dict[str, str]) -> None:
    words = refusals[row.name]
    for fragment in row.says:
        assert fragment in words


def test_the_table_is_long_and_its_names_are_unique() -> None:
    assert len({row.name for row in (*BAD, *GOOD_ROWS)}) == len(BAD) + len(GOOD_ROWS)
    assert len(BAD) >= 40


def rules() -> Iterator[tuple[str, str]]:
    """Kind and message of every CEL rule in the CRDs."""
    for crd in CRDS:
        definition = yaml.safe_load(crd.read_text())["spec"]
        todo: list[Any] = [definition["versions"][0]["schema"]["openAPIV3Schema"]]
        while todo:
            node = todo.pop()
            todo += [*node.get("properties", {}).values(), *([node["items"]] if "items" in node else [])]
            for rule in node.get("x-kubernetes-validations", ()):
                yield definition["names"]["kind"], rule["message"]


TRANSITIONS = ("spec.target cannot be changed",)


def test_every_rule_refuses_some_row(refusals: dict[str, str]) -> None:
    """But for those about changes, which `test_the_target_…` tries."""
    said = {kind: [refusals[row.name] for row in BAD if row.kind == kind] for kind in bad_manifests.GOOD}
    silent = [
        (kind, message)
        for kind, message in rules()
        if not message.startswith(TRANSITIONS) and not any(message in words for words in said[kind])
    ]
    assert not silent


def test_good_manifests_are_taken(kubectl: Kubectl) -> None:
    taken, refused = send(kubectl, GOOD_ROWS)
    assert not refused
    assert taken == {row.name for row in GOOD_ROWS}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_samples_are_taken(sample: Path, kubectl: Kubectl) -> None:
    items = list(yaml.safe_load_all(sample.read_text()))
    for item in items:
        item["metadata"].pop("namespace", None)  # some name one that this test does not make
    done = kubectl(
        "create",
        "--dry-run=server",
        "--validate=strict",
        "--filename=-",
        stdin={"kind": "List", "apiVersion": "v1", "items": items},
    )
    assert done.returncode == 0, done.stderr


def test_defaults_are_filled_in_by_the_api_server(kubectl: Kubectl) -> None:
    row = manifest("RepositoryMirror", "defaults", {})
    done = kubectl("create", "--dry-run=server", "--output=json", "--filename=-", stdin=row)
    assert json.loads(done.stdout)["spec"] == {
        "source": {"repository": "pallets/flask", "apiURL": "https://api.github.com", "insecure": False},
        "target": {"serverRef": {"name": "default"}},
        "refs": {"include": ["refs/heads/*", "refs/tags/*"], "exclude": []},
        "onRewrite": "Archive",
        "archive": {"keepFor": "0s", "keepLast": 0},
        "engine": "Auto",
        "lfs": False,
        "interval": "10m",
        "timeout": "1h",
        "suspend": False,
        "deletionPolicy": "Retain",
    }


HOOK = {"lastDeliveryTime": "2026-11-23T01:02:03Z", "lastRepairTime": "2026-11-22T01:02:03Z", "redelivered": 1}
HOOK_HEADS = ["LAST DELIVERY", "LAST REPAIR"]
STATUS = {
    "observedGeneration": 1,
    "webhook": HOOK,
    "phase": "Completed",
    "lastSyncTime": "2026-11-23T01:02:03Z",
    "nextSyncTime": "2036-11-23T01:12:03Z",
    "target": {"server": "default", "projectID": 7, "path": "github/pallets/flask", "webURL": "https://x/github"},
    "refs": {"branches": 2, "tags": 3, "total": 5},
    "lastRun": {"job": "flask-1", "engine": "Git", "startedAt": "2026-11-23T01:02:00Z", "seconds": 2.5, "bytes": 4096},
    "conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "5 refs equal"}],
}


def synced(kubectl: Kubectl, name: str, change: dict[str, Any]) -> None:
    """A mirror that had its first sync."""
    made = kubectl("create", "--filename=-", stdin=manifest("RepositoryMirror", name, change))
    assert made.returncode == 0, made.stderr
    patch = json.dumps({"status": STATUS})
    done = kubectl("patch", "rmir", name, "--subresource=status", "--type=merge", f"--patch={patch}")
    assert done.returncode == 0, done.stderr


def change(kubectl: Kubectl, name: str, spec: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return kubectl("patch", "rmir", name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")


def test_the_target_is_free_before_the_first_sync(kubectl: Kubectl) -> None:
    kubectl("create", "--filename=-", stdin=manifest("RepositoryMirror", "fresh", {}))
    assert change(kubectl, "fresh", {"target": {"project": "else/where"}}).returncode == 0


@pytest.mark.parametrize("target", [{"project": "else/where"}, {"serverRef": {"name": "other"}}, {"project": None}])
def test_the_target_is_immutable_after_it(kubectl: Kubectl, target: dict[str, Any]) -> None:
    name = f"bound-{uuid.uuid4().hex[:6]}"
    synced(kubectl, name, {"target.project": "pallets/flask"})
    for both in ({"target": target}, {"target": target, "suspend": True}):
        refused = change(kubectl, name, both)
        assert "spec.target cannot be changed while the mirror is active" in refused.stderr
        assert "set spec.suspend to true first" in refused.stderr
    assert change(kubectl, name, {"interval": "1h"}).returncode == 0


def test_the_target_can_be_changed_while_suspended(kubectl: Kubectl) -> None:
    synced(kubectl, "moving", {})
    assert change(kubectl, "moving", {"suspend": True}).returncode == 0
    moved = change(kubectl, "moving", {"target": {"project": "else/where"}, "suspend": False})
    assert moved.returncode == 0, moved.stderr
    assert "cannot be changed" in change(kubectl, "moving", {"target": {"project": "back"}}).stderr


def test_the_table_that_people_see(kubectl: Kubectl) -> None:
    synced(kubectl, "shown", {"source.repository": "pallets/click"})
    head, row = kubectl("get", "rmir", "shown").stdout.splitlines()
    assert re.split(r"\s{2,}", head) == ["NAME", "READY", "PHASE", "SOURCE", "REFS", "LAST SYNC", "AGE"]
    assert row.split()[:5] == ["shown", "True", "Completed", "pallets/click", "5"]
    head, row = kubectl("get", "rmir", "shown", "--output=wide").stdout.splitlines()
    assert re.split(r"\s{2,}", head)[7:] == ["ENGINE", "BYTES", "SECONDS", "FAILURES", "NEXT", *HOOK_HEADS, "MESSAGE"]
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[7:12] == ["Git", "4096", "2.5", "0", "2036-11-23T01:12:03Z"]
    assert cells[14:] == ["5 refs equal"]


SYNC_STATUS = {
    "observedGeneration": 1,
    "webhook": HOOK,
    "account": {"id": 583231, "login": "octocat"},
    "stars": {"found": 120, "matched": 100, "mirrored": 99, "ready": 97, "failed": 2, "unstarred": 3},
    "rateLimit": {"remaining": 4321, "resetAt": "2026-11-23T02:00:00Z"},
    "lastPollTime": "2026-11-23T01:02:03Z",
    "conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "100 match"}],
}


@pytest.mark.parametrize(
    ("kind", "short", "heads"),
    [
        ("StarredReposSync", "srs", ["USER", "STARS"]),
        ("OwnedReposSync", "ors", ["OWNER", "REPOSITORIES"]),
    ],
)
def test_the_table_of_syncs_that_people_see(kind: str, short: str, heads: list[str], kubectl: Kubectl) -> None:
    made = kubectl("create", "--filename=-", stdin=manifest(kind, "shown", {"dryRun": True}))
    assert made.returncode == 0, made.stderr
    patch = json.dumps({"status": SYNC_STATUS})
    done = kubectl("patch", short, "shown", "--subresource=status", "--type=merge", f"--patch={patch}")
    assert done.returncode == 0, done.stderr
    head, row = kubectl("get", short, "shown", "--output=wide").stdout.splitlines()
    titles = ["NAME", "READY", *heads, "MATCHED", "MIRRORED", "FAILED", "LAST POLL", "AGE"]
    wide = ["UNSTARRED", "DRY RUN", "REQUESTS", *HOOK_HEADS, "MESSAGE"]
    assert re.split(r"\s{2,}", head) == [*titles, *wide]
    cells = re.split(r"\s{2,}", row.strip())
    assert cells[:7] == ["shown", "True", "octocat", "120", "100", "99", "2"]
    assert cells[9:12] == ["3", "true", "4321"]
    assert cells[14:] == ["100 match"]
    head, _ = kubectl("get", short, "shown").stdout.splitlines()
    assert re.split(r"\s{2,}", head) == titles


def test_mirrors_are_found_by_their_source_and_their_server(kubectl: Kubectl) -> None:
    other = {"source.repository": "acme/found", "target.serverRef": {"name": "elsewhere"}}
    made = kubectl("create", "--filename=-", stdin=manifest("RepositoryMirror", "found", other))
    assert made.returncode == 0, made.stderr
    for selector in ("spec.source.repository=acme/found", "spec.target.serverRef.name=elsewhere"):
        listed = kubectl("get", "rmir", f"--field-selector={selector}", "--output=name")
        assert listed.stdout.split() == ["repositorymirror.github-onedev-sync.io/found"], listed.stderr


def test_the_category_lists_every_kind(kubectl: Kubectl) -> None:
    for kind in bad_manifests.GOOD:
        assert kubectl("create", "--filename=-", stdin=manifest(kind, "one", {})).returncode == 0
    listed = kubectl("get", "onedev-mirrors", "--output=name").stdout.split()
    assert {f"{kind.lower()}.github-onedev-sync.io/one" for kind in bad_manifests.GOOD} <= set(listed)


def test_explain_tells_every_field(kubectl: Kubectl) -> None:
    told = kubectl("explain", "rmir.spec", "--recursive").stdout
    assert "onRewrite" in told
    assert "keepLast" in told
