"""The Job of one run, built and never sent: a pure function with a table of cases."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..api import assignment, names
from ..api.assignment import Assignment
from ..api.mirror import KIND, RepositoryMirror
from ..api.report import PERMANENT
from ..api.server import OneDevServer
from .batch import credential_of
from .run import CONTAINER

# The worker ends by itself this long before the Job's deadline, so that it can still say what it did.
GRACE = timedelta(seconds=10)
USER = 65532
_SECRET_MODE = 0o440


@dataclass(frozen=True)
class WorkerSettings:
    """What the chart says of worker pods. `resources` is a container's, `scratch_size_limit` a Kubernetes quantity,
    `environment`, `node_selector` and `tolerations` are a pod's as Kubernetes writes them.

    `start_limit`: how long an image that can't be pulled, and the like, may go on before the run is given up.
    """

    image: str
    image_pull_policy: str = "IfNotPresent"
    service_account: str = "default"
    resources: Mapping[str, Any] = field(default_factory=dict)
    scratch_size_limit: str = "10Gi"
    image_pull_secrets: tuple[str, ...] = ()
    keep_finished: timedelta = timedelta(hours=1)
    start_limit: timedelta = timedelta(minutes=2)
    environment: tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()


def worker_timeout(timeout: timedelta) -> float:
    """Seconds that the worker gives itself of `spec.timeout`."""
    return max((timeout - GRACE).total_seconds(), timeout.total_seconds() / 2)


def build_job(
    mirrors: Sequence[RepositoryMirror],
    server: OneDevServer,
    work: Assignment,
    settings: WorkerSettings,
    token_secret: str | None,
) -> dict[str, Any]:
    """The Job is named after the first of `mirrors`, all of one `batch.group_of`.

    `token_secret` names the Secret with the source's token: the user's, or for a GitHub App one made for this run;
    None where the source is read anonymously."""
    mirror = mirrors[0]
    labels = {
        "app.kubernetes.io/name": "github-onedev-sync",
        "app.kubernetes.io/component": "worker",
        "app.kubernetes.io/managed-by": "github-onedev-sync",
        names.COMPONENT: names.COMPONENT_SYNC,
        names.SERVER_UID: server.metadata.uid,
        names.CREDENTIAL: credential_of(mirror),
        names.RUN: work.run,
    }
    deadline = max(int(mirror.spec.timeout.total_seconds()), 1)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(mirror.metadata.name, work.run),
            "namespace": mirror.metadata.namespace,
            "labels": labels,
            "annotations": {names.MIRRORS: _listed(mirrors)},
            "ownerReferences": [owner_reference(one, controller=one is mirror) for one in mirrors],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadline,
            "ttlSecondsAfterFinished": int(settings.keep_finished.total_seconds()),
            "podFailurePolicy": {
                "rules": [
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": sorted(int(code) for code in PERMANENT),
                        },
                    },
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": _pod(mirror, server, work, settings, token_secret)},
        },
    }


def _listed(mirrors: Sequence[RepositoryMirror]) -> str:
    """What `run.members_of` reads."""
    members = [{"uid": m.metadata.uid, "name": m.metadata.name, "generation": m.metadata.generation} for m in mirrors]
    return json.dumps(members, separators=(",", ":"))


def owner_reference(mirror: RepositoryMirror, *, controller: bool = True) -> dict[str, Any]:
    """Kubernetes deletes a Job when the last of its owners is gone; at most one of them may call itself controller."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": KIND,
        "name": mirror.metadata.name,
        "uid": mirror.metadata.uid,
        "controller": controller,
        "blockOwnerDeletion": True,
    }


def _pod(
    mirror: RepositoryMirror, server: OneDevServer, work: Assignment, settings: WorkerSettings, token_secret: str | None
) -> dict[str, Any]:
    source = mirror.spec.source.secret_ref
    volumes: list[dict[str, Any]] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": settings.scratch_size_limit}},
        _credentials("target-credentials", server.spec.secret_ref.name, server.spec.secret_ref.name),
    ]
    mounts = [
        {"name": "scratch", "mountPath": assignment.WORK_DIRECTORY},
        {"name": "target-credentials", "mountPath": assignment.TARGET_CREDENTIALS, "readOnly": True},
    ]
    if source is not None:
        volumes.append(_credentials("source-credentials", token_secret, source.name))
        mounts.append({"name": "source-credentials", "mountPath": assignment.SOURCE_CREDENTIALS, "readOnly": True})
    return {
        "restartPolicy": "Never",
        "serviceAccountName": settings.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": int(GRACE.total_seconds()),
        "imagePullSecrets": [{"name": name} for name in settings.image_pull_secrets],
        "nodeSelector": dict(settings.node_selector),
        "tolerations": list(settings.tolerations),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
        "containers": [
            {
                "name": CONTAINER,
                "image": settings.image,
                "imagePullPolicy": settings.image_pull_policy,
                "args": ["worker"],
                "env": [
                    {"name": assignment.ENVIRONMENT_VARIABLE, "value": work.to_json()},
                    *settings.environment,
                ],
                "workingDir": assignment.WORK_DIRECTORY,
                "resources": dict(settings.resources),
                "terminationMessagePolicy": "File",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": mounts,
            }
        ],
    }


def _credentials(volume: str, token_secret: str | None, ca_secret: str) -> dict[str, Any]:
    """Only the keys that the worker needs: an App's private key never reaches a pod."""
    sources = [{"secret": {"name": ca_secret, "items": [{"key": "ca.crt", "path": "ca.crt"}], "optional": True}}]
    if token_secret is not None:
        sources.append({"secret": {"name": token_secret, "items": [{"key": "token", "path": "token"}]}})
    return {"name": volume, "projected": {"defaultMode": _SECRET_MODE, "sources": sources}}


def build_token_secret(job: Mapping[str, Any], token: str) -> dict[str, Any]:
    """The Secret with a minted token: it is named like its Job, belongs to it, and goes with it."""
    metadata = job["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(metadata["labels"]),
            "ownerReferences": [
                {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
            ],
        },
        "stringData": {"token": token},
    }
