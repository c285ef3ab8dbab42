"""Logs, credentials and git's own words: small things that a person reads or must never read."""

import base64
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from github_onedev_sync.api.conditions import Reason
from github_onedev_sync.api.errors import Retry, Stalled, SyncError
from github_onedev_sync.api.redact import HIDDEN, Redactor
from github_onedev_sync.transfer.git_words import fetch_error, last_word, push_error, refusal_error, refusals
from github_onedev_sync.transfer.mark import EMPTY_TREE, mark_objects, mark_oid
from github_onedev_sync.transfer.side import basic
from github_onedev_sync.worker.clock import Clock
from github_onedev_sync.worker.credentials import Credentials, read
from github_onedev_sync.worker.log import JsonLog, ProgressLog
from tests.stand_ins.processes import run_git

SECRET = 'tok"en\\1'


@dataclass(frozen=True)
class SetClock(Clock):
    seconds: list[float] = field(default_factory=lambda: [0.0])

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds[0]


@pytest.mark.parametrize(
    "text",
    [
        f"a {SECRET} b",
        json.dumps({"a": SECRET}),
        f"Authorization: {basic(SECRET)}",
        f"fatal: https://user:{SECRET}@host/x failed",
        base64.b64encode(f"x-access-token:{SECRET}".encode()).decode(),
    ],
)
def test_a_secret_is_hidden_in_every_form(text: str) -> None:
    hidden = Redactor([SECRET])(text)
    assert HIDDEN in hidden
    assert SECRET not in hidden
    assert json.dumps(SECRET)[1:-1] not in hidden
    assert basic(SECRET).removeprefix("Basic ") not in hidden


def test_what_is_no_secret_stays() -> None:
    text = "remote: see https://host/a@b?x=1 for refs/heads/x@y"
    assert Redactor(["", "zzz"])(text) == text


def test_urls_and_headers_are_hidden_without_being_told() -> None:
    assert (
        Redactor()("https://a:b@h/ Authorization: Bearer xyz") == f"https://{HIDDEN}@h/ Authorization: Bearer {HIDDEN}"
    )


def test_a_log_line() -> None:
    stream = io.StringIO()
    log = JsonLog(stream, SetClock(), "r1")
    log.redact = Redactor(["tok"])
    log("finished", level="error", mirror="ns/m", message="tok \ud800 ä\nb")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line.replace("\\ud800", "?")) == {
        "time": "2026-11-23T01:02:03.000Z", "level": "error", "event": "finished", "run": "r1", "mirror": "ns/m",
        "message": f"{HIDDEN} ? ä\nb",
    }  # fmt: skip


def test_progress_is_a_line_a_second_and_the_end_of_what_was_seen() -> None:
    stream, clock = io.StringIO(), SetClock()
    progress = ProgressLog(JsonLog(stream, clock, "r1"), clock, "ns/m")
    for second, percent in ((0.1, 1), (0.5, 50), (1.1, 60), (1.2, 61), (1.3, 100), (1.3, 100)):
        clock.seconds[0] = second
        progress("Receiving objects", percent)
    progress("Resolving deltas", 100)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["phase"], line["percent"]) for line in lines] == [
        ("Receiving objects", 60),
        ("Receiving objects", 100),
    ]


def test_the_real_clock() -> None:
    assert Clock().now().tzinfo is UTC
    assert Clock().monotonic() <= Clock().monotonic()


def test_credentials(tmp_path: Path) -> None:
    assert read("", Reason.SECRET_INVALID, "source") == Credentials()
    (tmp_path / "token").write_text("  tok\n")
    (tmp_path / "ca.crt").write_text("PEM")
    found = read(str(tmp_path), Reason.SECRET_INVALID, "source")
    assert (found.token, found.ca, found.ca_file) == ("tok", "PEM", str(tmp_path / "ca.crt"))
    assert "tok" not in repr(found).replace("token", "")


def test_the_mark_is_the_object_that_git_makes_of_it(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "--quiet", "--bare")
    for kind, content in mark_objects("Mirror of x"):
        oid = run_git(tmp_path, "hash-object", "-t", kind, "-w", "--stdin", data=content)
    assert oid == mark_oid("Mirror of x")
    assert run_git(tmp_path, "rev-parse", f"{oid}^{{tree}}") == EMPTY_TREE
    run_git(tmp_path, "fsck", "--strict", oid)


