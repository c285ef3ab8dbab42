"""The relay between parties that lie, flood or fall silent: an end in time, bounded memory, the target untouched."""

import asyncio
import gzip
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import psutil
import pytest

from github_onedev_sync.api.assignment import Remote
from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.report import Outcome, TaskReport
from github_onedev_sync.transfer import relay
from github_onedev_sync.transfer.pktline import Marker, encode
from github_onedev_sync.transfer.relay_fetch import Timings
from github_onedev_sync.transfer.wire import build_pack
from tests.faulty import FaultyProxy
from tests.transfer.contract.test_faults import turned
from tests.transfer.contract.world import FETCH, PUSH, Contract
from tests.transfer.world import REPOSITORY, Worker

SOURCE, TARGET = Reason.SOURCE_UNAVAILABLE, Reason.TARGET_UNAVAILABLE
MEBIBYTE = 1 << 20
A = "a" * 40
FROM_THE_SOURCE = {"status": 200, "headers": {"Content-Type": "application/x-git-upload-pack-result"}}
FROM_THE_TARGET = {"status": 200, "headers": {"Content-Type": "application/x-git-receive-pack-result"}}


@pytest.fixture
def engine() -> str:
    return "Relay"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is long."""
    timings = Timings(connect=5, answer=2, counting=2, silence=1.5, dribble=0.1, stuck=1, report=1)
    monkeypatch.setattr(relay, "Timings", lambda: timings)


def band(number: int, data: bytes) -> bytes:
    return bytes([number]) + data


def told(*lines: str | Marker) -> bytes:
    return encode([band(1, encode([*lines, Marker.FLUSH])), Marker.FLUSH])


# ---- the source's answer

PACK = build_pack([("commit", b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\nWords\n")])
ANSWERS = {
    "a length that is none": b"zzzz",
    "a length beyond the end": encode(["packfile"]) + b"fff0\x01PACK",
    "a length of three": encode(["packfile"]) + b"0003",
    "no pack": encode(["packfile", Marker.FLUSH]),
    "no section": encode([Marker.FLUSH]),
    "an error": encode([f"ERR upload-pack: not our ref {A}"]),
    "an error in its band": encode(["packfile", band(3, b"\x1b[2Jout of luck"), Marker.FLUSH]),
    "an unknown band": encode(["packfile", band(7, PACK), Marker.FLUSH]),
    "something else than a pack": encode(["packfile", band(1, b"PACKED LUNCH, " * 9), Marker.FLUSH]),
    "a pack of version 9": encode(["packfile", band(1, b"PACK\0\0\0\x09" + PACK[8:]), Marker.FLUSH]),
    "fewer objects than it says": encode(["packfile", band(1, PACK[:11] + b"\x09" + PACK[12:]), Marker.FLUSH]),
    "four billion objects": encode(["packfile", band(1, PACK[:8] + b"\xff" * 4 + PACK[12:]), Marker.FLUSH]),
    "more objects than it says": encode(["packfile", band(1, PACK[:11] + b"\0" + PACK[12:]), Marker.FLUSH]),
    "another object than asked for": encode(["packfile", band(1, PACK), Marker.FLUSH]),
    "half a pack": encode(["packfile", band(1, PACK[:20]), Marker.FLUSH]),
    "more after its end": encode(["packfile", band(1, PACK), Marker.FLUSH, "packfile"]),
    "an end within the pack": encode(["packfile", band(1, PACK[:20]), Marker.DELIMITER, band(1, PACK[20:])]),
}


async def test_a_pack_that_lies(contract: Contract) -> None:
    await contract.change()
    before, objects = await contract.onedev.refs("repo"), contract.target_git("count-objects", "-v")
    for what, body in ANSWERS.items():
        fault = contract.source.add(**FETCH, **FROM_THE_SOURCE, body=body)
        await contract.spoiled(fault, SOURCE, TARGET, Reason.NOT_SUPPORTED)
        assert await contract.onedev.refs("repo") == before, what
    assert contract.target_git("count-objects", "-v") == objects
    await contract.heals()


async def test_a_redirected_fetch_is_followed_nowhere(contract: Contract) -> None:
    await contract.change()
    async with FaultyProxy(contract.github.url) as other:
        seen: list[bytes] = []
        other.add(watch=seen.append)
        for status in (301, 307):
            for place in (other.url, other.url.replace("http:", "https:")):
                where = {"Location": f"{place}/{REPOSITORY}.git/git-upload-pack"}
                await contract.spoiled(contract.source.add(**FETCH, status=status, headers=where), SOURCE)
                where = {"Location": f"{place}/repo/git-receive-pack"}
                await contract.spoiled(contract.target.add(**PUSH, status=status, headers=where), TARGET)
    assert seen == []
    await contract.heals()


# ---- the target's answer

REPORTS = {
    "nothing": b"",
    "garbage": b"<html>what?</html>",
    "an end": b"0000",
    "unpacked, and no word on the refs": told("unpack ok"),
    "a word on another ref": told("unpack ok", "ok refs/heads/another"),
    "not unpacked": told("unpack index-pack abnormal exit", "ng refs/heads/dev unpacker error"),
    "not unpacked, but all is well": told("unpack no", "ok refs/heads/dev"),
    "no word on the pack": told("ok refs/heads/dev"),
    "a report that breaks off": told("unpack ok", "ok refs/heads/dev")[:-20],
    "a report in a band that is none": encode([band(9, b"unpack ok"), Marker.FLUSH]),
    "a report without bands": encode(["unpack ok", "ok refs/heads/dev", Marker.FLUSH]),
    "a fatal error": encode([band(3, b"\x1b[2Jout of luck"), Marker.FLUSH]),
    "another language": told("unpack ok", "maybe refs/heads/dev"),
    "keepalives and then nothing": b"0005\x01" * 9,
}


async def test_a_report_that_lies(contract: Contract) -> None:
    """`ok` is taken for a word, and the lists after a run for the truth."""
    await contract.change()
    before = await contract.target_refs()
    for what, body in REPORTS.items():
        fault = contract.target.add(**PUSH, **FROM_THE_TARGET, body=body)
        await contract.spoiled(fault, TARGET)
        assert await contract.target_refs() == before, what
    await contract.heals()


async def test_a_target_that_says_ok_and_does_nothing(contract: Contract) -> None:
    await contract.change()
    body = told("unpack ok", "ok refs/heads/dev")
    contract.target.add(**PUSH, **FROM_THE_TARGET, body=body)
    answer = await contract.sync(on_rewrite="Follow")
    assert (answer.outcome, answer.reason) == (Outcome.PARTIAL, Reason.REFS_UNEQUAL)
    assert answer.unequal == ("refs/heads/dev",)
    await contract.heals()


async def test_a_base_that_the_target_says_it_has(contract: Contract) -> None:
    """Its list names a commit that it lacks, so a thin pack has nothing to build on, and nothing is written."""
    lines = "".join(f"line {number * 7919}\n" for number in range(5000))
    base = await contract.github.commit(REPOSITORY, "dev", {"long": lines})
    await contract.github.commit(REPOSITORY, "dev", {"long": lines + "more\n"})
    old = (await contract.target_refs())["refs/heads/dev"]
    lying = lambda body: body.replace(f"{old} refs/heads/dev".encode(), f"{base} refs/heads/dev".encode())  # noqa: E731
    fault = contract.target.add(method="GET", path="info/refs", rewrite=lying)
    await contract.spoiled(fault, TARGET, Reason.TARGET_CHANGED, Reason.NOT_SUPPORTED)
    assert (await contract.target_refs())["refs/heads/dev"] == old
    await contract.heals()


# ---- silence

LARGE = 3 * MEBIBYTE


async def test_a_pause_in_mid_pack_passes(contract: Contract, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than OneDev waits for a byte: it is given one that was held back."""
    timings = Timings(dribble=0.2, silence=10)
    monkeypatch.setattr(relay, "Timings", lambda: timings)
    await contract.onedev.configure(idle_seconds=0.8)
    await contract.change(bytes_=2 * LARGE)
    fault = contract.source.add(**FETCH, stall_answer=2 * MEBIBYTE, stall_seconds=2.5)
    assert (await contract.succeeds()).updated == 1
    assert fault.struck


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("after", [0, 20, 900, 2 * MEBIBYTE])
async def test_a_source_that_falls_silent(contract: Contract, after: int) -> None:
    """Before its answer, before its pack, within what is buffered, and with the push open."""
    await contract.change(bytes_=2 * LARGE)
    before = await contract.target_refs()
    where = {"stall_answer": after} if after else {"meddle": asyncio.Event().wait}
    await contract.spoiled(contract.source.add(**FETCH, **where), SOURCE)
    assert await contract.target_refs() == before
    await contract.heals()


