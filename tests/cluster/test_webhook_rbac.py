"""The webhook's account on the real API server: it can do what deliveries want, and nothing else."""

import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_onedev_sync.adapters.cluster import Cluster as ClusterClient
from github_onedev_sync.api import children
from github_onedev_sync.api.errors import ClusterRefused
from github_onedev_sync.api.mirror import PLURAL
from github_onedev_sync.api.names import API_VERSION, APPROVE, FINALIZER, REQUESTED_AT, SYNC, field_manager
from github_onedev_sync.api.observed import ListedRepository
from github_onedev_sync.api.starred import StarredReposSync
from github_onedev_sync.webhook.build import Pod, build_pod
from github_onedev_sync.webhook.intents import Look, Offer
from github_onedev_sync.webhook.settings import Settings
from tests.chart.rendering import CHART, Objects, Values, of_component, of_kind
from tests.chart.webhook_values import EVERYTHING, LEAST
from tests.e2e.world import eventually
from tests.local_cluster.choice import Cluster, environment

from .bad_manifests import manifest

pytestmark = pytest.mark.cluster

CRDS = Path(__file__).parents[2] / "crds"
OCTOCAT = 583231
RIGHTS = {
    f"{verb} {kind}"
    for kind, verbs in (
        ("starredrepossyncs", "get list"),
        ("ownedrepossyncs", "get list"),
        ("repositorymirrors", "get list create patch"),
    )
    for verb in verbs.split()
}


