"""The Job of a run: built and never sent."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from github_onedev_sync.api import names
from github_onedev_sync.api.assignment import Assignment, Remote, Task
from github_onedev_sync.api.report import PERMANENT
from github_onedev_sync.decide.batch import credential_of
from github_onedev_sync.decide.job import (
    WorkerSettings,
    build_job,
    build_token_secret,
    owner_reference,
    worker_timeout,
)

from . import builders as build

WORK = Assignment(
    "7c1e0000",
    3590.0,
    (
        Task(
            key="team/click",
            source=Remote("https://github.com/pallets/click.git"),
            target=Remote("https://onedev/github/pallets/click", "/var/run/secrets/github-onedev-sync/target"),
            api_url="https://onedev/~api",
            project_id=7,
            mark_ref=build.mark().ref,
            mark=build.mark().line,
            archive_time="20261123T010203Z",
        ),
    ),
)


def job(settings: WorkerSettings | None = None, token: str | None = None, **mirror: Any) -> dict[str, Any]:
    made = build_job([build.mirror(**mirror)], build.server(), WORK, settings or WorkerSettings("image:1"), token)
    assert json.loads(json.dumps(made)) == made, "plain JSON"
    return made


def pod(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = made["spec"]["template"]["spec"]
    return found


def test_who_it_belongs_to() -> None:
    metadata = job(meta={"generation": 5})["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("click-7c1e0000", "team")
    assert metadata["ownerReferences"] == [owner_reference(build.mirror())]
    assert metadata["ownerReferences"][0]["controller"] is True
    assert json.loads(metadata["annotations"][names.MIRRORS]) == [
        {"uid": "uid-click", "name": "click", "generation": 5}
    ]
    labels = job()["spec"]["template"]["metadata"]["labels"]
    assert labels == metadata["labels"]
    assert labels[names.COMPONENT] == names.COMPONENT_SYNC
    assert (labels[names.SERVER_UID], labels[names.CREDENTIAL], labels[names.RUN]) == (
        "uid-default",
        credential_of(build.mirror()),
        "7c1e0000",
    )


def test_it_is_tried_once_and_its_exit_code_decides() -> None:
    spec = job(timeout="90m")["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (0, 5400, 3600)
    ignore, fail = spec["podFailurePolicy"]["rules"]
    assert (ignore["action"], fail["action"]) == ("Ignore", "FailJob")
    assert fail["onExitCodes"]["values"] == sorted(PERMANENT)
    assert 0 not in fail["onExitCodes"]["values"]
    assert pod(job())["restartPolicy"] == "Never"


def test_the_pod_is_restricted() -> None:
    made = pod(job())
    (container,) = made["containers"]
    assert made["automountServiceAccountToken"] is False
    assert made["enableServiceLinks"] is False
    assert made["securityContext"]["runAsNonRoot"] is True
    assert made["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["terminationMessagePolicy"] == "File"
    mounts = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
    assert mounts == {"scratch": False, "target-credentials": True}
    assert {volume["name"] for volume in made["volumes"]} == set(mounts)


def test_the_worker_is_told_its_work_and_no_credential() -> None:
    made = pod(job(source={"repository": "pallets/click", "secretRef": {"name": "github"}}, token="t"))
    environment = {entry["name"]: entry["value"] for entry in made["containers"][0]["env"]}
    assert Assignment.from_json(environment["GITHUB_ONEDEV_SYNC_ASSIGNMENT"]) == WORK
    assert "valueFrom" not in json.dumps(made)


@pytest.mark.parametrize(
    ("token", "secret"),
    [
        pytest.param("github", "github", id="the user's own"),
        pytest.param("click-7c1e0000", "click-7c1e0000", id="minted"),
    ],
)
def test_credentials_come_as_files(token: str, secret: str) -> None:
    made = pod(job(token=token, source={"secretRef": {"name": "github"}}))
    sources = {volume["name"]: volume["projected"]["sources"] for volume in made["volumes"] if "projected" in volume}
    assert [part["secret"]["name"] for part in sources["source-credentials"]] == ["github", secret]
    assert [part["secret"]["name"] for part in sources["target-credentials"]] == ["onedev", "onedev"]
    keys = {item["key"] for parts in sources.values() for part in parts for item in part["secret"]["items"]}
    assert keys == {"token", "ca.crt"}, "an App's private key never reaches a pod"


def test_a_secret_with_authorities_only_gives_no_token() -> None:
    made = pod(job(token=None, source={"secretRef": {"name": "authorities"}}))
    (volume,) = (volume for volume in made["volumes"] if volume["name"] == "source-credentials")
    assert volume["projected"]["sources"] == [
        {"secret": {"name": "authorities", "items": [{"key": "ca.crt", "path": "ca.crt"}], "optional": True}}
    ]


def test_what_the_chart_says() -> None:
    settings = WorkerSettings(
        image="registry/image:2",
        image_pull_policy="Always",
        service_account="worker",
        resources={"limits": {"memory": "512Mi"}},
        scratch_size_limit="1Gi",
        image_pull_secrets=("pull",),
        keep_finished=timedelta(minutes=5),
        environment=({"name": "LOG_FORMAT", "value": "console"},),
        node_selector={"disk": "fast"},
        tolerations=({"key": "batch", "operator": "Exists"},),
    )
    made = job(settings)
    (container,) = pod(made)["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry/image:2", "Always")
    assert container["resources"] == {"limits": {"memory": "512Mi"}}
    assert {"name": "LOG_FORMAT", "value": "console"} in container["env"]
    assert container["env"][0]["name"] == "GITHUB_ONEDEV_SYNC_ASSIGNMENT"
    assert pod(made)["nodeSelector"] == {"disk": "fast"}
    assert pod(made)["tolerations"] == [{"key": "batch", "operator": "Exists"}]
    assert pod(made)["serviceAccountName"] == "worker"
    assert pod(made)["imagePullSecrets"] == [{"name": "pull"}]
    assert {"name": "scratch", "emptyDir": {"sizeLimit": "1Gi"}} in pod(made)["volumes"]
    assert made["spec"]["ttlSecondsAfterFinished"] == 300


@pytest.mark.parametrize("name", ["a", "a.b.c", "x" * 253, "9", "a-" * 30 + "a"])
def test_every_mirror_gets_a_legal_job(name: str) -> None:
    made = job(name=name, meta={"uid": "uid"})
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", made["metadata"]["name"])
    assert all(
        re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", v)
        for v in made["metadata"]["labels"].values()
    )


@pytest.mark.parametrize(("timeout", "seconds"), [("1h", 3590), ("30s", 20), ("20s", 10), ("10s", 5), ("1s", 0.5)])
def test_the_worker_ends_before_its_deadline(timeout: str, seconds: float) -> None:
    mirror = build.mirror(timeout=timeout)
    assert worker_timeout(mirror.spec.timeout) == seconds
    assert job(timeout=timeout)["spec"]["activeDeadlineSeconds"] > seconds or timeout == "1s"


def test_a_minted_token_goes_with_its_job() -> None:
    made = build_token_secret({"metadata": {**job()["metadata"], "uid": "uid-job"}}, "ghs_secret")
    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "click-7c1e0000", "uid": "uid-job"}
    ]
    assert (made["metadata"]["name"], made["stringData"]) == ("click-7c1e0000", {"token": "ghs_secret"})
