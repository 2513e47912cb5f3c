"""Rows as columns, and findings about them as text and as JSON."""

from __future__ import annotations

import numpy as np
import polars as pl

from tidemill.serving.rows import RequestRows, RowFinding


def test_a_finding_names_row_rule_and_value() -> None:
    finding = RowFinding(row=3, field="hour", rule="hour.max", value=99, message="above max=23")
    assert str(finding) == "row 3: hour.max: above max=23, got 99"
    assert finding.document()["field"] == "hour"


def test_rows_are_cut_in_all_their_forms() -> None:
    columns = ([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    rows = RequestRows(
        3, columns, pl.DataFrame(dict(zip("ab", columns, strict=True))), np.array(columns)
    )
    first = rows.first(1)
    assert (first.count, first.columns, first.frame.columns) == (3, ([1.0, 2.0, 3.0],), ["a"])
    assert first.numbers.tolist() == [[1.0, 2.0, 3.0]]
    taken = rows.take([0, 2])
    assert (taken.count, taken.columns) == (2, ([1.0, 3.0], [4.0, 6.0]))
    assert taken.frame.rows() == [(1.0, 4.0), (3.0, 6.0)]
    assert taken.numbers.tolist() == [[1.0, 3.0], [4.0, 6.0]]
    plain = RequestRows(2, ([1, None], [3, 4]))
    assert plain.first(1) == RequestRows(2, ([1, None],))
    assert plain.take([1]) == RequestRows(1, ([None], [4]))