@pytest.mark.usefixtures("impatient")
async def test_a_source_that_only_keeps_alive(contract: Contract) -> None:
    await contract.change()
    body = encode(["packfile"])
    fault = contract.source.add(**FETCH, **FROM_THE_SOURCE, body=body, again=b"0005\x01")
    await contract.spoiled(fault, SOURCE)
    await contract.heals()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("where", [{"stall_request": 0}, {"meddle": asyncio.Event().wait}], ids=["a bit", "nothing"])
async def test_a_target_that_takes_no_byte(contract: Contract, where: dict[str, Any]) -> None:
    """More than any buffer on the way holds."""
    await contract.change(bytes_=16 * MEBIBYTE)
    await contract.spoiled(contract.target.add(**PUSH, **where), TARGET)
    await contract.heals()


async def test_a_large_pack_that_breaks_while_it_streams(contract: Contract) -> None:
    """Cut, changed, or without its last word: OneDev discards what it has."""
    await contract.change(bytes_=2 * LARGE)
    before, at = await contract.target_refs(), 2 * MEBIBYTE
    await contract.spoiled(contract.source.add(**FETCH, cut_answer=at), SOURCE)
    await contract.spoiled(contract.source.add(**FETCH, rewrite=lambda body: turned(body, at)), SOURCE, TARGET)
    await contract.spoiled(contract.source.add(**FETCH, rewrite=lambda body: body.removesuffix(b"0000")), SOURCE)
    await contract.spoiled(contract.target.add(**PUSH, cut_request=at), TARGET)
    assert await contract.target_refs() == before
    await contract.heals()


