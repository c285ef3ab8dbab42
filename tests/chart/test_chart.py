"""The chart as Helm renders it: what is installed, with which rights, and which values are refused."""

import json
from pathlib import Path

import pytest
import yaml

from github_onedev_sync import __version__

from .rendering import (
    CHART,
    GROUP,
    LONGEST_RELEASE,
    NAME,
    ROOT,
    Helm,
    Render,
    Values,
    bound,
    environment,
    of_kind,
    pod,
    rights,
)

CRDS = ROOT / "crds"

WORKER_ENV = [
    {"name": "HTTPS_PROXY", "value": 'http://u"ser:p$$w@proxy:3128'},
    {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
    {"name": "NO_PROXY", "value": "$(KUBERNETES_SERVICE_HOST),.svc"},
]

ALL_VALUES: Values = {
    "image": {"repository": "registry.example.com/mirror", "tag": "1.2.3", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "registry"}],
    "watchNamespaces": ["team-a", "team-b"],
    "controller": {"extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}], "logFormat": "console"},
    "worker": {
        "imagePullSecrets": ["a", "b"],
        "image": "registry.example.com/worker:1",
        "resources": {"limits": {"memory": "2Gi", "cpu": 2}},
        "startLimitSeconds": 1200,
        "extraEnv": WORKER_ENV,
        "nodeSelector": {"disk": "fast"},
        "tolerations": [{"key": "sync", "operator": "Equal", "value": "<yes>"}],
    },
    "networkPolicy": {"enabled": True},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "podAnnotations": {"example.com/a": "b"},
    "podLabels": {"team": "a"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "high",
}


@pytest.mark.parametrize("values", [{}, ALL_VALUES], ids=["defaults", "everything"])
def test_lint(values: Values, helm: Helm) -> None:
    done = helm("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plain_manifest_is_what_the_chart_renders(helm: Helm) -> None:
    """`manifests/install.yaml` is made with this command, and by no hand."""
    done = helm("template", NAME, str(CHART), f"--namespace={NAME}", "--set=namespace.create=true")
    assert (ROOT / "manifests" / "install.yaml").read_text() == done.stdout


# --- CRDs


@pytest.mark.parametrize("keep", [True, False])
def test_crds_are_those_of_the_project(keep: bool, render: Render) -> None:
    rendered = {
        item["metadata"]["name"]: item for item in of_kind(render({"crds": {"keep": keep}}), "CustomResourceDefinition")
    }
    sources = [yaml.safe_load(path.read_text()) for path in CRDS.glob("*.yaml")]
    assert {name: item["spec"] for name, item in rendered.items()} == {
        s["metadata"]["name"]: s["spec"] for s in sources
    }
    for item in rendered.values():
        assert item["metadata"].get("annotations", {}) == ({"helm.sh/resource-policy": "keep"} if keep else {})


def test_crds_can_be_left_out(render: Render) -> None:
    assert not of_kind(render({"crds": {"enabled": False}}), "CustomResourceDefinition")


def test_a_package_holds_the_crds(helm: Helm, tmp_path: Path) -> None:
    """They are a link in the checkout; a package must not depend on one."""
    assert helm("package", str(CHART), f"--destination={tmp_path}").returncode == 0
    (archive,) = tmp_path.glob("*.tgz")
    done = helm("template", NAME, str(archive))
    assert done.stdout.count("\nkind: CustomResourceDefinition\n") == len(list(CRDS.glob("*.yaml")))


# --- rights

OURS = ["onedevservers", "repositorymirrors", "starredrepossyncs", "ownedrepossyncs"]
CONTROLLER_RIGHTS = {
    **{(GROUP, kind): {"get", "list", "watch", "patch"} for kind in OURS},
    (GROUP, "repositorymirrors"): {"get", "list", "watch", "patch", "create", "delete"},
    **{(GROUP, f"{kind}/status"): {"patch"} for kind in OURS},
    **{(GROUP, f"{kind}/finalizers"): {"update"} for kind in OURS},
    ("batch", "jobs"): {"get", "list", "watch", "create", "delete"},
    ("", "pods"): {"get", "list", "watch"},
    ("", "secrets"): {"get", "create"},
    ("", "events"): {"create", "patch"},
}
LEASE_RIGHTS = {("coordination.k8s.io", "leases"): {"get", "create", "update"}}


CONTROLLER = [{"kind": "ServiceAccount", "name": f"{NAME}-controller", "namespace": "mirrors"}]


def test_rights_over_the_whole_cluster(render: Render) -> None:
    objects = render()
    roles = {
        (r["kind"], r["metadata"]["name"], r["metadata"].get("namespace", "")): r
        for r in of_kind(objects, "Role", "ClusterRole")
    }
    assert rights(roles["ClusterRole", f"{NAME}-controller", ""]) == CONTROLLER_RIGHTS
    assert rights(roles["Role", f"{NAME}-lease", "mirrors"]) == LEASE_RIGHTS
    assert bound(objects) == {
        ("ClusterRole", f"{NAME}-controller", ""): CONTROLLER,
        ("Role", f"{NAME}-lease", "mirrors"): CONTROLLER,
    }


def test_rights_in_named_namespaces(render: Render) -> None:
    objects = render({"watchNamespaces": ["team-a", "team-b"], "aggregateClusterRoles": False})
    assert not of_kind(objects, "ClusterRole", "ClusterRoleBinding")
    roles = {(r["metadata"]["name"], r["metadata"]["namespace"]): rights(r) for r in of_kind(objects, "Role")}
    assert roles == {
        (f"{NAME}-controller", "team-a"): CONTROLLER_RIGHTS,
        (f"{NAME}-controller", "team-b"): CONTROLLER_RIGHTS,
        (f"{NAME}-lease", "mirrors"): LEASE_RIGHTS,
    }
    assert bound(objects) == {
        ("Role", f"{NAME}-controller", "team-a"): CONTROLLER,
        ("Role", f"{NAME}-controller", "team-b"): CONTROLLER,
        ("Role", f"{NAME}-lease", "mirrors"): CONTROLLER,
    }


def test_people_s_rights_are_aggregated(render: Render) -> None:
    roles = {r["metadata"]["name"]: r for r in of_kind(render(), "ClusterRole")}
    view, edit = roles[f"{NAME}-view"], roles[f"{NAME}-edit"]
    assert rights(view) == {(GROUP, kind): {"get", "list", "watch"} for kind in OURS}
    assert rights(edit) == {(GROUP, kind): {"create", "update", "patch", "delete", "deletecollection"} for kind in OURS}
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert "rbac.authorization.k8s.io/aggregate-to-view" not in edit["metadata"]["labels"]
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"


def test_workers_have_an_account_without_rights_where_their_mirrors_are(render: Render) -> None:
    objects = render({"watchNamespaces": ["team-a", "team-b"]})
    workers = [a for a in of_kind(objects, "ServiceAccount") if a["metadata"]["name"] == f"{NAME}-worker"]
    assert [a["metadata"]["namespace"] for a in workers] == ["team-a", "team-b"]
    assert all(a["automountServiceAccountToken"] is False for a in workers)
    assert environment(objects)["WORKER_SERVICE_ACCOUNT"] == f"{NAME}-worker"
    subjects = [s["name"] for group in bound(objects).values() for s in group]
    assert f"{NAME}-worker" not in subjects


@pytest.mark.parametrize(("name", "account"), [("", "default"), ("mine", "mine")])
def test_over_all_namespaces_workers_use_an_account_that_is_there(name: str, account: str, render: Render) -> None:
    objects = render({"worker": {"serviceAccountName": name}})
    assert environment(objects)["WORKER_SERVICE_ACCOUNT"] == account
    assert len(of_kind(objects, "ServiceAccount")) == 1


# --- the controller's pod


def test_one_controller_at_a_time(render: Render) -> None:
    (deployment,) = of_kind(render(), "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert not of_kind(render(), "PodDisruptionBudget")


def test_the_pod_is_restricted(render: Render) -> None:
    spec = pod(render())
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert container["resources"]["requests"]["memory"] == "256Mi"
    assert container["resources"]["limits"] == {"memory": "512Mi"}
    assert spec["terminationGracePeriodSeconds"] == 30
    assert container["args"] == ["controller"]


def test_probes_ask_the_port_that_is_served(render: Render) -> None:
    (container,) = pod(render())["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8080, "protocol": "TCP"}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_the_controller_s_environment(render: Render) -> None:
    told = environment(render())
    assert json.loads(told.pop("WORKER_RESOURCES")) == {
        "requests": {"cpu": "100m", "memory": "128Mi"},
        "limits": {"memory": "1Gi"},
    }
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    assert told == {
        "POD_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
        "POD_NAME": {"fieldRef": {"fieldPath": "metadata.name"}},
        "WATCH_NAMESPACES": "",
        "WORKER_IMAGE": f"github-onedev-sync:{version}",
        "WORKER_IMAGE_PULL_POLICY": "IfNotPresent",
        "WORKER_IMAGE_PULL_SECRETS": "",
        "WORKER_SERVICE_ACCOUNT": "default",
        "WORKER_SCRATCH_SIZE_LIMIT": "10Gi",
        "WORKER_START_LIMIT_SECONDS": "120",
        "WORKER_ENV": "[]",
        "WORKER_NODE_SELECTOR": "{}",
        "WORKER_TOLERATIONS": "[]",
        "MAX_CONCURRENT_JOBS": "4",
        "MAX_CONCURRENT_PER_CREDENTIAL": "4",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "info",
        "HTTP_PORT": "8080",
    }


def test_every_value_reaches_its_place(render: Render) -> None:
    objects = render(ALL_VALUES)
    spec, told = pod(objects), environment(objects)
    (container,) = spec["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("registry.example.com/mirror:1.2.3", "Always")
    assert told["WORKER_IMAGE"] == "registry.example.com/worker:1"
    assert told["WORKER_IMAGE_PULL_POLICY"] == "Always"
    assert told["WORKER_IMAGE_PULL_SECRETS"] == "a,b"
    assert told["WATCH_NAMESPACES"] == "team-a,team-b"
    assert told["HTTPS_PROXY"] == "http://proxy:3128"
    assert told["LOG_FORMAT"] == "console"
    assert json.loads(told["WORKER_RESOURCES"])["limits"] == {"memory": "2Gi", "cpu": 2}
    assert told["WORKER_START_LIMIT_SECONDS"] == "1200"
    assert json.loads(told["WORKER_NODE_SELECTOR"]) == ALL_VALUES["worker"]["nodeSelector"]
    assert json.loads(told["WORKER_TOLERATIONS"]) == ALL_VALUES["worker"]["tolerations"]
    for field in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert spec[field] == ALL_VALUES[field]
    (deployment,) = of_kind(objects, "Deployment")
    metadata = deployment["spec"]["template"]["metadata"]
    assert metadata["labels"]["team"] == "a"
    assert metadata["annotations"]["example.com/a"] == "b"
    (monitor,) = of_kind(objects, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "30s"}]


def test_the_workers_environment_passes_the_controller_s_pod_unchanged(render: Render) -> None:
    """The kubelet expands $(NAME) and $$ in the controller's variables, and must not do so in what is the worker's."""
    told = environment(render(ALL_VALUES))["WORKER_ENV"]
    assert "$" not in told.replace("$$", "")
    assert json.loads(told.replace("$$", "$")) == WORKER_ENV


def test_own_labels_cannot_break_the_selector(render: Render) -> None:
    (deployment,) = of_kind(render({"podLabels": {"app.kubernetes.io/component": "mine"}}), "Deployment")
    assert (
        deployment["spec"]["selector"]["matchLabels"].items()
        <= deployment["spec"]["template"]["metadata"]["labels"].items()
    )


def test_what_is_off_is_not_there(render: Render) -> None:
    assert not of_kind(render(), "NetworkPolicy", "ServiceMonitor", "Namespace")


def test_network_policies_follow_the_pods(render: Render) -> None:
    policies = {
        (p["metadata"]["name"], p["metadata"]["namespace"]): p["spec"]
        for p in of_kind(render(ALL_VALUES), "NetworkPolicy")
    }
    assert set(policies) == {
        (f"{NAME}-controller", "mirrors"), (f"{NAME}-worker", "team-a"), (f"{NAME}-worker", "team-b"),
    }  # fmt: skip
    worker = policies[f"{NAME}-worker", "team-a"]
    assert worker["podSelector"] == {"matchLabels": {f"{GROUP}/component": "sync"}}
    assert (worker["policyTypes"], worker.get("ingress")) == (["Ingress", "Egress"], None)
    ports = [rule["port"] for rule in worker["egress"][0]["ports"]]
    assert ports == [53, 53, 80, 443, 6443, 6610]


def test_the_service_finds_the_controller(render: Render) -> None:
    objects = render()
    (service,), (deployment,) = of_kind(objects, "Service"), of_kind(objects, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["ports"] == [{"name": "http", "port": 8080, "targetPort": "http", "protocol": "TCP"}]


# --- names and values


@pytest.mark.parametrize(
    "values",
    [ALL_VALUES, {"fullnameOverride": "f" * 63}, {"nameOverride": "n" * 63, "networkPolicy": {"enabled": True}}],
    ids=["release", "fullname", "name"],
)
def test_names_and_labels_stay_within_63_characters(values: Values, render: Render) -> None:
    for item in render(values, release=LONGEST_RELEASE):
        if item["kind"] != "CustomResourceDefinition":
            assert len(item["metadata"]["name"]) <= 63
        labels = item["metadata"]["labels"] | item.get("spec", {}).get("template", {}).get("metadata", {}).get(
            "labels", {}
        )
        assert all(len(value) <= 63 for value in labels.values())


def test_two_releases_do_not_collide(render: Render) -> None:
    def names(release: str) -> set[tuple[str, str]]:
        return {(o["kind"], o["metadata"]["name"]) for o in render({"crds": {"enabled": False}}, release=release)}

    assert not names("one") & names("two")


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"replicaCount": 2}, "replicaCount"),
        ({"image": {"name": "x"}}, "name"),
        ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
        ({"crds": {"install": True}}, "install"),
        ({"watchNamespaces": "default"}, "watchNamespaces"),
        ({"watchNamespaces": ["Team_A"]}, "watchNamespaces"),
        ({"watchNamespaces": ["a", "a"]}, "watchNamespaces"),
        ({"controller": {"maxConcurrentJobs": 0}}, "maxConcurrentJobs"),
        ({"controller": {"logFormat": "xml"}}, "logFormat"),
        ({"controller": {"logLevel": "loud"}}, "logLevel"),
        ({"controller": {"resources": {"limit": {}}}}, "limit"),
        ({"controller": {"extraEnv": [{"value": "x"}]}}, "extraEnv"),
        ({"worker": {"scratchSizeLimit": "lots"}}, "scratchSizeLimit"),
        ({"worker": {"resources": {"limits": {"memory": "much"}}}}, "memory"),
        ({"worker": {"startLimitSeconds": 0}}, "startLimitSeconds"),
        ({"worker": {"startLimitSeconds": "2m"}}, "startLimitSeconds"),
        ({"worker": {"extraEnv": {"HTTPS_PROXY": "x"}}}, "extraEnv"),
        ({"worker": {"extraEnv": [{"name": "A", "value": 1}]}}, "extraEnv"),
        ({"worker": {"nodeSelector": {"a": True}}}, "nodeSelector"),
        ({"worker": {"tolerations": {}}}, "tolerations"),
        ({"networkPolicy": {"egressPorts": [0]}}, "egressPorts"),
        ({"service": {"port": 70000}}, "port"),
        ({"podLabels": {"a": 1}}, "podLabels"),
    ],
)
def test_wrong_values_are_refused_by_name(values: Values, word: str, helm: Helm) -> None:
    done = helm("template", NAME, str(CHART), values=values)
    assert done.returncode != 0
    assert word in done.stderr


def test_every_value_is_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert set(values) | {"global"} == set(schema["properties"])
    todo = [(name, value, schema["properties"][name]) for name, value in values.items()]
    while todo:
        name, value, part = todo.pop()
        if isinstance(value, dict) and part.get("properties"):
            assert set(value) == set(part["properties"]), name
            todo += [(f"{name}.{inner}", value[inner], part["properties"][inner]) for inner in value]


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == __version__


def test_the_notes_tell_the_next_steps() -> None:
    assert "kubectl create secret" in (CHART / "templates" / "NOTES.txt").read_text()
