"""Files of cases: TOML, YAML, CSV and Python, of which none is trusted."""

from __future__ import annotations

import sys
from pathlib import Path

import polars as pl
import pytest

from tidemill.cases.io.case_files import LoadedCases, find_case_files, load_cases

TOML = """
[[case]]
name = "from toml"
stage = "daily"
given.orders.file = "tables/orders.csv"
expect.count = 1
"""
YAML = """
cases:
  - name: from yaml
    stage: daily
    partition: 2026-01-05
    given:
      orders: |
        id, code
        1,  007
    expect: {rows: [{id: 1}], tolerance: 0.5}
"""
PYTHON = """
import polars as pl
import tidemill as tm
import shared_rows


@tm.case("daily")
def from_python():
    return {"given": {"orders": pl.DataFrame({"id": [1]})}, "expect": {"count": shared_rows.COUNT}}


@tm.case("daily", name="from a file")
def other():
    return {"given": {"orders": {"file": "tables/orders.csv"}}, "expect": {"count": 1}}


again = other
"""
# It fails where it is collected, which is later than where it is made.
LAZY = """
import polars as pl
import tidemill as tm


@tm.case("daily")
def lazy():
    return {"given": {"orders": pl.LazyFrame({"id": [1]}).select("no")}, "expect": {"count": 1}}
"""


def load(root: Path) -> LoadedCases:
    return load_cases(root, find_case_files(root))


def write(root: Path, name: str, text: str | bytes) -> None:
    file = root / "cases" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)


def test_every_kind_of_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    write(tmp_path, "tables/orders.csv", "id,code\n1,007\n")
    write(tmp_path, "a.toml", TOML)
    write(tmp_path, "b.yaml", YAML)
    write(tmp_path, "deep/c.py", PYTHON.replace("tables/", "../tables/"))
    write(tmp_path, "_shared.py", "raise ValueError")
    write(tmp_path, ".hidden/d.toml", "no")
    write(tmp_path, "notes.md", "no")
    (tmp_path / "shared_rows.py").write_text("COUNT = 1\n")
    found = load(tmp_path)
    assert found.faults == ()
    assert [(case.name, case.file) for case in found.cases] == [
        ("from toml", "cases/a.toml"),
        ("from yaml", "cases/b.yaml"),
        ("from python", "cases/deep/c.py"),
        ("from a file", "cases/deep/c.py"),
    ]
    first, second, third, fourth = found.cases
    assert (
        first.given["orders"].rows == fourth.given["orders"].rows == ({"id": "1", "code": "007"},)
    )
    assert second.given["orders"].rows == ({"id": "1", "code": "007"},)
    assert second.partition == "2026-01-05"
    assert isinstance(third.given["orders"].frame, pl.DataFrame)


def test_no_folder_no_cases(tmp_path: Path) -> None:
    assert load(tmp_path) == LoadedCases(cases=())
    write(tmp_path, "a.yaml", "")
    write(tmp_path, "b.toml", "")
    assert load(tmp_path) == LoadedCases(cases=())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.toml", "[[case]", "a.toml: it is not TOML"),
        ("a.toml", "a = " + "9" * 5000, "a number of more than 64 bits"),
        ("a.toml", 'a = "\\u0000"', "has a NUL character"),
        ("a.yaml", "cases: [", "a.yaml:2:1: did not find"),
        ("a.yaml", "cases: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a.yaml", "a: &a [*a]", "expand to more than"),
        ("a.yaml", "cases: []\ncases: []", "duplicate field cases"),
        ("a.toml", b"\xff\xfe", "isn't UTF-8"),
        ("a.toml", "#" * 5_000_001, "larger than 5 MB"),
        ("a.toml", TOML, "orders.csv can't be read: No such file"),
        ("a.py", "raise ValueError('no')", "a.py raised ValueError: no"),
        ("a.py", "import tidemill as tm\n@tm.case('a')\ndef f(): return 3", "a.py raised TypeError"),
        ("a.py", "import tidemill as tm\n@tm.case('a')\ndef f(): return {}", "it expects nothing"),
        ("a.py", "syntax error", "a.py raised SyntaxError"),
        ("a.py", "import sys; sys.exit(0)", "ended the program while its cases were read (exit code 0)"),
        ("a.py", "import tidemill as tm\n@tm.case('a')\ndef f(): raise SystemExit", "(exit code None)"),
        ("a.py", LAZY, "a.py raised ColumnNotFoundError"),
    ],
)  # fmt: skip
def test_faults_of_files(tmp_path: Path, name: str, text: str | bytes, message: str) -> None:
    write(tmp_path, name, text)
    found = load(tmp_path)
    assert found.cases == ()
    [fault] = found.faults
    assert message in str(fault)
    assert f"cases/{name}" in str(fault) or "orders.csv" in str(fault)


def test_yaml_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    write(tmp_path, "a.yaml", YAML)
    [fault] = load(tmp_path).faults
    assert "cases/a.yaml needs PyYAML: pip install pyyaml, or write the cases as TOML" in str(fault)


def test_one_bad_file_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path, "a.toml", "[")
    write(tmp_path, "b.yaml", YAML)
    found = load(tmp_path)
    assert [case.name for case in found.cases] == ["from yaml"]
    assert len(found.faults) == 1
