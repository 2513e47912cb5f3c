"""Check the types of a rule's expression, which may use few kinds of nodes only."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from math import isfinite
from typing import Any

from tidemill.core.errors import did_you_mean
from tidemill.governance.facts import FactType

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function for function in (any, all, len, min, max, sum, abs)
}
# Whole numbers beyond it aren't exact as floats.
_LARGEST = 1 << 53


class ValueType(StrEnum):
    """The type of a part of an expression."""

    CONDITION = "a condition"
    NUMBER = "a number"
    TEXT = "a text"
    CONDITIONS = "conditions"
    NUMBERS = "numbers"
    TEXTS = "texts"


_BOOL, _NUMBER, _TEXT = ValueType.CONDITION, ValueType.NUMBER, ValueType.TEXT
_TEXTS = ValueType.TEXTS
_OF_FACT = {
    FactType.BOOL: _BOOL,
    FactType.INT: _NUMBER,
    FactType.FLOAT: _NUMBER,
    FactType.STR: _TEXT,
    FactType.TEXTS: _TEXTS,
}
_SEVERAL = {_BOOL: ValueType.CONDITIONS, _NUMBER: ValueType.NUMBERS, _TEXT: _TEXTS}
# How a value becomes a condition.
_AS_CONDITION = {
    _NUMBER: "compare it, such as {0} > 0",
    _TEXT: 'compare it, such as {0} != ""',
    _TEXTS: "count them, such as len({0}) > 0",
    ValueType.NUMBERS: "count them, such as len({0}) > 0",
    ValueType.CONDITIONS: "use any({0}) or all({0})",
}
_ALLOWED = f"facts, literals, comparisons, and, or, not, in, +, -, / and {', '.join(FUNCTIONS)}"
_NAMES = {
    ast.Attribute: "attributes",
    ast.Subscript: "subscripts",
    ast.Lambda: "lambdas",
    ast.NamedExpr: "assignments",
    ast.JoinedStr: "f-strings",
    ast.IfExp: "conditional expressions",
    ast.Starred: "stars",
    ast.Dict: "dictionaries",
    ast.Set: "sets",
    ast.DictComp: "dictionaries",
    ast.SetComp: "sets",
    ast.Mult: "multiplications",
    ast.Pow: "powers",
    ast.Is: "`is`",
    ast.IsNot: "`is not`",
    ast.Await: "`await`",
    ast.Yield: "`yield`",
    ast.YieldFrom: "`yield`",
}
_INSTEAD = {
    ast.Is: "use ==",
    ast.IsNot: "use !=",
    ast.Subscript: "use in, any() or all()",
    ast.IfExp: "use and, or",
}
_OTHER_WORDS = {"true": "write True", "false": "write False"}


class ExpressionFault(Exception):
    """An expression can't be used; `node` is where, `hint` what to do."""

    def __init__(self, message: str, node: ast.AST | None = None, hint: str = "") -> None:
        super().__init__(message)
        self.node = node
        self.hint = hint


def check_types(tree: ast.expr, declared: Mapping[str, FactType]) -> tuple[str, ...]:
    """The declared facts that a condition uses, in the order of their use.

    Raises ExpressionFault where it uses anything else, mixes types, or isn't a condition.
    """
    checker = _Checker(declared)
    checker.condition(tree)
    return tuple(checker.used)


