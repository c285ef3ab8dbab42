"""Small builders: a mirror, a server, a Job, a pod and a report, each with only what a test cares about spelled out."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from github_onedev_sync.api import names
from github_onedev_sync.api.conditions import ConditionType, Reason
from github_onedev_sync.api.identity import Mark
from github_onedev_sync.api.mirror import GITHUB_API, MirrorStatus, RepositoryMirror, RunStatus
from github_onedev_sync.api.model import Condition, show_time
from github_onedev_sync.api.observed import Account, Change, ListedRepository, SourceRepository
from github_onedev_sync.api.report import Outcome, Report, TaskReport
from github_onedev_sync.api.server import OneDevServer
from github_onedev_sync.api.starred import StarredReposSync

NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=2)
REPOSITORY_ID = 1037
OID = "1" * 40
OTHER = "2" * 40
SECRET = {"name": "credentials"}

REPOSITORY = SourceRepository(
    id=REPOSITORY_ID,
    full_name="pallets/click",
    clone_url="https://github.com/pallets/click.git",
    default_branch="main",
)


def change(repository: SourceRepository = REPOSITORY) -> Change:
    """What a sweep sees of a repository."""
    return Change(
        id=repository.id,
        full_name=repository.full_name,
        pushed_at=repository.pushed_at,
        archived=repository.archived,
        private=repository.private,
        disabled=repository.disabled,
        default_branch=repository.default_branch,
    )


def metadata(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "team", "uid": f"uid-{name}", "generation": 1, "resourceVersion": "1", **fields}


def mirror_body(
    name: str = "click",
    *,
    status: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] | None = None,
    target: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A RepositoryMirror as the API server gives it. `spec` in the manifest's own spelling."""
    return {
        "metadata": metadata(name, **(meta or {})),
        "spec": {
            "source": {"repository": "pallets/click", **(source or {})},
            "target": {"serverRef": {"name": "default"}, **(target or {})},
            **spec,
        },
        "status": dict(status or {}),
    }


def mirror(name: str = "click", **parts: Any) -> RepositoryMirror:
    return RepositoryMirror.read(mirror_body(name, **parts))


def with_status(before: RepositoryMirror, status: MirrorStatus) -> RepositoryMirror:
    return before.changed(status=status)


def annotated(before: RepositoryMirror, **annotations: str) -> RepositoryMirror:
    """`requested` and `approve` in our group, by their last word."""
    words = {"requested": names.REQUESTED_AT, "approve": names.APPROVE}
    found = {words[word]: value for word, value in annotations.items()}
    return before.changed(metadata=before.metadata.changed(annotations={**before.metadata.annotations, **found}))


def condition(
    type_: ConditionType, status: str, reason: Reason, message: str = "said before", generation: int = 1
) -> dict[str, Any]:
    return {
        "type": type_.value,
        "status": status,
        "reason": reason.value,
        "message": message,
        "lastTransitionTime": show_time(EARLIER),
        "observedGeneration": generation,
    }


def conditions(*found: dict[str, Any]) -> tuple[Condition, ...]:
    return tuple(Condition.read(one) for one in found)


def ready(status: str = "True", reason: Reason = Reason.SYNCED, **fields: Any) -> dict[str, Any]:
    return condition(ConditionType.READY, status, reason, **fields)


def synced_status(**fields: Any) -> dict[str, Any]:
    """The status of a mirror that was synced two hours ago and is due in eight minutes."""
    return {
        "observedGeneration": 1,
        "conditions": [ready()],
        "source": {
            "id": REPOSITORY_ID,
            "fullName": "pallets/click",
            "cloneURL": REPOSITORY.clone_url,
            "defaultBranch": "main",
        },
        "target": {
            "server": "default",
            "projectID": 7,
            "path": "github/pallets/click",
            "webURL": "https://onedev/github/pallets/click",
        },
        "lastSyncTime": show_time(EARLIER),
        "nextSyncTime": show_time(NOW + timedelta(minutes=8)),
        **fields,
    }


def run_status(job: str = "click-aaaaaaaa", started_at: datetime = EARLIER, **fields: Any) -> dict[str, Any]:
    return RunStatus(job=job, started_at=started_at, **fields).plain()


