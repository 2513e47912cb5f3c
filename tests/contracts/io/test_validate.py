"""Data of any size held against a contract: the same verdicts as in a run, without rewriting good rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from polars.testing import assert_frame_equal

from tests.support.reference_checker import cases
from tests.support.thoroughness import examples, thorough
from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import Checker
from tidemill.contracts.io.contract import Contract as Public
from tidemill.contracts.io.validate import validate
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.core.errors import ContractError, SourceError, UsageError


@thorough
@given(cases())
@settings(max_examples=examples(80, 300), deadline=None)
def test_the_verdicts_are_those_of_a_run(
    case: tuple[ContractSpec, pl.DataFrame, str | None],
) -> None:
    spec, frame, partition = case
    refused = ""
    try:
        judged = Checker(spec).check(frame, partition=partition)
    except ContractError as error:
        refused = str(error)
    if refused:
        with pytest.raises(ContractError) as caught:
            validate(spec, frame, partition=partition)
        assert str(caught.value) == refused
        return
    found = validate(spec, frame, partition=partition)
    assert found.findings == judged.findings
    failing = {f.rule for f in judged.findings if f.severity == "fail"} & found.counts.keys()
    if failing:
        return
    good, bad = found.good.collect(), found.bad
    assert good.height + bad.height == frame.height == found.rows
    by = spec.key or good.columns[:0]
    assert_frame_equal(good.sort(by, maintain_order=True) if by else good, judged.good)
    if judged.bad is None:
        assert bad.height == 0
    else:
        assert_frame_equal(bad, judged.bad)


class Orders(Public, version="1.2.0", key=("id",), unknown_columns="keep"):
    id = tm.Int64(min=0)
    size = tm.Float64(max=10)
    kind = tm.String(isin=["a", "b"], on_fail="fail")
    note = tm.String(optional=True, nullable=True)
    small = rule(pl.col("size") < 5, on_fail="warn")


FRAME = pl.DataFrame(
    {
        "id": [0, 1, 2, 1, -4],
        "size": [1.0, 7.0, 11.0, 2.0, 3.0],
        "kind": ["a", "b", "a", "c", "a"],
        "more": [5, 4, 3, 2, 1],
    },
    schema_overrides={"id": pl.Int32},
)
BAD = [
    {"id": 2, "size": 11.0, "kind": "a", "more": 3, "_reasons": ["size.max"]},
    {"id": 1, "size": 2.0, "kind": "c", "more": 2, "_reasons": ["kind.isin", "key"]},
    {"id": -4, "size": 3.0, "kind": "a", "more": 1, "_reasons": ["id.min"]},
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The rows in two row groups of a Parquet file, whose name looks like a pattern."""
    file = tmp_path / "orders[1].parquet"
    FRAME.write_parquet(file, row_group_size=2)
    return file


@pytest.mark.parametrize("form", ["frame", "path", "text", "paths", "scan", "query"])
def test_every_form_of_data_is_held_against_the_contract(path: Path, form: str) -> None:
    forms: dict[str, Any] = {
        "frame": FRAME,
        "path": path,
        "text": str(path),
        "paths": [path],
        "scan": pl.scan_parquet(path, glob=False),
        "query": pl.scan_parquet(path, glob=False).filter(pl.col("id") > -9),
    }
    found = Orders.validate(forms[form])
    assert (found.passed, found.rows) == (False, 5)
    assert found.counts == {"id.min": 1, "size.max": 1, "kind.isin": 1, "small": 2, "key": 1}
    assert list(found.bad_rows) == [2, 3, 4]
    bad = found.bad
    assert bad.drop("note", strict=False).to_dicts() == BAD
    good = found.good.collect()
    assert good.columns == ["id", "size", "kind", "note", "more"]
    assert good["id"].dtype == pl.Int64
    assert good["id"].to_list() == [0, 1]


def test_several_files_are_one_table(path: Path) -> None:
    found = Orders.validate([path, path])
    assert found.counts["key"] == 4
    assert list(found.bad_rows) == [2, 3, 4, 5, 6, 7, 8, 9]


