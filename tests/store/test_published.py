"""Read published rows: what a stage without any says."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.support.tides import LENIENT, Tides
from tidemill.core.errors import UsageError


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    return Tides(tmp_path, LENIENT)


def test_a_stage_whose_rows_are_all_in_quarantine_says_so(tides: Tides) -> None:
    frame = pl.DataFrame(
        {"day": [None], "id": [1], "value": [1.0]},
        schema_overrides={"day": pl.Date},
    )
    tides.put("unplaced.parquet", frame)
    assert tides.run().exit_code == 0
    with pytest.raises(
        UsageError, match=r"all are in quarantine; `tidemill quarantine show raw` lists"
    ):
        tides.open().read("raw")
