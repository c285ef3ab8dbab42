"""The worker as a pod runs it: a process with an environment, an exit code and a termination message."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from github_onedev_sync.api.assignment import ENVIRONMENT_VARIABLE, Assignment
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.report import ExitCode, Outcome
from tests.transfer.world import GITHUB_TOKEN, ONEDEV_TOKEN, REPOSITORY, Worker, World

SILENT_FETCH = {"method": "POST", "path": "git-upload-pack", "skip": 1, "stall_after": 20, "count": None}
SILENT_PUSH = {"method": "POST", "path": "git-receive-pack", "stall_request_after": 0, "count": None}
EMPTY = Assignment("r", 1).to_json()


def secretless(text: str) -> bool:
    return GITHUB_TOKEN not in text and ONEDEV_TOKEN not in text and "eC1hY2Nlc3MtdG9rZW46" not in text


async def busy_children(worker: Worker, world: World) -> list[psutil.Process]:
    """The worker's processes once it is waiting for a server that says nothing; the relay has none."""
    deadline = time.monotonic() + 30
    stand_ins = (world.github, world.onedev)
    while time.monotonic() < deadline:
        children = psutil.Process(worker.process.pid).children(recursive=True)
        waiting = any(entry.fault and entry.status is None for s in stand_ins for entry in s.journal.entries("POST"))
        if waiting and (world.engine == "Relay" or any("remote-http" in child.name() for child in children)):
            return children
        await asyncio.sleep(0.02)
    raise AssertionError("it never came to wait")


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


async def test_a_run_from_start_to_end(world: World) -> None:
    await world.github.commit(REPOSITORY, "main")
    code, report, said = await (await world.start_worker()).end()
    assert code == ExitCode.OK
    assert report is not None
    assert report.run == "r1"
    assert [(t.key, t.outcome) for t in report.tasks] == [("default/repo", Outcome.SYNCED)]
    assert report.tasks[0].seconds > 0
    await world.assert_equal()
    assert secretless(said)
    lines = [json.loads(line) for line in said.splitlines()[:-1]]
    assert [line["event"] for line in lines if line["event"] != "progress"] == ["started", "finished"]
    assert all({"time", "level", "event", "run", "mirror"} <= line.keys() for line in lines)


@pytest.mark.parametrize(
    ("side", "code"), [("source", ExitCode.SOURCE_AUTHENTICATION), ("target", ExitCode.TARGET_AUTHENTICATION)]
)
async def test_a_wrong_token_has_an_exit_code_of_its_own(mirrored: World, side: str, code: ExitCode) -> None:
    mirrored.token(side, "revoked-but-still-secret")
    await mirrored.github.commit(REPOSITORY)
    ended, report, said = await (await mirrored.start_worker()).end()
    assert ended == code
    assert report is not None
    assert report.tasks[0].outcome is Outcome.FAILED
    assert secretless(said)
    assert "revoked-but-still-secret" not in said


async def test_the_highest_code_of_several_mirrors_wins(mirrored: World) -> None:
    worker = await mirrored.start_worker(mirrored.task(key="a/a", project_id=1), mirrored.task(key="b/b"))
    code, report, _ = await worker.end()
    assert code == ExitCode.OK
    assert report is not None
    assert [t.outcome for t in report.tasks] == [Outcome.UNCHANGED, Outcome.UNCHANGED]


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_time_out_ends_every_child(mirrored: World, side: str) -> None:
    await mirrored.github.commit(REPOSITORY, "dev")
    before = await mirrored.target_refs()
    if side == "source":
        mirrored.github.faults.add(**SILENT_FETCH)
    else:
        mirrored.onedev.faults.add(**SILENT_PUSH)
    worker = await mirrored.start_worker(mirrored.task(), mirrored.task(key="default/next"), timeout_seconds=10)
    children = await busy_children(worker, mirrored)
    code, report, said = await worker.end()
    assert code == ExitCode.TRANSIENT
    assert report is not None
    assert [t.reason for t in report.tasks] == [Reason.TIMED_OUT, Reason.TIMED_OUT]
    assert "10 s" in report.tasks[0].message
    assert_gone(children)
    assert not list(mirrored.scratch().iterdir())
    assert await mirrored.target_refs() == before
    assert secretless(said)


async def test_sigterm_ends_with_a_report(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY, "dev")
    mirrored.github.faults.add(**SILENT_FETCH)
    worker = await mirrored.start_worker()
    children = await busy_children(worker, mirrored)
    worker.process.send_signal(signal.SIGTERM)
    code, report, _ = await worker.end()
    assert code == ExitCode.TRANSIENT
    assert report is not None
    assert report.tasks[0].reason is Reason.RUN_LOST
    assert_gone(children)
    mirrored.github.faults.clear()
    assert (await mirrored.sync()).outcome is Outcome.SYNCED


async def test_a_killed_worker_leaves_the_target_whole(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY, "dev")
    before = await mirrored.target_refs()
    mirrored.onedev.faults.add(**SILENT_PUSH)
    worker = await mirrored.start_worker()
    children = await busy_children(worker, mirrored)
    worker.process.kill()
    # In a pod the kernel does this: the worker is the first process of its namespace.
    for child in children:
        child.kill()
    code, report, _ = await worker.end()
    assert code == -signal.SIGKILL
    assert report is None
    assert await mirrored.target_refs() == before
    mirrored.onedev.faults.clear()
    assert (await mirrored.sync()).outcome is Outcome.SYNCED
    await mirrored.assert_equal()


@pytest.mark.parametrize("assignment", [None, "", "{}", '{"v":99}'])
def test_a_worker_without_an_assignment_says_so(assignment: str | None) -> None:
    done = run_role("worker", assignment=assignment)
    assert done.returncode == ExitCode.OUR_BUG
    assert json.loads(done.stdout)["event"] == "bad-assignment"
    assert done.stderr == ""


def test_a_missing_termination_log_is_not_fatal() -> None:
    done = run_role("worker", assignment=EMPTY)
    assert done.returncode == ExitCode.OK
    assert json.loads(done.stdout)["event"] == "no-termination-log"


def test_version() -> None:
    assert run_role("version").stdout.strip() == "0.1.0"


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("worker", "worker")])
def test_a_wrong_command_line_says_what_is_right(arguments: tuple[str, ...]) -> None:
    done = run_role(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "fix: python -m github_onedev_sync controller|worker|webhook|restore|replay|version" in done.stderr


def test_the_worker_loads_nothing_of_the_controller() -> None:
    script = "import sys, github_onedev_sync.worker.main as _; print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], env=environment(), text=True, capture_output=True, check=True)
    loaded = {name.partition(".")[0] for name in eval(done.stdout)}
    assert not loaded & {"kopf", "kubernetes", "pydantic", "httpx", "github", "prometheus_client"}


def run_role(*arguments: str, assignment: str | None = None) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "github_onedev_sync", *arguments],
        env=environment(assignment),
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def environment(assignment: str | None = None) -> dict[str, str]:
    given = {ENVIRONMENT_VARIABLE: assignment} if assignment is not None else {}
    log = {"GITHUB_ONEDEV_SYNC_TERMINATION_LOG": "/nonexistent/log"}
    return {**os.environ, "PYTHONPATH": "operator", **log, **given}
