"""Gates on how a candidate predicts: its latency, its cost, and the rows whose predictions are known."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from tidemill.core.callsite import caller
from tidemill.core.errors import raise_faults
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import is_finite, is_number

_UNITS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(us|µs|ms|s)")
# Files of golden rows, by suffix.
GOLDEN_SUFFIXES = (".csv", ".json", ".parquet")
# What a golden row has beside the columns that the model reads.
NAME, EXPECT, LOW, HIGH, INPUT = "name", "expect", "expect_low", "expect_high", "input"
MAX_ROWS_A_CALL = 100_000
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """The 99th percentile of a prediction of `rows` rows takes at most `p99_ms` milliseconds."""

    p99_ms: float
    rows: int = 1

    def __str__(self) -> str:
        return "latency(p99)" if self.rows == 1 else f"latency(p99, rows={self.rows})"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPer1k:
    """1,000 predictions cost at most `most`, at the price of a CPU hour in the settings."""

    most: float
    rows: int = 1

    def __str__(self) -> str:
        return "cost_per_1k" if self.rows == 1 else f"cost_per_1k(rows={self.rows})"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenRow:
    """A row with a name, the values of its columns, and its prediction: a value, or the ends of a range."""

    name: str
    values: tuple[tuple[str, Any], ...]
    expect: Any = None
    low: float | None = None
    high: float | None = None

    @property
    def is_range(self) -> bool:
        return self.low is not None

    @property
    def expected(self) -> str:
        """The prediction that it wants, in words."""
        return f"{self.low:g} to {self.high:g}" if self.is_range else f"{self.expect!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Rows are predicted as expected; those of a `file` of the project, or `rows`."""

    rows: tuple[GoldenRow, ...] = ()
    file: str = ""
    tolerance: float = 1e-6

    def __str__(self) -> str:
        return f"golden({self.file})" if self.file else "golden"


ModelGate: TypeAlias = LatencyLimit | CostPer1k | Golden


def latency(p99: str | float, *, rows: int = 1) -> LatencyLimit:
    """Require that predicting `rows` rows takes at most `p99` (`"5ms"`, or milliseconds) in 99 of 100 calls.

    A process of its own calls the model alone, without HTTP and features, with one thread, on rows that were
    recorded in training. Each of up to 200 calls is repeated 5 times, of which the fastest counts, so that a
    busy machine fails no model: the percentile is over rows, not over the noise of the machine.
    """
    problems, found = [], _milliseconds(p99)
    if found is None:
        problems.append(f"p99={p99!r} is not a time such as '5ms', or a number of milliseconds")
    problems += _rows_problems(rows)
    raise_faults("tm.latency(...)", problems, caller(1))
    assert found is not None
    return LatencyLimit(p99_ms=found, rows=rows)


def cost_per_1k(most: float, *, rows: int = 1) -> CostPer1k:
    """Require that the CPU time of 1,000 predictions costs at most `most`, in the currency of the settings.

    The time is measured as for `latency`, in calls of `rows` rows. Without `cpu_hour` in the settings the
    outcome is "not enough data".
    """
    problems = [*_rows_problems(rows)]
    if not (is_finite(most) and most > 0):
        problems.insert(0, f"most={most!r} is not an amount of money above 0, such as 0.02")
    raise_faults("tm.cost_per_1k(...)", problems, caller(1))
    return CostPer1k(most=most, rows=rows)


