"""Doing again what a delivery did: by its id while it is remembered, and by its line of the log at any time."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from github_onedev_sync.__main__ import main
from github_onedev_sync.api import mirror
from github_onedev_sync.api.errors import ClusterUnavailable
from github_onedev_sync.api.starred import StarredReposSync
from github_onedev_sync.observability.health import HealthServer
from github_onedev_sync.observability.logs import JsonFormatter
from github_onedev_sync.webhook.build import Pod
from github_onedev_sync.webhook.replay import routes

from .conftest import GitHub
from .fakes import FakeCluster, mirror_body, sync_body
from .samples import OCTOCAT, WIDGET, event_of, raw

GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
Replay = Callable[..., Awaitable[int]]


@pytest.fixture
async def replay(pod: Pod, fake: FakeCluster, secret_folder: Path) -> AsyncIterator[Replay]:
    """The command, against the pod's admin port."""
    fake.put(mirror.PLURAL, mirror_body("widget", WIDGET))
    health = HealthServer(pod.metrics.registry, lambda: "", pod.trouble, 0, "127.0.0.1", routes(pod.receiver))
    runner = await health.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def run(*arguments: str) -> int:
        options = ["--url", url, "--secret-file", str(secret_folder / "secret")]
        return await asyncio.to_thread(main, ["replay", *options, *arguments])

    yield run
    await runner.cleanup()


def log_of(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(JsonFormatter().format(record) for record in caplog.records)


async def test_by_id(replay: Replay, github: GitHub, fake: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    await github.deliver(raw("push"), "push", GUID)
    assert await replay(GUID) == 0
    assert capsys.readouterr().out == f"{GUID} accepted\n"
    tokens = [token for _, token in fake.annotations]
    assert tokens[0] == GUID
    assert tokens[1].startswith(f"{GUID}.")


async def test_one_that_is_not_remembered(replay: Replay, capsys: pytest.CaptureFixture[str]) -> None:
    assert await replay(GUID) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {GUID} is not remembered\n")
    assert "fix: replay its line of the log with --lines" in said


async def test_a_cluster_that_is_away(
    replay: Replay, github: GitHub, fake: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    await github.deliver(raw("push"), "push", GUID)
    fake.trouble = ClusterUnavailable("PATCH /apis: refused")
    assert await replay(GUID) == 1
    assert "why: PATCH /apis: refused" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["push", "create", "repository.renamed", "installation_repositories.removed"])
async def test_by_a_line_of_the_log(
    replay: Replay,
    github: GitHub,
    fake: FakeCluster,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    caplog.set_level(logging.INFO)
    await github.deliver(raw(name), event_of(name), GUID)
    (tmp_path / "log").write_text(f"not JSON\n[]\n{log_of(caplog)}\n")
    for _ in range(2):
        assert await replay("--lines", str(tmp_path / "log")) == 0
    tokens = {token for _, token in fake.annotations}
    assert len(tokens) == 3
    assert all(token.startswith(GUID) for token in tokens)


async def test_a_line_makes_a_mirror_again(
    replay: Replay, github: GitHub, fake: FakeCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake.resources.clear()
    fake.put(StarredReposSync.plural, sync_body(StarredReposSync, OCTOCAT))
    await github.deliver(raw("star.created"), "star", GUID)
    (tmp_path / "log").write_text(log_of(caplog))
    fake.resources = {key: body for key, body in fake.resources.items() if key[0] != mirror.PLURAL}
    assert await replay("--lines", str(tmp_path / "log")) == 0
    assert fake.mirrors == [f"team/acme-widget-{WIDGET}"]


async def test_a_line_that_the_pod_s_secret_did_not_sign(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = {"event": "delivery", "github_event": "push", "delivery": GUID, "repository_id": 7, "repository": "a/b"}
    (tmp_path / "log").write_text(json.dumps(line))
    (tmp_path / "guessed").write_bytes(b"guessed")
    assert await replay("--lines", str(tmp_path / "log"), "--secret-file", str(tmp_path / "guessed")) == 1
    assert "why: wrong signature" in capsys.readouterr().err
    assert await replay("--lines", str(tmp_path / "log")) == 0
    assert capsys.readouterr().out == f"{GUID} nothing to do\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing says what to replay"),
        ([GUID, "--lines", "-"], "nothing says what to replay"),
        (["a/b"], "'a/b' is no id of a delivery"),
        (["--lines", "/nowhere"], "--lines /nowhere cannot be read"),
        (["--fast"], "the command line cannot be understood"),
    ],
)
async def test_a_wrong_command_line(
    replay: Replay, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert await replay(*arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        '{"event": "starting"}',
        '{"event": "delivery", "github_event": "push"}',
        '{"event": "delivery", "github_event": "push", "repository_id": "x", "delivery": "d"}',
    ],
)
async def test_lines_without_a_delivery(
    replay: Replay, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (tmp_path / "log").write_text(line)
    assert await replay("--lines", str(tmp_path / "log")) == 2
    assert "there is no delivery in these lines" in capsys.readouterr().err


def test_no_pod_and_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", GUID, "--url", "http://127.0.0.1:1"]) == 1
    assert "fix: run it in the webhook pod, or set --url" in capsys.readouterr().err
    (tmp_path / "empty").write_text("\n")
    for file, says in (("empty", "is empty"), ("missing", "cannot be read")):
        assert main(["replay", "--lines", "-", "--secret-file", str(tmp_path / file)]) == 2
        assert says in capsys.readouterr().err
