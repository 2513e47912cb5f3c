"""Batches are the rows of the window, in its order, and libraries learn the same from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import tidemill as tm
from tidemill.core.errors import TidemillError, UsageError
from tidemill.models.encoding import encoder
from tidemill.models.io.batches import Batches, batches, with_partitions

SIZES = st.lists(st.integers(0, 9), max_size=6)


class Features(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    x = tm.Float64(nullable=True)
    shop = tm.String()


def rows_of(day: int, count: int) -> pl.DataFrame:
    return pl.DataFrame(
        {"day": [day] * count, "id": range(count), "x": [day + n / 10 for n in range(count)]},
        schema={"day": pl.Int64, "id": pl.Int64, "x": pl.Float64},
    )


def partitioned(parts: dict[str, pl.DataFrame], column: str = "day") -> pl.LazyFrame:
    """A frame as a training function gets it."""
    whole = pl.concat([f.lazy() for f in parts.values()]) if parts else rows_of(0, 0).lazy()
    loads = {key: partial(pl.DataFrame.lazy, f) for key, f in parts.items()}
    return with_partitions(whole, loads, column)


@given(SIZES, st.integers(1, 12))
def test_batches_are_the_rows_in_order(sizes: list[int], rows: int) -> None:
    parts = {str(day): rows_of(day, count) for day, count in enumerate(sizes)}
    found = batches(partitioned(parts), rows=rows)
    frames = list(found)
    assert [f.height for f in frames[:-1]] == [rows] * (len(frames) - 1)
    assert all(0 < f.height <= rows for f in frames)
    assert found.height == sum(sizes)
    if frames:
        assert_frame_equal(pl.concat(frames), pl.concat(parts.values()))
        assert_frame_equal(pl.concat(list(found)), pl.concat(frames))


@given(
    SIZES, st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), unique=True), st.integers(1, 7)
)
def test_labels_are_joined_partition_by_partition(
    sizes: list[int], labelled: list[tuple[int, int]], rows: int
) -> None:
    parts = {str(day): rows_of(day, count) for day, count in enumerate(sizes)}
    labels = pl.DataFrame(
        [(day, id, float(day * id)) for day, id in labelled],
        schema={"day": pl.Int64, "id": pl.Int64, "y": pl.Float64},
        orient="row",
    )
    own = {str(day): labels.filter(day=day) for day in range(6)}
    whole = pl.concat([rows_of(0, 0), *parts.values()])
    expected = whole.join(labels, on=["day", "id"], maintain_order="left")
    # By partition, with all labels for each partition, and from frames that don't know theirs.
    pairs: list[tuple[pl.LazyFrame | pl.DataFrame, pl.LazyFrame | pl.DataFrame]] = [
        (partitioned(parts), partitioned(own)),
        (partitioned(parts), labels),
        (whole, partitioned(own)),
        (whole.lazy(), labels.lazy()),
    ]
    for features, other in pairs:
        found = list(batches(features, other, on=["day", "id"], rows=rows))
        assert_frame_equal(pl.concat([expected[:0], *found]), expected)


def test_labels_that_are_partitioned_in_another_way_are_all_joined() -> None:
    features = {f"2026-01-{day:02}": rows_of(day, 3) for day in (1, 2, 3)}
    labels = pl.concat(features.values()).select("day", "id", y="x")
    months = partitioned({"2026-01": labels})
    found = batches(partitioned(features), months, on=["day", "id"], rows=4)
    assert found.height == 9
    assert_frame_equal(
        pl.concat(list(found)),
        pl.concat(features.values()).join(labels, on=["day", "id"], maintain_order="left"),
    )


def test_labels_that_arrive_in_a_later_partition_are_found() -> None:
    features = {str(day): rows_of(day, 2).with_columns(id=pl.col("id") + 2 * day) for day in (1, 2)}
    labels = pl.concat(features.values()).select("id", y="x", seen=pl.col("day") + 1)
    late = partitioned({str(day): labels.filter(seen=day) for day in (2, 3)}, "seen")
    found = list(batches(partitioned(features), late, on=["id"], rows=10))
    assert pl.concat(found)["id"].to_list() == [2, 3, 4, 5]


def test_no_partition_is_read_before_its_turn() -> None:
    read: list[str] = []

    def load(key: str) -> pl.LazyFrame:
        read.append(key)
        return rows_of(int(key), 3).lazy()

    keys = [str(n) for n in range(5)]
    frame = with_partitions(rows_of(0, 3).lazy(), {key: partial(load, key) for key in keys})
    seen = iter(batches(frame, rows=2))
    next(seen)
    assert read == ["0"]
    next(seen)
    assert read == ["0", "1"]


def test_map_changes_the_rows_of_each_partition() -> None:
    found = batches(partitioned({"0": rows_of(0, 4), "1": rows_of(1, 4)}), rows=3)
    odd = found.map(lambda frame: frame.filter(pl.col("id") % 2 == 1))
    assert pl.concat(list(odd))["id"].to_list() == [1, 3, 1, 3]
    assert odd.height == 4


def test_arrow_batches_have_the_same_rows() -> None:
    found = batches(partitioned({"0": rows_of(0, 4), "1": rows_of(1, 4)}), rows=3)
    taken = list(found.arrow())
    assert [batch.num_rows for batch in taken] == [3, 3, 2]
    assert_frame_equal(pl.concat([pl.DataFrame(b) for b in taken]), pl.concat(list(found)))


def learnable(days: int, count: int) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Partitions with a label, nulls and text, and the same as one table."""
    rng = np.random.default_rng(3)
    parts: dict[str, pl.DataFrame] = {}
    for day in range(days):
        x = rng.normal(size=count)
        shop = rng.choice(["a", "b", "c"], size=count)
        parts[str(day)] = pl.DataFrame(
            {
                "x": pl.Series(
                    [None if n % 17 == 0 else v for n, v in enumerate(x)], dtype=pl.Float64
                ),
                "z": rng.normal(size=count),
                "shop": shop,
                "y": x * 2 + (shop == "a"),
                "w": rng.uniform(0.5, 1.5, size=count),
            }
        )
    return partitioned(parts), pl.concat(parts.values())


