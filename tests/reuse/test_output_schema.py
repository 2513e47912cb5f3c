"""The columns of a result that has no rows yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from tests.support.planning import ingest, reads, transform
from tidemill.core.errors import UsageError
from tidemill.reuse.output_schema import empty_output
from tidemill.workflow.stage import Stage

RAW = ingest("raw")


def stage(function: Callable[..., Any]) -> Stage:
    return replace(transform("next", "day", reads(RAW)), function=function)


def test_whatever_the_contract_says() -> None:
    frame = empty_output(stage(lambda raw: raw.select(odd=pl.lit("x"), n=pl.len())))
    assert frame.schema == {"odd": pl.String, "n": pl.UInt32}
    assert frame.height == 0


def test_a_frame_will_do() -> None:
    assert empty_output(stage(lambda raw: raw.collect())).width > 0


def fails(raw: pl.LazyFrame) -> pl.LazyFrame:
    raise ValueError("no rows")


def test_a_query_that_needs_rows() -> None:
    with pytest.raises(
        UsageError, match=r"without rows it raises ValueError: no rows; run `tidemill"
    ):
        empty_output(stage(fails))


def test_files_tell_more() -> None:
    with pytest.raises(UsageError, match="raw has nothing published yet; run `tidemill run raw`"):
        empty_output(RAW)
