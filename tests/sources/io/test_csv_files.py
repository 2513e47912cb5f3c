"""Numbers that are parsed while reading are those that a cast of their text gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from polars.exceptions import ComputeError

from tests.support.thoroughness import examples, thorough
from tidemill.contracts.checks.casts import cast_column
from tidemill.contracts.checks.schema import polars_type
from tidemill.contracts.dtype import DType
from tidemill.contracts.text_format import SURPLUS_FIELDS, TextFormat
from tidemill.core.errors import SourceError
from tidemill.sources.io.csv_files import find_separator, load_csv, scan_csv
from tidemill.sources.text_files import _PARSED

CELLS = TextFormat(cells="csv")
TYPES = [polars_type(DType(name)) for name in _PARSED]
HOSTILE = [
    "1",
    " 1",
    "1 ",
    "\t1",
    "+1",
    "--1",
    "- 1",
    "007",
    "-0",
    "1.",
    "1.0",
    ".5",
    "-.5",
    "1e3",
    "1E+3",
    "1e",
    "1e400",
    "-1e400",
    "1e-400",
    "inf",
    "-Inf",
    "INFINITY",
    "nan",
    "-NaN",
    "1_000",
    "0x10",
    "1f",
    "\uff11",
    "\u00a01",
    "",
    '""',
    '" 1"',
    '"1"',
    '"  "',
    "  ",
    "null",
    "true",
    "127",
    "128",
    "-129",
    "255",
    "256",
    "65536",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "170141183460469231731687303715884105728",
    "00000000000000000000000000000000000001",
    "9007199254740993",
    "0.1000000000000000055511151231257827021181583404541015625",
    "1.7976931348623159e308",
    "2.4703282292062328e-324",
    "3.4028236e38",
    "2.675",
    "1e23",
    "123456789012345678901234567890",
    "..",
    "+",
    "e5",
    "1\x00",
    "1'000",
    "(1)",
]
NUMBERISH = st.text("0123456789+-.eE infaNIF\t\"'_x", max_size=12)
ANY = st.one_of(st.sampled_from(HOSTILE), NUMBERISH, st.floats().map(repr), st.integers().map(str))


def exact(series: pl.Series) -> list[str]:
    """Values by their text, which tells -0.0 from 0.0 and equals NaN."""
    return [repr(value) for value in series]


@thorough
@settings(
    max_examples=examples(120, 400),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(st.lists(ANY, min_size=1, max_size=4), st.sampled_from(TYPES))
@example(HOSTILE, pl.Int64())
@example(HOSTILE, pl.Float64())
def test_a_parsed_number_is_the_cast_of_its_text(
    tmp_path: Path, cells: list[str], dtype: pl.DataType
) -> None:
    path = tmp_path / "rows.csv"
    for written in (cells, *([cell] for cell in cells)):
        cleaned = (cell.replace('"', "") if cell.count('"') % 2 else cell for cell in written)
        path.write_text("a;z\n" + "".join(f"{cell};1\n" for cell in cleaned), encoding="utf-8")
        options: dict[str, Any] = {"separator": ";"}
        try:
            frame, parsed = load_csv(path, options, {"a": dtype}, "z")
        except ComputeError:
            continue  # a quote that isn't closed
        if parsed:
            source, values = cast_column(scan_csv(path, options).collect()["a"], dtype, CELLS)
            assert exact(values) == exact(frame["a"])
            assert values.null_count() == source.null_count()


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_ordinary_numbers_are_parsed(tmp_path: Path, dtype: pl.DataType) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,z\n1, 02\n,3\n4,\n")
    frame, parsed = load_csv(path, {}, {"a": dtype, "z": dtype}, "z")
    assert parsed
    assert frame.schema == {"a": dtype, "z": dtype}
    assert frame.rows() == [(1, 2), (None, 3), (4, None)]


def test_options_that_guess_have_no_effect_and_names_may_be_given(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("2013-03-07,1\n2013-03-08,x\n")
    guesses = {"try_parse_dates": True, "schema_overrides": {"b": pl.Int64}, "ignore_errors": True}
    options = {**guesses, "has_header": False, "schema": {"a": pl.Date, "b": pl.Int8}}
    frame, parsed = load_csv(path, options, {"b": pl.Int64()}, "a")
    assert not parsed
    assert frame.rows() == [("2013-03-07", "1"), ("2013-03-08", "x")]
    assert frame.columns == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "text", "separator"),
    [
        ("a.csv", "a,b\n1,2\n", ","),
        ("a.csv", "a;b\n1,5;2\n2,5;3\n", ";"),
        ("a.csv", "a;b\n1;2;3\n1;2\n1;2\n", ";"),
        ("a.csv", "\ufeffa|b\r\n1|2\r\n", "|"),
        ("a.csv", "a\tb\n1\t2,5\n", "\t"),
        ("a.tsv", "a\tb\n1\t2\n", "\t"),
        ("a.tsv", "a,b\n1,2\n", ","),
        # A separator within quotes, or of some lines only, is none.
        ("a.csv", 'a\n"x;y"\n"z;"\n', ","),
        ("a.csv", "a\nx;y\nz\nu;v;w\n", ","),
        ("a.csv", "", ","),
        ("a.csv", 'a;b\n"never closed;1\n' + "x" * 200_000, ","),
        ("a.csv", "\0\0;\udcff", ";"),
    ],
)
def test_the_separator_of_a_file_is_found(
    tmp_path: Path, name: str, text: str, separator: str
) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert find_separator(tmp_path / name) == separator


def test_a_tsv_is_separated_by_tabs(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("a\tb\n1,5\t2\n")
    assert scan_csv(path, {}).collect().rows() == [("1,5", "2")]
    assert scan_csv(path, {"separator": ","}).collect_schema().names() == ["a\tb"]


def test_lines_with_too_many_fields_are_marked(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,2\n3,4,5\n6\n7,,,9,"x,y",\n"8,0",1,,\n')
    frame, parsed = load_csv(path, {}, {"a": pl.Int64()}, "b")
    assert not parsed
    assert frame.rows() == [
        ("1", "2"),
        ("3", f"{SURPLUS_FIELDS}4,5"),
        ("6", None),
        ("7", f"{SURPLUS_FIELDS},,9,x,y"),
        ("8,0", "1"),
    ]


def upper(names: list[str]) -> list[str]:
    return [name.upper() for name in names]


@pytest.mark.parametrize(
    "options",
    [
        {"row_index_name": "n", "row_index_offset": 7},
        {"include_file_paths": "path"},
        {"with_column_names": upper},
        {"new_columns": ["x", "y"]},
        {"row_index_name": "n", "with_column_names": upper, "include_file_paths": "path"},
        {"has_header": False, "new_columns": ["x", "y"], "row_index_name": "n"},
    ],
    ids=",".join,
)
def test_options_that_change_columns_are_kept_beside_ragged_lines(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    plain, ragged = tmp_path / "plain" / "rows.csv", tmp_path / "ragged" / "rows.csv"
    for path, text in ((plain, "a,b\n1,2\n3,4\n"), (ragged, "a,b\n1,2\n3,4,5,6\n")):
        path.parent.mkdir()
        path.write_text(text)
    expected = scan_csv(plain, options).collect()
    assert load_csv(plain, options, {}, expected.columns[1])[0].equals(expected)
    for mark in expected.columns:
        found, _ = load_csv(ragged, options, {}, mark)
        assert found.columns == expected.columns
        cells = expected[mark].cast(pl.String).str.replace(str(plain), str(ragged), literal=True)
        rest = found.drop(mark)
        assert found[mark].cast(pl.String).to_list() == [
            *cells[:-1],
            f"{SURPLUS_FIELDS}{cells[-1]},5,6",
        ]
        if "include_file_paths" in options and mark != "path":
            assert rest["path"].to_list() == [str(ragged)] * rest.height
            rest = rest.drop("path")
        assert rest.equals(expected.select(rest.columns))


def test_a_file_with_another_separator_is_no_file_of_ragged_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + ",".join(map(str, range(100))) + "\n")
    with pytest.raises(SourceError, match="lines have more than 66 fields, but the header has 2"):
        load_csv(path, {}, {}, "b")
    with pytest.raises(ComputeError):
        load_csv(path, {}, {}, "")