def server_body(
    name: str = "default",
    *,
    status: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    found = {"conditions": [ready(reason=Reason.AVAILABLE)], "observedGeneration": 1, "version": "16.5.6"}
    return {
        "metadata": metadata(name, **(meta or {})),
        "spec": {"url": "https://onedev/", "secretRef": {"name": "onedev"}, **spec},
        "status": dict(found if status is None else status),
    }


def server(name: str = "default", **parts: Any) -> OneDevServer:
    return OneDevServer.read(server_body(name, **parts))


ME = Account(1000, "octocat")


def row(number: int, full_name: str = "", **fields: Any) -> ListedRepository:
    return ListedRepository(number, full_name or f"o/r{number}", owner_id=7, **fields)


def sync_body(name: str = "stars", **spec: Any) -> dict[str, Any]:
    return {"metadata": metadata(name), "spec": {"template": {"target": {"serverRef": {"name": "default"}}}, **spec}}


def sync(name: str = "stars", **spec: Any) -> StarredReposSync:
    return StarredReposSync.read(sync_body(name, **spec))


def job_body(
    name: str = "click-aaaaaaaa",
    *,
    mirrors: tuple[str, ...] = ("click",),
    mirror_uid: str | None = None,
    generation: int = 1,
    server_uid: str = "uid-default",
    credential: str = "none",
    created: datetime = NOW,
    verdict: str | None = None,
    reason: str = "",
    **meta: Any,
) -> dict[str, Any]:
    """A Job that works for these mirrors, or for the one with `mirror_uid`.

    `verdict` is the type of its true condition, such as Complete or Failed, and `reason` that one's.
    """
    members = [{"uid": mirror_uid or f"uid-{one}", "name": one, "generation": generation} for one in mirrors]
    found = [{"type": verdict, "status": "True", "reason": reason}] if verdict else []
    return {
        "metadata": {
            "name": name,
            "namespace": "team",
            "uid": f"uid-{name}",
            "creationTimestamp": show_time(created),
            "labels": {names.SERVER_UID: server_uid, names.CREDENTIAL: credential, names.RUN: name[-8:]},
            "annotations": {names.MIRRORS: json.dumps(members)},
            **meta,
        },
        "status": {"conditions": found},
    }


def pod_body(
    job: str = "click-aaaaaaaa",
    *,
    name: str | None = None,
    created: datetime = NOW,
    state: Mapping[str, Any] | None = None,
    **status: Any,
) -> dict[str, Any]:
    """The pod of a Job, with the state of its one container."""
    containers = {"containerStatuses": [{"name": "worker", "state": dict(state)}]} if state is not None else {}
    return {
        "metadata": {
            "name": name or f"{job}-x7z",
            "namespace": "team",
            "creationTimestamp": show_time(created),
            "labels": {names.COMPONENT: names.COMPONENT_SYNC},
            "ownerReferences": [{"kind": "Job", "name": job, "uid": f"uid-{job}"}],
        },
        "status": {**containers, **status},
    }


def terminated(exit_code: int, message: str | None = None, reason: str = "") -> dict[str, Any]:
    """The state of a container that ended."""
    found = {"exitCode": exit_code, "reason": reason or ("Completed" if exit_code == 0 else "Error")}
    return {"terminated": found if message is None else {**found, "message": message}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def task(outcome: Outcome = Outcome.SYNCED, reason: Reason = Reason.SYNCED, **fields: Any) -> TaskReport:
    found: dict[str, Any] = {"key": "team/click", "branches": 1, "digest": "sha256:" + "0" * 64, "seconds": 1.5}
    return TaskReport(outcome=outcome, reason=reason, **{**found, **fields})


def report_text(*tasks: TaskReport) -> str:
    return Report("aaaaaaaa", tasks or (task(),)).to_json()


def mark(name: str = "team/click", repository_id: int = REPOSITORY_ID) -> Mark:
    return Mark.of(GITHUB_API, repository_id, name)


def plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy through JSON, as the API server would make."""
    copied: dict[str, Any] = json.loads(json.dumps(body))
    return copied
