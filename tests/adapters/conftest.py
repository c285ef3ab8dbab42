"""Stand-ins that answer over real HTTP, a namespace of a real API server, and a clock that tests turn."""

import json
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from github_onedev_sync.adapters.cluster import Cluster
from github_onedev_sync.adapters.credentials import App, Credentials
from github_onedev_sync.adapters.github import GitHub
from github_onedev_sync.adapters.onedev import OneDev
from tests import local_cluster
from tests.stand_ins.github import GitHubStandIn
from tests.stand_ins.onedev import OneDevStandIn

ROOT = Path(__file__).parents[2]
Kubectl = Callable[..., Any]

GITHUB_TOKEN = "ghp_of-the-tests"
ONEDEV_TOKEN = "onedev-token-of-the-tests"
BOT = "bot"
CODE_READER, CHILD_CREATOR = 3, 6
PUBLIC = "octo/public"
PRIVATE = "octo/private"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
APP = App("4711", 99, PEM)


@dataclass
class Clock:
    """Starts now, because the stand-ins' limits and tokens run out by the real time; `turn` moves it."""

    ahead: timedelta = field(default=timedelta(0))

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def turn(self, by: timedelta) -> None:
        self.ahead += by


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def github_stand_in(tmp_path: Path) -> AsyncIterator[GitHubStandIn]:
    async with GitHubStandIn(tmp_path / "github", tokens={GITHUB_TOKEN: "octocat"}) as stand_in:
        await stand_in.create_repository(PUBLIC, description="Out in the open")
        await stand_in.create_repository(PRIVATE, private=True)
        yield stand_in


@pytest.fixture
async def github_as(github_stand_in: GitHubStandIn, clock: Clock) -> AsyncIterator[Callable[[Credentials], GitHub]]:
    """Adapters by credential, closed at the end."""
    async with AsyncExitStack() as stack:

        def connect(credentials: Credentials) -> GitHub:
            adapter = GitHub(github_stand_in.url, credentials, clock=clock)
            stack.push_async_callback(adapter.close)
            return adapter

        yield connect


@pytest.fixture
async def onedev_stand_in(tmp_path: Path) -> AsyncIterator[OneDevStandIn]:
    async with OneDevStandIn(tmp_path / "onedev", tokens=[ONEDEV_TOKEN]) as stand_in:
        yield stand_in


@pytest.fixture
async def onedev_as(onedev_stand_in: OneDevStandIn) -> AsyncIterator[Callable[[str], OneDev]]:
    """Adapters by token, closed at the end."""
    async with AsyncExitStack() as stack:

        def connect(token: str) -> OneDev:
            adapter = OneDev(onedev_stand_in.url, token)
            stack.push_async_callback(adapter.close)
            return adapter

        yield connect


@pytest.fixture
def onedev(onedev_as: Callable[[str], OneDev]) -> OneDev:
    return onedev_as(ONEDEV_TOKEN)


@pytest.fixture
async def bot(onedev_stand_in: OneDevStandIn, onedev_as: Callable[[str], OneDev]) -> OneDev:
    """An account that holds no role and may create root projects only where a test lets it."""
    user = onedev_stand_in.store.add_user(BOT, "SERVICE")
    onedev_stand_in.add_token(BOT, user.id)
    return onedev_as(BOT)


@pytest.fixture(scope="module")
def kubectl(cluster: local_cluster.Cluster) -> Iterator[Kubectl]:
    """`kubectl(*arguments, stdin=...)` in a namespace of its own; returns what was printed, JSON read."""
    namespace = f"adapters-{uuid.uuid4().hex[:8]}"

    def run(*arguments: str, stdin: Any = None) -> Any:
        command = [str(cluster.kubectl), "--namespace", namespace, *arguments]
        text = None if stdin is None else json.dumps(stdin)
        environment = local_cluster.environment(cluster)
        done = subprocess.run(command, input=text, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "--output=json" in arguments else done.stdout.strip()

    crds = [f"--filename={crd}" for crd in sorted((ROOT / "crds").glob("*.yaml"))]
    run("apply", *crds)
    run("wait", "--for=condition=Established", "--timeout=30s", *crds)
    run("create", "namespace", namespace)
    yield run
    run("delete", "namespace", namespace, "--wait=false")


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> str:
    return str(kubectl("create", "configmap", "here", "--output=jsonpath={.metadata.namespace}"))


@pytest.fixture
async def adapter(cluster: local_cluster.Cluster, kubectl: Kubectl) -> AsyncIterator[Cluster]:
    connected = await Cluster.connect(str(cluster.kubeconfig))
    yield connected
    await connected.close()


def allow(stand_in: OneDevStandIn, role: int, project: str) -> None:
    """Gives the bot a role on the project and what is below it."""
    user = next(user for user in stand_in.store.users.values() if user.name == BOT)
    stand_in.store.authorize("user", user.id, stand_in.project(project).id, role)
