"""CEL, the Common Expression Language, for a text that a stranger wrote: celpy's parser and types, and bounds.

The text runs inside the controller, between everything else that the controller does, so it must not be able to hold
that up. Steps are counted, texts and lists stay small, patterns are RE2's, and nothing reads a clock, or a file but
those of time zones.
Importing this costs 18 MB and 0.1 s.
"""

import re
from collections.abc import Mapping
from typing import Any, cast

from celpy import celtypes
from celpy.celparser import CELParseError, CELParser
from celpy.evaluation import CELEvalError
from lark import Token, Tree
from lark.exceptions import UnexpectedToken

from .cel_meter import Meter, Refused, TooCostly, Value
from .cel_run import MACROS, BoundedEvaluator, Node, spell

# Levels of the syntax tree, each of which takes four of Python's frames.
DEEPEST = 40

METHODS = (
    "contains", "endsWith", "matches", "size", "startsWith", "getDate", "getDayOfMonth", "getDayOfWeek",
    "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes", "getMonth", "getSeconds",
)  # fmt: skip
FUNCTIONS = ("double", "duration", "has", "int", "size", "string", "timestamp", "uint")

# Rules of the grammar that add nothing to a single child: most of a syntax tree.
_CHAINS = frozenset(
    ("expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member")
)
# A comment, or a text in quotes; or a quote or backslash that is part of neither. The parser's own pattern for texts
# takes exponential time where a closing quote is missing, so it never gets to see one.
_QUOTED = re.compile(
    r"""//[^\n]*+
    | (?P<raw>[rR])?(?: \"{3}(?:[^"\\]|\\.|"(?!""))*+\"{3} | '{3}(?:[^'\\]|\\.|'(?!''))*+'{3}
                      | "(?!"")(?:[^"\\\n]|\\[^\n])*+" | '(?!'')(?:[^'\\\n]|\\[^\n])*+' )
    | (?P<open>["'\\])""",
    re.VERBOSE | re.DOTALL,
)


class Program:
    """A compiled expression over variables; of one that is a map its fields are told. Raises Refused and TooCostly."""

    def __init__(self, text: str, variables: Mapping[str, tuple[str, ...]]) -> None:
        _refuse_open_texts(text)
        self._root = _slim(_parse(text))
        self._evaluator = BoundedEvaluator(self._root, Meter())
        _Check(self._evaluator, variables).node(self._root, frozenset())

    def fields(self, variable: str) -> frozenset[str] | None:
        """Which fields of the variable it asks for, None where it uses the whole."""
        picked = [node for node in self._root.find_data("member_dot") if _is_ident(node.children[0], variable)]
        mentioned = [node for node in self._root.find_data("ident") if node.children[0] == variable]
        return None if len(mentioned) > len(picked) else frozenset(str(node.children[1]) for node in picked)

    def run(self, values: Mapping[str, Value]) -> Value:
        return self._evaluator.run(values)


# --- from text to tree


def _refuse_open_texts(text: str) -> None:
    for found in _QUOTED.finditer(text):
        quoted = found.group()
        if found["open"] or (found["raw"] and "\\" + quoted[-1] in quoted):
            line, column = text.count("\n", 0, found.start()) + 1, found.start() - text.rfind("\n", 0, found.start())
            raise Refused("there is a quote or a backslash that no text in quotes explains", line, column)


def _parse(text: str) -> Node:
    try:
        return cast(Node, CELParser().parse(text))
    except CELParseError as error:
        cause = error.__context__
        if isinstance(cause, UnexpectedToken) and cause.token.type == "$END":
            raise Refused("something is missing at its end") from None
        raise Refused("this is not expected here", error.line, error.column) from None


def _slim(tree: Node) -> Node:
    """Without the rules that add nothing, and with `a || b || c` as one node."""
    depth: dict[int, int] = {}
    for node in tree.iter_subtrees():
        node.children = [_inner(child) if isinstance(child, Tree) else child for child in node.children]
        first = node.children[0] if node.children else None
        if node.data in ("conditionalor", "conditionaland") and isinstance(first, Tree) and first.data == node.data:
            node.children[:1] = first.children
        depth[id(node)] = 1 + max((depth[id(c)] for c in node.children if isinstance(c, Tree)), default=0)
    slim = _inner(tree)
    if depth[id(slim)] > DEEPEST:
        raise TooCostly(f"is nested more than {DEEPEST} levels deep")
    return slim


