"""Hooks of git's own making at the target, which say no, fail, or take their time."""

import pytest

from github_onedev_sync.api.conditions import Reason
from tests.transfer.contract.world import Contract


@pytest.fixture
def target_name() -> str:
    """OneDev brings hooks of its own."""
    return "http-backend"


def hook(world: Contract, name: str, script: str) -> None:
    file = world.target_repository / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


async def test_a_hook_that_refuses_one_ref_refuses_all(contract: Contract) -> None:
    hook(
        contract,
        "pre-receive",
        "while read -r _ _ name; do case $name in */bad) echo No $name >&2; exit 1;; esac; done",
    )
    before = await contract.target_refs()
    for name in ("bad", "good"):
        contract.source_git("branch", name, "main")
    report = await contract.fails(Reason.TARGET_REFUSED)
    assert await contract.target_refs() == before
    assert "pre-receive hook declined" in report.message
    assert "No refs/heads/bad" in report.message
    (contract.target_repository / "hooks" / "pre-receive").unlink()
    await contract.heals()


async def test_a_hook_that_refuses_one_ref_of_many(contract: Contract) -> None:
    hook(contract, "update", "case $1 in */bad) echo No $1 >&2; exit 1;; esac")
    for name in ("bad", "good"):
        contract.source_git("branch", name, "main")
    report = await contract.fails(Reason.TARGET_REFUSED)
    assert "refs/heads/bad" in report.message
    (contract.target_repository / "hooks" / "update").unlink()
    await contract.heals()


async def test_a_hook_that_fails_afterwards_is_no_failure(contract: Contract) -> None:
    hook(contract, "post-receive", "echo Oops >&2; exit 1")
    await contract.change()
    assert (await contract.succeeds()).updated == 1


async def test_a_hook_that_takes_its_time(contract: Contract) -> None:
    """git sends empty packets meanwhile, which are no report."""
    contract.target_git("config", "receive.keepAlive", "1")
    hook(contract, "pre-receive", "sleep 2.5")
    await contract.change()
    assert (await contract.succeeds(on_rewrite="Follow")).updated == 1
