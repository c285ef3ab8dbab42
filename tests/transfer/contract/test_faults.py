"""Everything that may happen between two honest servers: refused, cut, stalled, slowed, changed, taken for a page."""

from functools import partial
from typing import Any

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.transfer import git_engine, relay
from github_onedev_sync.transfer.relay_fetch import Timings
from tests.transfer.contract.world import FETCH, PUSH, Contract

SOURCE = Reason.SOURCE_UNAVAILABLE
TARGET = Reason.TARGET_UNAVAILABLE
PLAIN = {"Content-Type": "text/plain"}
PAGE = {"Content-Type": "text/html"}
HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"
LS_REFS = {"method": "POST", "path": "git-upload-pack", "asks": b"command=ls-refs"}
LISTS = {"method": "GET", "path": "info/refs"}

OF_THE_SOURCE = {
    401: Reason.SOURCE_AUTHENTICATION_FAILED,
    403: Reason.BLOCKED,
    404: Reason.PRIVATE_OR_GONE,
    413: SOURCE,
    429: Reason.RATE_LIMITED,
    451: Reason.TAKEN_DOWN,
    500: SOURCE,
    502: SOURCE,
    503: SOURCE,
}
OF_THE_TARGET = {
    401: Reason.TARGET_AUTHENTICATION_FAILED,
    403: Reason.TARGET_NOT_PERMITTED,
    404: Reason.TARGET_CHANGED,
    413: Reason.TARGET_REFUSED,
    429: TARGET,
    451: TARGET,
    500: TARGET,
    502: TARGET,
    503: TARGET,
}


# ---- refused


@pytest.mark.parametrize("where", [LISTS, LS_REFS, FETCH], ids=["list", "ls-refs", "fetch"])
async def test_statuses_of_the_source(contract: Contract, where: dict[str, Any]) -> None:
    await contract.change()
    for status, reason in OF_THE_SOURCE.items():
        fault = contract.source.add(**where, status=status, headers=PLAIN, body=b"No, not today.")
        report = await contract.spoiled(fault, reason)
        assert str(status) in report.message
    await contract.heals()


@pytest.mark.parametrize("where", [LISTS, PUSH], ids=["list", "push"])
async def test_statuses_of_the_target(contract: Contract, where: dict[str, Any]) -> None:
    """git does not tell what came with a push's status, so what may be a proxy's page is taken for one."""
    unsaid = {403: TARGET, 404: TARGET} if contract.engine == "Git" and where is PUSH else {}
    await contract.change()
    for status, reason in (OF_THE_TARGET | unsaid).items():
        fault = contract.target.add(**where, status=status, headers=PLAIN, body=b"No, not today.")
        report = await contract.spoiled(fault, reason)
        assert str(status) in report.message
    await contract.heals()


@pytest.mark.parametrize("where", [LISTS, FETCH], ids=["list", "fetch"])
async def test_statuses_with_a_pause(contract: Contract, where: dict[str, Any]) -> None:
    """git itself does not tell of a header, so its fetch is refused for good where the relay's waits."""
    seen = where is LISTS or contract.engine == "Relay"
    reasons = {403: Reason.RATE_LIMITED if seen else Reason.BLOCKED, 429: Reason.RATE_LIMITED, 503: SOURCE}
    await contract.change()
    for status, reason in reasons.items():
        fault = contract.source.add(**where, status=status, headers={**PLAIN, "Retry-After": "7"}, body=b"Slow down")
        await contract.spoiled(fault, reason)
    await contract.heals()


async def test_a_push_that_is_refused_while_it_is_sent(contract: Contract) -> None:
    """A megabyte more than any buffer on the way takes, and the answer is there before it is asked for."""
    for status in (401, 413):
        await contract.change(bytes_=3_000_000)
        fault = contract.target.add(**PUSH, status=status, headers=PLAIN, body=b"No")
        await contract.spoiled(fault, OF_THE_TARGET[status])
    await contract.heals()


# ---- something else than git


