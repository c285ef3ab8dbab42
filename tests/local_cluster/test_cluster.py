"""The cluster of the tests is a real one: each thing that the operator and its tests rely on, by itself."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from . import cgroups, network, processes
from .choice import Cluster, environment
from .images import build
from .node import NodeCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

_WITHIN = 90.0
T = TypeVar("T")


class Kubectl:
    """kubectl in one namespace of one cluster."""

    def __init__(self, cluster: Cluster, namespace: str = "default") -> None:
        self.namespace = namespace
        self._base = [str(cluster.kubectl), "--namespace", namespace]
        self._environment = environment(cluster)

    def __call__(self, *words: str, given: object = None) -> str:
        done = subprocess.run(
            [*self._base, *words], check=False, capture_output=True, text=True, env=self._environment,
            input=None if given is None else json.dumps(given), timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self("get", *words, "--output=json"))

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen([*self._base, *words], stdout=subprocess.PIPE, text=True, env=self._environment)


@pytest.fixture(scope="module")
def image(cluster: Cluster) -> str:
    """The operator's image, loaded: it has Python and git."""
    operator, _ = build(print)
    cluster.load_image(operator.archive)
    return operator.reference


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    namespace = f"cluster-{secrets.token_hex(3)}"
    Kubectl(cluster)("create", "namespace", namespace)
    yield Kubectl(cluster, namespace)
    Kubectl(cluster)("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def web(kubectl: Kubectl, image: str) -> str:
    """A pod and a Service called `web` that answer HTTP on port 8000; returns the Service's address."""
    kubectl("apply", "-f", "-", given=pod("web", image, "-m", "http.server", "8000", labels={"app": "web"}))
    kubectl("expose", "pod", "web", "--port=8000")
    kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    address: str = kubectl.get("service", "web")["spec"]["clusterIP"]
    return address


def pod(name: str, image: str, *arguments: str, **metadata: Any) -> dict[str, Any]:
    """A pod as restricted as the operator's own that runs Python with `arguments`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name} | metadata,
        "spec": pod_spec(image, *arguments),
    }


def pod_spec(image: str, *arguments: str) -> dict[str, Any]:
    contained = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["python", *arguments],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [contained],
    }


def until(question: Callable[[], T], what: str, within: float = _WITHIN) -> T:
    deadline = time.monotonic() + within
    while not (answer := question()):
        assert time.monotonic() < deadline, f"{what}: not within {within:.0f} s"
        time.sleep(0.2)
    return answer


def terminated(kubectl: Kubectl, name: str) -> dict[str, Any]:
    """How the only container of pod `name` ended; waits for it."""

    def ended() -> dict[str, Any]:
        statuses = kubectl.get("pod", name)["status"].get("containerStatuses", [{}])
        state: dict[str, Any] = statuses[0].get("state", {}).get("terminated", {})
        return state

    return until(ended, f"end of pod {name}")


def test_node_is_ready(cluster: Cluster) -> None:
    (node,) = Kubectl(cluster).get("nodes")["items"]
    assert {"type": "Ready", "status": "True"}.items() <= next(
        each for each in node["status"]["conditions"] if each["type"] == "Ready"
    ).items()


def test_api_server_answers_with_a_version(cluster: Cluster) -> None:
    version = json.loads(Kubectl(cluster)("version", "--output=json"))
    assert version["serverVersion"]["gitVersion"].startswith("v1.")


def test_a_pod_resolves_full_and_short_names(kubectl: Kubectl, image: str, web: str) -> None:
    names = ("web", f"web.{kubectl.namespace}", f"web.{kubectl.namespace}.svc.cluster.local")
    ask = f"import socket; print(*(socket.gethostbyname(name) for name in {names!r}))"
    kubectl("apply", "-f", "-", given=pod("names", image, "-c", ask))
    assert terminated(kubectl, "names")["exitCode"] == 0
    assert kubectl("logs", "names").split() == [web] * 3


def test_a_service_answers_a_pod_and_itself(kubectl: Kubectl, image: str, web: str) -> None:
    ask = "import urllib.request as u; print(u.urlopen('http://web:8000', timeout=20).status)"
    kubectl("apply", "-f", "-", given=pod("visitor", image, "-c", ask))
    assert terminated(kubectl, "visitor")["exitCode"] == 0
    assert kubectl("exec", "web", "--", "python", "-c", ask).strip() == "200"


def test_a_service_answers_the_machine(cluster: Cluster, web: str) -> None:
    if not isinstance(cluster, NodeCluster):
        pytest.skip("only the one-node cluster routes its Services to the machine")
    with urllib.request.urlopen(f"http://{web}:8000", timeout=20) as answer:
        assert answer.status == 200


def test_the_api_server_answers_a_pod_that_shows_its_token(kubectl: Kubectl, image: str) -> None:
    ask = (
        "import os, ssl, urllib.request as u; d = '/var/run/secrets/kubernetes.io/serviceaccount/';"
        "shown = {'Authorization': 'Bearer ' + open(d+'token').read()};"
        "r = u.Request('https://kubernetes.default/version', headers=shown);"
        "print(u.urlopen(r, context=ssl.create_default_context(cafile=d+'ca.crt'), timeout=20).status)"
    )
    kubectl("apply", "-f", "-", given=pod("client", image, "-c", ask))
    assert terminated(kubectl, "client")["exitCode"] == 0
    assert kubectl("logs", "client").strip() == "200"


def test_a_job_reports_exit_code_and_termination_message(kubectl: Kubectl, image: str) -> None:
    work = "open('/dev/termination-log', 'w').write('refs refused'); raise SystemExit(42)"
    rule = {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work"},
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": {"rules": [rule]},
            "template": {"spec": pod_spec(image, "-c", work)},
        },
    }
    kubectl("apply", "-f", "-", given=job)
    kubectl("wait", "--for=condition=Failed", "job/work", "--timeout=60s")
    (made,) = kubectl.get("pods", "--selector=job-name=work")["items"]
    ended = made["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (42, "refs refused")


def test_logs_exec_and_port_forward(kubectl: Kubectl, web: str) -> None:
    assert kubectl("exec", "web", "--", "id", "-u").strip() == "65532"
    with forwarded(kubectl) as port, urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=20) as answer:
        assert answer.status == 200
    until(lambda: "GET / " in kubectl("logs", "web"), "the request in the log")


@contextmanager
def forwarded(kubectl: Kubectl) -> Iterator[int]:
    with kubectl.start("port-forward", "service/web", ":8000", "--address=127.0.0.1") as forwarding:
        try:
            said = (forwarding.stdout.readline() if forwarding.stdout else "").split(" -> ")[0]
            yield int(said.rpartition(":")[2])
        finally:
            forwarding.terminate()


def test_memory_limit_ends_a_container(kubectl: Kubectl, image: str) -> None:
    greedy = pod("greedy", image, "-c", "x = bytearray(300_000_000); x[::4096] = b'1' * len(x[::4096])")
    greedy["spec"]["containers"][0]["resources"] = {"limits": {"memory": "64Mi"}}
    kubectl("apply", "-f", "-", given=greedy)
    assert terminated(kubectl, "greedy")["reason"] == "OOMKilled"


@pytest.fixture(scope="module")
def second(cluster: Cluster) -> Iterator[NodeCluster]:
    """Another cluster beside the first, which may be ended and brought up again."""
    if not isinstance(cluster, NodeCluster):
        pytest.skip("what kind does with its processes is kind's matter")
    other = NodeCluster(f"{cluster.name}-second")
    try:
        other.up()
        yield other
    finally:
        other.down()


def test_two_clusters_stand_side_by_side(cluster: Cluster, second: NodeCluster) -> None:
    names = [node["metadata"]["name"] for each in (cluster, second) for node in Kubectl(each).get("nodes")["items"]]
    assert names == ["tests-node", "tests-second-node"]


def test_a_killed_api_server_comes_back(second: NodeCluster) -> None:
    before = second.component_pids()["kube-apiserver"]
    os.kill(before, signal.SIGKILL)
    until(lambda: second.component_pids().get("kube-apiserver", before) != before, "another API server")
    until(lambda: _ready(second), "the API server's readiness")


def test_the_end_of_the_first_process_ends_the_node_and_up_heals_it(second: NodeCluster) -> None:
    pids = second.component_pids()
    assert {"etcd", "kube-apiserver", "kubelet", "containerd", "coredns", "kube-proxy"} <= pids.keys()
    first = json.loads((second.root / "process.json").read_text())["pid"]
    os.kill(first, signal.SIGKILL)
    until(lambda: not any(processes.started(pid) for pid in pids.values()), "the end of every component", 20)
    assert not second.running()
    second.up()
    assert second.running()


def test_down_leaves_nothing(cluster: Cluster, second: NodeCluster) -> None:
    second.up()
    of_second = network.Network(int((second.root / "slot").read_text()))
    assert network.connected(of_second)
    second.down()
    assert not second.running()
    assert not second.root.exists()
    assert not network.connected(of_second)
    assert cgroups.present(f"github-onedev-sync-{second.name}") == []
    assert not [line for line in _command_lines() if f"{second.root}/" in line]
    with open("/proc/self/mounts") as mounts:
        assert f"{second.root}/" not in mounts.read()
    assert cluster.running()


def _ready(cluster: Cluster) -> bool:
    command = [str(cluster.kubectl), "get", "--raw", "/readyz"]
    return subprocess.run(command, check=False, capture_output=True, env=environment(cluster)).returncode == 0


def _command_lines() -> Iterator[str]:
    for pid in processes.every():
        try:
            with open(f"/proc/{pid}/cmdline") as file:
                yield file.read()
        except OSError:
            continue
