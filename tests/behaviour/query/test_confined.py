"""What is edited, added or typed otherwise changes the digests of the columns that it is about, no others."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl
import polars.selectors as cs
import pytest

from tidemill.analysis.query.column_digests import query_digests
from tidemill.analysis.query.placeholders import placeholder_frame

NAMES = [f"c{at}" for at in range(12)]
EDITED = "c5"
Shape = Callable[[Mapping[str, pl.Expr], pl.LazyFrame, pl.LazyFrame], pl.LazyFrame]

# Stages over twelve columns, of which one is edited. `e` has an expression for each.
SHAPES: dict[str, Shape] = {
    "select": lambda e, x, y: x.select(**e),
    "with_columns": lambda e, x, y: x.with_columns(**e),
    "filter": lambda e, x, y: x.with_columns(**e).filter(pl.col("k") > 1),
    "filter, with_columns": lambda e, x, y: x.filter(pl.col("k") > 1).with_columns(**e),
    "sort": lambda e, x, y: x.with_columns(**e).sort("k"),
    "sort, head": lambda e, x, y: x.with_columns(**e).sort("k").head(5),
    "slice": lambda e, x, y: x.slice(2, 7).select(**e),
    "unique": lambda e, x, y: x.with_columns(**e).unique("k", keep="first"),
    "group_by": lambda e, x, y: x.group_by("k").agg(**{n: v.sum() for n, v in e.items()}),
    "group_by, select": lambda e, x, y: x.group_by("k").agg(cs.float().sum()).select(**e),
    "group_by dynamic": lambda e, x, y: x.group_by_dynamic("k", every="2i").agg(
        **{n: v.sum() for n, v in e.items()}
    ),
    "rolling": lambda e, x, y: x.rolling("k", period="2i").agg(
        **{n: v.max() for n, v in e.items()}
    ),
    "join": lambda e, x, y: x.with_columns(**e).join(y, on="k", how="left").drop("z"),
    "join, select": lambda e, x, y: x.join(y, on="k", how="inner").select(**e),
    "join from the right": lambda e, x, y: y.join(x.select("k", **e), on="k", how="left"),
    "join_asof": lambda e, x, y: x.with_columns(**e).join_asof(y, on="k"),
    "semi join": lambda e, x, y: x.with_columns(**e).join(y, on="k", how="semi"),
    "union": lambda e, x, y: pl.concat([x.select(**e), x.select(NAMES)]),
    "diagonal union": lambda e, x, y: pl.concat([x.select(**e), y], how="diagonal_relaxed"),
    "beside": lambda e, x, y: pl.concat([x.select(**e), y.select("z")], how="horizontal"),
    "window": lambda e, x, y: x.select(**{n: v.mean().over("k") for n, v in e.items()}),
    "cumulative": lambda e, x, y: x.select(**{n: v.cum_sum() for n, v in e.items()}),
    "totals": lambda e, x, y: x.select(**e).sum(),
    "row numbers": lambda e, x, y: x.with_columns(**e).with_row_index(),
    "explode": lambda e, x, y: x.with_columns(**e, l=pl.concat_list("k", "k")).explode("l"),
    "unpivot": lambda e, x, y: x.select("k", "g", **e).unpivot(["k"], index=["g", *NAMES]),
    "reverse": lambda e, x, y: x.select(**e).reverse(),
    "shift": lambda e, x, y: x.select(**e).shift(1),
    "some rows": lambda e, x, y: x.select(**e).gather_every(2),
    "rows of expressions": lambda e, x, y: x.select(
        **{n: v.filter(pl.col("k") > 1) for n, v in e.items()}
    ),
    "selectors": lambda e, x, y: x.select(**e).select(pl.all() * 2).select(cs.float()),
    "filled": lambda e, x, y: x.select(**e).fill_null(0).fill_nan(1),
    "rename": lambda e, x, y: x.select(**e).rename({"c3": "c4", "c4": "c3"}),
    "unnest": lambda e, x, y: x.select(pl.struct("k", "g").alias("o"), **e).unnest("o"),
}


def frames(**types: pl.DataType) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    columns = {name: pl.Float64() for name in NAMES}
    schema = {"k": pl.Int64(), "g": pl.String(), **columns, **types}
    return placeholder_frame("x", schema), placeholder_frame(
        "y", {"k": pl.Int64(), "z": pl.Float64()}
    )


def expressions(edited: int = 1) -> dict[str, pl.Expr]:
    return {name: pl.col(name) * (edited if name == EDITED else 1) for name in NAMES}


def digests(frame: pl.LazyFrame) -> dict[str, str]:
    return {name: column.digest for name, column in query_digests(frame).columns.items()}


def changed(one: dict[str, str], two: dict[str, str]) -> set[str]:
    return {name for name in one.keys() | two.keys() if one.get(name) != two.get(name)}


@pytest.mark.parametrize("shape", SHAPES)
def test_an_edit_of_one_column_changes_its_digest_only(shape: str) -> None:
    before = digests(SHAPES[shape](expressions(), *frames()))
    after = digests(SHAPES[shape](expressions(2), *frames()))
    assert set(NAMES) <= set(before)
    assert changed(before, after) == {EDITED}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_wider_input_changes_nothing_that_does_not_use_it(shape: str) -> None:
    before = digests(SHAPES[shape](expressions(), *frames()))
    after = digests(SHAPES[shape](expressions(), *frames(more=pl.String())))
    assert not changed(before, after) - {"more"}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_type_of_an_input_column_counts_where_it_is_used(shape: str) -> None:
    before = digests(SHAPES[shape](expressions(), *frames()))
    after = digests(SHAPES[shape](expressions(), *frames(c5=pl.Float32())))
    assert changed(before, after) == {EDITED}


@pytest.mark.parametrize("more", [{}, {"more": pl.Int64()}])
def test_an_input_counts_by_its_name(more: dict[str, pl.DataType]) -> None:
    one, two = (placeholder_frame(name, {"a": pl.Int64(), **more}) for name in ("one", "two"))
    assert changed(digests(one.select("a")), digests(two.select("a"))) == {"a"}


def test_positions_and_wildcards_follow_a_wider_input() -> None:
    narrow, wide = frames()[0], frames(more=pl.Float64())[0]
    assert changed(digests(narrow.select(v=pl.nth(-1))), digests(wide.select(v=pl.nth(-1)))) == {
        "v"
    }
    total = pl.sum_horizontal(pl.all().exclude("g"))
    assert changed(digests(narrow.select(v=total)), digests(wide.select(v=total))) == {"v"}
    assert changed(digests(narrow.unique()), digests(wide.unique())) >= set(NAMES)


@pytest.mark.parametrize("more", ["filter", "head", "unique", "join"])
def test_what_decides_about_rows_counts_for_all_columns(more: str) -> None:
    x, y = frames()
    edits = {
        "filter": [x.filter(pl.col("c5") > 0), x.filter(pl.col("c5") > 1)],
        "head": [x.sort("c5").head(1), x.sort("c6").head(1)],
        "unique": [x.unique("c5"), x.unique("c6")],
        "join": [x.join(y, on="k", how="semi"), x.join(y, on="k", how="anti")],
    }
    one, two = map(digests, edits[more])
    assert changed(one, two) == {"k", "g", *NAMES}
    assert query_digests(edits[more][0]).rows != query_digests(edits[more][1]).rows


def test_columns_of_the_same_rows_have_the_same_rows_digest() -> None:
    x, _ = frames()
    rows = {
        query_digests(frame).rows
        for frame in (x, x.select("c1"), x.with_columns(v=pl.len()), x.drop("k"))
    }
    assert len(rows) == 1