@pytest.mark.parametrize("where", [LISTS, LS_REFS, FETCH], ids=["list", "ls-refs", "fetch"])
async def test_a_source_that_does_not_speak_git(contract: Contract, where: dict[str, Any]) -> None:
    await contract.change()
    for kind in ("page", "page called git", "nothing", "gzip"):
        if kind == "gzip" and where is FETCH and contract.engine == "Git":
            continue  # which asks for it
        await contract.spoiled(contract.source.add(**where, **speaking(kind, where, "upload-pack")), SOURCE)
    await contract.heals()


@pytest.mark.parametrize("where", [LISTS, PUSH], ids=["list", "push"])
async def test_a_target_that_does_not_speak_git(contract: Contract, where: dict[str, Any]) -> None:
    await contract.change()
    for kind in ("page", "page called git", "nothing"):
        service = "upload-pack" if where is LISTS else "receive-pack"
        await contract.spoiled(contract.target.add(**where, **speaking(kind, where, service)), TARGET)
    await contract.heals()


async def test_a_target_that_compresses_unasked(contract: Contract) -> None:
    """A list is refused. A push has been done by then, so the next attempt finds it done."""
    await contract.change()
    fault = contract.target.add(**LISTS, gzip=True)
    await contract.spoiled(fault, TARGET)
    fault = contract.target.add(**PUSH, gzip=True)
    await contract.succeeds(on_rewrite="Follow")
    assert fault.struck


def speaking(kind: str, where: dict[str, Any], service: str) -> dict[str, Any]:
    what = "advertisement" if where is LISTS else "result"
    git = {"Content-Type": f"application/x-git-{service}-{what}"}
    members: dict[str, dict[str, Any]] = {
        "page": {"status": 200, "headers": PAGE, "body": HTML},
        "page called git": {"status": 200, "headers": git, "body": HTML},
        "nothing": {"status": 200, "headers": git},
        "gzip": {"gzip": True},
    }
    return members[kind]


@pytest.mark.parametrize("where", [LISTS, PUSH], ids=["list", "push"])
async def test_a_target_that_is_just_starting(contract: Contract, where: dict[str, Any]) -> None:
    await contract.change()
    await contract.spoiled(contract.target.add(**where, status=404, headers=PAGE, body=HTML), TARGET)
    await contract.heals()


# ---- cut


async def test_a_pack_that_is_cut(contract: Contract) -> None:
    await contract.change()
    for bytes_ in (0, 1, 12, 60, 900, 3000):
        await contract.spoiled(contract.source.add(**FETCH, cut_answer=bytes_), SOURCE)
    await contract.heals()


async def test_a_pack_without_its_end(contract: Contract) -> None:
    """The pack is complete and so is its HTTP, only git's own last word is missing."""
    await contract.change()
    fault = contract.source.add(**FETCH, rewrite=lambda body: body.removesuffix(b"0000"))
    if contract.engine == "Git":
        # git takes what it has: the pack proves itself by its checksum.
        assert (await contract.succeeds()).updated == 1
    else:
        await contract.spoiled(fault, SOURCE)
    assert fault.struck
    await contract.heals()


async def test_a_list_that_is_cut(contract: Contract) -> None:
    """HTTP tells of a cut only sometimes, and a list without its end would look like deletions."""
    await contract.change()
    for bytes_ in (0, 1, 70, 130):
        await contract.spoiled(contract.source.add(**LISTS, cut_answer=bytes_), SOURCE)
        await contract.spoiled(contract.source.add(**LS_REFS, cut_answer=bytes_), SOURCE)
        await contract.spoiled(contract.target.add(**LISTS, cut_answer=bytes_), TARGET)
    await contract.heals()


async def test_a_push_that_is_cut(contract: Contract) -> None:
    for bytes_ in (0, 100, 180, 3000):
        await contract.change()
        await contract.spoiled(contract.target.add(**PUSH, cut_request=bytes_), TARGET)
        await contract.heals()


