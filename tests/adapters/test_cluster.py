"""The cluster adapter against a real API server."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from github_onedev_sync.adapters.cluster import Cluster
from github_onedev_sync.api import names
from github_onedev_sync.api.errors import ClusterRefused
from github_onedev_sync.engine import ports
from tests import local_cluster

from .conftest import Kubectl

pytestmark = pytest.mark.cluster

Manifest = dict[str, Any]


@pytest.fixture
async def nobody(cluster: local_cluster.Cluster, kubectl: Kubectl, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A service account without any right."""
    kubectl("create", "serviceaccount", "nobody")
    token = kubectl("create", "token", "nobody")
    config = kubectl("config", "view", "--raw", "--flatten", "--output=json")
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    connected = await Cluster.connect(str(tmp_path / "kubeconfig"))
    yield connected
    await connected.close()
    kubectl("delete", "serviceaccount", "nobody")


def job(namespace: str, name: str) -> Manifest:
    """One that never starts: no node has that label."""
    container = {"name": "worker", "image": "example.invalid/none"}
    pod = {"restartPolicy": "Never", "nodeSelector": {"nowhere": "true"}, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def lease(namespace: str, name: str, holder: str) -> Manifest:
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110  # another process must be awaited
            await asyncio.sleep(0.2)


def test_it_is_what_the_engine_needs(adapter: Cluster) -> None:
    port: ports.Cluster = adapter
    assert port is adapter


async def test_a_status_is_merged_and_a_stale_one_refused(adapter: Cluster, kubectl: Kubectl, namespace: str) -> None:
    spec = {"source": {"repository": "octo/public"}, "target": {"serverRef": {"name": "default"}}}
    mirror = {"apiVersion": names.API_VERSION, "kind": "RepositoryMirror", "metadata": {"name": "one"}, "spec": spec}
    created = kubectl("create", "--filename=-", "--output=json", stdin=mirror)
    stale, key = created["metadata"]["resourceVersion"], f"{namespace}/one"
    first = await adapter.patch_status("repositorymirrors", key, stale, {"failures": 3, "observedGeneration": 1})
    assert first is not None
    assert await adapter.patch_status("repositorymirrors", key, stale, {"failures": 4}) is None
    version = first["metadata"]["resourceVersion"]
    second = await adapter.patch_status("repositorymirrors", key, version, {"failures": 5})
    assert second is not None
    assert second["status"].items() >= {"failures": 5, "observedGeneration": 1}.items()
    assert second["spec"]["source"]["repository"] == "octo/public"
    assert second["metadata"]["generation"] == created["metadata"]["generation"]
    with pytest.raises(ClusterRefused, match=r"was answered 422: .*failures"):
        await adapter.patch_status("repositorymirrors", key, second["metadata"]["resourceVersion"], {"failures": "x"})
    kubectl("delete", "repositorymirror", "one")
    assert await adapter.patch_status("repositorymirrors", key, version, {"failures": 6}) is None


async def test_secrets(adapter: Cluster, kubectl: Kubectl, namespace: str) -> None:
    values = {"token": b"abc", "binary": bytes(range(256))}
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"namespace": namespace, "name": "some"},
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }
    assert await adapter.read_secret(namespace, "some") is None
    await adapter.create_secret(manifest)
    await adapter.create_secret(manifest | {"data": {}})
    assert await adapter.read_secret(namespace, "some") == values
    await adapter.create_secret({**manifest, "metadata": {"namespace": namespace, "name": "empty"}, "data": {}})
    assert await adapter.read_secret(namespace, "empty") == {}


async def test_a_job_is_created_once_and_deleted_with_its_pods(
    adapter: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    def pods() -> list[Any]:
        return list(kubectl("get", "pods", "--selector=batch.kubernetes.io/job-name=sync", "--output=json")["items"])

    first = await adapter.create_job(job(namespace, "sync"))
    again = await adapter.create_job(job(namespace, "sync"))
    read = await adapter.read_job(namespace, "sync")
    assert read is not None
    assert first["metadata"]["uid"] == again["metadata"]["uid"] == read["metadata"]["uid"]
    await until(lambda: len(pods()) == 1)
    await adapter.delete_job(namespace, "sync")
    await until(lambda: not pods())
    assert await adapter.read_job(namespace, "sync") is None
    await adapter.delete_job(namespace, "sync")


async def test_events(adapter: Cluster, kubectl: Kubectl, namespace: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": "one.", "namespace": namespace},
        "involvedObject": {"apiVersion": names.API_VERSION, "kind": "RepositoryMirror", "name": "one"}
        | {"namespace": namespace},
        "type": "Normal",
        "reason": "Synced",
        "message": "3 refs moved",
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
    await adapter.record_event(event)
    (seen,) = kubectl("get", "events", "--field-selector=reason=Synced", "--output=json")["items"]
    assert seen["message"] == "3 refs moved"
    gone = "no-such-namespace"
    involved = {"kind": "RepositoryMirror", "name": "one", "namespace": gone}
    metadata = {"generateName": "one.", "namespace": gone}
    await adapter.record_event({**event, "metadata": metadata, "involvedObject": involved})


async def test_a_lease_has_one_winner(adapter: Cluster, namespace: str) -> None:
    assert await adapter.read_lease(namespace, "leader") is None
    created = await asyncio.gather(*(adapter.create_lease(lease(namespace, "leader", f"pod-{n}")) for n in range(4)))
    (first,) = [one for one in created if one is not None]
    read = await adapter.read_lease(namespace, "leader")
    assert read == first
    renewals = [{**first, "spec": {**first["spec"], "leaseTransitions": n}} for n in (1, 2, 3)]
    renewed = await asyncio.gather(*map(adapter.replace_lease, renewals))
    assert sum(one is not None for one in renewed) == 1
    unknown = {**first, "metadata": {**first["metadata"], "name": "unknown"}}
    assert await adapter.replace_lease(unknown) is None


async def test_the_resources_served(adapter: Cluster) -> None:
    assert {"onedevservers", "repositorymirrors", "starredrepossyncs"} <= await adapter.groups()


async def test_a_missing_right_is_named(nobody: Cluster, namespace: str) -> None:
    for act, said in (
        (nobody.read_secret(namespace, "some"), f"get on /api/v1/namespaces/{namespace}/secrets/some: .*nobody"),
        (nobody.create_job(job(namespace, "other")), f"create on /apis/batch/v1/namespaces/{namespace}/jobs: "),
        (nobody.patch_status("repositorymirrors", f"{namespace}/x", "1", {}), "patch on .*/repositorymirrors/x/status"),
        (nobody.delete_job(namespace, "other"), "delete on .*/jobs/other: .*cannot delete resource"),
        (nobody.read_lease(namespace, "leader"), "get on .*/leases/leader"),
    ):
        with pytest.raises(ClusterRefused, match=f"The chart's RBAC must allow {said}"):
            await act


async def test_a_manifest_that_is_illegal(adapter: Cluster, namespace: str) -> None:
    with pytest.raises(ClusterRefused, match=r"was answered 422: .*metadata\.name"):
        await adapter.create_job(job(namespace, "Not_A_Name"))
