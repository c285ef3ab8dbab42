"""The GitHub and the OneDev that the demo mirrors between, when both are stand-ins; and this project's own history."""

from __future__ import annotations

import json
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Collection
from pathlib import Path

import yaml

from tests.local_cluster import ClusterError
from tests.local_cluster.places import CHECKOUT

from .client import Client

NAMESPACE = "stand-ins"
MANIFESTS = CHECKOUT / "tests" / "stand_ins" / "manifests.yaml"
# Named in the manifests; they open nothing but those pods.
GITHUB_TOKEN = "github-stand-in-token"
ONEDEV_TOKEN = "onedev-stand-in-token"
THIS_PROJECT = "demo/this-project"
_READY_SECONDS = 180


def start(client: Client, image: str, digest: str, names: Collection[str]) -> None:
    """Runs the stand-ins `names` (`github`, `onedev`) and waits until they answer.

    `digest` makes a changed image under an unchanged name a changed pod.
    """
    wanted = []
    for document in yaml.safe_load_all(MANIFESTS.read_text().replace("${IMAGE}", image)):
        if document["kind"] != "Namespace" and document["metadata"]["name"] not in names:
            continue
        if document["kind"] == "Deployment":
            document["spec"]["template"]["metadata"].setdefault("annotations", {})["image-digest"] = digest
        wanted.append(document)
    client.apply(*wanted)
    for name in names:
        client.rollout(NAMESPACE, name, _READY_SECONDS)


def seed(client: Client) -> None:
    """Gives the GitHub stand-in the history of this checkout, once."""
    with client.forward(NAMESPACE, "github") as url:
        if _has(url, THIS_PROJECT):
            return
        with tempfile.TemporaryDirectory(prefix="github-onedev-sync-") as folder:
            bundle, branch = this_project(Path(folder))
            _ask(url, "PUT", f"/_stand-in/bundles/{THIS_PROJECT}", bundle.read_bytes())
        action = {"action": "set_default_branch", "repository": THIS_PROJECT, "branch": branch}
        _ask(url, "POST", "/_stand-in/actions", json.dumps(action).encode())


def this_project(folder: Path) -> tuple[Path, str]:
    """A git bundle of this checkout and its default branch.

    It holds the whole history, or, where that is not here or no branch is checked out, one commit of the files.
    """
    bundle, branch = folder / "this-project.bundle", _git(CHECKOUT, "symbolic-ref", "--short", "HEAD")
    if branch and _git(CHECKOUT, "rev-parse", "--is-shallow-repository") == "false":
        source = CHECKOUT
    else:
        source, branch = folder / "files", "main"
        _git(folder, "init", "--quiet", "--initial-branch=main", str(source))
        outside = ["--git-dir", str(source / ".git"), "--work-tree", str(CHECKOUT)]
        _git(CHECKOUT, *outside, "add", "--all")
        author = ["-c", "user.name=demo", "-c", "user.email=demo@example.com", "-c", "commit.gpgSign=false"]
        _git(CHECKOUT, *outside, *author, "commit", "--quiet", "--message=The files of this checkout")
    done = _git(source, "bundle", "create", "--quiet", str(bundle), "HEAD", "--branches", "--tags")
    if done is None:
        raise ClusterError(
            "cannot bundle this checkout's history", "", f"git -C {source} bundle create x HEAD --branches"
        )
    return bundle, branch


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails."""
    # The checkout may belong to somebody else, as it does in a container: reading it is harmless.
    command = ["git", "-c", "safe.directory=*", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return None if done.returncode else done.stdout.strip()


def _has(url: str, repository: str) -> bool:
    try:
        _ask(url, "GET", f"/api/v3/repos/{repository}", token=GITHUB_TOKEN)
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False
    return True


def _ask(url: str, method: str, path: str, body: bytes | None = None, token: str = "") -> bytes:
    request = urllib.request.Request(url + path, body, method=method)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: bytes = answer.read()
        return found