async def test_a_report_that_is_cut(contract: Contract) -> None:
    """The push has been done; a run that does not hear of it finds it done."""
    for bytes_ in (0, 1, 20):
        await contract.change()
        fault = contract.target.add(**PUSH, cut_answer=bytes_)
        await contract.succeeds(on_rewrite="Follow")
        assert fault.struck
        contract.target.clear()


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_first_sync_that_is_cut_goes_on_where_it_was(empty: Contract, side: str) -> None:
    for number in range(3):
        await empty.github.commit("octo/repo", "main", {"a": str(number)})
    empty.source_git("branch", "dev", "main~1")
    if side == "target":
        fault = empty.target.add(**PUSH, skip=2, cut_request=0)
        report = await empty.spoiled(fault, TARGET)
        assert report.created == 1, "the default branch was there before the cut"
    else:
        await empty.spoiled(empty.source.add(**FETCH, cut_answer=100), SOURCE)
    await empty.heals()


# ---- stalled and slow


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a second is long, for git a second."""
    monkeypatch.setattr(git_engine, "_SOURCE_SILENCE", 1)
    monkeypatch.setattr(git_engine, "_TARGET_SILENCE", 1)
    half = Timings(connect=5, answer=0.5, counting=0.5, silence=0.5, dribble=0.1, stuck=0.5, report=0.5)
    monkeypatch.setattr(relay, "Timings", lambda: half)


@pytest.mark.usefixtures("impatient")
async def test_a_pack_that_stands_still(contract: Contract) -> None:
    await contract.change()
    await contract.spoiled(contract.source.add(**FETCH, stall_answer=900), SOURCE)
    await contract.heals()


@pytest.mark.usefixtures("impatient")
async def test_a_push_that_stands_still(contract: Contract) -> None:
    """Before OneDev has it all, or while it makes its report."""
    await contract.change()
    for where in ({"stall_request": 900}, {"stall_answer": 0}):
        await contract.spoiled(contract.target.add(**PUSH, **where), TARGET)
    await contract.heals()


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_kilobyte_a_second_is_slow_but_arrives(contract: Contract, side: str) -> None:
    await contract.change(bytes_=2000)
    proxy, where = (contract.source, FETCH) if side == "source" else (contract.target, PUSH)
    fault = proxy.add(**where, pace=1000)
    assert (await contract.succeeds()).updated == 1
    assert fault.struck


# ---- changed


async def test_a_pack_with_one_bit_turned(contract: Contract) -> None:
    """Where it passes the pkt-lines it is found by whoever unpacks: git here, or OneDev behind the relay."""
    await contract.change()
    for place in (0, 3, 5):
        await contract.spoiled(contract.source.add(**FETCH, change_answer=place), SOURCE)
    for place in (0, 4, 11, 13, 30, 1000):
        fault = contract.source.add(**FETCH, rewrite=partial(turned, place=place))
        await contract.spoiled(fault, SOURCE, TARGET)
    await contract.heals()


def turned(body: bytes, place: int) -> bytes:
    """The answer to a fetch with one bit turned at this place of its pack."""
    at = body.index(b"PACK") + place
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


async def test_a_push_with_one_bit_turned(contract: Contract) -> None:
    await contract.change()
    for place in (300, 2000):
        await contract.spoiled(contract.target.add(**PUSH, change_request=place), TARGET)
    await contract.heals()


async def test_a_list_with_one_bit_turned(contract: Contract) -> None:
    """An object id with another digit cannot be told from a true one: then the source lacks it, or the push fails."""
    for place in (2, 20, 47):
        for proxy, where in ((contract.source, LS_REFS), (contract.target, LISTS)):
            await contract.change()
            before = await contract.target_refs()
            fault = proxy.add(**where, count=1, change_answer=place)
            report = await contract.sync()
            assert fault.struck
            assert report.outcome == "Synced" or report.reason in (SOURCE, TARGET, Reason.TARGET_CHANGED), report
            contract.assert_discreet(report)
            await contract.assert_old_or_new(before)
            await contract.heals()
