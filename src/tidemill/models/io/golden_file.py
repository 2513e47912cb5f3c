"""Read the golden rows of a gate from a file of the project."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tidemill.core.errors import Fault, UsageError
from tidemill.models.golden_gate import golden_value_faults, input_columns
from tidemill.workflow.gate_faults import golden_column_faults
from tidemill.workflow.model_gates import EXPECT, HIGH, LOW, NAME, Golden, GoldenRow, golden_rows_of
from tidemill.workflow.stage import Stage


def golden_faults(model: Stage, root: Path) -> Iterator[Fault]:
    """Yield what is wrong with the golden rows of a model's gates, before it is trained."""
    assert model.approval is not None
    columns = input_columns(model)
    for gate in model.approval.gates:
        if not isinstance(gate, Golden):
            continue
        try:
            rows, _ = read_golden_rows(gate, root)
        except UsageError as error:
            yield Fault(message=str(error), where=model.approval.place)
            continue
        broken = [(text, "") for text in golden_value_faults(rows, columns)]
        for message, hint in (*golden_column_faults(rows if gate.file else (), model), *broken):
            yield Fault(message=f"{gate}: {message}", where=model.approval.place, hint=hint)


def read_golden_rows(gate: Golden, root: Path) -> tuple[tuple[GoldenRow, ...], str]:
    """Return the rows of a gate, and the digest of its file ("" without one).

    Raises UsageError for a file that can't be read, or that has no valid rows.
    """
    if not gate.file:
        return gate.rows, ""
    path = root / gate.file
    try:
        payload = path.read_bytes()
        rows, faults = golden_rows_of(_dicts(payload, path.suffix.lower()))
    except FileNotFoundError:
        raise UsageError(f"golden({gate.file}): there is no such file in {root}") from None
    # Whatever is wrong with a file of others, it is named.
    except RecursionError:
        raise UsageError(f"golden({gate.file}) can't be read: it is nested too deeply") from None
    except (OSError, ValueError, TypeError, pl.exceptions.PolarsError) as error:
        raise UsageError(f"golden({gate.file}) can't be read: {error}") from error
    if faults:
        raise UsageError(f"golden({gate.file}): {'; '.join(faults)}")
    return rows, hashlib.sha256(payload).hexdigest()


def _dicts(payload: bytes, suffix: str) -> object:
    """The content of a file as golden rows are written; rows of a table become dicts."""
    if suffix == ".json":
        return json.loads(payload, object_pairs_hook=_without_repeated)
    if suffix == ".parquet":
        return [*map(_from_table, pl.read_parquet(io.BytesIO(payload)).to_dicts())]
    # Types are the contract's: a guess would lose leading zeros.
    table = pl.read_csv(io.BytesIO(payload), infer_schema=False)
    return [*map(_from_table, table.to_dicts())]


def _without_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"a row has {repeated!r} twice")
    return found


def _from_table(row: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in row.items() if name not in (EXPECT, LOW, HIGH)}
    return {**found, EXPECT: _expected(row)}


def _expected(row: Mapping[str, Any]) -> Any:
    """What a row of a table expects: its value, or the range that it has instead."""
    value, low, high = (_as_number(row.get(name)) for name in (EXPECT, LOW, HIGH))
    if value is not None and (low is not None or high is not None):
        raise ValueError(f"row {row.get(NAME)!r} has {EXPECT} and a range: leave one empty")
    return value if low is None and high is None else (low, high)


def _as_number(value: Any) -> Any:
    """A number that a text is, or the text."""
    if not isinstance(value, str):
        return value
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value
