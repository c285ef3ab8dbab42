"""Logging: one line a decision, as `key=value` for people or JSON for machines, with the same keys.

A line's correlation id (`run`) is also the worker's, so that `grep run=7c1e` shows a run from both sides.
"""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Any

from ..api.redact import Redactor

redact = Redactor()


def event(logger: logging.Logger, name: str, level: int = logging.INFO, **fields: Any) -> None:
    """Logs `name` with `fields`; those that are None or empty are left out."""
    if logger.isEnabledFor(level):
        kept = {key: value for key, value in fields.items() if value is not None and value != ""}
        logger.log(level, name, extra={"fields": kept})


class _Formatter(logging.Formatter):
    def _time(self, record: logging.LogRecord) -> str:
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        fields: dict[str, Any] = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return fields


class ConsoleFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={_quoted(value)}" for key, value in self._fields(record).items())
        return redact(f"{self._time(record)} {record.levelname} {record.getMessage()} {fields}".rstrip())


class JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        head = {"time": self._time(record), "level": record.levelname, "event": record.getMessage()}
        return redact(json.dumps({**head, **self._fields(record)}, default=str, ensure_ascii=False))


def _quoted(value: Any) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if re.search(r"[\s\"=]", text) or not text else text


def configure(log_format: str, level: str) -> None:
    """`log_format` is `json`, `console`, or `auto`: console where a terminal is attached."""
    handler = logging.StreamHandler(sys.stderr)
    console = log_format == "console" or (log_format == "auto" and sys.stderr.isatty())
    handler.setFormatter(ConsoleFormatter() if console else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Kopf tells of every watch and patch; what matters of that is in our own lines.
    for chatty in ("kopf", "aiohttp.access", "httpx", "httpcore", "github"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
