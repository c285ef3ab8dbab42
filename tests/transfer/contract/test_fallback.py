"""When the relay cannot, git does, and says why; and when git could not either, nobody tries."""

import json
from typing import Any

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.report import Outcome
from tests.transfer.contract.conftest import fill
from tests.transfer.contract.world import FETCH, LISTING, PUSH, Contract

# What only the relay's requests look like: git's name their agent, and let the source tell of its progress.
RELAYED_FETCH = {**FETCH, "asks": rb"(?s)(?=.*thin-pack).*no-progress"}
RELAYED_PUSH = {**PUSH, "asks": rb"(?s)\A(?!.*agent=)"}


@pytest.fixture
def engine() -> str:
    return "Auto"


async def assert_falls_back(world: Contract, why: str) -> None:
    report = await world.succeeds()
    assert report.engine == "Git"
    assert why in report.fallback, report.fallback
    (told,) = [line for line in map(json.loads, world.log.getvalue().splitlines()) if line["event"] == "finished"]
    assert (told["engine"], told["fallback"]) == ("Git", report.fallback)
    assert (await world.succeeds(Outcome.UNCHANGED)).fallback in ("", report.fallback)


async def test_the_relay_is_what_moves_data(contract: Contract) -> None:
    await contract.change()
    report = await contract.succeeds()
    assert (report.engine, report.fallback) == ("Relay", "")


async def test_a_source_without_protocol_2(contract: Contract) -> None:
    """Or a proxy that drops the header which asks for it."""
    await contract.change()
    contract.source.add(without=("git-protocol",))
    await assert_falls_back(contract, "does not speak git's protocol version 2")


async def test_without_protocol_2_a_relay_that_was_asked_for_says_what_to_change(contract: Contract) -> None:
    await contract.change()
    contract.source.add(without=("git-protocol",))
    report = await contract.fails(Reason.NOT_SUPPORTED, engine="Relay")
    assert "protocol version 2" in report.message
    assert "set spec.engine: Auto" in report.message


async def test_a_shallow_source(empty: Contract) -> None:
    """git finds out that it is one, and that nothing helps but more history."""
    fill(empty)
    tip = empty.source_git("rev-parse", "main")
    (empty.source_repository / "shallow").write_text(f"{tip}\n")
    report = await empty.fails(Reason.NOT_SUPPORTED)
    assert (report.engine, "shallow" in report.message, bool(report.fallback)) == ("Git", True, True)
    assert await empty.target_refs() == {}
    (empty.source_repository / "shallow").unlink()
    await empty.heals()


async def test_a_pack_that_breaks_again_and_again(contract: Contract) -> None:
    await contract.change()
    fault = contract.source.add(**RELAYED_FETCH, cut_answer=200)
    await assert_falls_back(contract, "broke off")
    assert fault.hits == 3, "twice more before another way is tried"


async def test_a_pack_that_is_garbled_again_and_again(contract: Contract) -> None:
    await contract.change()
    contract.source.add(**RELAYED_FETCH, change_answer=20)
    await assert_falls_back(contract, "")


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"cut_request": 200}, "cannot be reached"),
        ({"status": 200, "body": b"what?"}, "did not answer the push as git does"),
        ({"change_request": 500}, "could not take the pack"),
    ],
    ids=["cut", "garbage", "changed"],
)
async def test_a_push_that_breaks_again_and_again(contract: Contract, fault: dict[str, Any], why: str) -> None:
    await contract.change()
    if "status" in fault:
        fault = {**fault, "headers": {"Content-Type": "application/x-git-receive-pack-result"}}
    contract.target.add(**RELAYED_PUSH, **fault)
    await assert_falls_back(contract, why)


async def test_a_target_that_lacks_what_the_relay_needs(contract: Contract) -> None:
    await contract.change()
    listing = {**LISTING, "path": "service=git-receive-pack"}
    contract.target.add(**listing, rewrite=lambda body: body.replace(b"side-band-64k", b"side-band-65k"))
    await assert_falls_back(contract, "does not offer side-band-64k")


@pytest.mark.parametrize(
    ("side", "where", "fault", "reason"),
    [
        ("source", FETCH, {"status": 401}, Reason.SOURCE_AUTHENTICATION_FAILED),
        ("source", FETCH, {"status": 429, "headers": {"Retry-After": "7"}}, Reason.RATE_LIMITED),
        ("source", FETCH, {"status": 404}, Reason.PRIVATE_OR_GONE),
        ("target", PUSH, {"status": 401}, Reason.TARGET_AUTHENTICATION_FAILED),
        ("target", PUSH, {"status": 413}, Reason.TARGET_REFUSED),
    ],
    ids=["401", "429", "404", "401 of the target", "413"],
)
async def test_where_git_would_get_the_same_answer_it_is_not_asked(
    contract: Contract, side: str, where: dict[str, Any], fault: dict[str, Any], reason: Reason
) -> None:
    await contract.change()
    spoiler = getattr(contract, side).add(**where, **fault)
    report = await contract.fails(reason)
    assert (report.engine, report.fallback, spoiler.hits) == ("Relay", "", 1)
    await contract.heals()


async def test_a_refusal_is_no_reason_for_another_engine(contract: Contract) -> None:
    contract.onedev.project("repo").setting["branchProtections"] = [{"branches": "new"}]
    contract.source_git("branch", "new", "main")
    report = await contract.fails(Reason.TARGET_REFUSED)
    assert (report.engine, report.fallback) == ("Relay", "")