QUIET = {"verbosity": -1, "num_threads": 1, "deterministic": True, "seed": 1}


@settings(deadline=None, max_examples=6)
@given(st.sampled_from([7, 100, 1_000, 10_000]))
def test_lightgbm_learns_the_same_model_as_from_one_array(rows: int) -> None:
    import lightgbm as lgb

    features, table = learnable(6, 300)
    names = ["x", "z"]
    data = batches(features, rows=rows).as_lightgbm(names, "y", weight="w", params=QUIET)
    whole = lgb.Dataset(
        table.select(names).to_numpy(),
        table["y"].to_numpy(),
        weight=table["w"].to_numpy(),
        params=QUIET,
    )
    trained = [lgb.train(QUIET, each, 8).model_to_string() for each in (data, whole)]
    assert trained[0] == trained[1]


def test_lightgbm_gets_categories_from_the_encoder() -> None:
    import lightgbm as lgb

    features, table = learnable(3, 200)
    known = encoder(table, inputs=Features.reads("x", "shop"))
    data = batches(features, rows=64).as_lightgbm(known, "y", params=QUIET)
    whole = lgb.Dataset(
        known.transform(table),
        table["y"].to_numpy(),
        categorical_feature=known.categorical,
        params=QUIET,
    )
    trained = [lgb.train(QUIET, each, 5).model_to_string() for each in (data, whole)]
    assert trained[0] == trained[1]


def test_xgboost_learns_the_same_model_as_from_one_array() -> None:
    import xgboost as xgb

    features, table = learnable(4, 300)
    settings_ = {"tree_method": "hist", "nthread": 1, "seed": 1, "max_bin": 64}
    iterator = batches(features, rows=128).as_xgboost(Features.reads("x"), "y", weight="w")
    data = xgb.QuantileDMatrix(iterator, max_bin=64)
    whole = xgb.QuantileDMatrix(
        table.select("x").to_numpy(),
        table["y"].to_numpy(),
        weight=table["w"].to_numpy(),
        max_bin=64,
    )
    found, expected = (xgb.train(settings_, each, 8) for each in (data, whole))
    rows = xgb.DMatrix(table.select("x").to_numpy())
    # The sketch of its quantiles depends on where batches end.
    assert np.abs(found.predict(rows) - expected.predict(rows)).mean() < 0.05
    again = xgb.QuantileDMatrix(
        batches(features, rows=128).as_xgboost(["x"], "y", weight="w"), max_bin=64
    )
    assert (xgb.train(settings_, again, 8).predict(rows) == found.predict(rows)).all()


def no_rows() -> Batches:
    return batches(partitioned({"0": rows_of(0, 0)}))


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: batches(rows_of(0, 1), rows=0), "a batch has at least 1 row"),
        (lambda: batches(rows_of(0, 1), rows_of(0, 1)), "name the columns to join on"),
        (
            lambda: batches(rows_of(0, 1), rows_of(0, 1), on=["idd"]),
            "no column 'idd' .did you mean 'id'",
        ),
        (lambda: batches([1]), "batches"),  # type: ignore[arg-type]
        (lambda: batches(rows_of(0, 2)).as_lightgbm(["z"], "x").construct(), "no column 'z'"),
        (lambda: batches(rows_of(0, 2)).as_lightgbm(["x"], "label"), "no column 'label'"),
        (lambda: no_rows().as_lightgbm(["x"], "id"), "there are no rows to train on"),
        (
            lambda: batches(pl.DataFrame({"t": ["a"]})).as_lightgbm(["t"], "t"),
            "'t' is String",
        ),
    ],
)
def test_mistakes_are_named(act: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        act()


def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "xgboost", None)
    with pytest.raises(TidemillError, match="batches need xgboost"):
        batches(rows_of(0, 1)).as_xgboost(["x"], "x")