@dataclass
class Place:
    """A release `name` in the namespace of the same name, that watches `here`; `elsewhere` is none of its business."""

    cluster: Cluster
    name: str

    @property
    def here(self) -> str:
        return f"{self.name}-here"

    @property
    def elsewhere(self) -> str:
        return f"{self.name}-elsewhere"

    @property
    def account(self) -> str:
        return f"system:serviceaccount:{self.name}:{self.name}-webhook"

    def run(self, *command: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        text = stdin if stdin is None or isinstance(stdin, str) else json.dumps(stdin)
        return subprocess.run(
            command, env=environment(self.cluster), input=text, capture_output=True, text=True, timeout=60
        )

    def must(self, *command: str, stdin: Any = None) -> str:
        done = self.run(*command, stdin=stdin)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def rendered(self, release: str, values: Values) -> Objects:
        """The chart as `release`, which is also the beginning of all names."""
        told = {"crds": {"enabled": False}, "aggregateClusterRoles": False, "fullnameOverride": release, **values}
        command = ("helm", "template", release, str(CHART), f"--namespace={self.name}", "--values=-")
        return [item for item in yaml.safe_load_all(self.must(*command, stdin=told)) if item]

    def apply(self, objects: Objects) -> None:
        self.must("kubectl", "apply", "-f", "-", stdin={"kind": "List", "apiVersion": "v1", "items": objects})

    def tried(self, *arguments: str, account: str | None = None, stdin: Any = None) -> str:
        """What kubectl says on stderr, empty where it went well."""
        done = self.run("kubectl", f"--as={account or self.account}", *arguments, stdin=stdin)
        return done.stderr if done.returncode else ""

    def rights(self, account: str, namespace: str) -> set[str]:
        """Every `verb resource` that the API server knows the account to have there, as it tells the account itself."""
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview"}
        told = self.must(
            *("kubectl", "create", "--validate=false", "-f", "-", "-o", "json", f"--as={account}"),
            stdin={**review, "spec": {"namespace": namespace}},
        )
        status = json.loads(told)["status"]
        assert not status["incomplete"]
        return {
            f"{verb} {resource}"
            for rule in status["resourceRules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> Iterator[Place]:
    found = Place(cluster, f"rights-{uuid.uuid4().hex[:8]}")
    found.must("kubectl", "apply", "--server-side", "--force-conflicts", "-f", str(CRDS))
    found.must("kubectl", "wait", "--for=condition=Established", "--timeout=30s", "-f", str(CRDS))
    warned = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    namespaces = [found.name, found.here, found.elsewhere]
    metadata = [{"name": name, "labels": warned} for name in namespaces]
    found.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": one} for one in metadata])
    values = {"watchNamespaces": [found.here], "webhook": LEAST}
    rendered = of_component(found.rendered(found.name, values), "webhook")
    found.apply(of_kind(rendered, "ServiceAccount", "Role", "RoleBinding"))
    yield found
    found.must("kubectl", "delete", "namespace", *namespaces, "--wait=false")


def mirror(place: Place, name: str, change: dict[str, Any] | None = None) -> dict[str, Any]:
    made = manifest("RepositoryMirror", name, change or {})
    made["metadata"]["namespace"] = place.here
    return made


# --- what it may


def test_its_rights_are_these_and_no_others(place: Place) -> None:
    """Beyond what every account may ask about itself."""
    anybody = place.rights(f"system:serviceaccount:{place.name}:nobody", place.here)
    assert place.rights(place.account, place.here) - anybody == RIGHTS
    for namespace in (place.elsewhere, place.name, "kube-system"):
        assert place.rights(place.account, namespace) == anybody


def test_over_the_whole_cluster_they_are_the_same_everywhere(place: Place) -> None:
    release = f"{place.name}-all"
    objects = of_component(place.rendered(release, {"webhook": LEAST}), "webhook")
    rights = of_kind(objects, "ServiceAccount", "ClusterRole", "ClusterRoleBinding")
    account = f"system:serviceaccount:{place.name}:{release}-webhook"
    place.apply(rights)
    try:
        anybody = place.rights(f"system:serviceaccount:{place.name}:nobody", place.here)
        for namespace in (place.here, place.elsewhere, "kube-system"):
            assert place.rights(account, namespace) - anybody == RIGHTS
        assert not place.tried("get", "--raw", f"/apis/{API_VERSION}/repositorymirrors?limit=1", account=account)
        assert "cannot list" in place.tried("get", "--raw", "/api/v1/secrets?limit=1", account=account)
    finally:
        place.must("kubectl", "delete", "clusterrole,clusterrolebinding", f"{release}-webhook")


REFUSED = [
    ("get", "secrets", "here"),
    ("get", "secret/github", "here"),
    ("get", "secret/github-webhook", "own"),
    ("get", "configmaps", "here"),
    ("get", "pods", "own"),
    ("get", "jobs", "here"),
    ("get", "onedevservers", "here"),
    ("get", "repositorymirrors", "elsewhere"),
    ("get", "starredrepossyncs", "elsewhere"),
    ("get", "repositorymirrors --watch-only", "here"),
    ("delete", "repositorymirror/known", "here"),
    ("delete", "repositorymirrors --all", "here"),
    ("annotate", "starredrepossync/stars a=b", "here"),
    ("annotate", "onedevserver/default a=b", "here"),
    ("patch", "repositorymirror/known --subresource=status --type=merge -p {}", "here"),
    ("patch", "starredrepossync/stars --subresource=status --type=merge -p {}", "here"),
    ("create", "configmap made", "here"),
    ("create", "secret generic made", "here"),
    ("create", "serviceaccount made", "here"),
    ("create", "job made --image=x", "here"),
    ("create", "rolebinding made --clusterrole=admin --user=x", "here"),
    ("create", "token default", "here"),
    ("create", "namespace made", "here"),
]


@pytest.mark.parametrize(("verb", "what", "where"), REFUSED, ids=lambda word: word.replace(" ", "_"))
def test_it_is_refused_everything_else(verb: str, what: str, where: str, place: Place, known: str) -> None:
    namespace = {"here": place.here, "own": place.name, "elsewhere": place.elsewhere}[where]
    said = place.tried(verb, *what.split(), "-n", namespace)
    assert f'User "{place.account}" cannot' in said, said


def test_it_can_replace_no_mirror(place: Place, known: str) -> None:
    made = json.loads(place.must("kubectl", "-n", place.here, "get", "rmir", known, "-o", "json"))
    assert "cannot update" in place.tried("replace", "-f", "-", stdin=made)


# --- what deliveries want, by our own code with the account's token


@pytest.fixture(scope="module")
def known(place: Place) -> str:
    """A mirror whose repository was seen, and a sync whose account is pinned."""
    sync = manifest("StarredReposSync", "stars", {})
    server = manifest("OneDevServer", "default", {})
    for item in (sync, server):
        item["metadata"]["namespace"] = place.here
    place.apply([sync, server, mirror(place, "known", {"source.repository": "acme/known"})])
    kubectl = ("kubectl", "-n", place.here, "patch", "--subresource=status", "--type=merge")
    seen = {"status": {"source": {"id": 4711, "fullName": "acme/known"}}}
    place.must(*kubectl, "rmir", "known", "-p", json.dumps(seen))
    pinned = {"status": {"observedGeneration": 1, "account": {"id": OCTOCAT, "login": "octocat"}}}
    place.must(*kubectl, "starredrepossync", "stars", "-p", json.dumps(pinned))
    return "known"


@pytest.fixture
async def client(place: Place, tmp_path: Path) -> AsyncIterator[ClusterClient]:
    """The API server as the webhook pod reaches it."""
    account = f"{place.name}-webhook"
    token = place.must("kubectl", "-n", place.name, "create", "token", account, "--duration=10m").strip()
    kubeconfig = yaml.safe_load(place.cluster.kubeconfig.read_text())
    for user in kubeconfig["users"]:
        user["user"] = {"token": token}
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    found = await ClusterClient.connect(str(path))
    yield found
    await found.close()


@pytest.fixture
def pod(client: ClusterClient, place: Place, known: str) -> Pod:
    return build_pod(Settings(watch_namespaces=(place.here,)), client)


def annotations(place: Place, name: str) -> dict[str, str]:
    found = json.loads(place.must("kubectl", "-n", place.here, "get", "rmir", name, "-o", "json"))
    told: dict[str, str] = found["metadata"].get("annotations", {})
    return told


async def test_a_push_asks_the_mirror_to_look(pod: Pod, place: Place) -> None:
    done = await pod.receiver.acting.act([Look(4711)], "delivery-1")
    assert (done.looks, done.made) == (1, 0)
    assert annotations(place, "known")[REQUESTED_AT] == "delivery-1"


def starred(number: int, name: str) -> Offer:
    return Offer(OCTOCAT, True, ListedRepository(number, name), True, "api.github.com")


async def test_a_star_makes_a_mirror_and_a_second_copy_changes_nothing(pod: Pod, place: Place) -> None:
    done = await pod.receiver.acting.act([starred(815, "acme/starred")], "delivery-2")
    assert (done.looks, done.made) == (0, 1)
    command = ("kubectl", "-n", place.here, "get", "rmir", "acme-starred-815", "-o", "json")
    made = json.loads(place.must(*command))
    assert made["metadata"]["labels"][SYNC] == "srs.stars"
    done = await pod.receiver.acting.act([starred(815, "acme/starred")], "delivery-2")
    assert (done.looks, done.made) == (1, 0)
    assert json.loads(place.must(*command))["metadata"]["generation"] == made["metadata"]["generation"]


async def test_the_rights_are_those_that_readiness_asks_for(pod: Pod, client: ClusterClient, place: Place) -> None:
    await pod.syncs.refresh()
    assert pod.syncs.trouble == ""
    strange = build_pod(Settings(watch_namespaces=(place.elsewhere,)), client)
    with pytest.raises(ClusterRefused, match=r"The chart's RBAC must allow get on .*starredrepossyncs"):
        await strange.syncs.refresh()
    assert "The chart's RBAC must allow" in strange.syncs.trouble


# --- the policy that goes further than RBAC


@pytest.fixture(scope="module")
def policy(place: Place, known: str) -> Iterator[None]:
    values = {"watchNamespaces": [place.here], "webhook": {**LEAST, "admissionPolicy": {"enabled": True}}}
    kinds = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    place.apply(of_kind(place.rendered(place.name, values), *kinds))
    place.apply([mirror(place, "probe")])
    kubectl = ("-n", place.here, "label", "rmir", "probe", "--overwrite")
    # The API server takes a moment before it heeds it.
    eventually("the policy holds", lambda: place.tried(*kubectl, f"try={uuid.uuid4().hex}"), within=30)
    yield
    place.must("kubectl", "delete", ",".join(kinds).lower(), f"{place.name}-webhook")


FORBIDDEN = {
    "spec": {"spec": {"interval": "2h"}},
    "suspend": {"spec": {"suspend": True}},
    "deletion policy": {"spec": {"deletionPolicy": "Delete"}},
    "another host": {"spec": {"source": {"apiURL": "https://evil.example.com"}}},
    "label": {"metadata": {"labels": {"a": "b"}}},
    "label goes": {"metadata": {"labels": {"kept": None}}},
    "approval": {"metadata": {"annotations": {APPROVE: "sha256:0"}}},
    "annotation changes": {"metadata": {"annotations": {"kept": "other"}}},
    "annotation goes": {"metadata": {"annotations": {"kept": None}}},
    "annotation beside": {"metadata": {"annotations": {REQUESTED_AT: "x", "a": "b"}}},
    "finalizer": {"metadata": {"finalizers": [FINALIZER]}},
    "owner": {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "b"}]}},
}


