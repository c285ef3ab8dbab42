"""The real OneDev in the demo's cluster: whether it can be had, its start without clicks, its token."""

from __future__ import annotations

import base64
import json
import os
import secrets
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.local_cluster import Cluster, ClusterError, engines
from tests.local_cluster.node import NodeCluster

from .client import Client
from .screen import Screen, Stopwatch

VARIABLE = "ONEDEV_IMAGE"
PUBLIC = "1dev/server:16.5.6"
NAMESPACE = "onedev"
_USER = "admin"
_TOKEN_NAME = "github-onedev-sync"
# OneDev names no figure; its own tests allow ten minutes.
_READY_SECONDS = 600
_PULL_FAILURES = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


class NotHere(Exception):
    """This cluster cannot have the real OneDev; the text says why."""


def image_for(cluster: Cluster, screen: Screen) -> str:
    """The image to try. Raises NotHere where trying is known to be in vain, ClusterError where it was asked for."""
    asked = os.environ.get(VARIABLE, "")
    if not isinstance(cluster, NodeCluster):
        return asked or PUBLIC
    if not asked:
        raise NotHere(f"this cluster cannot pull {PUBLIC.partition(':')[0]}; set {VARIABLE} to use the real one")
    # This node has no way to the outside, but the machine may have one.
    _load(cluster, asked, screen)
    return asked


def start(client: Client, image: str, screen: Screen) -> str:
    """Runs OneDev and returns an access token of its administrator. Raises NotHere where its image cannot be pulled."""
    watch = Stopwatch()
    client.namespace(NAMESPACE)
    if not client.kubectl("get", "secret", "admin", f"--namespace={NAMESPACE}", "--ignore-not-found"):
        client.secret(NAMESPACE, "admin", password=secrets.token_urlsafe(18))
    manifests = Path(__file__).with_name("onedev.yaml").read_text().replace("${IMAGE}", image)
    client.apply(*yaml.safe_load_all(manifests))
    _await(client)
    with client.forward(NAMESPACE, "onedev") as url:
        token = _token(url, password(client))
    screen.say(f"the real one, {image} … ready {watch}")
    return token


def password(client: Client) -> str:
    secret = client.get("secret", "admin", f"--namespace={NAMESPACE}")
    return base64.b64decode(secret["data"]["password"]).decode()


def _load(cluster: Cluster, image: str, screen: Screen) -> None:
    engine = engines.for_building()
    if engine is None:
        raise ClusterError(f"cannot pull {image}", "no docker, podman or buildah works here", f"unset {VARIABLE}")
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="github-onedev-sync-") as folder:
        archive = Path(folder) / "onedev.tar"
        engines.run(engine, "pull", image)
        if engine == "buildah":
            engines.run(engine, "push", "--quiet", image, f"docker-archive:{archive}:{image}")
        else:
            engines.run(engine, "save", "--output", str(archive), image)
        cluster.load_image(archive)
    screen.say(f"{image} pulled and loaded … {watch}")


def _await(client: Client) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    more = client.shown(f"kubectl --namespace={NAMESPACE} describe pods")
    while time.monotonic() < deadline:
        deployment = client.get("deployment", "onedev", f"--namespace={NAMESPACE}")
        if deployment.get("status", {}).get("readyReplicas"):
            return
        for pod in client.get("pods", f"--namespace={NAMESPACE}")["items"]:
            for container in pod.get("status", {}).get("containerStatuses", []):
                waiting = container["state"].get("waiting", {})
                if waiting.get("reason") in _PULL_FAILURES:
                    _not_pulled(waiting.get("message", ""), more)
        time.sleep(1)
    raise ClusterError(f"OneDev was not ready within {_READY_SECONDS} s", "", more)


def _not_pulled(message: str, more: str) -> None:
    if os.environ.get(VARIABLE):
        raise ClusterError(f"the image of {VARIABLE} cannot be pulled", message, more)
    raise NotHere(f"this cluster could not pull {PUBLIC}; set {VARIABLE} to an image that it can")


def remove(client: Client) -> None:
    client.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")


def _token(url: str, secret: str) -> str:
    """The token that an earlier demo made, or a new one."""
    me = _ask(url, secret, "GET", "/users/me")
    for token in _ask(url, secret, "GET", f"/users/{me['id']}/access-tokens"):
        if token["name"] == _TOKEN_NAME:
            return str(token["value"])
    wanted = {"name": _TOKEN_NAME, "ownerId": me["id"], "hasOwnerPermissions": True}
    number = _ask(url, secret, "POST", "/access-tokens", wanted)
    return str(_ask(url, secret, "GET", f"/access-tokens/{number}")["value"])


def _ask(url: str, secret: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(f"{url}/~api{path}", method=method)
    request.add_header("Authorization", "Basic " + base64.b64encode(f"{_USER}:{secret}".encode()).decode())
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise ClusterError(f"OneDev answers {error.code} to {method} {path}", error.read(300).decode(), "") from error
