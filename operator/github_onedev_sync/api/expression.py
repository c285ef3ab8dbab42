"""`spec.filter.expression`: one CEL expression that says of each repository whether it is mirrored.

Importing this costs what `cel` costs, so `selection` does so only where a filter has an expression.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from celpy import celtypes

from .cel import Program
from .cel_meter import Refused, TooCostly
from .cel_run import kind
from .conditions import Reason
from .errors import Stalled
from .observed import ListedRepository

FIELD = "spec.filter.expression"
REPOSITORY = "repository"
NOW = "now"

_READ: Final[Mapping[str, Callable[[ListedRepository], Any]]] = {
    "id": lambda row: celtypes.IntType(row.id),
    "name": lambda row: celtypes.StringType(row.full_name.partition("/")[2]),
    "owner": lambda row: celtypes.StringType(row.full_name.partition("/")[0]),
    "fullName": lambda row: celtypes.StringType(row.full_name),
    "description": lambda row: _text(row.description),
    "language": lambda row: _text(row.language),
    "topics": lambda row: celtypes.ListType(map(celtypes.StringType, row.topics)),
    "stars": lambda row: celtypes.IntType(row.stars),
    "sizeKB": lambda row: celtypes.IntType(row.size_kb),
    "private": lambda row: celtypes.BoolType(row.private),
    "archived": lambda row: celtypes.BoolType(row.archived),
    "fork": lambda row: celtypes.BoolType(row.fork),
    "license": lambda row: _text(row.license),
    "createdAt": lambda row: _moment(row.created_at),
    "pushedAt": lambda row: _moment(row.pushed_at),
    "starredAt": lambda row: _moment(row.starred_at),
}
FIELDS = tuple(_READ)


class Expression:
    """Raises Stalled where the text is no expression, and where it cannot be answered for a repository."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            self._program = Program(text, {REPOSITORY: FIELDS, NOW: ()})
        except Refused as error:
            raise self._invalid("is not valid CEL", error) from None
        except TooCostly as error:
            raise _too_costly(str(error)) from None
        fields = self._program.fields(REPOSITORY)
        self.fields = frozenset(FIELDS) if fields is None else fields

    def matches(self, row: ListedRepository, now: datetime) -> bool:
        repository = celtypes.MapType({name: _READ[name](row) for name in self.fields})
        try:
            answer = self._program.run({REPOSITORY: repository, NOW: _moment(now)})
        except Refused as error:
            raise self._invalid(f"cannot be answered for {row.full_name}", error) from None
        except TooCostly as error:
            raise _too_costly(f"{error} for {row.full_name}") from None
        if isinstance(answer, celtypes.BoolType):
            return bool(answer)
        raise Stalled(
            Reason.INVALID_EXPRESSION,
            f"{FIELD} must give true or false, and gave {kind(answer)} for {row.full_name}; "
            "compare something, as in repository.stars > 100",
        )

    def _invalid(self, what: str, error: Refused) -> Stalled:
        where = f" at line {error.line}, column {error.column}" if error.line and error.column else ""
        hint = "; what GitHub does not tell is null: ask has(repository.FIELD) first" if "null" in str(error) else ""
        return Stalled(Reason.INVALID_EXPRESSION, f"{FIELD} {what}{where}: {error}{self._near(error)}{hint}")

    def _near(self, error: Refused) -> str:
        if not error.line or not error.column:
            return ""
        rest = self._text.split("\n")[error.line - 1][error.column - 1 :].strip()
        return f', near "{rest[:24]}{"…" if len(rest) > 24 else ""}"' if rest else ""


def _too_costly(what: str) -> Stalled:
    return Stalled(
        Reason.EXPRESSION_TOO_COSTLY,
        f"{FIELD} {what}; make it simpler: fewer macros inside each other, or other fields of spec.filter",
    )


def _text(value: str | None) -> Any:
    return None if value is None else celtypes.StringType(value)


def _moment(value: datetime | None) -> Any:
    return None if value is None else celtypes.TimestampType(value)
