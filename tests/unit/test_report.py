"""A report fits into a termination message, and nothing that lies there can harm the reader."""

import base64
import hashlib
import json
import zlib
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.report import LIMIT, ExitCode, Outcome, Report, TaskReport
from github_onedev_sync.decide.batch import Load, fill
from github_onedev_sync.worker.exit_codes import exit_code

FULL = TaskReport(
    "default/name", Outcome.PARTIAL, Reason.REFS_REJECTED, "a sentence", "Git", 1.5, 1000, 1, 2, 3, 4, 5, 6, 7, 8,
    "sha256:" + "0" * 64, ("refs/heads/a+b",), 1, "sha256:" + "1" * 64, "main",
)  # fmt: skip


def test_a_report_survives_the_way() -> None:
    report = Report("r1", (FULL, TaskReport("default/other", Outcome.UNCHANGED, Reason.SYNCED)))
    assert Report.from_json(report.to_json()) == report
    assert report.of("default/name") == FULL
    assert report.of("default/nobody") is None


@given(
    st.lists(st.text(max_size=5000), max_size=4),
    st.lists(st.text(min_size=1, max_size=4000), max_size=10),
)
def test_a_report_always_fits_and_keeps_what_is_decided_on(messages: list[str], names: list[str]) -> None:
    tasks = tuple(
        TaskReport(f"ns/m{n}", Outcome.BLOCKED, Reason.REWRITE_BLOCKED, text, unequal=tuple(names), unequal_count=99)
        for n, text in enumerate(messages)
    )
    text = Report("r1", tasks).to_json()
    assert len(text.encode()) <= LIMIT
    back = Report.from_json(text)
    assert back is not None
    assert [(t.key, t.outcome, t.reason, t.unequal_count) for t in back.tasks] == [
        (t.key, t.outcome, t.reason, t.unequal_count) for t in tasks
    ]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "OOMKilled",
        "null",
        "[]",
        "{}",
        '{"v":2,"run":"r","tasks":[]}',
        '{"v":1,"run":"r"}',
        '{"v":1,"run":"r","tasks":[{}]}',
        '{"v":1,"run":"r","tasks":[{"key":"a","outcome":"Nonsense","reason":"Synced"}]}',
        '{"v":1,"run":"r","tasks":[{"key":"a","outcome":"Synced","reason":"Nonsense"}]}',
        '{"v":1,"run":"r","tasks":[{"key":"a","outcome":"Synced","reason":"Synced","bytes":[]}]}',
        *(
            f'{{"v":1,"run":"r","tasks":[{{"key":"a","outcome":"Synced","reason":"Synced","{member}":{value}}}]}}'
            for member in ("bytes", "seconds", "unequal_count")
            for value in ('"7"', "NaN", "Infinity", "-Infinity", "-1", "-0.5", "1e300", "true", "null", "[]")
        ),
        *(
            f'{{"v":1,"run":"r","tasks":[{{"key":"a","outcome":"Synced","reason":"Synced","{member}":7}}]}}'
            for member in ("message", "digest", "approval", "unequal")
        ),
        "[" * 5000,
        Report("r1", (FULL,)).to_json()[:-10],
    ],
)
def test_what_cannot_be_trusted_is_no_report(text: str | None) -> None:
    assert Report.from_json(text) is None


def test_unknown_members_of_a_newer_worker_are_passed_over() -> None:
    data = json.loads(Report("r1", (FULL,)).to_json())
    data["tasks"][0]["news"] = True
    assert Report.from_json(json.dumps(data)) == Report("r1", (FULL,))


def failed(reason: Reason) -> TaskReport:
    return TaskReport("ns/m", Outcome.FAILED, reason)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (Reason.SOURCE_AUTHENTICATION_FAILED, ExitCode.SOURCE_AUTHENTICATION),
        (Reason.PRIVATE_OR_GONE, ExitCode.SOURCE_GONE),
        (Reason.TAKEN_DOWN, ExitCode.SOURCE_BLOCKED),
        (Reason.DISABLED, ExitCode.SOURCE_BLOCKED),
        (Reason.TARGET_AUTHENTICATION_FAILED, ExitCode.TARGET_AUTHENTICATION),
        (Reason.TARGET_REFUSED, ExitCode.TARGET_REFUSED),
        (Reason.TIMED_OUT, ExitCode.TRANSIENT),
        (Reason.OUT_OF_SPACE, ExitCode.TRANSIENT),
        (Reason.TARGET_CHANGED, ExitCode.TRANSIENT),
        (Reason.WORKER_FAILED, ExitCode.OUR_BUG),
    ],
)
def test_a_failure_decides_the_exit_code(reason: Reason, code: ExitCode) -> None:
    assert exit_code([failed(reason), FULL]) is code


def test_whatever_is_no_failure_ends_well() -> None:
    assert exit_code([]) is ExitCode.OK
    assert exit_code([FULL, TaskReport("a", Outcome.BLOCKED, Reason.REWRITE_BLOCKED)]) is ExitCode.OK


def test_the_highest_code_wins() -> None:
    assert exit_code([failed(Reason.TIMED_OUT), failed(Reason.PRIVATE_OR_GONE)]) is ExitCode.TRANSIENT


def batch(count: int, key_length: int) -> Report:
    """A run of many mirrors that changed: their numbers and digests have nothing in common."""
    tasks = []
    for number in range(count):
        seed = hashlib.sha256(str(number).encode()).hexdigest()
        facts = [int(seed[at : at + 2], 16) for at in range(0, 16, 2)]
        task = TaskReport(
            f"team/{seed * 5}"[:key_length],
            Outcome.SYNCED,
            Reason.SYNCED,
            seed * 8,
            "Git",
            seconds=facts[0] / 7,
            bytes=facts[1] ** 3,
            created=facts[2],
            updated=facts[3],
            archived=facts[4],
            branches=facts[5],
            tags=facts[6],
            archives=facts[7],
            digest=f"sha256:{seed[::-1]}",
            head="main",
            fallback=seed * 8,
        )
        tasks.append(task)
    return Report("aaaaaaaa", tuple(tasks))


@pytest.mark.parametrize("key_length", [12, 40, 100, 250])
def test_a_full_job_reports_all_its_mirrors(key_length: int) -> None:
    """As many as `decide.batch` lets share one. What is said is cut, what is decided on is not."""
    loads = [Load(f"{number:0{key_length}}", 1) for number in range(40)]
    count = 1 + len(fill(loads[0], timedelta(hours=1), loads[1:]))
    sent = batch(count, key_length)
    text = sent.to_json()
    assert len(text) <= LIMIT
    read = Report.from_json(text)
    assert read is not None
    assert [replace(task, message="", fallback="", seconds=0) for task in read.tasks] == [
        replace(task, message="", fallback="", seconds=0) for task in sent.tasks
    ]


def test_a_packed_report_that_swells_is_none() -> None:
    bomb = base64.b85encode(zlib.compress(b'{"v":1,"run":"' + b"r" * 10_000_000 + b'","tasks":[]}', 9)).decode()
    assert Report.from_json(json.dumps({"z": bomb})) is None
    assert Report.from_json('{"z":"no base 85: \\""}') is None
    assert Report.from_json('{"z":"00000"}') is None
    assert Report.from_json('{"z":1}') is None
