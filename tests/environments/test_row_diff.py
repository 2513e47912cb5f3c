"""How two tables differ, held against sets of rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tidemill.environments.row_diff import diff_rows

SCHEMA: dict[str, Any] = {"id": pl.Int64, "x": pl.Float64, "name": pl.String}
VALUES = st.tuples(
    st.sampled_from([None, 0.0, 1.0, float("nan")]), st.sampled_from([None, "a", "b"])
)
TABLES = st.dictionaries(st.sampled_from([None, *range(6)]), VALUES)
LOOSE = st.lists(st.tuples(st.sampled_from([None, 1, 2]), VALUES), max_size=8)


def table(rows: Any) -> pl.DataFrame:
    return pl.DataFrame([(key, *values) for key, values in rows], schema=SCHEMA, orient="row")


@given(TABLES, TABLES)
def test_by_key(ours: dict[int | None, Any], theirs: dict[int | None, Any]) -> None:
    found = diff_rows(table(ours.items()), table(theirs.items()), ["id"], max_examples=100)
    both = ours.keys() & theirs.keys()
    changed = {key for key in both if repr(ours[key]) != repr(theirs[key])}
    assert (found.added, found.removed) == (len(ours.keys() - both), len(theirs.keys() - both))
    assert found.changed == len(changed)
    counts = {
        name: sum(repr(ours[key][at]) != repr(theirs[key][at]) for key in both)
        for at, name in enumerate(("x", "name"))
    }
    assert found.columns == {name: count for name, count in counts.items() if count}
    sides = Counter(found.examples["_side"])
    assert sides["added"] == found.added
    assert sides["changed to"] == sides["changed from"] == found.changed
    apart = [
        abs(ours[key][0] - theirs[key][0])
        for key in changed
        if not {ours[key][0], theirs[key][0]} & {None} and ours[key][0] != theirs[key][0]
    ]
    known = [number for number in apart if number == number]
    assert found.largest == ({"x": max(known)} if known else {})
    # What a row became is right before what it was.
    pairs = found.examples.filter(pl.col("_side").str.starts_with("changed"))
    assert pairs["_side"].to_list() == ["changed to", "changed from"] * found.changed
    assert pairs["id"][::2].to_list() == pairs["id"][1::2].to_list()
    before = found.examples.filter(pl.col("_side") == "changed from").rows()
    assert {repr(row[1:]) for row in before} == {repr((key, *theirs[key])) for key in changed}


@given(LOOSE, LOOSE)
def test_without_a_key(ours: list[Any], theirs: list[Any]) -> None:
    found = diff_rows(table(ours), table(theirs), ())
    more = Counter(map(repr, ours)), Counter(map(repr, theirs))
    assert found.added == sum((more[0] - more[1]).values())
    assert found.removed == sum((more[1] - more[0]).values())
    assert (found.key, found.changed) == ((), 0)


def test_examples_are_few() -> None:
    rows = pl.DataFrame({"id": range(100)})
    found = diff_rows(rows, rows.clear(), ["id"], max_examples=3)
    assert (found.added, found.examples.height) == (100, 3)


def test_columns_that_not_both_have_alike_are_not_compared() -> None:
    left = pl.DataFrame({"id": [1], "x": [1], "new": [1]})
    right = pl.DataFrame({"id": [1], "x": [1.0], "old": [1]})
    found = diff_rows(left, right, ["id"])
    assert (found.unlike, found.changed, found.columns) == (("x", "new", "old"), 0, {})
    other = diff_rows(left, right.cast({"id": pl.String}), ["id"])
    assert (other.key, other.added, other.removed) == ((), 0, 0)
    longer = diff_rows(pl.concat([left, left]), right.cast({"id": pl.String}), ["id"])
    assert (longer.added, longer.removed) == (1, 0)