class _Checker:
    """Finds the type of each node, and notes the facts that are used."""

    def __init__(self, declared: Mapping[str, FactType]) -> None:
        self.declared = declared
        self.used: dict[str, None] = {}
        self._local: dict[str, ValueType] = {}

    def type_of(self, node: ast.expr) -> ValueType:
        check = _CHECKS.get(type(node))
        if check is None:
            raise _refusal(node, node)
        found: ValueType = check(self, node)
        return found

    def condition(self, node: ast.expr) -> ValueType:
        found = self.type_of(node)
        if found != _BOOL:
            text = ast.unparse(node)
            raise ExpressionFault(
                f"{text} is {found}, not a condition", node, _AS_CONDITION[found].format(text)
            )
        return found

    def require(self, node: ast.expr, wanted: ValueType) -> None:
        found = self.type_of(node)
        if found != wanted:
            raise ExpressionFault(f"{ast.unparse(node)} is {found}, not {wanted}", node)

    def constant(self, node: ast.Constant) -> ValueType:
        value = node.value
        if isinstance(value, bool):
            return _BOOL
        if isinstance(value, str):
            return _TEXT
        if isinstance(value, int | float):
            if value > _LARGEST if isinstance(value, int) else not isfinite(value):
                raise ExpressionFault("the number is too large", node)
            return _NUMBER
        hint = "a missing fact refuses the change by itself" if value is None else ""
        raise ExpressionFault(f"{ast.unparse(node)} can't be used", node, hint)

    def name(self, node: ast.Name) -> ValueType:
        if node.id in self._local:
            return self._local[node.id]
        if node.id in self.declared:
            self.used[node.id] = None
            return _OF_FACT[self.declared[node.id]]
        if node.id in FUNCTIONS:
            raise ExpressionFault(f"{node.id} is a function", node, f"call it: {node.id}(...)")
        advice = _OTHER_WORDS.get(node.id) or did_you_mean(node.id, self.declared)
        raise ExpressionFault(f"there is no fact {node.id!r}", node, advice)

    def connective(self, node: ast.BoolOp) -> ValueType:
        for part in node.values:
            self.condition(part)
        return _BOOL

    def unary(self, node: ast.UnaryOp) -> ValueType:
        if isinstance(node.op, ast.Not):
            return self.condition(node.operand)
        if not isinstance(node.op, ast.USub | ast.UAdd):
            raise _refusal(node.op, node)
        self.require(node.operand, _NUMBER)
        return _NUMBER

    def arithmetic(self, node: ast.BinOp) -> ValueType:
        if not isinstance(node.op, ast.Add | ast.Sub | ast.Div):
            raise _refusal(node.op, node)
        self.require(node.left, _NUMBER)
        self.require(node.right, _NUMBER)
        return _NUMBER

    def comparison(self, node: ast.Compare) -> ValueType:
        operands = [node.left, *node.comparators]
        for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
            self._compare(left, operator, right)
        return _BOOL

    def _compare(self, left: ast.expr, operator: ast.cmpop, right: ast.expr) -> None:
        types = self.type_of(left), self.type_of(right)
        texts = ast.unparse(left), ast.unparse(right)
        if isinstance(operator, ast.In | ast.NotIn):
            in_text = types == (_TEXT, _TEXT)
            if _SEVERAL.get(types[0]) != types[1] and not (
                in_text and not isinstance(right, ast.Constant)
            ):
                raise ExpressionFault(
                    f"{texts[0]} is {types[0]} and {texts[1]} is {types[1]}: `in` can't compare them",
                    left,
                    f"write ({texts[1]},)" if in_text else "",
                )
            return
        if not isinstance(operator, _COMPARISONS):
            raise _refusal(operator, left)
        if types[0] != types[1]:
            raise ExpressionFault(
                f"{texts[0]} is {types[0]} and {texts[1]} is {types[1]}: they can't be compared",
                left,
            )
        if types[0] not in _SEVERAL:
            raise ExpressionFault(
                f"{types[0]} can't be compared", left, "use in, any(), all() or len()"
            )
        if types[0] != _NUMBER and not isinstance(operator, ast.Eq | ast.NotEq):
            raise ExpressionFault(f"{texts[0]} is {types[0]}, which has no order", left)

    def call(self, node: ast.Call) -> ValueType:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in FUNCTIONS:
            called = ast.unparse(node.func)
            raise ExpressionFault(f"{called} can't be called", node, f"use {', '.join(FUNCTIONS)}")
        if node.keywords:
            raise ExpressionFault(f"{name}() takes no named arguments", node)
        types = [self.type_of(argument) for argument in node.args]
        return self._result(name, types, node)

    def _result(self, name: str, types: Sequence[ValueType], node: ast.Call) -> ValueType:
        if name in ("min", "max") and len(types) > 1 and {*types} == {_NUMBER}:
            return _NUMBER
        wanted, result = _SIGNATURES[name]
        if len(types) != 1 or types[0] not in wanted:
            given = ", ".join(types) or "nothing"
            raise ExpressionFault(f"{name}() takes {' or '.join(wanted)}, not {given}", node)
        if name == "len" and isinstance(node.args[0], ast.GeneratorExp):
            raise ExpressionFault("len() takes no generator", node, "write len([...])")
        return result

    def comprehension(self, node: ast.GeneratorExp | ast.ListComp) -> ValueType:
        if self._local or len(node.generators) != 1 or node.generators[0].is_async:
            raise ExpressionFault("only one `for` can be used, and not inside of another", node)
        part = node.generators[0]
        self.require(part.iter, _TEXTS)
        name = part.target.id if isinstance(part.target, ast.Name) else ""
        if not name or name in self.declared or name in FUNCTIONS or name.startswith("_"):
            raise ExpressionFault(
                f"{ast.unparse(part.target)} can't be the name of an item",
                part.target,
                "use a name that no fact or function has",
            )
        self._local[name] = _TEXT
        for condition in part.ifs:
            self.condition(condition)
        item = self.type_of(node.elt)
        self._local.clear()
        return self._several(item, node)

    def sequence(self, node: ast.Tuple | ast.List) -> ValueType:
        types = {self.type_of(item) for item in node.elts}
        if len(types) > 1:
            raise ExpressionFault(f"{ast.unparse(node)} mixes {' and '.join(sorted(types))}", node)
        return self._several(types.pop() if types else _TEXT, node)

    def _several(self, item: ValueType, node: ast.expr) -> ValueType:
        if item not in _SEVERAL:
            raise ExpressionFault(f"{item} can't be nested", node)
        return _SEVERAL[item]


def _refusal(kind: ast.AST, node: ast.AST) -> ExpressionFault:
    name = _NAMES.get(type(kind), f"{type(kind).__name__} expressions")
    hint = _INSTEAD.get(type(kind), f"use {_ALLOWED}")
    return ExpressionFault(f"{name} can't be used", node, hint)


_COMPARISONS = ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE
_SIGNATURES: Mapping[str, tuple[tuple[ValueType, ...], ValueType]] = {
    "any": ((ValueType.CONDITIONS,), _BOOL),
    "all": ((ValueType.CONDITIONS,), _BOOL),
    "len": ((_TEXTS, _TEXT, ValueType.NUMBERS), _NUMBER),
    "min": ((ValueType.NUMBERS,), _NUMBER),
    "max": ((ValueType.NUMBERS,), _NUMBER),
    "sum": ((ValueType.NUMBERS,), _NUMBER),
    "abs": ((_NUMBER,), _NUMBER),
}
_CHECKS: Mapping[type[ast.expr], Callable[[_Checker, Any], ValueType]] = {
    ast.Constant: _Checker.constant,
    ast.Name: _Checker.name,
    ast.BoolOp: _Checker.connective,
    ast.UnaryOp: _Checker.unary,
    ast.BinOp: _Checker.arithmetic,
    ast.Compare: _Checker.comparison,
    ast.Call: _Checker.call,
    ast.GeneratorExp: _Checker.comprehension,
    ast.ListComp: _Checker.comprehension,
    ast.Tuple: _Checker.sequence,
    ast.List: _Checker.sequence,
}
