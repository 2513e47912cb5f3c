"""Text tables and figures as people read them."""

from datetime import datetime

import pytest

from tidemill.cli.render.figures import (
    local_time,
    plural,
)
from tidemill.core.text_table import drop_empty_columns, markdown_table, text_table

ROWS = [["features", "1,004"], ["a|b", "-"]]


def test_a_table_aligns_numbers_to_the_right() -> None:
    assert text_table(("stage", ">rows"), ROWS, indent="  ").split("\n") == [
        "  stage      rows",
        "  features  1,004",
        "  a|b           -",
    ]


def test_a_table_without_rows_is_its_header() -> None:
    assert text_table(("stage", ">rows"), []) == "stage  rows"


def test_markdown_escapes_its_own_bars() -> None:
    assert markdown_table(("stage", ">rows"), ROWS).split("\n") == [
        "| stage | rows |",
        "| --- | ---: |",
        "| features | 1,004 |",
        "| a\\|b | - |",
    ]


def test_moment_is_local() -> None:
    assert local_time(1_700_000_000.7) == datetime.fromtimestamp(1_700_000_000).isoformat(" ")
    assert local_time(8.64e16) == "86400000000000000 s"


@pytest.mark.parametrize(("number", "text"), [(0, "0 steps"), (1, "1 step"), (2345, "2,345 steps")])
def test_plural(number: int, text: str) -> None:
    assert plural(number, "step") == text


@pytest.mark.parametrize(
    ("cells", "kept"),
    [(("-", "1"), ["stage", ">rare", ">n"]), (("-", "-"), ["stage", ">n"])],
)
def test_rare_columns_are_left_out_when_they_show_nothing(
    cells: tuple[str, str], kept: list[str]
) -> None:
    headers, rows = drop_empty_columns(
        ("stage", ">rare", ">n"), [["a", cells[0], "-"], ["b", cells[1], "-"]], ">rare"
    )
    assert headers == kept
    assert rows[1] == (["b", cells[1], "-"] if len(kept) == 3 else ["b", "-"])
