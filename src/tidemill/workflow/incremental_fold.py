"""Incremental folds: a stage gets mergeable aggregates of an input, one row per group, not its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aggregate:
    """An aggregate of a group that merges from partial aggregates; `said` is its text, such as `sum(x)`.

    `partial` is a Polars expression over the rows of a group. `merge` makes the expression that merges
    partials of several partitions, `final` the one that turns a merged partial into the result. `whole`,
    if given, computes the same from all rows at once, up to a relative difference of `tolerance`; it
    determines the type of the result.
    """

    said: str
    partial: Any
    merge: Callable[[Any], Any]
    final: Callable[[Any], Any] | None = None
    whole: Any = None
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """A declared fold: group columns `by`, and aggregates by the name of their output column.

    `told` resolves it against a contract, and returns what is wrong with it; that takes Polars.
    """

    by: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    resolve: Callable[[Fold, ContractSpec], tuple[ResolvedFold | None, tuple[str, ...]]]
    place: str = ""

    def __str__(self) -> str:
        made = ", ".join(f"{name}={item.said}" for name, item in self.aggregates.items())
        return f"by {', '.join(self.by)}: {made}" if self.by else made


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldUsage:
    """Work of folds in one or more steps: partitions reused (`kept`), `computed`, and `rows` read for it."""

    kept: int = 0
    computed: int = 0
    rows: int = 0

    def __add__(self, other: FoldUsage) -> FoldUsage:
        return FoldUsage(
            kept=self.kept + other.kept,
            computed=self.computed + other.computed,
            rows=self.rows + other.rows,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedFold:
    """A fold resolved against a contract.

    `digest` identifies its result, `kept` its partials. `columns` are the columns that it reads.
    `schema` is that of its result. `dependencies` maps each result column to the columns that it or its rows
    depend on, `sources` to those that its values are computed from.
    """

    digest: str
    partials_digest: str
    columns: tuple[str, ...]
    schema: Mapping[str, Any] = field(compare=False)
    dependencies: Mapping[str, tuple[str, ...]] = field(compare=False)
    sources: Mapping[str, tuple[str, ...]] = field(compare=False)
    fold: Fold = field(compare=False)
