"""Conditions of rules: Python expressions over declared facts that can do nothing but compare them.

An expression is parsed, held to few kinds of nodes and to the types of the facts, and only then compiled. It
is evaluated without builtins.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from dataclasses import field
from math import isfinite
from types import CodeType

from tidemill.core.errors import Fault
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.expression_types import FUNCTIONS, ExpressionFault, check_types
from tidemill.governance.facts import FactType
from tidemill.ledger.policy import FactValue

LONGEST = 1000
_DEEPEST = 24
_MOST_NODES = 300
_SHOWN_TEXTS = 8
# No fact or item of a rule has such a name.
_FINITE = "_finite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A checked condition: its text, the facts that it uses, and a form without spaces and comments."""

    text: str
    uses: tuple[str, ...]
    canonical: str
    code: CodeType = field(compare=False, repr=False)

    def evaluate(self, namespace: dict[str, object]) -> bool:
        """Whether the condition holds for the facts of a `namespace`; raises what Python raises."""
        # The code was compiled from checked nodes, and the namespace has no builtins.
        return bool(eval(self.code, namespace))


def namespace_of(facts: Mapping[str, FactValue]) -> dict[str, object]:
    """The names that expressions can use: facts and a few functions."""
    return {"__builtins__": {}, _FINITE: _require_finite, **FUNCTIONS, **facts}


def compile_expression(text: str, declared: Mapping[str, FactType]) -> Expression:
    """Check a condition and compile it.

    Raises ExpressionFault for what isn't a condition over the `declared` facts; see `describe_fault`.
    """
    tree = _parsed(text)
    _check_size(tree)
    uses = check_types(tree, declared)
    canonical = ast.unparse(tree)
    checked = ast.fix_missing_locations(ast.Expression(_FiniteResults().visit(tree)))
    code = compile(checked, "<rule>", "eval")
    return Expression(text=text, uses=uses, canonical=canonical, code=code)


def describe_fault(fault: ExpressionFault, text: str, where: str) -> Fault:
    """The fault of an expression with its column (from 1) and, in a text of several lines, its line."""
    line, column = getattr(fault.node, "lineno", None), getattr(fault.node, "col_offset", None)
    if line is None or column is None:
        return Fault(message=str(fault), where=where, hint=fault.hint)
    lines = _source(text).split("\n")
    # Python counts bytes.
    at = len(lines[line - 1].encode()[:column].decode(errors="ignore")) + 1
    # The first character of several lines is a parenthesis that the text doesn't have.
    place = f"line {line}, column {at - (line == 1)}" if len(lines) > 1 else f"column {at}"
    return Fault(message=f"{place}: {fault}", where=where, hint=fault.hint)


def show_values(text: str, facts: Mapping[str, FactValue]) -> str:
    """A checked expression in which values stand for the facts."""
    return ast.unparse(_Values(facts).visit(_parsed(text)))


class _Values(ast.NodeTransformer):
    def __init__(self, facts: Mapping[str, FactValue]) -> None:
        self._facts = facts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return _value_node(self._facts[node.id]) if node.id in self._facts else node


class _FiniteResults(ast.NodeTransformer):
    """Raises an error where a result is too large: comparisons with NaN would be silently false."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return ast.Call(ast.Name(_FINITE, ast.Load()), [node], [])

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        called = isinstance(node.func, ast.Name) and node.func.id
        return ast.Call(ast.Name(_FINITE, ast.Load()), [node], []) if called == "sum" else node


def _require_finite(value: float) -> float:
    if not isfinite(value):
        raise OverflowError("the result of a calculation is too large")
    return value


def _value_node(value: FactValue) -> ast.expr:
    if value is None:
        return ast.Name(id="(not known)")
    if isinstance(value, float):
        return ast.Name(id=f"{value:.6g}")
    if not isinstance(value, tuple):
        return ast.Constant(value)
    texts: list[ast.expr] = [ast.Constant(item) for item in value[:_SHOWN_TEXTS]]
    if len(value) > _SHOWN_TEXTS:
        texts.append(ast.Name(id=f"... {len(value) - _SHOWN_TEXTS:,} more"))
    return ast.Tuple(elts=texts, ctx=ast.Load())


def _source(text: str) -> str:
    """What is parsed: several lines are one expression only in parentheses."""
    stripped = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return f"({stripped}\n)" if "\n" in stripped else stripped


def _parsed(text: str) -> ast.expr:
    if not text.strip():
        raise ExpressionFault("the expression is empty", hint='write one, such as owner == ""')
    if len(text) > LONGEST:
        raise ExpressionFault(
            f"the expression has {len(text):,} characters, and {LONGEST:,} are allowed",
            hint="split the rule, or use a function",
        )
    try:
        with warnings.catch_warnings():
            # Such as of an escape that Python doesn't know.
            warnings.simplefilter("ignore")
            return ast.parse(_source(text), mode="eval").body
    except SyntaxError as error:
        node = ast.Constant(0, lineno=error.lineno or 1, col_offset=max((error.offset or 1) - 1, 0))
        raise ExpressionFault(f"not an expression: {error.msg}", node) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ExpressionFault(f"not an expression: {error or type(error).__name__}") from None


def _check_size(tree: ast.expr) -> None:
    """Refuse what is deeper than anyone reads; the checks that follow are recursive."""
    left: list[tuple[ast.AST, int]] = [(tree, 1)]
    seen = 0
    while left:
        node, depth = left.pop()
        seen += 1
        if depth > _DEEPEST or seen > _MOST_NODES:
            what = "nested too deeply" if depth > _DEEPEST else "too long"
            raise ExpressionFault(
                f"the expression is {what}", hint="split the rule, or use a function"
            )
        left += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