def test_the_findings_are_raised_together() -> None:
    found = Orders.validate(FRAME)
    with pytest.raises(ContractError) as caught:
        found.raise_for_findings()
    text = str(caught.value)
    assert text.startswith("Orders 1.2.0: id.min: 1 of 5 values are below min=0, such as -4; ")
    assert "kind.isin: 1 of 5" in text
    assert "small" not in text


def test_what_only_warns_passes() -> None:
    found = Orders.validate(FRAME.head(2))
    found.raise_for_findings()
    assert found.passed
    assert [finding.rule for finding in found.findings] == ["small"]
    assert found.bad.schema == {
        **FRAME.head(0).with_columns(note=None).schema,
        "note": pl.String,
    } | {"_reasons": pl.List(pl.String)}
    assert found.good.collect().height == 2


def test_bad_rows_are_written_and_good_ones_are_not(path: Path, tmp_path: Path) -> None:
    found = Orders.validate(path)
    written = pl.read_parquet(found.write(tmp_path / "bad" / "rows"))
    assert written["_row"].to_list() == [2, 3, 4]
    assert written.drop("_row", "note").to_dicts() == BAD
    assert [file.name for file in (tmp_path / "bad" / "rows").iterdir()] == ["bad.parquet"]
    rest = pl.scan_parquet(path, glob=False).with_row_index("_row")
    kept = rest.join(written.lazy().select("_row"), on="_row", how="anti").collect()
    assert kept["id"].to_list() == [0, 1]


def test_nothing_bad_is_an_empty_file(tmp_path: Path) -> None:
    written = pl.read_parquet(Orders.validate(FRAME.head(2)).write(tmp_path))
    assert (written.height, written.columns[-2:]) == (0, ["_reasons", "_row"])


def test_bad_rows_keep_their_unknown_columns_and_good_ones_drop_them() -> None:
    class Strict(Orders, key=("id",), unknown_columns="fail"):
        pass

    found = Strict.validate(FRAME)
    assert found.findings[-2].rule == "unknown_columns"
    assert found.findings[-1].rule == "budget"
    assert not Strict.validate(FRAME.head(1)).passed
    assert "more" not in found.good.collect_schema()
    assert "more" in found.bad


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        ("/no/such/file.parquet", SourceError, "file.parquet"),
        ([], UsageError, r"\[\] is neither a frame nor a path"),
        ([3], UsageError, r"\[3\] is neither a frame nor a path"),
        (None, UsageError, "None is neither a frame"),
        ("a.csv", UsageError, r"a\.csv is not a Parquet file; pass pl\.scan_csv\('a\.csv'\)"),
        (np.zeros((2, 2)), UsageError, r"numpy.ndarray is neither a frame .* pl\.from_numpy"),
        (FRAME.drop("size"), ContractError, "column 'size' of contract Orders is missing"),
    ],
)
def test_data_that_cannot_be_judged(data: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Orders.validate(data)


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_text("no")
    with pytest.raises(SourceError, match="can't read the data"):
        Orders.validate(tmp_path / "x.parquet")


def test_a_rule_that_raises_is_named() -> None:
    class Raising(Public):
        a = tm.Int64()
        fine = rule(pl.col("a") > 0)
        r = rule(pl.col("a").cast(pl.Int8) > 0)

    with pytest.raises(ContractError, match="rule r of contract Raising can't be evaluated"):
        Raising.validate(pl.DataFrame({"a": [1_000]}))


def test_what_fails_only_together_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> list[pl.Expr]:
        return [pl.col("size").cast(pl.String).cast(pl.Int8)]

    monkeypatch.setattr("tidemill.contracts.io.validate.pass_expressions", fails)
    with pytest.raises(
        SourceError, match="can't read the data: conversion from `str` to `i8` failed"
    ):
        Orders.validate(FRAME)


def test_a_validation_is_shown_in_one_line_and_as_a_table() -> None:
    found = Orders.validate(FRAME)
    assert repr(found) == "<Validated Orders 1.2.0 failed: 5 rows, 3 bad>"
    shown = found._repr_html_()
    assert "<table><caption>Orders 1.2.0 failed: 5 rows, 3 bad</caption>" in shown
    assert shown.count("<tr>") == 1 + len(found.findings)
    assert repr(Orders.validate(found.good)).startswith("<Validated Orders 1.2.0 passed: 2 rows")
