"""From a declaration to what is watched, and how far back each reference goes."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.contracts.profiles.table_watch import reference_starts, table_watch
from tidemill.contracts.spec import ContractSpec
from tidemill.core.partition import Grain


def spec_of(column: Any, rule: Any) -> ContractSpec:
    body = {"at": column, "x": tm.Float64(), "word": tm.String(), "drift": rule}
    found: ContractSpec = type("Table", (tm.Contract,), body, version="1.0.0").__tidemill_contract__  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(
    ("column", "reference", "needed", "run_length"),
    [
        (tm.Date(partition="1d"), "30d", 7, 365),
        (tm.Date(partition="1d"), "60d", 15, 365),
        (tm.Date(partition="1d"), "5d", 5, 365),
        (tm.Date(partition="1d"), 40, 10, 365),
        (tm.Date(partition="1w"), "8w", 7, 52),
        (tm.Date(partition="1w"), "4w", 4, 52),
        (tm.Date(partition="1mo"), "12mo", 7, 12),
        (tm.Date(partition="1mo"), "3mo", 3, 12),
        (tm.Date(partition="1mo"), "5d", 1, 12),
        (tm.String(partition="value"), 20, 7, 365),
    ],
)
def test_a_year_of_partitions_has_one_false_alarm(
    column: Any, reference: Any, needed: int, run_length: int
) -> None:
    spec = spec_of(column, tm.DriftAlarm(reference=reference))
    watch = table_watch(spec, spec.drift_alarms[0])
    assert watch.columns == {"x": "numbers", "word": "texts"}
    assert (watch.needed, watch.run_length, watch.tolerance) == (needed, run_length, 0.03)


@pytest.mark.parametrize(
    ("keys", "reference", "grain", "starts"),
    [
        (["2024-01-01", "2024-01-02", "2024-01-03"], "1d", Grain.DAY, [0, 0, 1]),
        # A gap makes a reference shorter, or leaves none.
        (["2024-01-01", "2024-01-02", "2024-01-09"], "3d", Grain.DAY, [0, 0, 2]),
        (["2024-W01", "2024-W02", "2024-W05"], "3w", Grain.WEEK, [0, 0, 1]),
        (["2024-01", "2024-02", "2024-05"], "3mo", Grain.MONTH, [0, 0, 1]),
        (["2024-01-01", "2024-01-09", "2024-02-01"], 1, Grain.DAY, [0, 0, 1]),
        (["a", "b", "c", "d"], 2, None, [0, 0, 0, 1]),
        ([], "30d", Grain.DAY, []),
    ],
)
def test_a_reference_reaches_back_in_time_or_by_number(
    keys: list[str], reference: Any, grain: Grain | None, starts: list[int]
) -> None:
    assert reference_starts(keys, reference, grain) == starts
