"""GraphQL documents: what was written, as selections that can be walked. Knows no schema."""

import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""[\s,﻿]+|\#[^\n]*
    |(?P<block>\"\"\"(?:[^"\\]|\\.|"(?!""))*\"\"\")
    |(?P<text>"(?:[^"\\\n]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<name>[_A-Za-z]\w*)
    |(?P<mark>\.\.\.|[!$&()\[\]{}:=@|])""",
    re.VERBOSE,
)
_LITERALS = {"true": True, "false": False, "null": None}


class QueryError(ValueError):
    """The document cannot be read, or does not hold together; the text is GitHub's message as far as it is known.

    extensions: what GitHub adds for programs, `code` above all.
    """

    def __init__(self, message: str, code: str = "", **extensions: str) -> None:
        super().__init__(message)
        self.extensions = {"code": code, **extensions} if code else {}


@dataclass(frozen=True)
class Variable:
    name: str


@dataclass
class Selection:
    """A field, or with `on` a fragment (None: of the same type); `spread` names one that stands elsewhere."""

    name: str = ""
    alias: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    directives: dict[str, dict[str, Any]] = field(default_factory=dict)
    selections: list["Selection"] = field(default_factory=list)
    fragment: bool = False
    on: str | None = None
    spread: str | None = None


@dataclass
class Operation:
    """variables: the declared type and the default of each; a type that ends in ! has to be given."""

    kind: str = "query"
    name: str = ""
    variables: dict[str, tuple[str, Any]] = field(default_factory=dict)
    selections: list[Selection] = field(default_factory=list)


@dataclass
class Document:
    operations: list[Operation] = field(default_factory=list)
    fragments: dict[str, Selection] = field(default_factory=dict)


def parse(text: str) -> Document:
    """Raises QueryError."""
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise QueryError(f"Parse error on {text[at]!r} (error)")
            if found.lastgroup:
                self._tokens.append((found.lastgroup, found[0]))
            at = found.end()
        self._at = 0

    def document(self) -> Document:
        made = Document()
        while self._at < len(self._tokens):
            if self._text == "fragment":
                self._take("fragment")
                name = self._name()
                made.fragments[name] = self._fragment(Selection(fragment=True, on=self._condition()))
            else:
                made.operations.append(self._operation())
        if not made.operations:
            raise QueryError("Unexpected end of document")
        return made

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise QueryError("Unexpected end of document")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, wanted: str) -> None:
        if (found := self._next()[1]) != wanted:
            raise QueryError(f"Parse error on {found!r}, expected {wanted!r}")

    def _took(self, wanted: str) -> bool:
        if self._text != wanted:
            return False
        self._at += 1
        return True

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "name":
            raise QueryError(f"Parse error on {text!r}, expected a name")
        return text

    def _operation(self) -> Operation:
        made = Operation()
        if self._text != "{":
            made.kind = self._name()
            if made.kind not in ("query", "mutation", "subscription"):
                raise QueryError(f"Parse error on {made.kind!r} (IDENTIFIER)")
            if self._text not in ("(", "{", "@"):
                made.name = self._name()
            if self._took("("):
                while not self._took(")"):
                    self._take("$")
                    name = self._name()
                    self._take(":")
                    made.variables[name] = (self._type(), self._value() if self._took("=") else None)
            self._directives()
        made.selections = self._selections()
        return made

    def _type(self) -> str:
        if self._took("["):
            text = f"[{self._type()}]"
            self._take("]")
        else:
            text = self._name()
        return text + ("!" if self._took("!") else "")

    def _selections(self) -> list[Selection]:
        self._take("{")
        made = []
        while not self._took("}"):
            made.append(self._spread() if self._took("...") else self._field())
        if not made:
            raise QueryError("Parse error on '}' (RCURLY)")
        return made

    def _spread(self) -> Selection:
        if self._text in ("on", "@", "{"):
            return self._fragment(Selection(fragment=True, on=self._condition() if self._text == "on" else None))
        name = self._name()
        return Selection(fragment=True, spread=name, directives=self._directives())

    def _condition(self) -> str:
        self._take("on")
        return self._name()

    def _fragment(self, made: Selection) -> Selection:
        made.directives, made.selections = self._directives(), self._selections()
        return made

    def _field(self) -> Selection:
        name = self._name()
        made = Selection(name, name)
        if self._took(":"):
            made.name = self._name()
        made.arguments = self._arguments()
        made.directives = self._directives()
        if self._text == "{":
            made.selections = self._selections()
        return made

    def _arguments(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        if self._took("("):
            while not self._took(")"):
                name = self._name()
                self._take(":")
                made[name] = self._value()
        return made

    def _directives(self) -> dict[str, dict[str, Any]]:
        made = {}
        while self._took("@"):
            name = self._name()
            made[name] = self._arguments()
        return made

    def _value(self) -> Any:
        kind, text = self._next()
        match kind, text:
            case _, "$":
                return Variable(self._name())
            case _, "[":
                found = []
                while not self._took("]"):
                    found.append(self._value())
                return found
            case _, "{":
                members = {}
                while not self._took("}"):
                    name = self._name()
                    self._take(":")
                    members[name] = self._value()
                return members
            case "text", _:
                return text[1:-1].encode().decode("unicode_escape") if "\\" in text else text[1:-1]
            case "block", _:
                return text[3:-3]
            case "number", _:
                return float(text) if any(mark in text for mark in ".eE") else int(text)
            case "name", _:
                return _LITERALS.get(text, text)
        raise QueryError(f"Parse error on {text!r}")
