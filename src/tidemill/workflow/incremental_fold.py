"""What a stage is handed of an input in place of its rows: a row for each group, merged over partitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidemill.contracts.spec import ContractSpec


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aggregate:
    """A value of a group that merges from those of its parts; `said` is how one writes it.

    `partial` is a Polars expression over the rows of a group. `merge` makes one over the partials of
    several partitions, `final` one of the merged partial. `whole`, if there is one, computes the same of
    all rows at once, but for a relative difference of `tolerance`; its type is that of the result.
    """

    said: str
    partial: Any
    merge: Callable[[Any], Any]
    final: Callable[[Any], Any] | None = None
    whole: Any = None
    tolerance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fold:
    """Groups `by` some columns, and their aggregates by the names of the columns that hold them.

    `told` makes it one of the rows of a contract, and says what is wrong with it; only Polars can.
    """

    by: tuple[str, ...]
    aggregates: Mapping[str, Aggregate]
    told: Callable[[Fold, ContractSpec], tuple[Folded | None, tuple[str, ...]]]
    place: str = ""

    def __str__(self) -> str:
        made = ", ".join(f"{name}={item.said}" for name, item in self.aggregates.items())
        return f"by {', '.join(self.by)}: {made}" if self.by else made


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldUsage:
    """What folds took, of a step or several: partitions `kept`, and those `computed` of so many `rows`."""

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
class Folded:
    """A fold of the rows of a contract.

    `digest` names what it gives, `kept` what its partials are. `columns` are those that it reads of the
    rows, `schema` is what the stage is handed, and `needs` are the columns that each of those depends on.
    """

    digest: str
    kept: str
    columns: tuple[str, ...]
    schema: Mapping[str, Any] = field(compare=False)
    needs: Mapping[str, tuple[str, ...]] = field(compare=False)
    fold: Fold = field(compare=False)
