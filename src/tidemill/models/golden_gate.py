"""Judge whether a candidate predicts the golden rows of a gate as expected.

The values of a row are checked against the contract of the columns, as rows of the data are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from tidemill.contracts.checks.checker import REASONS, Checker
from tidemill.contracts.column import Column
from tidemill.contracts.spec import ContractSpec
from tidemill.core.counts import plural
from tidemill.core.units import is_number
from tidemill.models.own_gate_result import refused
from tidemill.models.predictors import PREDICTION
from tidemill.workflow.gate import GateResult
from tidemill.workflow.model import Artifact, ClassLabel
from tidemill.workflow.model_gates import Golden, GoldenRow
from tidemill.workflow.stage import Stage

# Rows whose prediction is written out; of further ones only the names are.
_WRITTEN = 50
_AT = "~row"


def input_columns(model: Stage) -> dict[str, Column]:
    """The columns of a model's inputs, by name."""
    contracts = [item.contract for item in model.frames if item.contract is not None]
    return {column.name: column for contract in reversed(contracts) for column in contract.columns}


def golden_value_faults(rows: Sequence[GoldenRow], columns: Mapping[str, Column]) -> list[str]:
    """Return the values of golden rows that the contract of their column refuses."""
    faults = []
    for name, column in columns.items():
        own = [(row, dict(row.values)[name]) for row in rows if name in dict(row.values)]
        if own:
            _, broken = _checked(column, [value for _, value in own])
            faults += [
                f"golden row {own[at][0].name!r}: {name}={own[at][1]!r} breaks {', '.join(rules)}"
                for at, rules in broken
            ]
    return faults


def judge_golden(
    gate: Golden,
    rows: Sequence[GoldenRow],
    artifact: Artifact,
    columns: Mapping[str, Column],
    predict: Callable[[pl.DataFrame], pl.DataFrame],
) -> GateResult:
    """Predict golden rows, and name each whose prediction isn't the expected one.

    `columns` are those of the model's inputs.
    """
    wanted = [name for name in artifact.inputs if name in columns]
    known = {row.name: {name for name, _ in row.values} for row in rows}
    faults = [
        f"golden row {row.name!r} has no {name}, which the model reads"
        for row in rows
        for name in artifact.inputs
        if name not in known[row.name]
    ]
    faults += [f"no input has the column {n}" for n in artifact.inputs if n not in columns]
    faults = faults or golden_value_faults(rows, {name: columns[name] for name in wanted})
    if faults or not rows:
        return refused(gate, "; ".join(faults[:_WRITTEN]) or "there are no golden rows")
    frame = pl.DataFrame(
        [_checked(columns[n], [dict(row.values)[n] for row in rows])[0] for n in wanted]
    )
    predictions = predict(frame).get_column(PREDICTION).to_list()
    if len(predictions) != len(rows):
        return refused(gate, f"{len(predictions)} predictions of {plural(len(rows), 'row')}")
    wrong = [
        (row, why)
        for row, prediction in zip(rows, predictions, strict=True)
        if (why := _difference(row, prediction, artifact.class_labels, gate.tolerance))
    ]
    if not wrong:
        evidence = f"{plural(len(rows), 'row')} predicted as expected"
        return GateResult(gate=str(gate), passed=True, evidence=evidence)
    return refused(gate, f"{len(wrong)} of {plural(len(rows), 'row')}: {_listed(wrong)}")


def _checked(
    column: Column, values: Sequence[Any]
) -> tuple[pl.Series, list[tuple[int, tuple[str, ...]]]]:
    """The values as their contract reads them, and the positions of those that break it, with the rules."""
    own = replace(column, on_fail="quarantine", unique=False, partition=None, source="")
    spec = ContractSpec(name="Golden", version="1", columns=(own,), unknown_columns="keep")
    at = pl.Series(_AT, range(len(values)), dtype=pl.Int64)
    found = Checker(spec).check(pl.DataFrame([_raw(column.name, values), at]))
    broken: list[tuple[int, tuple[str, ...]]] = []
    if found.bad is not None:
        pairs = found.bad.select(_AT, REASONS).sort(_AT).iter_rows()
        broken = [(number, tuple(rules)) for number, rules in pairs]
    return found.good.get_column(column.name), broken


def _raw(name: str, values: Sequence[Any]) -> pl.Series:
    """The values in their own type; those of several types as text, which the contract reads."""
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return pl.Series(name, [None if value is None else str(value) for value in values])


def _difference(
    row: GoldenRow, prediction: object, classes: Sequence[ClassLabel], tolerance: float
) -> str:
    """How a prediction differs from the expected one; "" if it doesn't."""
    if prediction is None or (isinstance(prediction, float) and math.isnan(prediction)):
        return f"no prediction, expected {row.expected}"
    by_class = len(classes) > 2
    if not by_class and (row.is_range or is_number(row.expect)):
        return _distance(row, prediction, tolerance)
    if not classes:
        return f"{_shown(prediction)}, which is no class, expected {row.expected}"
    if row.is_range or not any(_is_same(label, row.expect) for label in classes):
        known = ", ".join(map(repr, classes[:_WRITTEN]))
        return f"{prediction!r}, expected {row.expected}, which is none of the classes {known}"
    label: object = prediction if by_class else _greater(prediction, classes)
    return "" if _is_same(label, row.expect) else f"{label!r}, expected {row.expected}"


def _distance(row: GoldenRow, prediction: object, tolerance: float) -> str:
    if not is_number(prediction):
        return f"{prediction!r}, expected {row.expected}"
    if row.low is not None and row.high is not None:
        within = row.low <= prediction <= row.high
    else:
        within = abs(prediction - row.expect) <= tolerance
    return "" if within else f"{_shown(prediction)}, expected {row.expected}"


def _greater(prediction: object, classes: Sequence[ClassLabel]) -> ClassLabel | None:
    """The class of two that is more probable."""
    return classes[int(prediction >= 0.5)] if is_number(prediction) else None


def _is_same(label: object, expect: object) -> bool:
    """Whether a class is the expected one, which a file may have as text or as a number."""
    if isinstance(label, bool) or isinstance(expect, bool):
        return str(label).lower() == str(expect).lower()
    return label == expect or str(label) == str(expect)


def _shown(prediction: object) -> str:
    return f"{prediction:.6g}" if is_number(prediction) else repr(prediction)


def _listed(wrong: Sequence[tuple[GoldenRow, str]]) -> str:
    texts = [f"{row.name}: {why}" for row, why in wrong[:_WRITTEN]]
    more = ", ".join(row.name for row, _ in wrong[_WRITTEN:])
    return "; ".join([*texts, f"also {more}"] if more else texts)
