"""What a run says when something is wrong, and that the target is whole afterwards."""

import errno
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from github_onedev_sync.api.assignment import Assignment
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry
from github_onedev_sync.api.refs import Listing
from github_onedev_sync.api.report import Outcome, TaskReport
from github_onedev_sync.transfer import git_engine
from github_onedev_sync.transfer.engine import Endpoint
from github_onedev_sync.transfer.git_engine import GitEngine, environment
from github_onedev_sync.transfer.steps import Command, Knowledge, Push, PushResult
from github_onedev_sync.worker.clock import Clock
from github_onedev_sync.worker.engines import EngineFactory
from github_onedev_sync.worker.log import JsonLog
from github_onedev_sync.worker.run import Run
from tests.transfer.world import GITHUB_TOKEN, ONEDEV_TOKEN, PROJECT, REPOSITORY, World

FETCH = {"method": "POST", "path": "git-upload-pack", "skip": 1}  # the first one is ls-refs
PUSH = {"method": "POST", "path": "git-receive-pack"}


async def assert_fails(world: World, reason: Reason, **changes: Any) -> TaskReport:
    """The next run fails for `reason`, tells no secret, and leaves nothing of a ref half-written."""
    report = await world.sync(**changes)
    assert (report.outcome, report.reason) == (Outcome.FAILED, reason), report
    said = report.message + world.log.getvalue()
    assert GITHUB_TOKEN not in said
    assert ONEDEV_TOKEN not in said
    assert not list(world.scratch().iterdir())
    return report


async def assert_heals(world: World) -> None:
    world.github.faults.clear()
    world.onedev.faults.clear()
    assert (await world.sync()).outcome in (Outcome.SYNCED, Outcome.UNCHANGED)
    await world.assert_equal()


async def test_a_wrong_token_for_the_source(mirrored: World) -> None:
    mirrored.token("source", "ghp_wrong")
    report = await assert_fails(mirrored, Reason.SOURCE_AUTHENTICATION_FAILED)
    assert "ghp_wrong" not in report.message
    assert "spec.source.secretRef" in report.message


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "is missing"), (b"", "no usable"), (b"two words", "no usable"), (b"\xff\xfe", "not text"), (b"a\nb", "no")],
)
async def test_a_token_file_that_cannot_be_used(mirrored: World, side: str, content: bytes | None, why: str) -> None:
    file = mirrored.folder / side / "token"
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    reason = Reason.SOURCE_AUTHENTICATION_FAILED if side == "source" else Reason.TARGET_AUTHENTICATION_FAILED
    report = await assert_fails(mirrored, reason)
    assert side in report.message
    assert why in report.message


async def test_a_ca_that_is_no_certificate(mirrored: World) -> None:
    (mirrored.folder / "target" / "ca.crt").write_text("hello")
    assert "ca.crt" in (await assert_fails(mirrored, Reason.SECRET_INVALID)).message


async def test_a_repository_that_is_gone(mirrored: World) -> None:
    await mirrored.github.delete_repository(REPOSITORY)
    before = await mirrored.target_refs()
    await assert_fails(mirrored, Reason.PRIVATE_OR_GONE)
    assert await mirrored.target_refs() == before


async def test_a_run_tries_again_by_itself(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY, "dev", {"big": "x" * 5000})
    mirrored.github.faults.add(**FETCH, cut_after=300)
    mirrored.onedev.faults.add(**PUSH, status=503)
    assert (await mirrored.sync()).outcome is Outcome.SYNCED
    await mirrored.assert_equal()


async def test_a_default_branch_that_onedev_does_not_take(mirrored: World) -> None:
    await mirrored.github.set_default_branch(REPOSITORY, "dev")
    fault = mirrored.onedev.faults.add(method="POST", path="default-branch", count=None, status=503)
    await assert_fails(mirrored, Reason.TARGET_UNAVAILABLE)
    mirrored.onedev.faults.clear(fault.id)
    mirrored.onedev.faults.add(method="POST", path="default-branch", count=None, drop="before")
    await assert_fails(mirrored, Reason.TARGET_UNAVAILABLE)
    await assert_heals(mirrored)


# ---- what an engine may meet


async def sync_with(world: World, engine: EngineFactory, **changes: Any) -> TaskReport:
    assignment = Assignment("r1", 60, (world.task(**changes),), ())
    run = Run(assignment, world.scratch(), JsonLog(io.StringIO(), Clock(), "r1"), Clock(), engine)
    await run.execute()
    return run.report().tasks[0]


class Broken:
    """An engine that fails in a way no server can make happen on demand."""

    name = "Git"
    received = 0

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def prepare(self, wanted: Sequence[Command], source: Listing, target: Listing) -> Knowledge:
        raise self._error

    async def push(self, push: Push) -> PushResult:
        raise self._error

    async def close(self) -> None:
        return None


async def test_a_full_disk_names_the_value_to_raise(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY)
    report = await sync_with(mirrored, lambda *_: Broken(OSError(errno.ENOSPC, "No space left on device")))
    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.OUT_OF_SPACE)
    assert "worker.scratchSizeLimit" in report.message


async def test_a_fault_of_ours_is_called_so(mirrored: World) -> None:
    await mirrored.github.commit(REPOSITORY)
    report = await sync_with(mirrored, lambda *_: Broken(KeyError("x")))
    assert (report.outcome, report.reason) == (Outcome.FAILED, Reason.WORKER_FAILED)


def nothing(_phase: str, _percent: int) -> None:
    return None


async def test_an_object_that_vanished_from_the_source(mirrored: World) -> None:
    engine = GitEngine(
        mirrored.scratch() / "x", Endpoint(f"{mirrored.github.url}/{REPOSITORY}.git"),
        Endpoint(f"{mirrored.onedev.url}/{PROJECT}", ONEDEV_TOKEN), nothing,
    )  # fmt: skip
    there = Listing({}, url=f"{mirrored.github.url}/{REPOSITORY}.git")
    with pytest.raises(Retry, match="changed while"):
        await engine.prepare([Command("refs/heads/x", None, "1" * 40)], there, Listing({}))
    await engine.close()


async def test_a_long_push_is_cut_to_what_the_kernel_takes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.github.commit(REPOSITORY, "main")
    for number in range(5):
        await world.github.create_branch(REPOSITORY, f"b{number}")
    monkeypatch.setattr(git_engine, "_ARGUMENTS", 150)
    assert (await world.sync()).outcome is Outcome.SYNCED
    await world.assert_equal()


def test_the_scratch_repository_is_told_nothing_secret_on_disk(tmp_path: Path) -> None:
    source = Endpoint("https://github.example/o/r.git", "secret-a", "/ca.crt")
    made = environment(tmp_path, source, Endpoint("https://onedev.example/o/r", "secret-b"))
    settings = {
        made[f"GIT_CONFIG_KEY_{n}"]: made[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(made["GIT_CONFIG_COUNT"]))
    }
    assert settings["http.https://github.example/o/r.git.sslCAInfo"] == "/ca.crt"
    assert settings["http.https://github.example/o/r.git.extraHeader"].startswith("Authorization: Basic ")
    assert settings["http.https://onedev.example/o/r.extraHeader"].startswith("Authorization: Basic ")
    assert made["GIT_ALLOW_PROTOCOL"] == "https"
    assert "secret" not in repr(source)
