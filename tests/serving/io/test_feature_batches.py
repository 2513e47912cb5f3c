"""Requests that wait at once are computed together, whatever form their rows have."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import polars as pl
import pytest
from polars.exceptions import PanicException

from tidemill.core.errors import ConflictError, TidemillError
from tidemill.serving.io.feature_batches import FeatureBatches
from tidemill.serving.io.feature_query import FeatureQuery, Features, LookupsNotLoaded
from tidemill.serving.rows import RequestRows


class Doubled:
    """Computes `x` times two; a negative one is an error, and the last row of 9 or more is missing.

    From 100 on, what it needs isn't in memory. `threads` are those that computed.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error or ValueError("negative")
        self.heights: list[int] = []
        self.threads: list[str] = []

    def compute(
        self, rows: pl.DataFrame, columns: Sequence[str], *, may_load: bool = True
    ) -> Features:
        if not may_load and rows["x"].max() >= 100:  # type: ignore[operator]
            raise LookupsNotLoaded
        self.heights.append(rows.height)
        self.threads.append(threading.current_thread().name)
        if rows["x"].min() < 0:  # type: ignore[operator]
            raise self.error
        missing = {rows.height - 1: "the last"} if rows.height > 8 else {}
        return Features(rows=rows.select(pl.col("x") * 2), missing=missing)


def frame(rows: RequestRows) -> pl.DataFrame:
    found: Any = rows.frame
    return pl.DataFrame({"x": rows.columns[0]}) if found is None else found


def accept(found: pl.DataFrame) -> RequestRows | None:
    """Accept what is below 50."""
    values = tuple(found["x"])
    return RequestRows(len(values), (values,), found) if max(values) < 50 else None


def listed(*values: int) -> RequestRows:
    return RequestRows(len(values), (list(values),))


def framed(*values: int) -> RequestRows:
    return RequestRows(len(values), (list(values),), pl.DataFrame({"x": values}))


async def computed(query: Doubled, *turns: Sequence[RequestRows]) -> list[list[Any]]:
    """What is computed for requests that arrive in one turn of the loop, after those of another one."""
    batches = FeatureBatches(cast(FeatureQuery, query))
    found = []
    for requests in turns:
        tasks = [batches.compute(rows, frame, accept, ["x"]) for rows in requests]
        found.append(await asyncio.gather(*tasks, return_exceptions=True))
    await batches.close()
    with pytest.raises(ConflictError):
        batches.compute(listed(1), frame, accept, ["x"])
    return found


@pytest.mark.parametrize("make", [listed, framed])
def test_rows_of_waiting_requests_are_one_frame(make: Callable[..., RequestRows]) -> None:
    query = Doubled()
    requests = (listed(1, 2), make(3), make(4, 5, 6, 7, 8, 9))
    (found,) = asyncio.run(computed(query, requests))
    assert query.heights == [9]
    assert [each.frame["x"].to_list() for each in found] == [[2, 4], [6], [8, 10, 12, 14, 16, 18]]
    assert [each.features.missing for each in found] == [{}, {}, {5: "the last"}]
    assert [each.accepted for each in found] == [None] * 3


def test_rows_that_are_accepted_together_come_without_a_frame() -> None:
    (found,) = asyncio.run(computed(Doubled(), (listed(1, 2), listed(3))))
    assert [each.accepted for each in found] == [
        RequestRows(2, ((2, 4),)),
        RequestRows(1, ((6,),)),
    ]


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("negative"), ValueError), (PanicException("boom"), TidemillError)],
)
def test_only_the_request_at_fault_fails(error: BaseException, kind: type[Exception]) -> None:
    ((good, bad),) = asyncio.run(computed(Doubled(error), (listed(1), listed(-1))))
    assert good.features.rows["x"].to_list() == [2]
    assert isinstance(bad, kind)


def test_short_batches_are_computed_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    query = Doubled()
    # Every batch takes no time.
    monkeypatch.setattr("time.thread_time", lambda: 1.0)
    asyncio.run(computed(query, [listed(1)], [listed(1)], [listed(*range(5))], [listed(100)]))
    own = threading.current_thread().name
    # The first isn't known to be short, the third is much larger, and the last must load.
    assert [name == own for name in query.threads] == [False, True, False, False]


def test_more_rows_than_are_short_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    query = Doubled()
    monkeypatch.setattr("time.thread_time", lambda: 1.0)
    found = asyncio.run(computed(query, [listed(1)], [listed(at) for at in range(6)]))
    assert query.heights == [1, 4, 2]
    assert [each.frame["x"].to_list() for each in found[1]] == [[0], [2], [4], [6], [8], [10]]
