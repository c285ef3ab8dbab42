"""One line a decision, for people or machines, and never a credential."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from github_onedev_sync.observability import logs


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nothing secret", "nothing secret"),
        ("https://user:secret@host/x and http://t@h", "https://[hidden]@host/x and http://[hidden]@h"),
        ("https://host/path@1", "https://host/path@1"),
        ("Authorization: Basic dXNlcjpw", "Authorization: Basic [hidden]"),
        ("authorization: bearer abc.def", "authorization: bearer [hidden]"),
        ("token ghp_0123456789abcdef failed", "token [hidden] failed"),
        ("github_pat_11ABC_def", "[hidden]"),
        ("ghs_x ghu_y gho_z ghr_w", "[hidden] [hidden] [hidden] [hidden]"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert logs.redact(text) == shown


def record(message: str = "reconcile", **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("x", logging.INFO, "file", 1, message, None, None)
    made.created = 1795395723.4
    if fields:
        made.fields = fields
    return made


def test_console() -> None:
    line = logs.ConsoleFormatter().format(record(mirror="team/click", why="two words", empty="", quote='a"b'))
    assert line == ('2026-11-23T01:02:03Z INFO reconcile mirror=team/click why="two words" empty="" quote="a\\"b"')
    assert logs.ConsoleFormatter().format(record()) == "2026-11-23T01:02:03Z INFO reconcile"


def test_json_has_the_same_keys() -> None:
    line = logs.JsonFormatter().format(record(mirror="team/click", url="https://t@h", count=3))
    assert json.loads(line) == {
        "time": "2026-11-23T01:02:03Z",
        "level": "INFO",
        "event": "reconcile",
        "mirror": "team/click",
        "url": "https://[hidden]@h",
        "count": 3,
    }


def test_an_exception_is_one_field() -> None:
    made = record()
    try:
        raise ValueError("ghp_secret")
    except ValueError:
        made.exc_info = sys.exc_info()
    line = logs.JsonFormatter().format(made)
    assert "ValueError" in json.loads(line)["exception"]
    assert "ghp_secret" not in line


def test_event_leaves_out_what_is_empty(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("tests.events")
    with caplog.at_level(logging.INFO, logger=log.name):
        logs.event(log, "reconcile", mirror="a", run=None, message="", count=0)
        logs.event(log, "unseen", level=logging.DEBUG)
    (made,) = caplog.records
    assert (made.getMessage(), made.__dict__["fields"]) == ("reconcile", {"mirror": "a", "count": 0})


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back as it was."""
    found = logging.getLogger()
    handlers, level = found.handlers[:], found.level
    yield found
    for handler in found.handlers[:]:
        found.removeHandler(handler)
    for handler in handlers:
        found.addHandler(handler)
    found.setLevel(level)


@pytest.mark.parametrize(
    ("log_format", "terminal", "formatter"),
    [
        ("json", True, logs.JsonFormatter),
        ("console", False, logs.ConsoleFormatter),
        ("auto", True, logs.ConsoleFormatter),
        ("auto", False, logs.JsonFormatter),
    ],
)
def test_configure(
    log_format: str,
    terminal: bool,
    formatter: type[logging.Formatter],
    root: logging.Logger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = root.handlers[:]
    root.handlers.clear()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    logs.configure(log_format, "debug")
    (handler,) = root.handlers
    assert isinstance(handler.formatter, formatter)
    assert root.level == logging.DEBUG
    assert logging.getLogger("kopf").level == logging.WARNING
    root.handlers.extend(kept)
