"""Compare what a case expects with what there is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

import polars as pl

from tidemill.cases.case_faults import reasons_of_row
from tidemill.cases.cell_values import CellError, cell_text, typed_table
from tidemill.cases.row_comparison import MISSING, UNEXPECTED, compare_rows
from tidemill.cases.row_pairs import pair_rows
from tidemill.cases.stage_case import Expectation, GivenTable, RowDifference, StageCase
from tidemill.contracts.checks.ruled_rows import REASONS
from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseOutcome:
    """What a case came to: rows, quarantined rows by stage, scores or predictions; or why it failed.

    `unusable` says why the case itself can't be run, such as a cell that is no value of its column.
    """

    rows: pl.DataFrame | None = None
    rejected: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    error: str = ""
    unusable: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    predictions: pl.Series | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseVerdict:
    """The problems of a case, and the rows that differ."""

    problems: tuple[str, ...] = ()
    differences: tuple[RowDifference, ...] = ()


def judge_case(case: StageCase, outcome: CaseOutcome, spec: ContractSpec | None) -> CaseVerdict:
    """Compare the outcome of a case with what it expects; `spec` is the contract of its stage."""
    if outcome.unusable:
        return CaseVerdict(problems=(outcome.unusable,))
    problems = [*_error_problems(case.expect, outcome)]
    if outcome.error:
        return CaseVerdict(problems=tuple(problems))
    differences: list[RowDifference] = []
    problems += _quarantine_problems(case, outcome, differences)
    problems += _number_problems(case.expect, outcome)
    if outcome.rows is not None:
        problems += _row_problems(case.expect, outcome.rows, spec, differences)
    return CaseVerdict(problems=tuple(problems), differences=tuple(differences))


def _error_problems(expect: Expectation, outcome: CaseOutcome) -> Iterator[str]:
    if not outcome.error:
        if expect.error is not None:
            yield f"it didn't fail; expected an error with {expect.error!r}"
    elif expect.error is None:
        yield outcome.error
    elif expect.error not in outcome.error:
        yield f"expected an error with {expect.error!r}, but it was: {outcome.error}"


def _quarantine_problems(
    case: StageCase, outcome: CaseOutcome, differences: list[RowDifference]
) -> Iterator[str]:
    for stage in (*outcome.rejected, *case.expect.quarantined):
        if stage in outcome.rejected and stage not in case.expect.quarantined:
            rows = outcome.rejected[stage]
            counts = Counter(rule for rules in rows[REASONS] for rule in rules)
            why = ", ".join(f"{rule} ({count})" for rule, count in counts.items())
            shown = _row_text(rows.drop(REASONS).row(0, named=True))
            yield (
                f"{plural(rows.height, 'row')} of {stage} {'was' if rows.height == 1 else 'were'} "
                f"quarantined: {why}; the first is {shown}"
            )
    for stage, expected in case.expect.quarantined.items():
        bad = outcome.rejected.get(stage)
        yield from _compare_quarantine(stage, expected, bad, differences)


def _compare_quarantine(
    stage: str,
    expected: GivenTable | int,
    bad: pl.DataFrame | None,
    differences: list[RowDifference],
) -> Iterator[str]:
    height = 0 if bad is None else bad.height
    wanted = expected if isinstance(expected, int) else expected.height
    if height != wanted:
        yield f"expected {plural(wanted, 'quarantined row')} of {stage}, there are {height}"
    if isinstance(expected, int):
        return
    rows = [*_expected_cells(expected)]
    actual = [] if bad is None else [*_bad_cells(bad)]
    pairs = pair_rows(range(len(rows)), range(len(actual)), lambda a, b: rows[a] <= actual[b])
    missing = [dict(sorted(rows[at])) for at in range(len(rows)) if at not in pairs]
    names = {name for row in rows for name, _ in row}
    taken = {*pairs.values()}
    extra = [
        {name: text for name, text in sorted(actual[at]) if name in names or name == REASONS}
        for at in range(len(actual))
        if at not in taken
    ]
    if missing or (extra and height == wanted):
        yield f"the quarantined rows of {stage} are others"
    differences += [RowDifference(kind=f"not quarantined in {stage}", row=row) for row in missing]
    differences += [RowDifference(kind=f"quarantined in {stage}", row=row) for row in extra]


def _expected_cells(table: GivenTable) -> Iterator[frozenset[tuple[str, str]]]:
    rows = table.rows if table.frame is None else table.frame.to_dicts()
    for row in rows or ():
        cells = {(name, cell_text(cell)) for name, cell in row.items() if name != REASONS}
        reasons = reasons_of_row(row)
        yield frozenset(cells | ({(REASONS, ", ".join(sorted(reasons)))} if reasons else set()))


def _bad_cells(bad: pl.DataFrame) -> Iterator[frozenset[tuple[str, str]]]:
    for row in bad.iter_rows(named=True):
        reasons = row.pop(REASONS)
        cells = {(name, cell_text(cell)) for name, cell in row.items()}
        yield frozenset(cells | {(REASONS, ", ".join(sorted(reasons)))})


def _number_problems(expect: Expectation, outcome: CaseOutcome) -> Iterator[str]:
    height = 0 if outcome.rows is None else outcome.rows.height
    if expect.count is not None and height != expect.count:
        yield f"expected {plural(expect.count, 'row')}, there are {height}"
    for name, wanted in expect.scores.items():
        if name not in outcome.scores:
            yield f"there is no metric {name!r}; there are {', '.join(outcome.scores) or 'none'}"
        elif outcome.scores[name] not in wanted:
            yield f"{name} is {outcome.scores[name]:g}; expected {wanted}"
    if expect.predictions is not None and outcome.predictions is not None:
        yield from _prediction_problems(expect, outcome.predictions)


def _prediction_problems(expect: Expectation, found: pl.Series) -> Iterator[str]:
    assert expect.predictions is not None
    if not found.dtype.is_numeric():
        yield "the model predicts classes, which are in no range"
        return
    values = found.to_list()
    outside = [value for value in values if value is None or value not in expect.predictions]
    if outside:
        shown = ", ".join(cell_text(value) for value in outside[:_SHOWN])
        yield (
            f"{len(outside)} of {plural(len(values), 'prediction')} are not {expect.predictions}, such "
            f"as {shown}"
        )


def _row_problems(
    expect: Expectation,
    rows: pl.DataFrame,
    spec: ContractSpec | None,
    differences: list[RowDifference],
) -> Iterator[str]:
    key = spec.key if spec is not None else ()
    for name, table in (("rows", expect.rows), ("includes", expect.includes)):
        if table is None:
            continue
        try:
            expected = expected_table(table, spec, rows)
        except CellError as error:
            yield f"expect.{name}: {error}"
            continue
        found = compare_rows(
            expected,
            rows,
            key=key,
            ordered=expect.ordered,
            tolerance=expect.tolerance,
            partial=name == "includes",
            gaps=_uncompared(table, spec),
        )
        if found:
            yield describe_differences(found)
            differences += found


def _uncompared(table: GivenTable, spec: ContractSpec | None) -> dict[str, frozenset[int]]:
    """The cells that a row doesn't name, of columns that are never null; nullable ones are null then."""
    nullable = {column.name for column in spec.columns if column.nullable} if spec else set()
    return {name: frozenset(table.gaps(name)) for name in table.columns if name not in nullable}


def expected_table(
    table: GivenTable, spec: ContractSpec | None, rows: pl.DataFrame
) -> pl.DataFrame:
    """The expected rows in the types of the output; CellError for a column or cell that it can't have."""
    missing = [name for name in table.columns if name not in rows.columns]
    if missing:
        raise CellError(f"the output has no column {missing[0]!r}")
    if spec is not None:
        typed = typed_table(table, spec)
        return typed.cast({name: rows.schema[name] for name in typed.columns})
    if table.frame is not None:
        return table.frame
    cells = {name: [row.get(name) for row in table.rows or ()] for name in table.columns}
    return pl.DataFrame(
        [pl.Series(name, cells[name], dtype=rows.schema[name], strict=False) for name in cells]
    )


def describe_differences(found: Sequence[RowDifference]) -> str:
    """How many rows differ, and how: `rows differ: 1 missing, 2 changed`."""
    counts = Counter(difference.kind for difference in found)
    order = (MISSING, UNEXPECTED, "changed")
    return f"rows differ: {', '.join(f'{counts[kind]} {kind}' for kind in order if counts[kind])}"


def _row_text(row: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {cell_text(value)}" for name, value in row.items())
