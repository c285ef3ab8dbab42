"""What a CEL expression may cost, and the functions that could cost more than their arguments tell."""

from datetime import UTC, datetime
from typing import Any, Final, cast

import re2  # type: ignore[import-untyped]  # RE2: no pattern takes more than linear time
from celpy import celtypes
from celpy.evaluation import CELFunction, base_functions

from . import duration

# What one run may cost: there may be 10,000 of them, and other work waits.
STEPS = 1_000
# Of a text that an expression puts together, and of a list.
LONGEST = 10_000
_PATTERN_MEMORY: Final = 1 << 20

Value = Any


class Refused(Exception):
    """It is no expression, or cannot be answered: why, and where if that is known."""

    def __init__(self, why: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(why)
        self.line = line
        self.column = column


class TooCostly(Exception):
    """It would take too many steps, or too much memory."""


class Unreadable(ValueError):
    """A text is none of what a function reads; its words are for people."""


class Meter:
    """What the evaluators of one expression share: its literals and patterns, its functions, and the steps left."""

    def __init__(self) -> None:
        self.left = 0
        self.constants: dict[int, Value] = {}
        self.functions: dict[str, CELFunction] = {
            "+": self._add,
            "*": _of_numbers(base_functions["_*_"]),
            "%": _of_numbers(base_functions["_%_"]),
            "in": self._in,
            "==": self._equal,
            "!=": lambda left, right: celtypes.logical_not(self._equal(left, right)),
            **{sign: base_functions[f"_{sign}_"] for sign in ("-", "/", "<", "<=", ">", ">=")},
            "contains": self._contains,
            "string": _string,
            "matches": self._matches,
            "duration": _duration,
            "timestamp": _timestamp,
        }
        self._patterns: dict[str, Any] = {}

    def spend(self, steps: int = 1) -> None:
        self.left -= steps
        if self.left < 0:
            raise TooCostly(f"takes more than {STEPS} steps")

    def keep(self, pattern: str) -> None:
        """Raises ValueError where it is none."""
        options = re2.Options()
        options.log_errors = False
        options.max_mem = _PATTERN_MEMORY
        try:
            self._patterns[pattern] = re2.compile(pattern, options)
        except re2.error as error:
            words = error.args[0].decode("utf-8", "replace") if isinstance(error.args[0], bytes) else str(error)
            raise ValueError(words) from None

    def _matches(self, text: Value, pattern: Value) -> Value:
        if not isinstance(text, str):
            raise TypeError
        self.spend(len(text) // 16)
        return celtypes.BoolType(self._patterns[pattern].search(text) is not None)

    def _contains(self, container: Value, item: Value) -> Value:
        self.spend(len(container) // 16 if isinstance(container, str) else len(container))
        return base_functions["contains"](container, _scalar(item))

    def _in(self, item: Value, container: Value) -> Value:
        self.spend(len(container))
        return base_functions["_in_"](_scalar(item), container)

    def _equal(self, left: Value, right: Value) -> Value:
        """Null may be compared with anything."""
        if left is None or right is None:
            return celtypes.BoolType(left is right)
        for value in (left, right):
            if isinstance(value, list | dict):
                self.spend(len(value))
                for item in value.values() if isinstance(value, dict) else value:
                    _scalar(item)
        return base_functions["_==_"](left, right)

    def _add(self, left: Value, right: Value) -> Value:
        if not isinstance(left, str | list) or not isinstance(right, str | list):
            return base_functions["_+_"](left, right)
        if len(left) + len(right) > LONGEST:
            raise TooCostly(f"puts together something longer than {LONGEST} characters or entries")
        joined = base_functions["_+_"](left, right)
        return celtypes.StringType(joined) if isinstance(joined, str) else celtypes.ListType(cast(list[Value], joined))


def _scalar(value: Value) -> Value:
    """Lists of lists may be the same one many times over: as a text, or compared, they have no bounds."""
    if isinstance(value, list | dict):
        raise TypeError
    return value


def _string(value: Value) -> Value:
    return base_functions["string"](_scalar(value))


def _of_numbers(function: CELFunction) -> CELFunction:
    """Python would repeat a text, or fill it in."""

    def checked(left: Value, right: Value) -> Value:
        if isinstance(left, str | bytes | list) or isinstance(right, str | bytes | list):
            raise TypeError
        return function(left, right)

    return checked


def _duration(value: Value) -> Value:
    """The library's own pattern takes exponential time where it does not match."""
    if not isinstance(value, str):
        raise TypeError
    try:
        length = duration.parse(value.removeprefix("-"))
    except ValueError:
        raise Unreadable(f"{value[:40]!s} is not a duration such as 30m, 720h or 1h30m") from None
    return celtypes.DurationType(-length if value.startswith("-") else length)


def _timestamp(value: Value) -> Value:
    if not isinstance(value, str):
        raise TypeError
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise Unreadable(f"{value[:40]!s} is not a time such as 2026-01-31T00:00:00Z") from None
    return celtypes.TimestampType(read if read.tzinfo else read.replace(tzinfo=UTC))
