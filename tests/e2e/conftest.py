"""Fixtures of the end-to-end tests: stand-ins and the controller run as processes here, everything else in the cluster.

The image of the worker is built and loaded; the controller runs from the checkout, so that a test can kill it.
"""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.local_cluster.choice import Cluster, environment
from tests.local_cluster.images import build

from .world import GITHUB_TOKEN, ONEDEV_TOKEN, ROOT, Controller, StandIn, World, machine_address

StartController = Callable[..., Controller]
MakeWorld = Callable[..., World]

NO_FINALIZERS = '{"metadata":{"finalizers":null}}'
# The first test of a session also pays for images and pods that start for the first time.
TIMEOUT = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(TIMEOUT, func_only=True))


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
    stand_in = StandIn.on("github", machine_address(cluster), folder / "github.log", *options)
    yield stand_in
    stand_in.stop()


@pytest.fixture(scope="session")
def onedev(cluster: Cluster, folder: Path) -> Iterator[StandIn]:
    options = ("--data", str(folder / "onedev"), "--token", ONEDEV_TOKEN)
    stand_in = StandIn.on("onedev", machine_address(cluster), folder / "onedev.log", *options)
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
        variables = {
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
        controller = Controller(variables, folder / f"{variables['POD_NAME']}.log")
        controller.start()
        started.append(controller)
        return controller

    yield start
    codes = [controller.stop() for controller in started if controller.running]
    assert set(codes) <= {0}


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    subprocess.run(
        [str(cluster.kubectl), "apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds")],
        env=environment(cluster),
        check=True,
        capture_output=True,
    )


@pytest.fixture(scope="session")
def make_world(
    cluster: Cluster, github: StandIn, onedev: StandIn, crds: None, start_controller: StartController
) -> Iterator[MakeWorld]:
    """Makes namespaces, each with a running controller and a root project of its own in OneDev."""
    made: list[World] = []

    def make(root: str, server: StandIn = onedev, **settings: str) -> World:
        namespace = f"e2e-{root}-{os.getpid()}"
        subprocess.run(
            [str(cluster.kubectl), "create", "namespace", namespace],
            env=environment(cluster),
            check=True,
            capture_output=True,
        )
        world = World(cluster, namespace, github, server, root, start_controller(namespace, **settings))
        made.append(world)
        world.controller.wait_until_ready()
        world.set_up()
        return world

    yield make
    # The controllers first: one whose namespace goes loses its lease.
    codes = {world.namespace: world.controller.stop() for world in made if world.controller.running}
    for world in made:
        _remove(world)
    assert not any(codes.values()), codes


def _remove(world: World) -> None:
    """Without waiting: nobody is left to carry out a deletion policy."""
    for mirror in world.items("rmir"):
        if mirror["metadata"].get("finalizers"):
            world.kubectl("patch", "rmir", mirror["metadata"]["name"], "--type=merge", "-p", NO_FINALIZERS)
    world.kubectl("delete", "namespace", world.namespace, "--wait=false")


@pytest.fixture(scope="session")
def world(make_world: MakeWorld) -> World:
    """The namespace that most tests share."""
    return make_world("github")


@pytest.fixture(autouse=True)
def told_on_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a failure: what the resources, Jobs and controllers said."""
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed == failed_before or "folder" not in request.fixturenames:
        return
    for log in sorted(request.getfixturevalue("folder").glob("e2e-*.log")):
        print(f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:]))