def golden(rows: Sequence[Mapping[str, Any]] | str, *, tolerance: float = 1e-6) -> Golden:
    """Require that named rows are predicted as expected.

    A row is a dict with `name`, `expect`, and the values of the columns that the model reads, beside them or
    in a dict `input`. `expect` is a number, from which the prediction may differ by `tolerance`, a range
    `(low, high)`, or the class that a classifier predicts.

    `rows` may also be a file of the project, whose content counts as part of the gate: JSON with a list of
    such dicts, CSV or Parquet with a column each, where `expect_low` and `expect_high` are a range.
    """
    where, problems = caller(1), []
    if not (is_finite(tolerance) and tolerance >= 0):
        problems.append(f"tolerance={tolerance!r} is not a number of at least 0")
    if isinstance(rows, str):
        if not rows.isprintable() or not rows.lower().endswith(GOLDEN_SUFFIXES):
            problems.append(f"{rows!r} is not a file of {', '.join(GOLDEN_SUFFIXES)}")
        raise_faults("tm.golden(...)", problems, where)
        return Golden(file=rows, tolerance=tolerance)
    found, faults = golden_rows_of(rows)
    raise_faults("tm.golden(...)", [*problems, *faults], where)
    return Golden(rows=found, tolerance=tolerance)


def golden_rows_of(rows: object) -> tuple[tuple[GoldenRow, ...], list[str]]:
    """Return golden rows from dicts, and what is wrong with them."""
    if not isinstance(rows, Sequence) or isinstance(rows, (str, bytes)):
        return (), [f"rows={rows!r} is not a list of dicts"]
    if not rows:
        return (), ["there are no rows: name at least one"]
    found: dict[str, GoldenRow] = {}
    faults: list[str] = []
    for number, row in enumerate(rows):
        made = _golden_row(row, number)
        if isinstance(made, str):
            faults.append(made)
        elif made.name in found:
            faults.append(f"two rows are called {made.name!r}")
        else:
            found[made.name] = made
    more = len(faults) - _SHOWN
    return tuple(found.values()), faults[:_SHOWN] + (
        [f"{more} more rows have faults"] if more > 0 else []
    )


def _golden_row(row: object, number: int) -> GoldenRow | str:
    """A golden row, or what is wrong with it."""
    if not isinstance(row, Mapping):
        return f"row {number}: {row!r} is not a dict"
    name = row.get(NAME)
    if not isinstance(name, str) or not name.strip():
        return f"row {number} has no name: 'name' is {name!r}"
    given = row.get(INPUT)
    values = {**row, **given} if isinstance(given, Mapping) else dict(row)
    for key in (NAME, EXPECT, *((INPUT,) if isinstance(given, Mapping) else ())):
        values.pop(key, None)
    if not values:
        return f"row {name!r} has no columns"
    strange = next((key for key in values if not isinstance(key, str)), None)
    if strange is not None:
        return f"row {name!r}: {strange!r} is not the name of a column"
    return _with_expectation(name, tuple(sorted(values.items())), row)


def _with_expectation(
    name: str, values: tuple[tuple[str, Any], ...], row: Mapping[Any, Any]
) -> GoldenRow | str:
    expect = row.get(EXPECT)
    if isinstance(expect, (tuple, list)):
        ends = tuple(expect)
        if len(ends) != 2 or not all(map(is_finite, ends)):
            return f"row {name!r}: expect={expect!r} is not a range of two numbers (low, high)"
        if ends[0] > ends[1]:
            return f"row {name!r}: expect={expect!r} is empty, because low is above high"
        return GoldenRow(name=name, values=values, low=ends[0], high=ends[1])
    if not isinstance(expect, bool | str) and not is_finite(expect):
        return f"row {name!r}: expect={expect!r} is not a number, a range (low, high) or a class"
    return GoldenRow(name=name, values=values, expect=expect)


def _rows_problems(rows: object) -> list[str]:
    if isinstance(rows, int) and not isinstance(rows, bool) and 1 <= rows <= MAX_ROWS_A_CALL:
        return []
    return [f"rows={rows!r} is not a number of rows from 1 to {MAX_ROWS_A_CALL:,}"]


def _milliseconds(time: object) -> float | None:
    if is_number(time):
        return float(time) if is_finite(time) and time > 0 else None
    match = _TIME.fullmatch(time.strip()) if isinstance(time, str) else None
    found = float(match[1]) * _UNITS[match[2]] if match else 0.0
    return found if found > 0 and is_finite(found) else None
