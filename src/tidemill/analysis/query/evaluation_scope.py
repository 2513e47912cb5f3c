"""The scope in which an expression is evaluated, and the rules that combine its operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, TypeAlias

import polars as pl

from tidemill.analysis.query.known_functions import python_name
from tidemill.analysis.query.selectors import expand_selector
from tidemill.analysis.query.value_numbers import (
    ONE,
    Key,
    Length,
    MissingColumn,
    Reads,
    Relation,
    UnknownMeaning,
    Value,
    first_reason,
    term,
    union_reads,
)
from tidemill.core.lazy_dataclass import dataclass

Schema: TypeAlias = Mapping[str, pl.DataType]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationScope:
    """The columns that an expression can name, and their rows.

    Inside of groups, `groups` holds the names of the keys, and `fixed` the terms that are constant there.
    `pick` is the index into all selectors, while an expression over several columns is expanded.
    """

    columns: Mapping[str, Value]
    length: Length
    open: str = ""
    unstable: str = ""
    keys: tuple[Key, ...] = ()
    schema: Callable[[], Schema] = dict
    groups: Sequence[str] | None = None
    fixed: frozenset[str] = frozenset()
    element: Value | None = None
    pick: int | None = None
    selected: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, relation: Relation, schema: Callable[[], Schema]) -> EvaluationScope:
        return cls(
            columns=relation.columns,
            length=relation.length,
            open=relation.open,
            unstable=relation.unstable,
            keys=relation.keys,
            schema=schema,
        )

    @property
    def rows(self) -> str:
        return self.length.term

    @property
    def all_reads(self) -> Reads:
        return self.length.reads | union_reads(value.reads for value in self.columns.values())

    def column(self, name: str) -> Value:
        value = self.columns.get(name)
        if value is None:
            raise (MissingColumn if self.element is None else UnknownMeaning)(f"column {name!r}")
        return value._replace(name=name, length=self.length, root=name, open="")

    def is_unique(self, *by: Value) -> bool:
        """Whether `by` is unique among the rows (of a group)."""
        known = {value.term for value in by} | self.fixed
        return any(key <= known for key in self.keys)

    def expand(self, selector: Any) -> list[str]:
        """Expand a selector to column names."""
        text = repr(selector)
        if text not in self.selected:
            self.selected[text] = expand_selector(
                selector, list(self.columns), self.schema, self.groups
            )
        return self.selected[text]

    def with_pick(self, pick: int) -> EvaluationScope:
        return replace(self, pick=pick)

    def element_scope(self) -> EvaluationScope:
        """The scope of an expression over the elements of lists, which sees no columns."""
        elements = Length("element", 0)
        return EvaluationScope(columns={}, length=elements, element=Value("", "element", elements))


def combine_by_row(
    tag: Any, operands: Sequence[Value], scope: EvaluationScope, *, numeric: bool = False
) -> Value:
    """Combine operands row by row; the value is named after the first operand."""
    lengths = {operand.length for operand in operands} - {ONE}
    parts = [operand.term for operand in operands]
    if len(lengths) > 1:
        return combine_over_rows(tag, operands, scope, numeric=numeric)
    return Value(
        operands[0].name,
        term(tag, parts),
        next(iter(lengths), ONE),
        union_reads(operand.reads for operand in operands),
        numeric,
        operands[0].root,
        *_alignment(operands),
    )


def combine_over_rows(
    tag: Any,
    operands: Sequence[Value],
    scope: EvaluationScope,
    *,
    length: Length | None = None,
    numeric: bool = False,
    free: bool = False,
    open: str = "",
) -> Value:
    """Combine operands into values that depend on all rows, and on their order unless `free`.

    Without a `length`, they have that of the operands, or a new one if the operands have several.
    """
    number = term(tag, [operand.term for operand in operands], scope.rows)
    reads = scope.length.reads | union_reads(operand.reads for operand in operands)
    lengths = {operand.length for operand in operands} - {ONE}
    if length is None:
        length = lengths.pop() if len(lengths) == 1 else Length(term("length of", number), reads)
    opened, unstable = _alignment(operands)
    disorder = "" if free else first_reason(scope.open, opened)
    doubt = disorder and f"{_function_name(tag)} over rows in no fixed order ({disorder})"
    return Value(
        operands[0].name if operands else None,
        number,
        length,
        reads,
        numeric,
        operands[0].root if operands else None,
        first_reason(open, opened if free and length != ONE else ""),
        first_reason(unstable, scope.unstable, doubt),
    )


def _alignment(operands: Sequence[Value]) -> tuple[str, str]:
    """Why the joint order is undefined, and why it is undefined which values share a row."""
    opened = unstable = ""
    for operand in operands:
        opened, unstable = opened or operand.open, unstable or operand.unstable
    if opened and len({operand.term for operand in operands if operand.length != ONE}) > 1:
        return "", first_reason(unstable, f"values in no fixed order beside others ({opened})")
    return opened, unstable


def _function_name(tag: Any) -> str:
    """The name that users of Polars know: `cum_sum`."""
    name = tag if isinstance(tag, str) else str(tag[0])
    return python_name(name)
