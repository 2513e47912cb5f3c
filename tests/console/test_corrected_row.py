"""Cells of a quarantined row as texts, and back."""

from __future__ import annotations

import json
from datetime import datetime

import polars as pl

from tidemill.console.corrected_row import corrected_row, find_row, is_editable, row_texts

ROWS = pl.DataFrame(
    {
        "_row": [0],
        "_reasons": [["n.min"]],
        "n": [None],
        "text": [""],
        "at": [datetime(2024, 1, 2)],
        "items": [[1]],
        "lines": ["a\nb"],
        "od<d> \u202e": ["x"],
        "secret": ["hunter2"],
    },
    schema_overrides={"n": pl.Int64},
)


def test_only_what_differs_is_changed() -> None:
    found = find_row(ROWS, 0)
    names = ["n", "text", "at", "secret"]
    texts = row_texts(found, names)
    assert texts == {"n": None, "text": "", "at": "2024-01-02 00:00:00", "secret": "hunter2"}
    sent = {"n": " 3 ", "text": "", "at": "2024-01-02 00:00:00", "secret": "***"}
    fixed = corrected_row(found, json.dumps(sent), '{"n": "on"}', lambda text: "***")
    assert fixed["n"].to_list() == ["3"]
    assert fixed.drop("n").equals(found.drop("n"))


def test_null_and_empty_text_differ() -> None:
    found = find_row(ROWS, 0)
    assert corrected_row(found, '{"text": ""}', '{"text": ""}')["text"].to_list() == [None]
    assert corrected_row(found, '{"at": ""}', "")["at"].to_list() == [None]


def test_values_that_no_field_can_hold() -> None:
    found = find_row(ROWS, 0)
    fitting = [name for name in ROWS.columns[2:] if is_editable(found, name)]
    assert fitting == ["n", "text", "at", "secret"]