PORCELAIN = """To http://host/x
*\taaaa:refs/heads/new\t[new branch]
 \tbbbb:refs/heads/dev\t1111..2222
+\tbbbb:refs/heads/forced\t1111...2222 (forced update)
-\t:refs/heads/gone\t[deleted]
=\tcccc:refs/heads/same\t[up to date]
!\t:refs/heads/main\t[remote rejected] (deletion of the current branch prohibited)
!\tdddd:refs/tags/a(b\t[rejected] (stale info)
Done"""


def test_every_ref_of_a_push_has_its_fate() -> None:
    done, refused = refusals(PORCELAIN.splitlines())
    assert done == {"refs/heads/new", "refs/heads/dev", "refs/heads/forced", "refs/heads/gone", "refs/heads/same"}
    assert refused == {
        "refs/heads/main": "deletion of the current branch prohibited",
        "refs/tags/a(b": "stale info",
    }


@pytest.mark.parametrize(
    ("why", "policy", "reason"),
    [
        ("stale info", Retry, Reason.TARGET_CHANGED),
        ("failed to update ref", Retry, Reason.TARGET_CHANGED),
        ("unpacker error", Retry, Reason.TARGET_UNAVAILABLE),
        ("missing necessary objects", Retry, Reason.TARGET_UNAVAILABLE),
        ("pre-receive hook declined", Stalled, Reason.TARGET_REFUSED),
        ("deletion of the current branch prohibited", Stalled, Reason.TARGET_REFUSED),
    ],
)
def test_a_refusal_has_a_policy(why: str, policy: type[SyncError], reason: Reason) -> None:
    error = refusal_error({"refs/heads/a": why, "refs/heads/b": why})
    assert isinstance(error, policy)
    assert error.reason is reason
    assert "refs/heads/a and 1 more" in error.message


HTTP = "fatal: unable to access 'https://h/x/': The requested URL returned error: {}"


@pytest.mark.parametrize(
    ("line", "source", "target"),
    [
        (HTTP.format(401), Reason.SOURCE_AUTHENTICATION_FAILED, Reason.TARGET_AUTHENTICATION_FAILED),
        (HTTP.format(503), Reason.SOURCE_UNAVAILABLE, Reason.TARGET_UNAVAILABLE),
        (HTTP.format(451), Reason.TAKEN_DOWN, Reason.TARGET_UNAVAILABLE),
        (HTTP.format(413), Reason.SOURCE_UNAVAILABLE, Reason.TARGET_REFUSED),
        ("fatal: could not read Username for 'https://h': terminal prompts disabled",
         Reason.SOURCE_AUTHENTICATION_FAILED, Reason.TARGET_AUTHENTICATION_FAILED),
        ("fatal: repository 'https://h/x/' not found", Reason.PRIVATE_OR_GONE, Reason.TARGET_UNAVAILABLE),
        ("fatal: write error: No space left on device", Reason.OUT_OF_SPACE, Reason.OUT_OF_SPACE),
        ("fatal: early EOF", Reason.SOURCE_UNAVAILABLE, Reason.TARGET_UNAVAILABLE),
    ],
)  # fmt: skip
def test_what_git_says_has_a_reason(line: str, source: Reason, target: Reason) -> None:
    assert fetch_error("https://h/x", [line], authenticated=True).reason is source
    assert push_error("https://h/x", [line]).reason is target


def test_a_full_disk_at_the_target_is_not_ours() -> None:
    said = ["remote: fatal: write error: No space left on device", "error: failed to push some refs"]
    assert push_error("https://h/x", said).reason is Reason.TARGET_UNAVAILABLE


def test_onedevs_text_tells_a_missing_project_from_a_server_that_starts() -> None:
    gone = ["remote: Project not found or inaccessible: x", "fatal: repository 'https://h/x/' not found"]
    assert push_error("https://h/x", gone).reason is Reason.TARGET_CHANGED


def test_the_last_word() -> None:
    assert last_word(["hint: a", "fatal: b   c", ""]) == "fatal: b c"
    assert last_word([]) == "no message"
