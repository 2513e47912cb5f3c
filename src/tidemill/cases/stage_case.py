"""A test case of a stage: the rows that it is given, and what is expected of its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from tidemill.core.lazy_dataclass import dataclass

if TYPE_CHECKING:
    import polars as pl

# The rows that a table has for which a case names none, per partition.
SYNTHETIC_ROWS = 10
# The most rows of a table: a case is for people to read.
MOST_ROWS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTable:
    """Some rows: as values, as text cells of a CSV, or as a frame; or only how many there are.

    Without `rows` and `frame`, `count` rows are generated.
    """

    rows: tuple[Mapping[str, Any], ...] | None = None
    frame: pl.DataFrame | None = None
    is_text: bool = False
    count: int = SYNTHETIC_ROWS

    @property
    def is_synthetic(self) -> bool:
        """Whether all of its rows are generated."""
        return self.rows is None and self.frame is None

    @property
    def height(self) -> int:
        """The number of rows."""
        if self.frame is not None:
            return self.frame.height
        return self.count if self.rows is None else len(self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that at least one of its rows names, in their order."""
        if self.frame is not None:
            return tuple(self.frame.columns)
        return tuple(dict.fromkeys(name for row in self.rows or () for name in row))

    def gaps(self, name: str) -> tuple[int, ...]:
        """The numbers of the rows that don't name a column, from 0."""
        rows = enumerate(self.rows or ())
        return tuple(number for number, row in rows if name not in row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The least and the greatest value that is expected; None where there is none."""

    min: float | None = None
    max: float | None = None

    def __str__(self) -> str:
        if self.min is not None and self.max is not None:
            return f"{self.min:g} to {self.max:g}"
        return f"at least {self.min:g}" if self.min is not None else f"at most {self.max:g}"

    def __contains__(self, value: float) -> bool:
        # NaN is in no range.
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a case expects; None and empty: it doesn't say.

    `rows` are all rows of the output, `includes` some of them, both by the columns that they name. They are
    compared in their order if it is `ordered`; floats may differ by `tolerance`. `quarantined` are rows, or
    their number, by stage. `error` is a part of the message of the error.
    """

    rows: GivenTable | None = None
    includes: GivenTable | None = None
    count: int | None = None
    quarantined: Mapping[str, GivenTable | int] = field(default_factory=dict)
    error: str | None = None
    scores: Mapping[str, Range] = field(default_factory=dict)
    predictions: Range | None = None
    ordered: bool = False
    tolerance: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is expected."""
        named = (self.rows, self.includes, self.count, self.error, self.predictions)
        return all(each is None for each in named) and not self.quarantined and not self.scores


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCase:
    """A case: the tables that stages have, the stage that is computed from them, and what is expected.

    `given` has rows by stage; those of an ingest are what its source has. `params` are those of models.
    With `limits` the budget and the row counts of contracts apply, which are meant for whole partitions.
    `file` is where it is written.
    """

    name: str
    stage: str
    expect: Expectation
    file: str = ""
    given: Mapping[str, GivenTable] = field(default_factory=dict)
    partition: str = ""
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    seed: int = 0
    limits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPair:
    """A value that was expected, and the one that there is; texts, as they are shown."""

    column: str
    expected: str
    actual: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifference:
    """A row that differs: `missing`, `unexpected` or `changed`. `row` has the cells that identify it."""

    kind: str
    row: Mapping[str, str]
    changes: tuple[CellPair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCaseResult:
    """How a case ended: its problems, none if it passed, and the rows that differ.

    `broken` are the rules that rows broke, by stage; `stages` those that were computed or checked. `notes`
    tell what may change the result, `output` is what the code printed.
    """

    case: StageCase
    problems: tuple[str, ...] = ()
    differences: tuple[RowDifference, ...] = ()
    broken: Mapping[str, frozenset[str]] = field(default_factory=dict)
    stages: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    output: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.problems
