"""Golden rows in a file of the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import tidemill as tm
from tidemill.core.errors import UsageError
from tidemill.models.io.golden_file import read_golden_rows
from tidemill.workflow.model_gates import GoldenRow

CSV = "name,zip,expect,expect_low,expect_high\ncalm,01234,1.5,,\nrush,98765,,2,3\nkind,1,late,,\n"
ROWS = (
    GoldenRow(name="calm", values=(("zip", "01234"),), expect=1.5),
    GoldenRow(name="rush", values=(("zip", "98765"),), low=2, high=3),
    GoldenRow(name="kind", values=(("zip", "1"),), expect="late"),
)


def read(path: Path, **options: Any) -> tuple[tuple[GoldenRow, ...], str]:
    gate = tm.golden(path.name, **options)
    return read_golden_rows(gate, path.parent)


def test_a_table_keeps_its_text(tmp_path: Path) -> None:
    path = tmp_path / "golden.csv"
    path.write_text(CSV, encoding="utf-8")
    rows, digest = read(path)
    assert rows == ROWS
    path.write_text(CSV.replace("1.5", "1.6"), encoding="utf-8")
    again, other = read(path)
    assert (again[0].expect, other == digest) == (1.6, False)


def test_formats_say_the_same(tmp_path: Path) -> None:
    dicts = [
        {"name": "calm", "zip": "01234", "expect": 1.5},
        {"name": "rush", "input": {"zip": "98765"}, "expect": [2, 3]},
        {"name": "kind", "zip": "1", "expect": "late"},
    ]
    (tmp_path / "golden.json").write_text(json.dumps(dicts), encoding="utf-8")
    assert read(tmp_path / "golden.json")[0] == ROWS
    table = pl.DataFrame(
        {
            "name": ["calm", "rush"],
            "zip": ["01234", "98765"],
            "expect": [1.5, None],
            "expect_low": [None, 2],
            "expect_high": [None, 3],
        }
    )
    table.write_parquet(tmp_path / "golden.parquet")
    assert read(tmp_path / "golden.parquet")[0] == ROWS[:2]


def test_rows_in_the_code_need_no_file(tmp_path: Path) -> None:
    gate = tm.golden([{"name": "calm", "zip": "01234", "expect": 1.5}])
    assert read_golden_rows(gate, tmp_path) == (ROWS[:1], "")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("golden.csv", None, "golden(golden.csv): there is no such file in "),
        ("golden.csv", b"", "golden(golden.csv) can't be read: "),
        ("golden.csv", b"name,zip,expect\n", "there are no rows: name at least one"),
        ("golden.csv", b"name,zip,expect,expect_low\na,1,2,3\n", "row 'a' has expect and a range"),
        ("golden.csv", b"name,zip,expect_low\na,1,3\n", "is not a range of two numbers"),
        ("golden.csv", b"name,zip,expect\na,1,\n", "expect=None is not a number"),
        ("golden.csv", b"name,zip,expect\na,1,nan\n", "expect=nan is not a number"),
        ("golden.csv", b"zip,expect\n1,2\n", "row 0 has no name"),
        ("golden.csv", b"name,zip\n\xff\xfe,2\n", "golden(golden.csv)"),
        ("golden.json", b"{", "golden(golden.json) can't be read: "),
        ("golden.json", b"[" * 100_000, "can't be read: it is nested too deeply"),
        (
            "golden.json",
            b'[{"name": "a", "x": 1, "expect": 1, "expect": 2}]',
            "a row has 'expect' twice",
        ),
        ("golden.json", b'[{"name": "a", "x": 1, "expect": 1e999}]', "expect=inf is not a number"),
        (
            "golden.json",
            b'[{"name": "a", "x": 1, "expect": ' + b"9" * 400 + b"}]",
            "is not a number, a ra",
        ),
        ("golden.json", b"{}", "rows={} is not a list of dicts"),
        ("golden.parquet", b"PAR1", "golden(golden.parquet) can't be read: "),
    ],
)
def test_what_cant_be_read_is_named(
    tmp_path: Path, name: str, content: bytes | None, says: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        read(path)
    assert says in str(caught.value)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "golden.csv").mkdir()
    with pytest.raises(UsageError, match=r"golden\(golden.csv\) can't be read"):
        read(tmp_path / "golden.csv")
