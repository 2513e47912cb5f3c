"""A table whose value drifts at a known day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.support.tides import Tides

WATCHED = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, version="1.0.0", key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64(min=0)
    value = tm.Float64(nullable=True)
    drift = tm.DriftAlarm(reference="10d")


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet", on_missing="remove")
"""
ROWS, STEP = 300, 14
CALM, MOVED = range(STEP), range(STEP, STEP + 4)


def values(number: int, shift: float = 0.0) -> list[float]:
    found: list[float] = np.random.default_rng(number).normal(shift, 1, ROWS).tolist()
    return found


def send(tides: Tides, numbers: Sequence[int]) -> None:
    for number in numbers:
        tides.send(number, values(number, 1.0 if number >= STEP else 0.0))


def settle(tides: Tides) -> None:
    """A run that must succeed, whatever drifted."""
    receipt = tides.run()
    assert receipt.exit_code == 0, receipt.messages
