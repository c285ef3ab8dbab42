"""Installed with Helm as people do: the controller in its pod with its own rights, GitHub and OneDev in theirs."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local_cluster.choice import Cluster

from .installed import Installed, installation
from .world import GROUP, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.pods]

RUN = f"{GROUP}/run"


@pytest.fixture(scope="module")
def installed(cluster: Cluster, worker_image: str, crds: None, folder: Path) -> Iterator[Installed]:
    with installation(cluster, "install", folder) as found:
        found.install(worker_image)
        yield found


def test_a_mirror_runs_in_a_restricted_namespace_and_both_logs_tell_of_it(installed: Installed) -> None:
    world = installed.world
    world.secret("github", token="github-stand-in-token")
    world.secret("onedev", token="onedev-stand-in-token")
    world.server("default")
    world.wait_for("ods", "default", "Ready", "True")
    # A run that fails leaves its pod and log behind.
    refuse = {"method": "POST", "path": "git-receive-pack", "status": 500, "count": None}
    fault = installed.steer("onedev", "faults", refuse)
    world.mirror("installed", "demo/one-commit")
    world.wait_failed("installed", "TargetUnavailable", "500")
    job = world.get("rmir", "installed")["status"]["history"][0]["job"]
    [pod] = world.items("pods", f"--selector=job-name={job}")
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["serviceAccountName"] == f"{installed.name}-worker"
    mounted = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
    assert not [path for path in mounted if "serviceaccount" in path]

    run = pod["metadata"]["labels"][RUN]
    told = [json.loads(line) for line in world.kubectl("logs", f"job/{job}").splitlines()]
    assert told
    assert {line["run"] for line in told} == {run}
    decided = installed.run("kubectl", "-n", installed.name, "logs", f"deployment/{installed.name}-controller")
    lines = [json.loads(line) for line in decided.splitlines()]
    assert [line for line in lines if line.get("run") == run and line["reason"] == "TargetUnavailable"]
    assert "stand-in-token" not in decided

    path = f"/api/v1/namespaces/{installed.outside}/services/onedev:http/proxy/_stand-in/faults?id={fault['id']}"
    installed.run("kubectl", "delete", "--raw", path)
    world.ask("installed")
    mirror = world.wait_ready("installed")
    assert mirror["status"]["refs"]["total"] == 1
    held = installed.act("onedev", "refs", project="github/demo/one-commit")
    wanted = installed.act("github", "refs", repository="demo/one-commit")
    assert {name: oid for name, oid in held.items() if name.startswith("refs/heads/")} == wanted
    assert world.condition("rmir", "installed", "Verified")["status"] == "True"


def test_the_metrics_count_it(installed: Installed) -> None:
    address = f"/api/v1/namespaces/{installed.name}/services/{installed.name}-controller:http/proxy/metrics"
    metrics = installed.run("kubectl", "get", "--raw", address)
    counts = [line for line in metrics.splitlines() if line.startswith("github_onedev_sync_resources{")]
    assert [line for line in counts if 'kind="RepositoryMirror"' in line and "True" in line and line.endswith(" 1.0")]


def test_an_archived_tip_comes_back_from_the_controllers_pod(installed: Installed) -> None:
    """As docs/history.md tells: the token by standard input."""
    world, name, project = installed.world, installed.name, "github/demo/one-commit"
    installed.act("github", "force_push", repository="demo/one-commit")
    world.ask("installed")
    eventually("a tip was archived", lambda: world.get("rmir", "installed")["status"]["refs"]["archived"] == 1)

    def restore(*arguments: str) -> str:
        exec_in_pod = ("kubectl", "-n", name, "exec", "-i", f"deployment/{name}-controller", "--")
        command = ("python", "-m", "github_onedev_sync", "restore", "--insecure", f"--server={world.onedev.url}")
        where = (f"--project={project}", "--token-file=-")
        return installed.run(*exec_in_pod, *command, *where, *arguments, input="onedev-stand-in-token")

    _, row = restore("--list").splitlines()
    *_, archived, tip = row.split()
    assert archived.endswith("/heads/main")
    said = restore(f"--archived={archived}", "--branch=main")
    assert said == f"refs/heads/restored/main is now at {tip}, which was kept as {archived}\n"
    held = installed.act("onedev", "refs", project=project)
    assert held["refs/heads/restored/main"] == tip


def test_the_account_may_do_its_work_and_nothing_else(installed: Installed) -> None:
    here, own = installed.world.namespace, installed.name
    for verb, resource, namespace in (
        ("watch", f"repositorymirrors.{GROUP}", here),
        ("patch", f"repositorymirrors.{GROUP} --subresource=status", here),
        ("get", "secrets", here),
        ("create", "jobs.batch", here),
        ("delete", "jobs.batch", here),
        ("watch", "pods", here),
        ("create", "events", here),
        ("create", f"repositorymirrors.{GROUP}", here),
        ("delete", f"repositorymirrors.{GROUP}", here),
        ("update", "leases.coordination.k8s.io", own),
    ):
        assert installed.may(verb, resource, namespace), (verb, resource)
    for verb, resource, namespace in (
        ("list", "secrets", here),
        ("update", "secrets", here),
        ("delete", "secrets", here),
        ("get", "secrets", "kube-system"),
        ("get", "secrets", own),
        ("create", "pods", here),
        ("create", "pods --subresource=exec", here),
        ("create", "jobs.batch", "default"),
        ("update", f"repositorymirrors.{GROUP}", here),
        ("delete", f"starredrepossyncs.{GROUP}", here),
        ("list", f"repositorymirrors.{GROUP}", "default"),
        ("get", "nodes", here),
        ("patch", "customresourcedefinitions.apiextensions.k8s.io", here),
        ("create", "rolebindings.rbac.authorization.k8s.io", here),
    ):
        assert not installed.may(verb, resource, namespace), (verb, resource)
    worker = f"system:serviceaccount:{here}:{own}-worker"
    assert not installed.may("get", "secrets", here, worker)
    assert not installed.may("list", f"repositorymirrors.{GROUP}", here, worker)


def test_uninstalling_leaves_mirrors_and_their_projects(installed: Installed) -> None:
    installed.run("helm", "uninstall", installed.name, "--namespace", installed.name, "--wait")
    assert not installed.run("kubectl", "-n", installed.name, "get", "deployments", "-o", "name").strip()
    mirror = installed.world.get("rmir", "installed")
    assert mirror["status"]["phase"] == "Completed"
    assert installed.run("kubectl", "get", "crd", f"repositorymirrors.{GROUP}", "-o", "name").strip()
    assert installed.act("onedev", "refs", project="github/demo/one-commit")
    installed.world.kubectl("delete", "rmir", "installed", "--timeout=10s")
    eventually("it goes without a controller", lambda: not installed.world.items("rmir"))
