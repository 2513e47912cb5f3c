"""A worker computes a sample of stages on the data of a project, and writes nothing into it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import polars as pl

from tests.support.commands import edit, forgotten_imports
from tidemill.core.partition import WHOLE
from tidemill.project.recompute_worker import (
    INDEX,
    SampleAnswer,
    SampleQuestion,
    answer_question,
    question_as_json,
    question_from_json,
    read_answers,
)


def ask(
    root: Path, folder: Path, asked: SampleQuestion, code: Path | None = None
) -> dict[tuple[str, str], SampleAnswer]:
    folder.mkdir()
    question = folder / "question.json"
    question.write_text(json.dumps(question_as_json(asked)))
    with forgotten_imports():
        answer_question(code or root, None, question, folder)
    return read_answers(folder)


def test_tables_and_models(built: Path, tmp_path: Path) -> None:
    asked = SampleQuestion(
        root=str(built),
        home=str(built / ".tidemill"),
        environment="prod",
        stages=("features", "labels", "demand"),
        partitions=2,
        max_rows=1000,
    )
    assert question_from_json(json.loads(json.dumps(question_as_json(asked)))) == asked
    objects = sorted((built / ".tidemill" / "objects").rglob("*"))
    edit(built / "bakery.py", 'pl.col("sold").cast(pl.Float64)', 'pl.col("sold") * 2.0')
    found = ask(built, tmp_path / "one", asked)
    # The model's window needs more days of the changed tables than those that were asked for.
    assert [*found] == [
        ("features", "2026-01-31"), ("features", "2026-02-01"),
        ("labels", "2026-01-31"), ("labels", "2026-02-01"),
        ("demand", WHOLE),
    ]  # fmt: skip
    assert not [each.error for each in found.values() if each.error]
    label = found["labels", "2026-02-01"]
    rows = pl.read_parquet(tmp_path / "one" / label.file)
    assert (rows.height, rows["loaves"].sum() % 2) == (label.rows, 0)
    predicted = pl.read_parquet(tmp_path / "one" / found["demand", WHOLE].file)
    assert predicted.columns == ["date", "shop", "hour", "prediction"]
    assert predicted.height == 256
    assert sorted((built / ".tidemill" / "objects").rglob("*")) == objects
    # Large partitions, what costs money, and what fails are named.
    edit(
        built / "bakery.py",
        "return sales.select(",
        'raise ValueError("no\\nluck")\n    return sales.select(',
    )
    small = replace(asked, stages=("features", "labels"), partitions=1, max_rows=10)
    found = ask(built, tmp_path / "two", small)
    assert found["features", "2026-02-01"].error == "it has 36 rows, more than 10"
    found = ask(built, tmp_path / "three", replace(small, stages=("labels",), max_rows=100))
    assert "ValueError: no luck" in found["labels", "2026-02-01"].error


def test_an_answer_that_was_cut_off(tmp_path: Path) -> None:
    assert read_answers(tmp_path) == {}
    (tmp_path / INDEX).write_text('{"stage": "a", "partition": "p"}\n{"stage": "b", "par')
    assert read_answers(tmp_path) == {("a", "p"): SampleAnswer(stage="a", partition="p")}


def test_searches_and_impure_stages_are_not_tried(built: Path, tmp_path: Path) -> None:
    edit(
        built / "bakery.py",
        "@flow.transform\ndef labels",
        "@flow.transform\n@tm.impure\ndef labels",
    )
    asked = SampleQuestion(
        root=str(built), home=str(built / ".tidemill"), environment="prod", stages=("labels",),
        partitions=2, max_rows=1000,
    )  # fmt: skip
    assert ask(built, tmp_path / "one", asked) == {
        ("labels", ""): SampleAnswer(stage="labels", partition="", error="it is declared impure")
    }
