"""`python -m github_onedev_sync`: what it takes, and what it says to anything else."""

import pytest

from github_onedev_sync import __version__
from github_onedev_sync.__main__ import COMMANDS, ROLES, main


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_role_and_command(capsys: pytest.CaptureFixture[str], option: str) -> None:
    assert main([option]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in (*ROLES, *COMMANDS, "version"))


@pytest.mark.parametrize("arguments", [[], ["webmaster"], ["worker", "--fast"], ["version", "2"]])
def test_anything_else_is_a_mistake_and_told_as_one(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert "fix: python -m github_onedev_sync controller|worker|webhook|restore|replay|version" in said.err


def test_a_command_gets_the_arguments_that_follow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore"]) == 2
    assert "the following arguments are required: --server" in capsys.readouterr().err