def _inner(node: Node) -> Node:
    while len(node.children) == 1 and isinstance(child := node.children[0], Tree):
        if node.data == "primary" and child.data == "paren_expr":
            node = cast(Node, child.children[0])
        elif node.data in _CHAINS or (node.data == "primary" and child.data in ("ident", "literal")):
            node = child
        else:
            break
    return node


def _is_ident(node: Any, name: str) -> bool:
    return isinstance(node, Tree) and node.data == "ident" and node.children[0] == name


# --- what can be known before it runs


class _Check:
    """Finds misspelt names, and keeps literals and patterns ready."""

    def __init__(self, evaluator: BoundedEvaluator, variables: Mapping[str, tuple[str, ...]]) -> None:
        self._evaluator = evaluator
        self._variables = variables

    def node(self, node: Node, bound: frozenset[str]) -> None:
        check = getattr(self, f"_{node.data}", None)
        if check is not None:
            bound = check(node, bound) or bound
        for child in node.children:
            if isinstance(child, Tree):
                self.node(child, bound)
        self._keep_list(node)

    def _keep_list(self, node: Node) -> None:
        """A list of literals is the same each time."""
        if node.data == "primary" and cast(Node, node.children[0]).data == "list_lit":
            constants = self._evaluator.meter.constants
            items = _arguments(cast(Node, node.children[0]))
            if all(id(item) in constants for item in items):
                constants[id(node)] = celtypes.ListType([constants[id(item)] for item in items])

    def _member_object(self, node: Node, bound: frozenset[str]) -> None:
        raise _refused(node, "a name cannot be followed by {")

    def _primary(self, node: Node, bound: frozenset[str]) -> None:
        if cast(Node, node.children[0]).data in ("dot_ident", "dot_ident_arg"):
            raise _refused(node, "a name must not begin with a dot")

    def _literal(self, node: Node, bound: frozenset[str]) -> None:
        value = self._evaluator.literal(node)
        if isinstance(value, CELEvalError | celtypes.BytesType):
            raise _refused(node, "this number or text cannot be used")
        self._evaluator.meter.constants[id(node)] = value

    def _ident(self, node: Node, bound: frozenset[str]) -> None:
        name = str(node.children[0])
        if name not in bound and name not in self._variables:
            raise _refused(node, f"there is no variable {name}; it can use {spell(self._variables)}")

    def _ident_arg(self, node: Node, bound: frozenset[str]) -> None:
        name = str(node.children[0])
        if name not in FUNCTIONS:
            raise _refused(node, f"there is no function {name}; it can use {spell(FUNCTIONS)}")
        if name == "has" and [getattr(argument, "data", "") for argument in _arguments(node)] != ["member_dot"]:
            raise _refused(node, "has() takes a field, such as has(repository.language)")

    def _member_dot(self, node: Node, bound: frozenset[str]) -> None:
        for variable, fields in self._variables.items():
            if variable not in bound and _is_ident(node.children[0], variable) and fields:
                name = cast(Token, node.children[1])
                if str(name) not in fields:
                    why = f"{variable} has no field {name}; it has {spell(fields)}"
                    raise Refused(why, name.line, name.column)

    def _member_dot_arg(self, node: Node, bound: frozenset[str]) -> frozenset[str] | None:
        name, arguments = cast(Token, node.children[1]), _arguments(node)
        if name in MACROS:
            if len(arguments) != 2 or arguments[0].data != "ident":
                raise Refused(f"{name}() takes a name and an expression", name.line, name.column)
            return bound | {str(arguments[0].children[0])}
        if name not in METHODS:
            raise Refused(f"there is no method {name}; it can use {spell((*METHODS, *MACROS))}", name.line, name.column)
        if name == "matches":
            pattern = self._evaluator.literal(arguments[0]) if [a.data for a in arguments] == ["literal"] else None
            if not isinstance(pattern, celtypes.StringType):
                raise Refused('matches() takes a pattern in quotes, such as "^v[0-9]"', name.line, name.column)
            try:
                self._evaluator.meter.keep(pattern)
            except ValueError as error:
                why = f"the pattern of matches() is not legal: {error}"
                raise Refused(why, name.line, name.column) from None
        return None


def _arguments(node: Node) -> list[Node]:
    last = node.children[-1] if node.children else None
    return cast(list[Node], last.children) if isinstance(last, Tree) and last.data == "exprlist" else []


def _refused(node: Node, why: str) -> Refused:
    return Refused(why, node.meta.line, node.meta.column)
