"""The webhook's part of the chart: off until it is asked for, with rights of its own, and open to GitHub alone."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from github_onedev_sync.webhook.settings import Settings, read_settings

from .rendering import (
    CHART,
    GROUP,
    LONGEST_RELEASE,
    NAME,
    Helm,
    Objects,
    Render,
    Values,
    bound,
    environment,
    of_component,
    of_kind,
    pod,
    rights,
)
from .webhook_values import EVERYTHING, LEAST

FULL: Values = {
    "watchNamespaces": ["team-a", "team-b"],
    "imagePullSecrets": [{"name": "registry"}],
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "webhook": EVERYTHING,
}
RIGHTS = {
    (GROUP, "starredrepossyncs"): {"get", "list"},
    (GROUP, "ownedrepossyncs"): {"get", "list"},
    (GROUP, "repositorymirrors"): {"get", "list", "create", "patch"},
}
ACCOUNT = [{"kind": "ServiceAccount", "name": f"{NAME}-webhook", "namespace": "mirrors"}]


@pytest.fixture(scope="module")
def least(render: Render) -> Objects:
    return render({"webhook": LEAST})


@pytest.fixture(scope="module")
def full(render: Render) -> Objects:
    return render(FULL)


def only(objects: Objects, kind: str) -> dict[str, Any]:
    """The webhook's own."""
    (found,) = of_kind(of_component(objects, "webhook"), kind)
    return found


def kinds(objects: Objects) -> list[str]:
    return sorted(item["kind"] for item in objects if "-webhook" in item["metadata"]["name"])


# --- what is there


def test_it_is_off_until_it_is_asked_for(render: Render) -> None:
    objects = render()
    assert not kinds(objects)
    assert "WEBHOOK_URL" not in environment(objects)


def test_what_is_there_when_it_is_on(least: Objects) -> None:
    assert kinds(least) == [
        "ClusterRole", "ClusterRoleBinding", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount",
    ]  # fmt: skip


def test_everything_that_can_be_there(full: Objects) -> None:
    assert kinds(full) == [
        "Deployment", "HorizontalPodAutoscaler", "Ingress", "NetworkPolicy", "PodDisruptionBudget", "Role", "Role",
        "RoleBinding", "RoleBinding", "Service", "Service", "ServiceAccount", "ServiceMonitor",
        "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    ]  # fmt: skip


@pytest.mark.parametrize("values", [{"webhook": LEAST}, FULL], ids=["least", "everything"])
def test_lint(values: Values, helm: Helm) -> None:
    done = helm("lint", "--strict", str(CHART), values=values)
    assert done.returncode == 0, done.stdout + done.stderr


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in ("requests", "limits"):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value


def test_every_value_has_another_than_its_default_here() -> None:
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())["webhook"]
    for path, default in leaves(defaults):
        ours: Any = EVERYTHING
        for name in path.split("."):
            ours = ours[name]
        # The one that is on already is turned off by a test of its own.
        assert ours != default or path == "podDisruptionBudget.enabled", path


# --- rights


def test_rights_over_the_whole_cluster(least: Objects) -> None:
    assert rights(only(least, "ClusterRole")) == RIGHTS
    assert bound(of_component(least, "webhook")) == {("ClusterRole", f"{NAME}-webhook", ""): ACCOUNT}


def test_rights_in_named_namespaces(full: Objects) -> None:
    roles = of_kind(of_component(full, "webhook"), "Role")
    assert {role["metadata"]["namespace"]: rights(role) for role in roles} == {"team-a": RIGHTS, "team-b": RIGHTS}
    assert not of_kind(of_component(full, "webhook"), "ClusterRole", "ClusterRoleBinding")
    assert bound(of_component(full, "webhook")) == {
        ("Role", f"{NAME}-webhook", "team-a"): ACCOUNT,
        ("Role", f"{NAME}-webhook", "team-b"): ACCOUNT,
    }


def test_nobody_else_has_its_account(full: Objects) -> None:
    assert pod(full, "webhook")["serviceAccountName"] == f"{NAME}-webhook"
    assert pod(full)["serviceAccountName"] == f"{NAME}-controller"
    assert [name for (_, name, _), subjects in bound(full).items() if subjects == ACCOUNT] == [f"{NAME}-webhook"] * 2


# --- the pod


