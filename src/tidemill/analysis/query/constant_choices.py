"""Find expressions below which Polars' optimizer leaves out the order of rows.

The optimizer looks for order in the values of a `when`, not in its conditions. If a frame or the keys of
groups only choose between constants, `sort` and `maintain_order=True` below them have no effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from tidemill.analysis.query.evaluation_scope import EvaluationScope

LOST_ORDER = "a choice between constants, below which Polars leaves out the order of rows"


def choose_constants(
    expressions: Iterable[Any], scope: EvaluationScope, known: AbstractSet[str]
) -> bool:
    """Whether some expressions depend on rows by conditions alone, which Polars doesn't look at.

    `known` are the columns of the frame that do. Expressions of constants alone don't count.
    """
    found = [list(_leaves(expression, scope)) for expression in expressions]
    return any(found) and all(name is None or name in known for leaves in found for name in leaves)


def _leaves(expression: Any, scope: EvaluationScope) -> Iterator[str | None]:
    """Yield the columns that are values of an expression, and None for each condition."""
    match expression:
        case {"Column": str(name)}:
            yield name
        case {"Selector": selector}:
            yield from scope.expand(selector)
        case {"Ternary": {"truthy": truthy, "falsy": falsy}}:
            yield None
            yield from _leaves([truthy, falsy], scope)
        case dict():
            yield from _leaves([*expression.values()], scope)
        case list():
            for part in expression:
                yield from _leaves(part, scope)
