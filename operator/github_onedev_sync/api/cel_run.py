"""Running a CEL expression, with every step counted, and with every error in words.

celpy's own evaluator does the rest: it comes with the meaning of the language, and with none of these bounds.
"""

from collections.abc import Iterable, Mapping
from typing import cast

from celpy import celtypes
from celpy.evaluation import Activation, CELEvalError, CELSyntaxError, CELUnsupportedError, Evaluator
from lark import Token, Tree

from .cel_meter import STEPS, Meter, Refused, Unreadable, Value

Node = Tree[Token]

MACROS = ("all", "exists", "exists_one", "filter", "map")
_SIGNS = {
    "relation_lt": "<", "relation_le": "<=", "relation_ge": ">=", "relation_gt": ">", "relation_eq": "==",
    "relation_ne": "!=", "relation_in": "in", "addition_add": "+", "addition_sub": "-", "multiplication_mul": "*",
    "multiplication_div": "/", "multiplication_mod": "%",
}  # fmt: skip
# What celpy lets through of an expression that is at odds with its data, beside its own error.
_TROUBLE = (
    CELSyntaxError, CELUnsupportedError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError,
    ValueError,
)  # fmt: skip


class BoundedEvaluator(Evaluator):
    def __init__(self, ast: Node, meter: Meter, variables: Mapping[str, Value] | None = None) -> None:
        super().__init__(ast, Activation(functions=meter.functions))
        self.meter = meter
        self._outside = self._variables = variables or {}

    def run(self, values: Mapping[str, Value]) -> Value:
        """The answer. Raises Refused and TooCostly."""
        self.meter.left = STEPS
        try:
            return self.evaluate(dict(values))
        except CELEvalError as error:
            raise Refused(str(error.args[0]), error.line, error.column) from None
        except _TROUBLE as error:
            raise Refused(str(error) or type(error).__name__) from None

    def sub_evaluator(self, ast: Node) -> "BoundedEvaluator":
        return BoundedEvaluator(ast, self.meter, self._variables)

    def set_activation(self, values: Mapping[str, Value]) -> "BoundedEvaluator":
        self._variables = {**self._outside, **values}
        return self

    def visit(self, tree: Node) -> Value:
        self.meter.spend()
        constants = self.meter.constants
        return constants[id(tree)] if id(tree) in constants else getattr(self, tree.data)(tree)

    def visit_children(self, tree: Node) -> list[Value]:
        return [self.visit(child) if isinstance(child, Tree) else child for child in tree.children]

    def conditionalor(self, tree: Node) -> Value:
        return self._joined(tree, map(self.visit, cast(list[Node], tree.children)), "||", settles=True)

    def conditionaland(self, tree: Node) -> Value:
        return self._joined(tree, map(self.visit, cast(list[Node], tree.children)), "&&", settles=False)

    def _joined(self, tree: Node, values: Iterable[Value], sign: str, *, settles: bool) -> Value:
        """What settles the matter does so whatever else went wrong."""
        error = None
        for value in values:
            if isinstance(value, celtypes.BoolType):
                if bool(value) is settles:
                    return value
            elif error is None:
                error = value if isinstance(value, CELEvalError) else _not_for(sign, [value], tree)
        return error or celtypes.BoolType(not settles)

    def _operated(self, tree: Node) -> Value:
        operation, second = cast(list[Node], tree.children)
        sign = _SIGNS[operation.data]
        left, right = self.visit(cast(Node, operation.children[0])), self.visit(second)
        for value in (left, right):
            if isinstance(value, CELEvalError):
                return value
        try:
            return self.meter.functions[sign](left, right)
        except TypeError:
            return _not_for(sign, [left, right], tree)
        except ZeroDivisionError:
            return CELEvalError("this divides by zero", tree=tree)
        except (OverflowError, ValueError):
            return CELEvalError(f"{sign} gives something too large", tree=tree)

    relation = addition = multiplication = _operated

    def unary(self, tree: Node) -> Value:
        operation, operand = cast(list[Node], tree.children)
        sign, value = ("!", self.visit(operand)) if operation.data == "unary_not" else ("-", self.visit(operand))
        if isinstance(value, CELEvalError):
            return value
        legal = (celtypes.BoolType,) if sign == "!" else (celtypes.IntType, celtypes.DoubleType, celtypes.DurationType)
        if not isinstance(value, legal):
            return _not_for(sign, [value], tree)
        return celtypes.logical_not(value) if sign == "!" else -value

    def ident(self, tree: Node) -> Value:
        return self._variables[str(tree.children[0])]

    def expr(self, tree: Node) -> Value:
        question, yes, no = cast(list[Node], tree.children)
        answer = self.visit(question)
        if isinstance(answer, celtypes.BoolType):
            return self.visit(yes if answer else no)
        return answer if isinstance(answer, CELEvalError) else _not_for("?", [answer], tree)

    def member_index(self, tree: Node) -> Value:
        whole, index = map(self.visit, cast(list[Node], tree.children))
        for value in (whole, index):
            if isinstance(value, CELEvalError):
                return value
        if isinstance(whole, celtypes.ListType) and type(index) is celtypes.IntType:
            return whole[index] if 0 <= index < len(whole) else CELEvalError(f"there is no item {index}", tree=tree)
        if isinstance(whole, celtypes.MapType) and isinstance(index, str | int):
            return whole[index] if index in whole else CELEvalError(f"there is no key {str(index)[:40]}", tree=tree)
        return _not_for("[]", [whole, index], tree)

    def member_dot(self, tree: Node) -> Value:
        whole, name = self.visit(cast(Node, tree.children[0])), str(tree.children[1])
        if isinstance(whole, CELEvalError):
            return whole
        if not isinstance(whole, celtypes.MapType):
            return _not_for(f".{name}", [whole], tree)
        return whole[name] if name in whole else CELEvalError(f"there is no field {name}", tree=tree)

    def member_dot_arg(self, tree: Node) -> Value:
        name = cast(Token, tree.children[1])
        if name not in MACROS:
            return super().member_dot_arg(tree)
        items = self.visit(cast(Node, tree.children[0]))
        if isinstance(items, CELEvalError):
            return items
        if not isinstance(items, celtypes.ListType | celtypes.MapType):
            return _not_for(f"{name}()", [items], tree)
        if name in ("all", "exists"):
            answers = map(self.build_ss_macro_eval(tree), items)
            return self._joined(tree, answers, f"{name}()", settles=name == "exists")
        return super().member_dot_arg(tree)

    def mapinits(self, tree: Node) -> Value:
        made = celtypes.MapType()
        values = self.visit_children(tree)
        for key, value in zip(values[::2], values[1::2], strict=True):
            for one in (key, value):
                if isinstance(one, CELEvalError):
                    return one
            if not isinstance(key, celtypes.StringType | celtypes.IntType):
                return _not_for("{}", [key], tree)
            if key in made:
                return CELEvalError(f"the key {str(key)[:40]} is there twice", tree=tree)
            made[key] = value
        return made

    def macro_has_eval(self, exprlist: Node) -> Value:
        """What is not known is null, which nobody has."""
        value = self.visit_children(exprlist)[0]
        return celtypes.BoolType(value is not None and not isinstance(value, CELEvalError))

    def method_eval(self, object: Value, method_ident: Token, exprlist: Iterable[Value] | None = None) -> Value:  # noqa: A002 (celpy's name)
        given = exprlist if isinstance(exprlist, list) else []
        try:
            value = super().method_eval(object, method_ident, exprlist)
        except (AssertionError, OSError, OverflowError):
            value = CELEvalError("no such overload")
        return _worded(value, method_ident, [object, *given])

    def function_eval(self, name_token: Token, exprlist: Iterable[Value] | None = None) -> Value:
        given = exprlist if isinstance(exprlist, list) else []
        return _worded(super().function_eval(name_token, exprlist), name_token, given)


# --- in words


def kind(value: Value) -> str:
    """CEL's word for the type of a value, such as `string`."""
    name = type(value).__name__
    return {"NoneType": "null", "str": "string"}.get(name) or name.removesuffix("Type").lower()


def spell(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _not_for(what: str, given: Iterable[Value], tree: Node) -> CELEvalError:
    return CELEvalError(_unfit(what, given), tree=tree)


def _unfit(what: str, given: Iterable[Value]) -> str:
    return f"{what} cannot be applied to {spell([kind(item) for item in given] or ['nothing'])}"


def _worded(value: Value, name: Token, given: list[Value]) -> Value:
    """The library's words, without Python's."""
    if not isinstance(value, CELEvalError):
        return value
    said, *rest = value.args
    if said == "return error for overflow":
        why = rest[1][0] if rest[0] is Unreadable else f"{name}() cannot make anything of it"
        return CELEvalError(why, token=name)
    return CELEvalError(_unfit(f"{name}()", given), token=name) if said == "no such overload" else value
