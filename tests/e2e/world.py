"""What an end-to-end test speaks with: the cluster through kubectl, the stand-ins through their admin API."""

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tests.local_cluster.choice import Cluster, environment

ROOT = Path(__file__).parents[2]
GROUP = "github-onedev-sync.io"
ONEDEV_TOKEN = "onedev-token-of-the-mirror-account"
GITHUB_TOKEN = "ghp_tokenofsomebodywhostars"
PATIENCE = 90.0

T = TypeVar("T")


def eventually(what: str, probe: Callable[[], T | None], within: float = PATIENCE) -> T:
    """The first true answer of `probe`, asked twice a second."""
    deadline = time.monotonic() + within
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:.0f} s: {what}")
        time.sleep(0.5)


@dataclass
class StandIn:
    """A stand-in as a process of its own; `url` is reached from this machine and from pods."""

    url: str
    command: Sequence[str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @classmethod
    def on(cls, kind: str, address: str, log: Path, *options: str) -> "StandIn":
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        command = [sys.executable, "-m", f"tests.stand_ins.{kind}", "--listen", f"{address}:{port}", *options]
        stand_in = cls(f"http://{address}:{port}", command, log)
        stand_in.start()
        return stand_in

    def start(self) -> None:
        """Once more after `stop`: at the same address, with what it kept on disk."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
        eventually(f"{self.url} answers", self._answers)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/_stand-in/faults").status_code == 200
        except httpx.TransportError:
            return False

    def act(self, action: str, **members: Any) -> Any:
        answer = httpx.post(f"{self.url}/_stand-in/actions", json={"action": action, **members}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    @contextmanager
    def fault(self, **members: Any) -> Iterator[None]:
        """Misbehaves while the block runs."""
        number = httpx.post(f"{self.url}/_stand-in/faults", json={"count": None, **members}).json()["id"]
        try:
            yield
        finally:
            httpx.delete(f"{self.url}/_stand-in/faults", params={"id": number})

    def requests(self, **wanted: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{self.url}/_stand-in/journal", params=wanted).json()
        return found

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)


@dataclass
class Controller:
    """The controller as a process on this machine: it can be killed at any moment, and its coverage is counted."""

    environment: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "github_onedev_sync", "controller"],
                env={**os.environ, **self.environment},
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        eventually("the controller is ready", self.ready)

    def ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.environment['HTTP_PORT']}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)

    def restart(self, **settings: str) -> None:
        self.stop()
        self.environment = {**self.environment, **settings}
        self.start()
        self.wait_until_ready()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> int:
        """Asks it to end in order; returns the exit code."""
        if self.process is None:
            return 0
        self.process.terminate()
        return self.process.wait(40)


@dataclass
class World:
    """One namespace with a OneDevServer, its controller, and both stand-ins. `root` is the server's root project."""

    cluster: Cluster
    namespace: str
    github: StandIn
    onedev: StandIn
    root: str
    controller: Controller

    def kubectl(self, *arguments: str, input: str | None = None, check: bool = True) -> str:  # noqa: A002
        done = subprocess.run(
            [str(self.cluster.kubectl), "-n", self.namespace, *arguments],
            env=environment(self.cluster),
            input=input,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", input="\n---\n".join(json.dumps(manifest) for manifest in manifests))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "-o", "json"))
        return found

    def items(self, kind: str, *options: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json", *options))["items"]
        return found

    def set_up(self) -> None:
        """Secrets and a OneDevServer that is Ready."""
        self.secret("onedev", token=ONEDEV_TOKEN)
        self.secret("github", token=GITHUB_TOKEN)
        self.server("default")
        self.wait_for("ods", "default", "Ready", "True")

    def secret(self, name: str, data: Mapping[str, bytes] | None = None, **texts: str) -> None:
        """`data` is for what is no text, or no Python name."""
        values = {**(data or {}), **{key: text.encode() for key, text in texts.items()}}
        encoded = {key: base64.b64encode(value).decode() for key, value in values.items()}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": encoded})

    def server(self, name: str, **spec: Any) -> None:
        self.apply(
            {
                "apiVersion": f"{GROUP}/v1alpha1",
                "kind": "OneDevServer",
                "metadata": {"name": name},
                "spec": {
                    "url": self.onedev.url,
                    "insecure": True,
                    "secretRef": {"name": "onedev"},
                    "rootProject": self.root,
                    "maxConcurrentSyncs": 4,
                    **spec,
                },
            }
        )

    def repository(self, name: str, commits: int = 1) -> str:
        """A GitHub repository with commits on main; returns `e2e/<name>`."""
        repository = f"e2e/{name}"
        self.github.act("create_repository", repository=repository)
        for number in range(commits):
            self.github.act("commit", repository=repository, branch="main", files={"file": f"{number}"})
        return repository

    def mirror(
        self, name: str, repository: str | None = None, *, source: Mapping[str, Any] | None = None, **spec: Any
    ) -> None:
        """Declares a mirror; `spec` and `source` are merged over the usual ones."""
        self.apply(self.manifest(name, repository, source=source, **spec))

    def manifest(
        self, name: str, repository: str | None = None, *, source: Mapping[str, Any] | None = None, **spec: Any
    ) -> dict[str, Any]:
        """As `mirror`, for several that are declared at once."""
        return {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": "RepositoryMirror",
            "metadata": {"name": name},
            "spec": {
                "source": {
                    "repository": repository or f"e2e/{name}",
                    "apiURL": self.github.url,
                    "insecure": True,
                    "secretRef": {"name": "github"},
                    **(source or {}),
                },
                "target": {"serverRef": {"name": "default"}},
                **spec,
            },
        }

    def patch(self, name: str, spec: Mapping[str, Any]) -> None:
        self.kubectl("patch", "rmir", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def ask(self, *names: str, kind: str = "rmir") -> None:
        """Requests a sync, or a check of a server, now."""
        self.kubectl("annotate", "--overwrite", kind, *names, f"{GROUP}/requestedAt={time.monotonic_ns()}")

    def condition(self, kind: str, name: str, type_: str) -> dict[str, Any]:
        conditions = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == type_), {})

    def wait_for(
        self, kind: str, name: str, type_: str, status: str, reason: str | None = None, within: float = PATIENCE
    ) -> dict[str, Any]:
        """The condition, once it has that status (and reason)."""
        seen: dict[str, Any] = {}

        def probe() -> dict[str, Any] | None:
            seen.clear()
            seen.update(self.condition(kind, name, type_))
            return dict(seen) if seen.get("status") == status and reason in (None, seen["reason"]) else None

        try:
            return eventually(f"{kind}/{name} {type_}={status} {reason or ''}", probe, within)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {seen}") from None

    def wait_failed(self, name: str, reason: str, *words: str, kind: str = "rmir") -> dict[str, Any]:
        """The condition Ready, once it is False for that reason; its message holds these words and no token."""
        condition = self.wait_for(kind, name, "Ready", "False", reason)
        for word in words:
            assert word in condition["message"], condition["message"]
        assert GITHUB_TOKEN not in condition["message"]
        assert ONEDEV_TOKEN not in condition["message"]
        return condition

    def wait_ready(self, name: str, within: float = PATIENCE) -> dict[str, Any]:
        self.wait_for("rmir", name, "Ready", "True", within=within)
        return self.get("rmir", name)

    def wait_synced(self, name: str, repository: str | None = None, within: float = PATIENCE) -> None:
        """Until OneDev's branches and tags are GitHub's."""
        repository = repository or f"e2e/{name}"
        eventually(
            f"{name} equals {repository}",
            lambda: self.source_refs(repository) == self.target_refs(f"{self.root}/{repository}") or None,
            within,
        )

    def source_refs(self, repository: str) -> dict[str, str]:
        return _mirrored(self.github.act("refs", repository=repository))

    def target_refs(self, path: str) -> dict[str, str]:
        return _mirrored(self.all_target_refs(path))

    def all_target_refs(self, path: str) -> dict[str, str]:
        if path not in self.projects():
            return {}
        refs: dict[str, str] = self.onedev.act("refs", project=path)
        return refs

    def projects(self) -> list[str]:
        return [project["path"] for project in self.onedev.act("list_projects")]

    def project(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.onedev.act("list_projects") if one["path"] == path)
        return found

    def rest(self, method: str, path: str, body: Any = None) -> Any:
        """OneDev's REST API, as a person with a script uses it."""
        headers = {"Authorization": f"Bearer {ONEDEV_TOKEN}"}
        answer = httpx.request(method, f"{self.onedev.url}/~api/{path}", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.text else None

    def make_project(self, name: str, parent: str) -> int:
        """By hand, below the project at `parent`."""
        body = {"name": name, "parentId": self.project(parent)["id"], "gitPackConfig": {}, "codeAnalysisSetting": {}}
        made: int = self.rest("POST", "projects", {**body, "codeManagement": True})
        return made

    def describe_project(self, path: str, description: str) -> None:
        """By hand; what an update leaves out is reset, so it echoes everything."""
        project = self.project(path)
        members = {key: value for key, value in project.items() if key not in ("id", "path", "createDate")}
        self.rest("POST", f"projects/{project['id']}", {**members, "description": description})

    def push(self, repository: str, path: str) -> None:
        """Somebody pushes a GitHub repository's branches to the OneDev project at `path`."""
        with tempfile.TemporaryDirectory() as clone:
            source = self.github.url.replace("://", f"://x:{GITHUB_TOKEN}@")
            target = self.onedev.url.replace("://", f"://x:{ONEDEV_TOKEN}@")
            for command in (
                ["git", "clone", "--quiet", "--bare", f"{source}/{repository}.git", clone],
                ["git", "-C", clone, "push", "--quiet", f"{target}/{path}", "refs/heads/*:refs/heads/*"],
            ):
                subprocess.run(command, check=True, capture_output=True, timeout=60)

    def jobs(self, mirror: str) -> list[dict[str, Any]]:
        """Those that work for a mirror, be it among others."""
        uid = self.get("rmir", mirror)["metadata"]["uid"]
        return [job for job in self.items("jobs") if uid in job["metadata"]["annotations"][f"{GROUP}/mirrors"]]

    def events(self, name: str) -> list[str]:
        found = self.items("events", f"--field-selector=involvedObject.name={name}")
        return [event["reason"] for event in found]


def _mirrored(refs: Mapping[str, str]) -> dict[str, str]:
    return {name: oid for name, oid in refs.items() if name.startswith(("refs/heads/", "refs/tags/"))}


def machine_address(cluster: Cluster) -> str:
    """The address of this machine that the cluster's pods can reach: the one its route to the node starts from."""
    nodes = json.loads(
        subprocess.check_output([str(cluster.kubectl), "get", "nodes", "-o", "json"], env=environment(cluster))
    )
    addresses = nodes["items"][0]["status"]["addresses"]
    node = next(address["address"] for address in addresses if address["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))
        return str(probe.getsockname()[0])
