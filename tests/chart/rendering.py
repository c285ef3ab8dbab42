"""What the tests of the chart share: how Helm renders it, and how to look at what came of it."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "github-onedev-sync"
NAME = "github-onedev-sync"
GROUP = "github-onedev-sync.io"
LONGEST_RELEASE = "r" * 53

Values = dict[str, Any]
Helm = Callable[..., CompletedProcess[str]]
Objects = list[dict[str, Any]]
Render = Callable[..., Objects]


def of_kind(objects: Objects, *kinds: str) -> Objects:
    return [item for item in objects if item["kind"] in kinds]


def of_component(objects: Objects, component: str) -> Objects:
    """Those whose name ends so."""
    return [item for item in objects if item["metadata"]["name"].endswith(f"-{component}")]


def pod(objects: Objects, component: str = "controller") -> dict[str, Any]:
    (deployment,) = of_kind(of_component(objects, component), "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def environment(objects: Objects, component: str = "controller") -> dict[str, Any]:
    (container,) = pod(objects, component)["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def rights(role: dict[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Verbs by group and resource; a rule for the same resource twice would show as a missing verb."""
    return {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def bound(objects: Objects) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The subjects of every binding, by kind of role, name and namespace of the binding."""
    return {
        (b["roleRef"]["kind"], b["roleRef"]["name"], b["metadata"].get("namespace", "")): b["subjects"]
        for b in of_kind(objects, "RoleBinding", "ClusterRoleBinding")
    }
