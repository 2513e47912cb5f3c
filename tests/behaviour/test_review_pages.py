"""The pages of reviews about data: what would change, in rows, columns and code, whatever the data is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from tests.behaviour.test_governed_models import Governed
from tests.behaviour.test_governed_promotions import Coast, quarantined
from tests.behaviour.test_governed_promotions import rule as rule_on
from tests.behaviour.test_governed_tables import DELIVERED, Shore, rule
from tests.support.tides import day
from tidemill.core.errors import GateError
from tidemill.governance.page_html import html_page
from tidemill.governance.page_text import markdown_page, text_page
from tidemill.governance.page_values import PageSection, ReviewPage
from tidemill.ledger.policy import SubjectKind
from tidemill.project import change_evidence, table_change
from tidemill.project.change_evidence import change_detail
from tidemill.project.review_evidence import review_sections
from tidemill.project.reviews import Reviews
from tidemill.testing import records as samples

HOSTILE = "\x1b[2J</script><img src=x onerror=alert(1)>|`\u202e[a](http://b)" + "w" * 500


@contextmanager
def reviews(shore: Shore) -> Iterator[Reviews]:
    project = shore.open()
    try:
        yield project.reviews
    finally:
        project.close()


def page_of(shore: Shore) -> ReviewPage:
    """The page of the review that was opened last."""
    with reviews(shore) as found:
        return found.show(found.list()[-1].review.id)


def parts_of(page: ReviewPage) -> dict[str, PageSection]:
    return {part.title: part for part in page.sections}


def cells(page: ReviewPage, title: str) -> tuple[tuple[str, ...], ...]:
    table = parts_of(page)[title].table
    assert table is not None
    return table.rows


def test_a_table_shows_rows_columns_and_examples(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(rule("backfill", "review"))
    shore.ok()
    shore.send(1, (2.0, 7.0))
    shore.send(9)
    shore.run()
    page = page_of(shore)
    assert cells(page, "Partitions") == (
        (day(1), "3", "2", "0", "1", "1"),
        (day(9), "-", "3", "3", "0", "0"),
    )
    assert cells(page, "Columns that differ") == (
        ("double", "Float64", "2 to 6, mean 4", "4 to 14, mean 9", "1"),
    )
    rows = cells(page, "Rows that differ")
    assert rows[:3] == tuple((day(9), "added", day(9), str(n), text) for n, text in
                             ((0, "6"), (1, "4"), (2, "2")))  # fmt: skip
    assert rows[3:] == (
        (day(1), "removed", day(1), "2", "2"),
        (day(1), "now", day(1), "0", "6"),
        (day(1), "then", day(1), "0", "14"),
    )
    lines = parts_of(page)["How to go back"].lines
    assert lines[0].startswith("12 rows are delivered now, last by the run ")
    # The command brings back what is there now.
    with reviews(shore) as found:
        [state] = found.list()
        found.approve(state.review.id, "the source was wrong")
    assert shore.run().exit_code == 0
    assert shore.delivered()[day(1)] == 18.0
    _, _, table, run = parts_of(page)["How to go back"].commands[0].split()
    project = shore.open()
    with pytest.raises(GateError, match="waits for review"):
        project.delivered_tables.restore(table, run, command="test")
    project.close()
    page = page_of(shore)
    assert cells(page, "Partitions") == (
        (day(1), "2", "3", "1", "0", "1"),
        (day(9), "3", "-", "0", "3", "0"),
    )
    with reviews(shore) as found:
        found.approve(found.list()[-1].review.id, "the source was right")
    project = shore.open()
    project.delivered_tables.restore(table, run, command="test")
    project.close()
    assert shore.delivered()[day(1)] == 12.0


def test_rows_that_are_removed_and_first_deliveries_are_shown(tmp_path: Path) -> None:
    text = DELIVERED.replace('"data/*.parquet"', '"data/*.parquet", on_missing="remove"')
    shore = Shore(tmp_path, text)
    shore.rules(rule("first_delivery or backfill", "review"))
    shore.run()
    page = page_of(shore)
    assert len(cells(page, "Partitions")) == 4
    assert "nothing was delivered before" in parts_of(page)["How to go back"].lines[0]
    with reviews(shore) as found:
        [state] = found.list()
        found.approve(state.review.id, "a start")
    assert shore.run().exit_code == 0
    (shore.root / "data" / f"{day(2)}.parquet").unlink()
    shore.run()
    shore.run()
    page = page_of(shore)
    assert cells(page, "Partitions") == ((day(2), "3", "-", "0", "3", "0"),)
    assert {row[1] for row in cells(page, "Rows that differ")} == {"removed"}


def test_personal_data_and_hostile_texts_do_no_harm(tmp_path: Path) -> None:
    text = DELIVERED.replace(
        "double = tm.Float64(nullable=True)",
        'double = tm.String(nullable=True)\n    name = tm.String(pii="name")',
    ).replace('double=times(pl.col("value"))', "double=pl.lit(TEXT), name=pl.lit('Ada ' + TEXT)")
    text = text.replace('pl.col("double").sum()', "pl.lit(1.0)")
    shore = Shore(tmp_path, f"TEXT = 'plain'\n{text}")
    shore.rules(rule("backfill", "review"))
    shore.ok("sent")
    shore.edit("TEXT = 'plain'", f"TEXT = {HOSTILE!r}")
    shore.run("sent")
    page = page_of(shore)
    assert "Ada" not in text_page(page)
    assert any("(personal data)" in row for row in cells(page, "Rows that differ"))
    html, markdown, plain = html_page(page), markdown_page(page), text_page(page, 80)
    assert "</script>" not in html
    assert "<img" not in html
    assert "\\</script>\\<img" in markdown
    assert "\\|" in markdown
    for shown in (html, markdown, plain):
        assert not any(letter in shown for letter in "\x1b\u202e")
    assert "w" * 400 not in html


def test_a_wide_and_long_table_is_compared_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shore = Shore(tmp_path)
    shore.rules(rule("backfill", "review"))
    shore.ok()
    for number in range(3):
        shore.send(number, (7.0, 8.0, 9.0))
    shore.run()
    with reviews(shore) as found:
        [state] = found.list()
        space = found._workspace
        # Room for the columns of one partition.
        monkeypatch.setattr(table_change, "_CELLS", 18)
        limited = table_change.table_change(space, state.review)
        assert [part.changed for part in limited.partitions] == [3, None, None]
        assert limited.limits == (
            "the rows of 2 older partitions weren't compared: there are too many",
        )
        # The key and one column of two.
        monkeypatch.setattr(table_change, "_COLUMNS", 2)
        narrow = table_change.table_change(space, state.review)
        assert "not in all 3 that may" in narrow.limits[-1]
        missing = replace(state.review, subject="other")
        detail = change_detail(space, missing, None)
        assert detail.missing == (
            "what changes in detail: the rows that the review is about aren't recorded, or others were "
            "delivered since",
        )


def test_a_table_without_a_key_counts_its_rows(tmp_path: Path) -> None:
    text = DELIVERED.replace(
        'class Doubled(tm.Contract, key=("day", "id"))', "class Doubled(tm.Contract)"
    )
    shore = Shore(tmp_path, text)
    shore.rules(rule("backfill", "review"))
    shore.ok("sent")
    shore.send(1, (1.0, 2.0, 9.0))
    shore.run("sent")
    [[_, now, then, added, removed, changed]] = cells(page_of(shore), "Partitions")
    assert (now, then, changed) == ("3", "3", "0")
    assert int(added) == int(removed) > 0


def test_a_contract_shows_its_changes_and_who_breaks(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(rule_on("contract", "len(broken_consumers) > 0", "review"))
    shore.ok()
    shore.edit("    day, id = Raw.day, Raw.id\n    double", "    day = Raw.day\n    double")
    shore.edit('class Doubled(tm.Contract, key=("day", "id"))', "class Doubled(tm.Contract)")
    shore.edit('select("day", "id", double', 'select("day", double')
    shore.run()
    page = page_of(shore)
    assert ("id", "column removed") in {row[:2] for row in cells(page, "Changes of the contract")}
    assert [row[:2] for row in cells(page, "Who reads it")] == [("sent", "yes"), ("daily", "maybe")]
    assert (
        parts_of(page)["What gets worse"].lines[0].startswith("sent breaks: it delivers these rows")
    )


def test_a_release_shows_the_rows_and_their_corrections(tmp_path: Path) -> None:
    shore = quarantined(tmp_path)
    shore.rules(rule_on("release", "rows > 0", "review"))
    project = shore.open()
    with pytest.raises(GateError, match="waits for review"):
        project.quarantine.release("raw", rows=[1, 2], reason="a storm")
    page = page_of(shore)
    assert parts_of(page)["What changes"].lines[0].startswith("2 of the 3 quarantined rows of raw ")
    assert [(row[0], row[1], row[2], row[-1]) for row in cells(page, "Rows")] == [
        ("1", "as it came", "value.max", "3000"), ("2", "as it came", "few", "-5"),
    ]  # fmt: skip
    fixed = project.quarantine.rows("raw").filter(pl.col("_row") == 1)
    fixed = fixed.with_columns(value=pl.lit(30.0))
    with pytest.raises(GateError, match="waits for review"):
        project.quarantine.release("raw", fixed=fixed, reason="a slip of the pen")
    project.close()
    page = page_of(shore)
    assert [(row[1], row[-1]) for row in cells(page, "Rows")] == [
        ("as it came", "3000"), ("corrected", "30"),
    ]  # fmt: skip
    assert "with corrections" in parts_of(page)["What changes"].lines[0]


def waiting_promotion(folder: Path) -> Coast:
    """A project in which the promotion of other code waits for people."""
    coast = Coast(folder)
    coast.ok()
    coast.edit("return value * 2", "return value * 3")
    coast.env = "dev"
    coast.run()
    coast.env = "prod"
    coast.rules(rule_on("promotion", 'environment == "prod"', "review"))
    with pytest.raises(GateError, match="waits for review"):
        coast.promote()
    return coast


def test_a_promotion_shows_stages_and_recipes(tmp_path: Path) -> None:
    coast = waiting_promotion(tmp_path)
    page = page_of(coast)
    assert page.title == "Should another environment be promoted to prod?"
    assert cells(page, "Stages that change")[:2] == (
        ("doubled", "the expression for `double` changed", "0", "4", "0", "double"),
        ("daily", "the same", "0", "4", "0", "total"),
    )


def without_page(shore: Shore) -> ReviewPage:
    """The page of the last review if it is made now, as after a crash before it was stored."""
    with reviews(shore) as found:
        state = found.list()[-1]
        space = shore.open().workspace
        return ReviewPage(
            title="",
            state="",
            sections=tuple(review_sections(space, state.review, space.tools.clock())),
        )


def test_a_promotion_that_changed_since_isnt_shown(tmp_path: Path) -> None:
    coast = waiting_promotion(tmp_path)
    assert "Stages that change" in parts_of(without_page(coast))
    coast.env = "dev"
    coast.edit("return value * 3", "return value * 4")
    coast.run()
    coast.env = "prod"
    page = without_page(coast)
    assert "Stages that change" not in parts_of(page)
    assert "dev or prod was changed since the review was opened" in text_page(page)


def test_a_promotion_shows_partitions_that_only_the_target_has(tmp_path: Path) -> None:
    coast = Coast(tmp_path)
    coast.ok()
    coast.env = "dev"
    coast.run()
    coast.env = "prod"
    coast.send(9)
    coast.ok()
    coast.rules(rule_on("promotion", 'environment == "prod"', "review"))
    with pytest.raises(GateError, match="waits for review"):
        coast.promote()
    assert ("raw", "the same", "0", "0", "1", "-") in cells(page_of(coast), "Stages that change")


def test_a_contract_that_changed_since_isnt_shown(tmp_path: Path) -> None:
    shore = Shore(tmp_path)
    shore.rules(rule_on("contract", "True", "review"))
    shore.ok()
    shore.edit("double = tm.Float64(nullable=True)", "double = tm.Float64(nullable=True, min=-99)")
    shore.run()
    assert "Changes of the contract" in parts_of(without_page(shore))
    shore.edit("min=-99", "min=-9")
    page = without_page(shore)
    assert "Changes of the contract" not in parts_of(page)
    assert "another contract than the code declares" in text_page(page)


def test_a_promotion_shows_models_and_the_diff_of_their_code(tmp_path: Path) -> None:
    sea = Governed(tmp_path)
    sea.ok()
    before = sea.live
    sea.predict(9.5)
    project = sea.open_in("dev")
    assert project.run(raise_on_failure=False, train=["model"]).exit_code == 0
    project.close()
    sea.rules(rule_on("promotion", "len(new_models) > 0", "review"))
    project = sea.open()
    with pytest.raises(GateError, match="waits for review"):
        project.promote("dev", raise_on_failure=False)
    [state] = project.reviews.list()
    page = project.reviews.show(state.review.id)
    project.close()
    [row] = cells(page, "Models")
    assert (row[0], row[1], row[4], row[5]) == ("model", before, "mae 1", "mae 0.5")
    diff = parts_of(page)["Models"].diff
    assert any(line.startswith("-@flow.model(") and "9.0" in line for line in diff)
    assert any(line.startswith("+@flow.model(") and "9.5" in line for line in diff)


def test_what_cant_be_found_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shore = Shore(tmp_path)
    shore.ok()
    space = shore.open().workspace

    def missing(kind: SubjectKind, name: str) -> tuple[str, ...]:
        review = replace(samples.review(), kind=kind, name=name, artifact="")
        return change_detail(space, review, None).missing

    assert missing(SubjectKind.DELIVERY, "gone") == ()
    for kind in (SubjectKind.TABLE, SubjectKind.CONTRACT):
        assert missing(kind, "gone") == ("what changes in detail: gone isn't declared any more",)
    assert missing(SubjectKind.RELEASE, "raw") == (
        "what changes in detail: the rows that the review is about aren't recorded",
    )
    assert missing(SubjectKind.PROMOTION, "prod") == (
        "what changes in detail: the environment that would be promoted isn't recorded",
    )

    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(change_evidence, "table_change", fail)
    assert missing(SubjectKind.TABLE, "sent") == (
        "what changes in detail: ZeroDivisionError: division by zero",
    )
