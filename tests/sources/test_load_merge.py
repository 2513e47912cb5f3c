"""Stored rows that new ones replace, and those that stay."""

from __future__ import annotations

import polars as pl

from tidemill.sources.load_merge import latest_rows, without_replaced

ROWS = pl.DataFrame({"id": ["a", "b", "a", "c"], "n": [1, 2, 3, 4]})


def test_the_last_row_of_a_key_counts() -> None:
    assert latest_rows(ROWS, ["id"], None)["n"].to_list() == [2, 3, 4]
    assert latest_rows(ROWS, [], None).equals(ROWS)


def test_a_row_that_was_deleted_last_is_gone() -> None:
    flags = pl.Series([True, None, False, True])
    assert latest_rows(ROWS, ["id"], flags)["n"].to_list() == [2, 3]
    # Without a key each row stands for itself.
    assert latest_rows(ROWS, [], flags)["n"].to_list() == [2, 3]


def test_rows_that_agree_in_one_of_the_keys_are_replaced() -> None:
    new = pl.DataFrame({"id": ["a"], "n": [4]})
    assert without_replaced(ROWS, new, [("id",)])["n"].to_list() == [2, 4]
    assert without_replaced(ROWS, new, [("id",), ("n",)])["n"].to_list() == [2]
    assert without_replaced(ROWS, new, [("id", "n")]).equals(ROWS)
    assert without_replaced(ROWS, new, [(), ()]).equals(ROWS)


def test_a_null_agrees_with_nothing() -> None:
    stored = pl.DataFrame({"id": [None, "a"]}, schema={"id": pl.String})
    assert without_replaced(stored, stored, [("id",)])["id"].to_list() == [None]


def test_rows_from_before_a_key_had_a_column_stay() -> None:
    new = ROWS.with_columns(region=pl.lit("eu"))
    assert without_replaced(ROWS, new, [("id", "region")]).equals(ROWS)
