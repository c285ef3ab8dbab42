"""Server-side apply on a real API server: a sync's mirrors, what people write on them, and other syncs."""

import json
from typing import Any

import pytest

from github_onedev_sync.adapters import cluster as cluster_module
from github_onedev_sync.adapters.cluster import Cluster
from github_onedev_sync.api import mirror, names
from github_onedev_sync.api.errors import ClusterRefused

from .conftest import Kubectl

pytestmark = pytest.mark.cluster

MINE, OTHER = names.field_manager("srs", "mine"), names.field_manager("srs", "other")
Manifest = dict[str, Any]


def covered(namespace: str, name: str, sync: str = "mine") -> Manifest:
    """A mirror that a sync only covers."""
    metadata = {"namespace": namespace, "name": name, "labels": {names.covered_by("srs", sync): "1"}}
    return {"apiVersion": names.API_VERSION, "kind": mirror.KIND, "metadata": metadata}


def held(namespace: str, name: str, sync: str = "mine", **spec: Any) -> Manifest:
    """A mirror that a sync has made."""
    manifest = covered(namespace, name, sync)
    manifest["metadata"]["labels"] |= {names.SYNC: f"srs.{sync}", names.REPOSITORY_ID: "7"}
    target = {"serverRef": {"name": "default"}, "project": "octo/public"}
    return {**manifest, "spec": {"source": {"repository": "octo/public"}, "target": target, "interval": "10m", **spec}}


async def apply(adapter: Cluster, manifest: Manifest, manager: str = MINE, **how: bool) -> Any:
    return await adapter.apply(mirror.PLURAL, manifest, manager, **how)


async def test_a_mirror_is_made_and_changed_and_the_same_again_is_nothing_new(adapter: Cluster, namespace: str) -> None:
    made = await apply(adapter, held(namespace, "made"))
    assert made["spec"]["interval"] == "10m"
    assert made["metadata"]["labels"][names.SYNC] == "srs.mine"
    again = await apply(adapter, held(namespace, "made"))
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    changed = await apply(adapter, held(namespace, "made", interval="20m"))
    assert changed["spec"]["interval"] == "20m"
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert changed["metadata"]["generation"] == made["metadata"]["generation"] + 1


async def test_what_a_person_has_set_stays(adapter: Cluster, kubectl: Kubectl, namespace: str) -> None:
    await apply(adapter, held(namespace, "edited"))
    patch = {"spec": {"interval": "1h"}, "metadata": {"labels": {names.REPOSITORY_ID: "8"}}}
    kubectl("patch", "rmir", "edited", "--type=merge", f"--patch={json.dumps(patch)}")
    again = await apply(adapter, held(namespace, "edited", interval="20m", timeout="2h"))
    assert (again["spec"]["interval"], again["spec"]["timeout"]) == ("1h", "2h")
    assert again["metadata"]["labels"][names.REPOSITORY_ID] == "8"
    assert again["metadata"]["labels"][names.SYNC] == "srs.mine"


async def test_a_person_s_mirror_is_covered_and_let_go_again(
    adapter: Cluster, kubectl: Kubectl, namespace: str
) -> None:
    theirs = held(namespace, "theirs")
    del theirs["metadata"]["labels"]
    before = kubectl("create", "--filename=-", "--output=json", stdin=theirs)
    label = names.covered_by("srs", "mine")
    with_label = await apply(adapter, covered(namespace, "theirs"))
    assert with_label["metadata"]["labels"] == {label: "1"}
    assert with_label["spec"] == before["spec"]
    without = covered(namespace, "theirs")
    del without["metadata"]["labels"]
    left = await apply(adapter, without)
    assert not left["metadata"].get("labels")
    assert left["spec"] == before["spec"]


async def test_two_syncs_share_a_mirror_and_one_takes_it_over(adapter: Cluster, namespace: str) -> None:
    first = await apply(adapter, held(namespace, "shared"))
    assert await apply(adapter, held(namespace, "shared", "other", interval="20m"), OTHER) is None
    both = await apply(adapter, covered(namespace, "shared", "other"), OTHER)
    assert (
        both["metadata"]["labels"].items()
        >= {
            names.covered_by("srs", "mine"): "1",
            names.covered_by("srs", "other"): "1",
            names.SYNC: "srs.mine",
        }.items()
    )
    assert both["spec"] == first["spec"]
    taken = await apply(adapter, held(namespace, "shared", "other", interval="20m"), OTHER, take_over=True)
    assert taken["metadata"]["labels"][names.SYNC] == "srs.other"
    assert taken["spec"]["interval"] == "20m"
    # The former holder is told so, and stays content with covering it.
    assert await apply(adapter, held(namespace, "shared")) is None
    assert (await apply(adapter, covered(namespace, "shared")))["spec"] == taken["spec"]


async def test_a_mirror_that_is_illegal_is_refused_in_the_api_server_s_own_words(
    adapter: Cluster, namespace: str
) -> None:
    for spec in ({"onRewrite": "Sometimes"}, {"source": {"repository": "no-slash"}}):
        with pytest.raises(ClusterRefused, match=r"was answered 422: .*spec\."):
            await apply(adapter, held(namespace, "illegal", **spec))
    with pytest.raises(ClusterRefused, match=r"was answered 422: .*metadata\.name"):
        await apply(adapter, held(namespace, "Not_A_Name"))
    assert await adapter.read_resource(mirror.PLURAL, f"{namespace}/illegal") is None


async def test_all_of_a_kind_are_listed_chunk_by_chunk(
    adapter: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {f"listed-{number}" for number in range(5)}
    for name in wanted:
        await apply(adapter, held(namespace, name))
    with monkeypatch.context() as small:
        small.setattr(cluster_module, "_CHUNK", 2)
        here = [body["metadata"]["name"] async for body in adapter.list_resources(mirror.PLURAL, namespace)]
    assert wanted <= set(here)
    assert len(here) == len(set(here))
    everywhere = {
        (body["metadata"]["namespace"], body["metadata"]["name"])
        async for body in adapter.list_resources(mirror.PLURAL, "")
    }
    assert {(namespace, name) for name in here} <= everywhere


async def test_only_the_very_mirror_that_was_meant_is_deleted(adapter: Cluster, namespace: str) -> None:
    made = await apply(adapter, held(namespace, "deleted"))
    key, uid = f"{namespace}/deleted", made["metadata"]["uid"]
    await adapter.delete_resource(mirror.PLURAL, key, "00000000-0000-0000-0000-000000000000")
    assert await adapter.read_resource(mirror.PLURAL, key) is not None
    await adapter.delete_resource(mirror.PLURAL, key, uid)
    assert await adapter.read_resource(mirror.PLURAL, key) is None
    await adapter.delete_resource(mirror.PLURAL, key, uid)
