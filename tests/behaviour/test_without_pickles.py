"""Where there is no cloudpickle, Polars can't write expressions with functions: they are refused as well."""

from __future__ import annotations

import sys

import polars as pl
import pytest

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.contracts.odcs.expressions import serialize

FUNCTION = pl.col("a").map_elements(lambda value: value, return_dtype=pl.Int64)


@pytest.fixture(params=[True, False], ids=["as it is", "without"], autouse=True)
def _pickles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setitem(sys.modules, "cloudpickle", None)


def stage(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.select(FUNCTION)


def test_an_expression_with_a_function_is_no_part_of_a_recipe() -> None:
    found = code_of(stage)
    assert any("a Python function or a plugin" in item.reason for item in found.unresolved)


def test_an_expression_with_a_function_is_not_exchanged() -> None:
    with pytest.raises(ValueError, match=r".+"):
        serialize(FUNCTION)
