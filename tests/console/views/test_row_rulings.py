"""Decisions on quarantined rows, by forms and by the API."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest

from tests.support.commands import process
from tests.support.console import Visitor
from tests.support.people import open_as, write_settings
from tests.support.tides import LENIENT, Tides, day
from tidemill.console.views.row_rulings import correct_row, drop_rows, release_rows
from tidemill.core.errors import AccessError, ContractError, GateError, UsageError
from tidemill.project.project import open_project

HELD = "/stages/sales/quarantine/partition?partition="
ROW = "/stages/sales/quarantine/rows/0"
REVIEWED = """
[[rule]]
id = "releases"
on = ["release"]
when = "True"
message = "somebody looks at released rows"
effect = "review"
people = 1
"""


def test_a_release_by_a_form_is_told_and_recorded(visitor: Visitor) -> None:
    page = visitor.page(HELD + "2026-01-05")
    sent = {"partition": "2026-01-05", "choice": "rule", "rule": "sold.min", "reason": "it's right"}
    then = visitor.send(page, "/stages/sales/quarantine/release", sent)
    assert then.url.endswith(HELD + "2026-01-05")
    assert "Recorded: 1 quarantined row released by" in then.words
    assert "waits for a run" in then.words
    undone = visitor.send(
        then,
        "/stages/sales/quarantine/undo",
        {"partition": "2026-01-05", "ruling": "1", "reason": "no"},
    )
    assert "1 quarantined row put back into quarantine" in undone.words


def test_what_changed_since_it_was_seen_is_not_decided(visitor: Visitor) -> None:
    page = visitor.page(HELD + "2026-01-05")
    sent = {"partition": "2026-01-05", "choice": "all", "reason": "first"}
    visitor.send(page, "/stages/sales/quarantine/drop", sent)
    late = visitor.send(page, "/stages/sales/quarantine/drop", sent)
    assert late.status == 412
    status, told = visitor.post("/stages/sales/quarantine/drop", sent)
    assert (status, told["detail"][:21]) == (428, "say which version you")
    elsewhere = visitor.page(HELD + "2026-01-12")
    wrong = visitor.send(elsewhere, "/stages/sales/quarantine/drop", sent)
    assert wrong.status == 412


def test_rows_that_cannot_be_released_say_so(visitor: Visitor) -> None:
    page = visitor.page(HELD + "2026-01-10")
    assert "no: correct or drop them" in page.words
    sent = {"partition": "2026-01-10", "choice": "rows", "rows": "0", "reason": "please"}
    refused = visitor.send(page, "/stages/sales/quarantine/release", sent)
    assert refused.status == 400
    assert "can't be released as they are (row 0: key)" in refused.words


def test_a_row_that_is_refused_comes_back_as_it_was_typed(visitor: Visitor) -> None:
    page = visitor.page(f"{ROW}?partition=2026-01-05")
    typed = {"partition": "2026-01-05", "cells.sold": "-2", "cells.hour": '1"6', "nulls.shop": "on"}
    bad = visitor.send(page, ROW, {**typed, "reason": ""}, says_where=True)
    assert (bad.status, bad.url) == (200, page.url)
    assert "This request can't be answered: reason is missing" in bad.words
    assert 'name="cells.sold" value="-2"' not in page.text
    for field in (
        'name="cells.sold" [^>]* value="-2"',
        'name="cells.hour" [^>]* value="1&quot;6"',
        'name="nulls.shop" checked',
    ):
        assert re.search(field, bad.text)
    assert bad.field("seen_tag") == page.field("seen_tag")
    assert "reason is missing" not in visitor.page(f"{ROW}?partition=2026-01-05").words
    cells = {"partition": "2026-01-05", "cells.hour": "16", "cells.sold": "-2", "reason": "again"}
    still = visitor.send(bad, ROW, cells, says_where=True)
    assert "The workflow or the data has faults:" in still.words
    assert "sold.min" in still.words
    done = visitor.send(still, ROW, {**cells, "cells.sold": "12"}, says_where=True)
    assert "1 quarantined row replaced by" in done.words


def test_what_changed_meanwhile_is_not_filled_in_again(visitor: Visitor) -> None:
    page = visitor.page(HELD + "2026-01-05")
    sent = {"partition": "2026-01-05", "choice": "all", "reason": "7 < 8"}
    visitor.send(page, "/stages/sales/quarantine/drop", sent, says_where=True)
    late = visitor.send(page, "/stages/sales/quarantine/drop", sent, says_where=True)
    assert late.status == 412
    assert "What you sent, to copy: partition 2026-01-05 choice all reason 7 < 8" in late.words
    assert "form_key" not in late.words


def test_who_corrects_a_row_second_is_told(visitor: Visitor) -> None:
    address = f"{ROW}?partition=2026-01-05"
    page = visitor.page(address)
    cells = {"partition": "2026-01-05", "cells.hour": "16", "reason": "counted again"}
    visitor.send(page, ROW, {**cells, "cells.sold": "12"})
    late = visitor.send(page, ROW, {**cells, "cells.sold": "13"})
    assert late.status == 412
    again = visitor.page(address)
    assert "Decided already" in again.words
    assert "waits for a run" in again.words
    assert "(row 0)" in visitor.page(HELD + "2026-01-05").words
    rows = visitor.api("/stages/sales/quarantine/rows?partition=2026-01-05")
    assert rows["decided"][0] == "1"
    assert visitor.send(again, ROW, {**cells, "cells.sold": "13"}).status == 200


def test_a_corrected_row_is_published(visitor: Visitor, built: Path) -> None:
    page = visitor.page(f"{ROW}?partition=2026-01-05")
    assert 'name="cells.sold" value="-1"' in page.text
    cells = {"partition": "2026-01-05", "cells.hour": "16", "reason": "counted again"}
    bad = visitor.send(page, ROW, {**cells, "cells.sold": "-2"})
    assert bad.status == 422
    assert "sold.min" in bad.words
    done = visitor.send(page, ROW, {**cells, "cells.sold": "12"})
    assert "1 quarantined row replaced by" in done.words
    assert process("run", "sales", cwd=built).returncode == 0
    with open_project(built) as project:
        rows = project.read("sales", "2026-01-05").collect()
    row = rows.filter(pl.col("shop") == "station", pl.col("hour") == 16)
    assert (rows.height, row.get_column("sold").to_list()) == (36, [12])


@pytest.fixture
def tides(tmp_path: Path) -> Tides:
    tides = Tides(tmp_path / "project", LENIENT)
    tides.send(0, (1.0, 2000.0, 3000.0))
    tides.run()
    return tides


def test_cells_as_texts(tides: Tides) -> None:
    with tides.open() as project:
        for cells, nulls, told in (
            ("", "", "no cell differs"),
            ('{"value": "2000.0"}', "", "no cell differs"),
            ('{"valu": "1"}', "", "did you mean 'value'"),
            ('{"value": "5"}', '{"value": "on"}', "decide on one"),
            ('{"value": 5}', "", "cells is not a JSON object"),
            ("[", "", "cells is not a JSON object"),
            ("", "[]", "nulls is not a JSON object"),
        ):
            with pytest.raises(UsageError, match=told):
                correct_row(project, "raw", 0, "typo", cells, nulls, day(0))
        with pytest.raises(ContractError, match="doesn't fit"):
            correct_row(project, "raw", 0, "typo", '{"value": "many"}', "", day(0))
        correct_row(project, "raw", 0, "typo", '{"value": "20"}', "", day(0))
        correct_row(project, "raw", 1, "typo", '{"value": "3000.0"}', '{"value": "on"}', day(0))
    tides.run()
    assert sorted(tides.read("raw", day(0))["value"].to_list(), key=str) == [1.0, 20.0, None]


def test_which_rows_are_meant_must_be_said(tides: Tides) -> None:
    with tides.open() as project:
        for choice, rows, told in (
            ("some", "", "not one of all, rule, rows"),
            ("rows", "", "name the rows"),
            ("rows", "1-", "neither a number nor a range"),
            ("rule", "", "name the rule"),
        ):
            with pytest.raises(UsageError, match=told):
                drop_rows(project, "raw", "why", choice, day(0), rows=rows)


def test_who_may_not_decide_is_told_who_may(tides: Tides) -> None:
    write_settings(tides.root)
    with open_as(tides, "otto") as project:
        with pytest.raises(AccessError, match="needs the role reviewer"):
            release_rows(project, "raw", "why", "all", day(0))
        correct_row(project, "raw", 0, "typo", '{"value": "20"}', "", day(0))
    with open_as(tides, "vera") as project, pytest.raises(AccessError, match="role operator"):
        correct_row(project, "raw", 1, "typo", '{"value": "20"}', "", day(0))


def test_a_release_that_needs_a_review_says_so(built: Path) -> None:
    with (built / "tidemill.rules.toml").open("a") as file:
        file.write(REVIEWED)
    with Visitor(built) as visitor:
        page = visitor.page(HELD + "2026-01-05")
        assert "Where they ask people, nothing is released before" in page.words
        sent = {"partition": "2026-01-05", "choice": "all", "reason": "it's right"}
        waits = visitor.send(page, "/stages/sales/quarantine/release", sent)
    assert waits.status == 409
    assert "review" in waits.words
    with open_project(built) as project:
        assert [
            each.rulings for each in project.quarantine.list("sales", partition="2026-01-05")
        ] == [()]
        with pytest.raises(GateError):
            release_rows(project, "sales", "again", "all", "2026-01-05")
