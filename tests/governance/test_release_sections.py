"""The page of a release shows the rows, what they broke, and what would be published instead."""

from __future__ import annotations

from dataclasses import replace

from tidemill.governance.release_sections import ReleaseRows, release_detail

FOUND = ReleaseRows(
    stage="raw",
    partition="2024-03-01",
    rows=2,
    quarantined=5,
    reasons={"value.max": 2, "few": 1},
    headers=(">number", "row", "broke", "value"),
    cells=(("0", "as it came", "value.max", "2000"),),
    readers=("doubled",),
    undone_by="everybody",
)


def test_rows_are_shown_with_what_they_broke() -> None:
    detail = release_detail(FOUND)
    assert detail.changes == (
        "2 of the 5 quarantined rows of raw 2024-03-01 would be released as they are",
        "they broke: value.max (2), few (1)",
    )
    assert detail.worse == (
        "2 rows of raw 2024-03-01 would be published that broke value.max (2), few (1), which doubled would "
        "read",
    )
    assert detail.commands == ('tidemill quarantine undo raw 2024-03-01 --ruling N --reason "WHY"',)
    assert detail.back[-1] == "who may run it: everybody"
    rules, rows = detail.sections
    assert rules.table is not None
    assert rules.table.rows == (("value.max", "2"), ("few", "1"))
    assert rows.table is not None
    assert rows.table.rows == FOUND.cells


def test_corrected_rows_have_values_that_somebody_wrote() -> None:
    detail = release_detail(replace(FOUND, corrected=True, readers=(), partition="all"))
    assert detail.changes[0].endswith("of raw would be released with corrections")
    assert detail.worse == ("values that somebody wrote would be published for 2 rows",)
    assert detail.commands == ('tidemill quarantine undo raw all --ruling N --reason "WHY"',)
