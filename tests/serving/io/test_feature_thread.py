"""Requests that wait at once are computed together, whatever form their rows have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import polars as pl
import pytest
from polars.exceptions import PanicException

from tidemill.core.errors import ConflictError, TidemillError
from tidemill.serving.io.feature_query import FeatureQuery, Features
from tidemill.serving.io.feature_thread import FeatureThread
from tidemill.serving.rows import RequestRows


class Doubled:
    """Computes `x` times two; a negative one is an error."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.heights: list[int] = []
        self.error = error or ValueError("negative")

    def compute(self, rows: pl.DataFrame, columns: Sequence[str]) -> Features:
        self.heights.append(rows.height)
        if rows["x"].min() < 0:  # type: ignore[operator]
            raise self.error
        return Features(rows=rows.select(pl.col("x") * 2), missing={rows.height - 1: "the last"})


def frame(rows: RequestRows) -> pl.DataFrame:
    found: Any = rows.frame
    return pl.DataFrame({"x": rows.columns[0]}) if found is None else found


def listed(*values: int) -> RequestRows:
    return RequestRows(len(values), (list(values),))


def framed(*values: int) -> RequestRows:
    return RequestRows(len(values), (list(values),), pl.DataFrame({"x": values}))


async def computed(query: Doubled, *requests: RequestRows) -> list[Any]:
    thread = FeatureThread(cast(FeatureQuery, query))
    # The first is computed alone, the others wait for it.
    tasks = [thread.compute(rows, frame, ["x"]) for rows in (listed(0), *requests)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    await thread.close()
    with pytest.raises(ConflictError):
        thread.compute(listed(1), frame, ["x"])
    return found[1:]


@pytest.mark.parametrize("make", [listed, framed])
def test_rows_of_waiting_requests_are_one_frame(make: Any) -> None:
    query = Doubled()
    first, second, third = asyncio.run(computed(query, listed(1, 2), make(3), make(4, 5)))
    assert query.heights == [1, 5]
    assert [each.features.rows["x"].to_list() for each in (first, second, third)] == [
        [2, 4],
        [6],
        [8, 10],
    ]
    assert [each.features.missing for each in (first, second, third)] == [{}, {}, {1: "the last"}]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("negative"), ValueError), (PanicException("boom"), TidemillError)],
)
def test_only_the_request_at_fault_fails(error: BaseException, kind: type[Exception]) -> None:
    good, bad = asyncio.run(computed(Doubled(error), listed(1), listed(-1)))
    assert good.features.rows["x"].to_list() == [2]
    assert isinstance(bad, kind)
