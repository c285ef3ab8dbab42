"""`restore` against the stand-ins: what it lists, what it makes, and how it says no."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from github_onedev_sync.__main__ import main

from .world import ONEDEV_TOKEN, PROJECT, REPOSITORY, World

FIRST, SECOND = "refs/archive/20261123T010202Z/heads/dev", "refs/archive/20261123T010203Z/tags/v1"
DEV, V1 = "refs/heads/restored/dev", "refs/tags/restored/v1"


class Shell:
    """Runs the command as from a terminal, in this process."""

    def __init__(self, world: World, capsys: pytest.CaptureFixture[str]) -> None:
        self.world = world
        self._capsys = capsys
        self.where = [f"--server={world.onedev.url}", f"--project={PROJECT}", "--insecure"]
        self.token = f"--token-file={world.folder / 'target' / 'token'}"

    async def __call__(self, *arguments: str) -> str:
        """What it prints; a failure is a failed test."""
        code, out, err = await self.end(*self.where, self.token, *arguments)
        assert (code, err) == (0, "")
        return out

    async def error(self, *arguments: str) -> tuple[int, str]:
        """Exit code and what is wrong, for whole command lines."""
        code, out, err = await self.end(*arguments)
        assert out == ""
        error, why, fix = err.splitlines()
        assert (error[:7], why[:7], fix[:7]) == ("error: ", "  why: ", "  fix: ")
        assert ONEDEV_TOKEN not in err
        return code, err

    async def refused(self, *arguments: str) -> str:
        code, err = await self.error(*self.where, self.token, *arguments)
        assert code == 1
        return err

    async def end(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = await asyncio.to_thread(main, ["restore", *arguments])
        return code, *self._capsys.readouterr()

    async def refs(self) -> dict[str, str]:
        return await self.world.onedev.refs(PROJECT)


@pytest.fixture
def engine() -> str:
    """Nothing here depends on what moved the data."""
    return "Relay"


@pytest.fixture
async def shell(mirrored: World, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The first run archived nothing; then `dev` was rewritten, then the annotated `v1` moved."""
    await mirrored.github.force_push(REPOSITORY, "dev", {"b": "2"})
    assert (await mirrored.sync()).archived == 1
    await mirrored.github.create_tag(REPOSITORY, "v1", "dev", annotated=True)
    assert (await mirrored.sync()).archived == 1
    assert set(await mirrored.archives()) == {FIRST, SECOND}
    return Shell(mirrored, capsys)


async def test_the_list_shows_the_newest_first(shell: Shell) -> None:
    refs = await shell.refs()
    assert await shell("--list") == (
        "TIME                  REF                                      TIP\n"
        f"2026-11-23 01:02:03Z  {SECOND}    {refs[SECOND]}\n"
        f"2026-11-23 01:02:02Z  {FIRST}  {refs[FIRST]}\n"
    )