class Recorder(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_the_pod_reads_the_defaults_of_its_own_settings(least: Objects) -> None:
    assert read_settings(environment(least, "webhook")) == Settings(log_format="json", log_level="info")


def test_every_value_reaches_the_pod_s_settings(full: Objects) -> None:
    told = Recorder(environment(full, "webhook"))
    assert told.pop("HTTPS_PROXY") == "http://proxy:3128"
    assert read_settings(told) == Settings(
        path="/github",
        watch_namespaces=("team-a", "team-b"),
        rate_limit=2_000_000,
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")),
        allow_list=True,
        meta_url="https://github.example.com/api/v3/meta",
        certificate=Path("/etc/github-onedev-sync/webhook-tls/tls.crt"),
        key=Path("/etc/github-onedev-sync/webhook-tls/tls.key"),
        max_connections=50,
        log_format="console",
        log_level="debug",
    )
    assert told.keys() == told.asked, "the chart sets what is read, and all of it"


def test_the_controller_is_told_the_address(full: Objects) -> None:
    assert environment(full)["WEBHOOK_URL"] == EVERYTHING["url"]


def test_the_pod_has_the_two_keys_of_the_secret_and_the_certificate(full: Objects) -> None:
    spec = pod(full, "webhook")
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert [
        (one["secret"]["name"], one["secret"]["items"], one["secret"].get("optional", False))
        for one in volumes["secret"]["projected"]["sources"]
    ] == [
        ("github-webhook", [{"key": "secret", "path": "secret"}], False),
        ("github-webhook", [{"key": "previousSecret", "path": "previousSecret"}], True),
    ]
    assert volumes["tls"]["secret"] == {"secretName": "certificate", "defaultMode": 0o440}
    (container,) = spec["containers"]
    settings = read_settings(environment(full, "webhook"))
    mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounted["secret"]["mountPath"] == str(settings.secret_folder)
    assert settings.certificate
    assert mounted["tls"]["mountPath"] == str(settings.certificate.parent)
    assert mounted["secret"]["readOnly"]


def test_without_a_certificate_none_is_mounted(least: Objects) -> None:
    assert [volume["name"] for volume in pod(least, "webhook")["volumes"]] == ["secret", "tmp"]


def test_the_pod_is_restricted(least: Objects) -> None:
    spec = pod(least, "webhook")
    (container,) = spec["containers"]
    (controller,) = pod(least)["containers"]
    assert spec["securityContext"] == pod(least)["securityContext"]
    assert container["securityContext"] == controller["securityContext"]
    assert (container["image"], container["imagePullPolicy"]) == (controller["image"], controller["imagePullPolicy"])
    assert container["args"] == ["webhook"]
    assert container["resources"]["limits"] == {"memory": "512Mi"}


def test_probes_ask_the_second_port(least: Objects) -> None:
    (container,) = pod(least, "webhook")["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = read_settings(environment(least, "webhook"))
    assert ports == {"webhook": settings.port, "admin": settings.http_port}
    assert container["startupProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "admin"}


def test_a_new_version_takes_over_without_a_gap(least: Objects) -> None:
    spec = only(least, "Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    told = pod(least, "webhook")
    (container,) = told["containers"]
    # The server waits 15 s for its requests, and 5 s more for what they began.
    assert told["terminationGracePeriodSeconds"] > container["lifecycle"]["preStop"]["sleep"]["seconds"] + 15 + 5


def test_replicas_are_spread_over_nodes(least: Objects) -> None:
    (spread,) = pod(least, "webhook")["topologySpreadConstraints"]
    labels = only(least, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"]["matchLabels"].items() <= labels.items()


def test_every_value_of_the_pod_reaches_it(full: Objects) -> None:
    spec = pod(full, "webhook")
    for field in ("nodeSelector", "tolerations", "affinity", "topologySpreadConstraints", "priorityClassName"):
        assert spec[field] == EVERYTHING[field]
        assert field not in pod(full), "the controller's are its own"
    assert spec["imagePullSecrets"] == FULL["imagePullSecrets"]
    (container,) = spec["containers"]
    assert container["resources"] == EVERYTHING["resources"]
    metadata = only(full, "Deployment")["spec"]["template"]["metadata"]
    assert metadata["labels"]["team"] == "a"
    assert metadata["annotations"]["example.com/a"] == "b"


def test_own_labels_cannot_break_the_selector(render: Render) -> None:
    objects = render({"webhook": {**LEAST, "podLabels": {"app.kubernetes.io/component": "mine"}}})
    spec = only(objects, "Deployment")["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


# --- the way to it


def test_the_service_leads_to_the_webhook_s_port_alone(least: Objects, full: Objects) -> None:
    service = only(least, "Service")
    labels = only(least, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    port = {"name": "webhook", "port": 80, "targetPort": "webhook", "protocol": "TCP", "appProtocol": "http"}
    assert (service["spec"]["type"], service["spec"]["ports"]) == ("ClusterIP", [port])

    service = only(full, "Service")
    assert service["metadata"]["annotations"] == EVERYTHING["service"]["annotations"]
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    port |= {"port": 443, "appProtocol": "https"}
    assert (service["spec"]["type"], service["spec"]["ports"]) == ("LoadBalancer", [port])


def test_no_selector_takes_another_s_pods(full: Objects) -> None:
    def labels(component: str) -> dict[str, str]:
        (deployment,) = of_kind(of_component(full, component), "Deployment")
        found: dict[str, str] = deployment["spec"]["template"]["metadata"]["labels"]
        return found

    for item in of_kind(full, "Service"):
        component = item["metadata"]["name"].removeprefix(f"{NAME}-").removesuffix("-admin")
        other = {"controller": "webhook", "webhook": "controller"}[component]
        assert item["spec"]["selector"].items() <= labels(component).items()
        assert not item["spec"]["selector"].items() <= labels(other).items()


def test_the_ingress_leads_to_the_service(full: Objects) -> None:
    ingress, service = only(full, "Ingress"), only(full, "Service")
    assert ingress["metadata"]["annotations"] == EVERYTHING["ingress"]["annotations"]
    backend = {"service": {"name": service["metadata"]["name"], "port": {"name": "webhook"}}}
    path = {"path": "/hooks/github", "pathType": "Exact", "backend": backend}
    assert ingress["spec"] == {
        "ingressClassName": "nginx",
        "rules": [{"host": "mirror.example.com", "http": {"paths": [path]}}],
        "tls": [{"hosts": ["mirror.example.com"], "secretName": "ingress-certificate"}],
    }


def test_an_ingress_needs_no_more_than_a_host(render: Render) -> None:
    objects = render({"webhook": {**LEAST, "ingress": {"enabled": True, "host": "mirror.example.com"}}})
    spec = only(objects, "Ingress")["spec"]
    assert spec.keys() == {"rules"}
    (rule,) = spec["rules"]
    assert rule["http"]["paths"][0]["path"] == "/webhook"


def test_metrics_are_read_at_the_second_port_of_every_pod(full: Objects) -> None:
    (service,) = (item for item in of_kind(full, "Service") if item["metadata"]["name"] == f"{NAME}-webhook-admin")
    assert service["spec"]["clusterIP"] == "None"
    monitor = only(full, "ServiceMonitor")
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert not monitor["spec"]["selector"]["matchLabels"].items() <= only(full, "Service")["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": "admin", "path": "/metrics", "interval": "30s"}]


def test_the_network_policy_lets_in_deliveries_and_out_what_they_need(full: Objects) -> None:
    spec, told = only(full, "NetworkPolicy")["spec"], EVERYTHING["networkPolicy"]
    assert spec["podSelector"] == only(full, "Deployment")["spec"]["selector"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [
        {"ports": [{"port": "webhook", "protocol": "TCP"}], "from": told["from"]},
        {"ports": [{"port": "admin", "protocol": "TCP"}], "from": told["metricsFrom"]},
    ]
    assert spec["egress"] == [
        {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
        {"ports": [{"port": 6443, "protocol": "TCP"}], "to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}]},
        {"ports": [{"port": 443, "protocol": "TCP"}]},
    ]


def test_by_itself_the_network_policy_keeps_the_second_port_and_github_out(render: Render) -> None:
    spec = only(render({"webhook": {**LEAST, "networkPolicy": {"enabled": True}}}), "NetworkPolicy")["spec"]
    assert spec["ingress"] == [{"ports": [{"port": "webhook", "protocol": "TCP"}]}]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [[53, 53], [443, 6443]]


# --- how many


def test_the_autoscaler_has_the_say_over_replicas(full: Objects) -> None:
    assert "replicas" not in only(full, "Deployment")["spec"]
    spec = only(full, "HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"]["name"] == only(full, "Deployment")["metadata"]["name"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 12)
    assert spec["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}


def test_draining_nodes_leaves_one(least: Objects, full: Objects, render: Render) -> None:
    budget = only(least, "PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"] == only(least, "Deployment")["spec"]["selector"]
    assert only(full, "PodDisruptionBudget")["spec"]["maxUnavailable"] == "50%"
    off = render({"webhook": {**LEAST, "podDisruptionBudget": {"enabled": False}}})
    assert not of_kind(off, "PodDisruptionBudget")


# --- names and values


def test_names_stay_within_63_characters(render: Render) -> None:
    for item in render(FULL, release=LONGEST_RELEASE):
        assert len(item["metadata"]["name"]) <= 63 or item["kind"] == "CustomResourceDefinition"


def test_two_releases_do_not_collide(render: Render) -> None:
    def names(release: str) -> set[tuple[str, str]]:
        rendered = render({**FULL, "crds": {"enabled": False}}, release=release)
        return {(item["kind"], item["metadata"]["name"]) for item in rendered}

    assert not names("one") & names("two")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"secretName": ""}, "webhook.secretName is needed: the Secret whose key"),
        ({"url": ""}, "webhook.url is needed: the public address"),
        ({"ingress": {"enabled": True}}, "webhook.ingress.host is needed"),
        ({"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}}, "resources.requests.cpu is nee"),
        ({"autoscaling": {"enabled": True, "minReplicas": 9}}, "minReplicas must be at most maxReplicas"),
        ({"networkPolicy": {"enabled": True}}, "webhook.networkPolicy.metricsFrom is needed"),
        ({"host": "x"}, "'host' not allowed"),
        ({"url": "mirror.example.com"}, "/webhook/url"),
        ({"secretName": "Not_a_name"}, "/webhook/secretName"),
        ({"path": "webhook"}, "/webhook/path"),
        ({"replicas": "2"}, "/webhook/replicas"),
        ({"autoscaling": {"max": 3}}, "'max' not allowed"),
        ({"rateLimitPerMinute": -1}, "/webhook/rateLimitPerMinute"),
        ({"maxConnections": 0}, "/webhook/maxConnections"),
        ({"trustedProxies": ["10.0.0.1"]}, "/webhook/trustedProxies"),
        ({"trustedProxies": "10.0.0.0/8"}, "/webhook/trustedProxies"),
        ({"tls": {"secret": "x"}}, "'secret' not allowed"),
        ({"logLevel": "loud"}, "/webhook/logLevel"),
        ({"resources": {"limit": {}}}, "'limit' not allowed"),
        ({"service": {"type": "ExternalName"}}, "/webhook/service/type"),
        ({"service": {"nodePort": 30000}}, "'nodePort' not allowed"),
        ({"ingress": {"hosts": ["x"]}}, "'hosts' not allowed"),
        ({"ingress": {"host": "*.example.com"}}, "/webhook/ingress/host"),
        ({"ingress": {"tls": [{"secretName": "x"}]}}, "/webhook/ingress/tls"),
        ({"podDisruptionBudget": {"minAvailable": 1}}, "'minAvailable' not allowed"),
        ({"podDisruptionBudget": {"maxUnavailable": "half"}}, "/webhook/podDisruptionBudget/maxUnavailable"),
        ({"networkPolicy": {"from": [{"cidr": "10.0.0.0/8"}]}}, "'cidr' not allowed"),
        ({"networkPolicy": {"apiServer": {"cidrs": ["10.1.2.3"]}}}, "/webhook/networkPolicy/apiServer/cidrs"),
        ({"admissionPolicy": True}, "/webhook/admissionPolicy"),
        ({"extraEnv": {"A": "b"}}, "/webhook/extraEnv"),
    ],
)
def test_wrong_values_are_refused_with_words(values: Values, words: str, helm: Helm) -> None:
    monitored = {"serviceMonitor": {"enabled": True}, "webhook": {**LEAST, **values}}
    done = helm("template", NAME, str(CHART), values=monitored)
    assert done.returncode != 0
    assert words in done.stderr


def test_the_values_in_the_docs_are_taken(render: Render) -> None:
    told = (CHART.parents[1] / "docs" / "operations.md").read_text()
    values = yaml.safe_load(told.partition("--values - <<END\n")[2].partition("END\n")[0])
    assert "Ingress" in kinds(render(values))