@pytest.fixture(scope="module")
def guarded(place: Place, policy: None) -> str:
    made = mirror(place, "guarded")
    made["metadata"] |= {"labels": {"kept": "yes"}, "annotations": {"kept": "yes"}}
    place.apply([made])
    return "guarded"


def patched(place: Place, name: str, patch: Any, account: str | None = None) -> str:
    arguments = ("-n", place.here, "patch", "rmir", name, "--type=merge", "-p", json.dumps(patch))
    return place.tried(*arguments, account=account)


@pytest.mark.parametrize("patch", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_policy_refuses_every_other_change(patch: dict[str, Any], place: Place, guarded: str) -> None:
    said = patched(place, guarded, patch)
    assert f"the webhook may change nothing in a mirror but its annotation {REQUESTED_AT}" in said, said


async def test_under_the_policy_deliveries_do_their_work(pod: Pod, place: Place, guarded: str) -> None:
    for token in ("first", "second"):
        assert not patched(place, guarded, {"metadata": {"annotations": {REQUESTED_AT: token}}})
    assert annotations(place, guarded) == {**annotations(place, guarded), "kept": "yes", REQUESTED_AT: "second"}
    # Where there was no annotation at all.
    done = await pod.receiver.acting.act([starred(816, "acme/guarded")], "delivery-3")
    assert done.made == 1
    done = await pod.receiver.acting.act([Look(816)], "delivery-4")
    assert done.looks == 1
    assert annotations(place, "acme-guarded-816")[REQUESTED_AT] == "delivery-4"


async def test_under_the_policy_two_replicas_may_make_the_same_mirror(
    pod: Pod, client: ClusterClient, place: Place, guarded: str
) -> None:
    [sync] = await pod.syncs.of_account(StarredReposSync, OCTOCAT)
    wanted = children.held(sync, ListedRepository(817, "acme/twice"))
    made = [await client.apply(PLURAL, wanted, field_manager(sync.short, sync.metadata.name)) for _ in range(2)]
    first, second = (body["metadata"]["resourceVersion"] for body in made if body)
    assert first == second


def test_the_policy_is_about_nobody_else(place: Place, guarded: str) -> None:
    done = place.run("kubectl", "-n", place.here, "label", "rmir", guarded, "by=person")
    assert done.returncode == 0, done.stderr


# --- everything that the chart can render


@pytest.mark.parametrize("release", ["least", "everything"])
def test_the_api_server_takes_all_of_it(release: str, place: Place) -> None:
    """But for ServiceMonitors, which are Prometheus Operator's."""
    webhook = {"least": LEAST, "everything": EVERYTHING}[release]
    values = {
        "watchNamespaces": [place.here, place.elsewhere],
        "webhook": webhook,
        "serviceMonitor": {"enabled": True},
        "networkPolicy": {"enabled": True},
        "aggregateClusterRoles": True,
    }
    objects = place.rendered(f"{place.name}-{release}", values)
    items = [item for item in objects if item["kind"] != "ServiceMonitor"]
    assert len(items) < len(objects)
    done = place.run(
        *("kubectl", "create", "--dry-run=server", "--validate=strict", "-f", "-"),
        stdin={"kind": "List", "apiVersion": "v1", "items": items},
    )
    assert done.returncode == 0, done.stderr
    # Such as of a pod that the standard `restricted` would not let run.
    assert "would violate" not in done.stderr
    assert len(done.stdout.splitlines()) == len(items)