async def test_nothing_to_list_is_said(mirrored: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert await Shell(mirrored, capsys)("--list") == f"{PROJECT} has no archived tips\n"


async def test_names_without_a_time_come_last(shell: Shell) -> None:
    target, odd = shell.world.target_repository, "refs/archive/encoded/tags/a!2Bb"
    await shell.world.onedev.processes.git(target, "update-ref", odd, FIRST)
    *_, last = (await shell("--list")).splitlines()
    assert last.split() == ["-", odd, (await shell.refs())[FIRST]]


async def test_a_branch_is_made_and_the_next_sync_leaves_it_alone(shell: Shell) -> None:
    tip = (await shell.refs())[FIRST]
    said = await shell(f"--archived={FIRST}", "--branch=dev")
    assert said == f"{DEV} is now at {tip}, which was kept as {FIRST}\n"
    assert (await shell.refs())[DEV] == tip
    report = await shell.world.sync()
    assert (report.outcome, report.deleted, report.unequal) == ("Unchanged", 0, ()), report
    assert (await shell.refs())[DEV] == tip
    await shell.world.assert_whole()


async def test_an_annotated_tag_comes_back_as_the_object_that_it_was(shell: Shell) -> None:
    tip = (await shell.refs())[SECOND]
    await shell(f"--archived={SECOND}", "--tag=v1")
    assert (await shell.refs())[V1] == tip
    git = shell.world.onedev.processes.git
    assert await git(shell.world.target_repository, "cat-file", "-t", V1) == "tag"


async def test_a_branch_from_a_tag_is_at_its_commit(shell: Shell) -> None:
    await shell(f"--archived={SECOND}", "--branch=from/v1")
    git = shell.world.onedev.processes.git
    commit = await git(shell.world.target_repository, "rev-parse", f"{SECOND}^{{commit}}")
    assert (await shell.refs())["refs/heads/restored/from/v1"] == commit


@pytest.mark.parametrize("name", ["a%41", "a=b", "a&b", "rel+1", "rel+100%", "ü/1"])
async def test_names_that_onedev_s_hook_does_not_take_with_others(shell: Shell, name: str) -> None:
    tip = (await shell.refs())[FIRST]
    await shell(f"--archived={FIRST}", f"--branch={name}")
    assert (await shell.refs())[f"refs/heads/restored/{name}"] == tip


@pytest.mark.parametrize("name", ["dev", "dev+1"])
async def test_a_taken_name_is_moved_by_force_only(shell: Shell, name: str) -> None:
    ref, refs = f"refs/heads/restored/{name}", await shell.refs()
    await shell(f"--archived={FIRST}", f"--branch={name}")
    assert await shell(f"--archived={FIRST}", f"--branch={name}") == f"{ref} is at {refs[FIRST]} already\n"
    err = await shell.refused(f"--archived={SECOND}", f"--branch={name}")
    assert err == (
        f"error: {ref} is taken\n  why: it is at {refs[FIRST]}, which might be let go\n"
        "  fix: choose another name, or add --force\n"
    )
    assert (await shell.refs())[ref] == refs[FIRST]
    await shell(f"--archived={SECOND}", f"--branch={name}", "--force")
    assert (await shell.refs())[ref] != refs[FIRST]


async def test_a_name_in_the_way(shell: Shell) -> None:
    await shell(f"--archived={FIRST}", "--branch=dev")
    err = await shell.refused(f"--archived={FIRST}", "--branch=dev/old")
    assert f"why: {DEV} stands in its way" in err


async def test_an_unknown_tip(shell: Shell) -> None:
    err = await shell.refused("--archived=refs/archive/20200101T000000Z/heads/dev", "--branch=dev")
    assert "'refs/archive/20200101T000000Z/heads/dev' is no archived tip" in err
    assert "repo has no ref of that name" in err
    assert "--list in place of --archived" in err


async def test_a_protected_branch_says_no_in_onedev_s_words(shell: Shell) -> None:
    shell.world.onedev.faults.add(method="POST", path="git-receive-pack", status=403, body="no")
    err = await shell.refused(f"--archived={FIRST}", "--branch=dev")
    assert f"error: {DEV} was not made" in err
    assert "an account that may write code" in err
    assert DEV not in await shell.refs()


async def test_a_push_that_breaks_off_makes_nothing(shell: Shell) -> None:
    shell.world.onedev.faults.add(method="POST", path="git-receive-pack", drop="before")
    err = await shell.refused(f"--archived={FIRST}", "--branch=dev")
    assert "check --server" in err
    assert DEV not in await shell.refs()


async def test_a_git_server_that_is_not_onedev_s(shell: Shell) -> None:
    headers = {"Content-Type": "application/x-git-receive-pack-advertisement"}
    line = "0" * 40 + " capabilities^{}\0report-status"
    body = f"001f# service=git-receive-pack\n0000{len(line) + 4:04x}{line}0000"
    shell.world.onedev.faults.add(path="service=git-receive-pack", status=200, headers=headers, body=body)
    err = await shell.refused(f"--archived={FIRST}", "--branch=dev")
    assert "does not offer side-band-64k, delete-refs" in err


async def test_an_id_that_onedev_does_not_tell(shell: Shell) -> None:
    faults = shell.world.onedev.faults
    for fault in ({"status": 500}, {"status": 200, "body": "no number"}, {"drop": "before"}):
        faults.clear()
        faults.add(path="/projects/ids/", count=None, **fault)
        err = await shell.refused(f"--archived={FIRST}", "--branch=rel+1")
        assert "choose a name without +" in err


async def test_a_wrong_token(shell: Shell) -> None:
    shell.world.token("target", "wrong")
    err = await shell.refused("--list")
    assert "why: OneDev refuses the token" in err
    assert "--token-file" in err


async def test_no_such_project(shell: Shell) -> None:
    code, err = await shell.error(shell.where[0], "--insecure", "--project=nothing", shell.token, "--list")
    assert (code, "OneDev has no such project" in err) == (1, True)


async def test_nobody_there(shell: Shell) -> None:
    code, err = await shell.error("--server=http://127.0.0.1:1", "--insecure", "--project=a", shell.token, "--list")
    assert (code, "cannot be reached" in err, "check --server" in err) == (1, True, True)


async def test_another_authority_than_is_there(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("nonsense")
    err = await shell.refused("--list", f"--ca={tmp_path / 'ca'}")
    assert "is not a PEM certificate" in err


WRONG = {
    "nothing to do": ["--project=a"],
    "nothing to make": ["--archived=refs/archive/x"],
    "both": ["--archived=refs/archive/x", "--list"],
    "branch and tag": ["--archived=refs/archive/x", "--branch=a", "--tag=a"],
    "a list makes nothing": ["--list", "--branch=a"],
    "a list forces nothing": ["--list", "--force"],
    "no archived name": ["--archived=refs/heads/main", "--branch=a"],
    "full name": [f"--archived={FIRST}", "--branch=refs/heads/a"],
    "no name": [f"--archived={FIRST}", "--branch="],
    "illegal name": [f"--archived={FIRST}", "--branch=a..b"],
    "control character": [f"--archived={FIRST}", "--branch=a\x1b[31m"],
    "not UTF-8": [f"--archived={FIRST}", "--branch=a\udcff"],
    "long name": [f"--archived={FIRST}", f"--branch={'n' * 256}"],
    "tag with +": [f"--archived={FIRST}", "--tag=a+b"],
    "tag with %": [f"--archived={FIRST}", "--tag=100%"],
    "no option": ["--list", "--verbose"],
    "abbreviated": ["--list", "--forc"],
    "http": ["--list", "--server=http://onedev.example.com"],
    "credentials": ["--list", "--server=https://me:secret-word@onedev.example.com"],
    "no host": ["--list", "--server=https://"],
    "no port": ["--list", "--server=https://onedev.example.com:x"],
    "no scheme": ["--list", "--server=onedev.example.com"],
    "REST": ["--list", "--server=https://onedev.example.com/~api"],
    "umlaut": ["--list", "--server=https://önedev.example.com"],
    "project": ["--list", "--project=a//b"],
    "no file": ["--list", "--token-file=/nowhere"],
    "a folder": ["--list", "--token-file=/"],
    "no token": ["--list", "--token-file=/dev/null"],
    "no authority": ["--list", "--ca=/nowhere"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
async def test_wrong_command_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    (tmp_path / "token").write_text("t")
    least = ["--server=https://127.0.0.1:1", "--project=github/a", f"--token-file={tmp_path / 'token'}"]
    code = main(["restore", *least, *arguments])
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert [line[:7] for line in err.splitlines()] == ["error: ", "  why: ", "  fix: "]
    assert "secret-word" not in err
    assert err.replace("\n", "").isprintable()


def test_a_token_that_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    arguments = ["--server=https://127.0.0.1:1", "--project=a", f"--token-file={tmp_path / 'token'}", "--list"]
    assert main(["restore", *arguments]) == 2
    assert "why: it is not text" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["restore", "--help"])
    out, _ = capsys.readouterr()
    assert ended.value.code == 0
    assert "Exit codes: 0 done; 1 " in out


async def in_a_process(world: World, *arguments: str, out: int = subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "github_onedev_sync", "restore", "--insecure", f"--server={world.onedev.url}", f"--project={PROJECT}"),
        *arguments,
        env={**os.environ, "PYTHONPATH": "operator"},
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=subprocess.PIPE,
    )


async def test_a_token_from_standard_input(shell: Shell) -> None:
    process = await in_a_process(shell.world, "--token-file=-", "--list")
    out, err = await asyncio.wait_for(process.communicate(ONEDEV_TOKEN.encode()), 60)
    assert (process.returncode, err) == (0, b"")
    assert len(out.splitlines()) == 3


async def test_a_reader_who_has_enough(shell: Shell) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = await in_a_process(shell.world, shell.token, "--list", out=writing)
    os.close(writing)
    _, err = await asyncio.wait_for(process.communicate(), 60)
    assert (process.returncode, err) == (0, b"")


async def test_an_interrupted_command_says_that_nothing_is_half_done(shell: Shell) -> None:
    onedev = shell.world.onedev
    onedev.journal.clear()
    onedev.faults.add(path="/info/refs", delay=60)
    process = await in_a_process(shell.world, shell.token, "--list")
    while not onedev.journal.entries(path="/info/refs"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, out) == (1, b"")
    assert err.startswith(b"error: interrupted")
    assert len(err.splitlines()) == 3
