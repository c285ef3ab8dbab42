"""The demo's seven steps. Each can be repeated: what is there already is used, what is half done is done again."""

from __future__ import annotations

import json
import shutil

from tests.local_cluster import Cluster, ClusterError, choose, engines, images, tools
from tests.local_cluster.images import Image
from tests.local_cluster.named import NamedCluster
from tests.local_cluster.node import NodeCluster
from tests.local_cluster.places import CHECKOUT, cache_root

from . import onedev, servers
from .client import Client
from .screen import Screen, Stopwatch, shorten
from .watch import watch

STEPS = 7
CLUSTER = "demo"
RELEASE = "github-onedev-sync"
OPERATOR_NAMESPACE = "github-onedev-sync"
NAMESPACE = "demo"
SAMPLE = "manifests/samples/demo.yaml"


def up(screen: Screen, name: str = CLUSTER) -> None:
    """From nothing to verified mirrors. Raises ClusterError, with the step in its words."""
    try:
        _up(screen, name)
    except ClusterError as error:
        raise ClusterError(f"step {screen.step_name}: {error.what}", error.why, error.fix) from error


def _up(screen: Screen, name: str) -> None:
    with screen.step("tools", "all there"):
        _tools(choose(name, lambda _: None), screen)
    with screen.step("cluster"):
        cluster = choose(name, screen.say)
        cluster.up()
    client = Client(cluster)
    with screen.step("image"):
        operator, stand_ins = _images(cluster, screen)
    with screen.step("OneDev"):
        token = _servers(client, screen, stand_ins)
    with screen.step("operator"):
        _operator(client, screen, operator)
    with screen.step("mirrors", f"kubectl apply -f {SAMPLE}"):
        declared = _mirrors(client, token)
    with screen.step("watching", "until all are Ready"):
        pass
    watch(client, NAMESPACE, screen, declared)
    _closing(client, screen, name)


def _tools(cluster: Cluster, screen: Screen) -> None:
    if isinstance(cluster, NodeCluster):
        tools.for_node(screen.say)
    if engines.for_building() is None:
        tools.install(tools.IMAGE_TOOLS, screen.say)
        engines.answers.cache_clear()


def _images(cluster: Cluster, screen: Screen) -> list[Image]:
    built = images.build(screen.say)
    # A cluster of ours remembers what it was given in a file that goes with it.
    given = cluster.kubeconfig.with_name("images.json")
    ours = not isinstance(cluster, NamedCluster)
    wanted = {image.reference: digest(image) for image in built}
    if ours and given.exists() and json.loads(given.read_text()) == wanted:
        return built
    loading = Stopwatch()
    for image in built:
        cluster.load_image(image.archive)
    if ours:
        given.write_text(json.dumps(wanted))
    screen.say(f"loaded into the cluster … {loading}")
    return built


def digest(image: Image) -> str:
    """Of what the image was made of."""
    return str(json.loads(image.archive.with_suffix(".json").read_text())["inputs"])


def _servers(client: Client, screen: Screen, stand_ins: Image) -> str:
    """Brings up both servers; returns an access token of OneDev's."""
    try:
        image = onedev.image_for(client.cluster, screen)
        servers.start(client, stand_ins.reference, digest(stand_ins), ["github"])
        token = onedev.start(client, image, screen)
    except onedev.NotHere as why:
        onedev.remove(client)
        servers.start(client, stand_ins.reference, digest(stand_ins), ["github", "onedev"])
        token = servers.ONEDEV_TOKEN
        screen.say(f"stand-in ({why})")
    servers.seed(client)
    screen.also("GitHub", "stand-in with 6 repositories to mirror, this project among them")
    return token


def _operator(client: Client, screen: Screen, image: Image) -> None:
    began = Stopwatch()
    _unblock(client)
    repository, _, tag = image.reference.rpartition(":")
    more = client.shown(f"kubectl --namespace={OPERATOR_NAMESPACE} describe pods")
    client.helm(
        "upgrade", "--install", RELEASE, str(CHECKOUT / "charts" / RELEASE),
        f"--namespace={OPERATOR_NAMESPACE}", "--create-namespace", "--wait", "--timeout=180s",
        f"--set=image.repository={repository},image.tag={tag},controller.logFormat=console",
        # The same name for a changed image would leave the old pod in place.
        f"--set-string=podAnnotations.image-digest={digest(image)}",
        more=more,
    )  # fmt: skip
    screen.say(f"helm install … ready {began}")


def _unblock(client: Client) -> None:
    """An interrupted helm leaves a release that refuses the next one."""
    listed = client.helm("list", f"--namespace={OPERATOR_NAMESPACE}", "--pending", "--output=json")
    for release in json.loads(listed or "[]"):
        client.helm("uninstall", release["name"], f"--namespace={OPERATOR_NAMESPACE}", "--wait", "--timeout=60s")


def _mirrors(client: Client, token: str) -> Stopwatch:
    """Declares the mirrors as a user would; returns the time since then."""
    client.namespace(NAMESPACE)
    client.secret(NAMESPACE, "onedev", token=token)
    client.secret(NAMESPACE, "github", token=servers.GITHUB_TOKEN)
    declared = Stopwatch()
    client.kubectl("apply", f"--filename={CHECKOUT / SAMPLE}")
    if not isinstance(client.cluster, NamedCluster):
        client.kubectl("config", "set-context", "--current", f"--namespace={NAMESPACE}")
    return declared


def _closing(client: Client, screen: Screen, name: str) -> None:
    cluster = client.cluster
    named = isinstance(cluster, NamedCluster)
    look = [f"export KUBECONFIG={shorten(cluster.kubeconfig)}"]
    if shutil.which("kubectl") is None:
        look.append(f"export PATH=$PATH:{shorten(cluster.kubectl.parent)}")
    within = f" -n {NAMESPACE}" if named else ""
    look.append(f"kubectl get repositorymirrors{within}        kubectl describe rmir this-project{within}")
    screen.plain()
    for number, line in enumerate(look):
        screen.plain((" Look:" if number == 0 else "").ljust(14) + line)
    screen.plain(" Yours:".ljust(14) + "docs/getting-started.md (a real GitHub and OneDev in five minutes)")
    screen.plain(" Stop:".ljust(14) + "make demo-stop")


def down(screen: Screen, name: str = CLUSTER) -> None:
    """Ends all that `up` began. Of a cluster that is not ours, only what we put there. Raises ClusterError."""
    cluster = choose(name, lambda _: None)
    if isinstance(cluster, NamedCluster):
        _clear(Client(cluster))
        screen.plain("The CRDs are left, for mirrors of yours: kubectl delete -f crds/ removes both.")
    cluster.down()
    screen.plain(f"The demo has ended. Kept for the next one: {shorten(cache_root())}")


def _clear(client: Client) -> None:
    # The mirrors go first: while the controller runs, their finalizers go with them.
    client.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s")
    client.helm("uninstall", RELEASE, f"--namespace={OPERATOR_NAMESPACE}", "--ignore-not-found", "--wait")
    for namespace in (OPERATOR_NAMESPACE, servers.NAMESPACE, onedev.NAMESPACE):
        client.kubectl("delete", "namespace", namespace, "--ignore-not-found", "--timeout=120s")