# ---- floods, before a worker whose memory is looked at


def coated(fault: dict[str, Any]) -> dict[str, Any]:
    """A few kilobytes of gzip that become 64 MiB of keepalives."""
    bomb = gzip.compress(b"0005\x01" * (64 * MEBIBYTE // 5), 9)
    return {**fault, "body": bomb, "headers": {**fault["headers"], "Content-Encoding": "gzip"}}


def refs(count: int) -> bytes:
    head = f"{A} HEAD symref-target:refs/heads/r0"
    return encode([head, *(f"{A} refs/heads/r{number}" for number in range(count)), Marker.FLUSH])


LS_REFS = {"method": "POST", "path": "git-upload-pack", "asks": b"command=ls-refs"}
PROGRESS = encode([band(2, b"Counting objects\r" * 3000)])
PACK_FLOOD = {**FETCH, **FROM_THE_SOURCE}
REPORT_FLOOD = {**PUSH, **FROM_THE_TARGET}
SECTIONS = encode(["shallow-info", f"shallow {A}", Marker.DELIMITER]) * 99
STATUSES = encode([band(1, encode([f"ok {'x' * 40_000}"]))])
NOISE = encode([band(1, random.Random(1).randbytes(60_000))])
FLOODS: dict[str, tuple[str, dict[str, Any]]] = {
    "keepalives for a pack": ("source", {**PACK_FLOOD, "body": encode(["packfile"]), "again": b"0005\x01" * 999}),
    "progress for a pack": ("source", {**PACK_FLOOD, "body": encode(["packfile"]), "again": PROGRESS}),
    "sections for a pack": ("source", {**PACK_FLOOD, "again": SECTIONS}),
    "a bomb for a pack": ("source", coated(PACK_FLOOD)),
    "keepalives for a report": ("target", {**REPORT_FLOOD, "again": b"0005\x01" * 999}),
    "words for a report": ("target", {**REPORT_FLOOD, "again": PROGRESS}),
    "statuses for a report": ("target", {**REPORT_FLOOD, "again": STATUSES}),
    "a bomb for a report": ("target", coated(REPORT_FLOOD)),
    "an endless pack": ("source", {**PACK_FLOOD, "body": encode(["packfile", band(1, PACK[:12])]), "again": NOISE}),
}
HUNDRED_THOUSAND = {**LS_REFS, **FROM_THE_SOURCE, "body": refs(100_000)}


def chunks(names: list[str]) -> Iterator[list[str]]:
    """As many as a worker has in hand at once."""
    for start in range(0, len(names), 4):
        yield names[start : start + 4]


@pytest.mark.parametrize("names", list(chunks(list(FLOODS))), ids=", ".join)
async def test_a_flood_ends_with_the_run_at_the_latest(contract: Contract, names: list[str]) -> None:
    """Each of a worker's mirrors has its own flood."""
    reports, peak = await flooded(contract, [FLOODS[name] for name in names], 2.5)
    assert {report.reason for report in reports} <= {SOURCE, TARGET, Reason.TIMED_OUT}, reports
    assert peak < 64 * MEBIBYTE


async def test_a_hundred_thousand_refs_that_lead_nowhere(contract: Contract) -> None:
    """A kilobyte each, in lists and plan."""
    ((report,), peak) = await flooded(contract, [("source", HUNDRED_THOUSAND)], 60)
    assert report.reason is SOURCE, report
    assert peak < 200 * MEBIBYTE


async def flooded(
    contract: Contract, floods: list[tuple[str, dict[str, Any]]], timeout_seconds: float
) -> tuple[tuple[TaskReport, ...], int]:
    """What a worker reports of mirrors that are flooded so, and the most memory that it took."""
    await contract.change()
    contract.pauses = ()
    before = await contract.target_refs()
    async with AsyncExitStack() as stack:
        tasks = []
        for number, (side, fault) in enumerate(floods):
            source = await stack.enter_async_context(FaultyProxy(contract.github.url))
            target = await stack.enter_async_context(FaultyProxy(contract.onedev.url))
            (source if side == "source" else target).add(**fault)
            task = contract.task(key=f"a/{number}")
            task = replace(task, source=Remote(f"{source.url}/{REPOSITORY}.git", task.source.credentials))
            tasks.append(replace(task, target=Remote(f"{target.url}/repo", task.target.credentials)))
        worker = await contract.start_worker(*tasks, timeout_seconds=timeout_seconds)
        peak, (_, done, said) = await asyncio.gather(peak_of(worker), worker.end())
    assert done is not None, said
    assert all(report.outcome is Outcome.FAILED for report in done.tasks)
    assert await contract.target_refs() == before
    await contract.assert_whole()
    return done.tasks, peak


async def peak_of(worker: Worker) -> int:
    """The most memory that the process was seen to have."""
    peak, process = 0, psutil.Process(worker.process.pid)
    while worker.process.returncode is None:
        try:
            peak = max(peak, process.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        await asyncio.sleep(0.02)
    return peak
