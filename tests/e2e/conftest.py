"""Fixtures of the end-to-end tests: stand-ins and the controller run as processes here, everything else in the cluster.

The image of the worker is built and loaded; the controller runs from the checkout, so that a test can kill it.
"""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local_cluster.choice import Cluster
from tests.local_cluster.images import build

from .world import GITHUB_TOKEN, ONEDEV_TOKEN, ROOT, Controller, StandIn, World, machine_address

StartController = Callable[..., Controller]


@pytest.fixture(scope="session")
def worker_image(cluster: Cluster) -> str:
    operator, stand_ins = build(print)
    cluster.load_image(operator.archive)
    cluster.load_image(stand_ins.archive)
    return operator.reference


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="session")
def github(cluster: Cluster, folder: Path) -> Iterator[StandIn]:
    repositories = folder / "repositories"
    repositories.mkdir()
    options = ("--repositories", str(repositories), "--token", f"mirror={GITHUB_TOKEN}", "--anonymous-limit", "0")
    stand_in = StandIn.start("github", machine_address(cluster), folder / "github.log", *options)
    yield stand_in
    stand_in.stop()


@pytest.fixture(scope="session")
def onedev(cluster: Cluster, folder: Path) -> Iterator[StandIn]:
    options = ("--data", str(folder / "onedev"), "--token", ONEDEV_TOKEN)
    stand_in = StandIn.start("onedev", machine_address(cluster), folder / "onedev.log", *options)
    yield stand_in
    stand_in.stop()


@pytest.fixture(scope="session")
def start_controller(cluster: Cluster, worker_image: str, folder: Path) -> Iterator[StartController]:
    """Starts controllers that watch one namespace each; all are ended with the session."""
    started: list[Controller] = []

    def start(namespace: str, **settings: str) -> Controller:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            "KUBECONFIG": str(cluster.kubeconfig),
            "PYTHONPATH": os.pathsep.join((str(ROOT / "operator"), str(ROOT))),
            "POD_NAMESPACE": namespace,
            "POD_NAME": f"{namespace}-controller",
            "WATCH_NAMESPACES": namespace,
            "WORKER_IMAGE": worker_image,
            "WORKER_RESOURCES": '{"limits": {"memory": "256Mi"}}',
            "HTTP_PORT": str(port),
            "LOG_FORMAT": "console",
            **settings,
        }
        controller = Controller(environment, folder / f"{namespace}-controller.log")
        controller.start()
        started.append(controller)
        return controller

    yield start
    for controller in started:
        if controller.process is not None and controller.process.poll() is None:
            assert controller.stop() == 0


def _remove(world: World) -> None:
    world.kubectl("delete", "rmir", "--all", "--wait=false", check=False)
    world.kubectl("delete", "namespace", world.namespace, "--wait=false", check=False)


@pytest.fixture(scope="session")
def crds(cluster: Cluster, github: StandIn, onedev: StandIn) -> None:
    World(cluster, "default", github, onedev).kubectl(
        "apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds")
    )


@pytest.fixture(scope="session")
def world(
    cluster: Cluster, github: StandIn, onedev: StandIn, crds: None, start_controller: StartController
) -> Iterator[World]:
    """The namespace that most tests share, with a running controller."""
    world = World(cluster, f"e2e-{os.getpid()}", github, onedev)
    world.kubectl("create", "namespace", world.namespace)
    start_controller(world.namespace).wait_until_ready()
    world.set_up()
    yield world
    _remove(world)


@pytest.fixture(autouse=True)
def told_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a failure: what the resources, Jobs and controllers said."""
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed == failed_before or "folder" not in request.fixturenames:
        return
    for log in sorted(request.getfixturevalue("folder").glob("*-controller.log")):
        print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]))
