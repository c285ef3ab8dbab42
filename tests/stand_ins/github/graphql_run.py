"""Runs a GraphQL document over things that have fields. Knows no GitHub."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .graphql_query import Document, Operation, QueryError, Selection, Variable

Arguments = Mapping[str, Any]
_DEEPEST = 25


@dataclass
class Thing:
    """An object of the graph. kinds: its type and what else it is to a fragment. fields: a value, or how to get it."""

    kinds: tuple[str, ...]
    fields: Mapping[str, Any | Callable[[Arguments], Any]]


class Failure(Exception):
    """This field is null, and the answer tells why."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


@dataclass
class Run:
    """hidden: fields that this server does not have, whatever the things have."""

    document: Document
    variables: Mapping[str, Any]
    hidden: frozenset[str] = frozenset()
    errors: list[dict[str, Any]] = field(default_factory=list)

    def result(self, operation: Operation, root: Thing) -> dict[str, Any]:
        """The answer's body; only errors and no data where the document asks for what does not exist."""
        self.variables = self._given(operation)
        data = self._object(root, operation.selections, [])
        return {"data": data, **({"errors": self.errors} if self.errors else {})}

    def _given(self, operation: Operation) -> dict[str, Any]:
        given = {}
        used = set(_names(operation.selections, self.document, 0))
        for name, (kind, default) in operation.variables.items():
            given[name] = self.variables.get(name, default)
            if given[name] is None and kind.endswith("!"):
                raise QueryError(f"Variable ${name} of type {kind} was provided invalid value", "variableMissing")
            if name not in used:
                text = f"Variable ${name} is declared by {operation.name or 'anonymous query'} but not used"
                raise QueryError(text, "variableNotUsed", variableName=name)
        for name in sorted(used - given.keys()):
            text = f"Variable ${name} is used by {operation.name or 'anonymous query'} but not declared"
            raise QueryError(text, "variableNotDefined", variableName=name)
        return given

    def filled(self, value: Any) -> Any:
        """A value with the variables put in."""
        match value:
            case Variable(name):
                return self.variables.get(name)
            case list():
                return [self.filled(one) for one in value]
            case dict():
                return {name: self.filled(one) for name, one in value.items()}
        return value

    def _object(self, thing: Thing, selections: Sequence[Selection], path: list[str | int]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for selection in self._flat(thing, selections):
            place = [*path, selection.alias]
            if selection.name == "__typename":
                merged[selection.alias] = thing.kinds[0]
                continue
            if selection.name not in thing.fields or selection.name in self.hidden:
                text = f"Field '{selection.name}' doesn't exist on type '{thing.kinds[0]}'"
                raise QueryError(text, "undefinedField", typeName=thing.kinds[0], fieldName=selection.name)
            try:
                found = thing.fields[selection.name]
                value = found(self.filled(selection.arguments)) if callable(found) else found
                shown = self._value(value, selection, place)
            except Failure as failure:
                self._failed(failure, place)
                shown = None
            before = merged.get(selection.alias)
            both = isinstance(before, dict) and isinstance(shown, dict)
            merged[selection.alias] = {**before, **shown} if both else shown  # type: ignore[dict-item]
        return merged

    def _failed(self, failure: Failure, path: list[str | int]) -> None:
        where = [{"line": 1, "column": 1}]
        self.errors.append({"type": failure.kind, "path": path, "locations": where, "message": failure.message})

    def _value(self, value: Any, selection: Selection, path: list[str | int]) -> Any:
        if isinstance(value, list):
            return [self._value(one, selection, [*path, number]) for number, one in enumerate(value)]
        if isinstance(value, Failure):
            self._failed(value, path)
            return None
        if isinstance(value, Thing):
            if not selection.selections:
                raise QueryError(
                    f"Field must have selections (field '{selection.name}' returns {value.kinds[0]} but has no "
                    f"selections. Did you mean '{selection.name} {{ ... }}'?)"
                )
            return self._object(value, selection.selections, path)
        if selection.selections and value is not None:
            raise QueryError(f"Selections can't be made on scalars (field '{selection.name}' returns a scalar)")
        return value

    def _flat(self, thing: Thing, selections: Sequence[Selection]) -> Iterator[Selection]:
        for selection in selections:
            if not self._wanted(selection):
                continue
            if not selection.fragment:
                yield selection
                continue
            meant = fragment(selection, self.document)
            if meant.on is None or meant.on in thing.kinds:
                yield from self._flat(thing, meant.selections)

    def _wanted(self, selection: Selection) -> bool:
        include = self.filled(selection.directives.get("include", {}).get("if", True))
        skip = self.filled(selection.directives.get("skip", {}).get("if", False))
        return bool(include) and not skip


def fragment(selection: Selection, document: Document) -> Selection:
    if selection.spread is None:
        return selection
    if selection.spread not in document.fragments:
        raise QueryError(f"Fragment {selection.spread} was used, but not defined")
    return document.fragments[selection.spread]


def _names(selections: Sequence[Selection], document: Document, depth: int) -> Iterator[str]:
    """The variables that are used somewhere in there."""
    if depth > _DEEPEST:
        raise QueryError(f"Query has a depth of more than {_DEEPEST}")
    for selection in selections:
        yield from _in(selection.arguments)
        yield from _in(selection.directives)
        meant = fragment(selection, document) if selection.fragment else selection
        yield from _names(meant.selections, document, depth + 1)


def _in(value: Any) -> Iterator[str]:
    match value:
        case Variable(name):
            yield name
        case list():
            for one in value:
                yield from _in(one)
        case dict():
            for one in value.values():
                yield from _in(one)


def cost(run: Run, selections: Sequence[Selection], times: int = 1) -> float:
    """What GitHub charges, before it is rounded: a hundredth for each list that has to be looked up."""
    total = 0.0
    for selection in selections:
        meant = fragment(selection, run.document) if selection.fragment else selection
        arguments = run.filled(meant.arguments)
        many = arguments.get("first") or arguments.get("last")
        if isinstance(many, int):
            total += times / 100
        total += cost(run, meant.selections, times * many if isinstance(many, int) else times)
    return total
