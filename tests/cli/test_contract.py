"""`tidemill contract infer`: any format, a file, a folder or a glob."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.cli.commands import edit, tidemill

FRAME = pl.DataFrame({"shop": ["harbour", "market"], "sold": [3, 4]})
WRITERS: dict[str, Callable[[pl.DataFrame, Path], Any]] = {
    "rows.parquet": pl.DataFrame.write_parquet,
    "rows.csv": pl.DataFrame.write_csv,
    "rows.ndjson": pl.DataFrame.write_ndjson,
    "rows.arrow": pl.DataFrame.write_ipc,
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def declared(source: str) -> type[Any]:
    """The class that a scaffold declares: it must be valid Python."""
    names: dict[str, Any] = {}
    exec(compile(source, "scaffold.py", "exec"), names)
    [found] = [value for value in names.values() if hasattr(value, "__tidemill_contract__")]
    return found  # type: ignore[no-any-return]


@pytest.mark.parametrize("file", WRITERS)
def test_reads_every_format(file: str, here: Path) -> None:
    WRITERS[file](FRAME, here / file)
    ended = tidemill("contract", "infer", file)
    assert (ended.code, ended.err) == (0, "")
    contract = declared(ended.out)
    assert contract.__name__ == "Rows"
    assert contract.__tidemill_contract__.names == ("shop", "sold")


def test_a_format_that_no_suffix_tells(here: Path) -> None:
    FRAME.write_csv(here / "rows.dat")
    ended = tidemill("contract", "infer", "rows.dat")
    assert ended.code == 1
    assert "the suffix tells no format" in ended.err
    assert tidemill("contract", "infer", "rows.dat", "--format", "csv").code == 0


def test_days_in_a_csv_are_days(here: Path) -> None:
    (here / "rows.csv").write_text("date,sold\n2026-01-05,3\n2026-01-06,4\n")
    assert "date = tm.Date(" in tidemill("contract", "infer", "rows.csv").out


@pytest.mark.parametrize("path", ["daily-sales", "daily-sales/*.csv", "daily-sales/2026-01-05.csv"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_folder_a_glob_or_a_file_is_named_after_the_folder(
    path: str, absolute: bool, here: Path
) -> None:
    (here / "daily-sales").mkdir()
    FRAME.write_csv(here / "daily-sales" / "2026-01-05.csv")
    FRAME.write_csv(here / "daily-sales" / "2026-01-06.csv")
    (here / "daily-sales" / "notes.md").touch()
    given = str(here / path) if absolute else path
    found = tidemill("contract", "infer", given, "--json").document
    assert found["schema"] == "tidemill.contract/1"
    assert found["name"] == "DailySales"
    assert len(found["files"]) == (1 if path.endswith("05.csv") else 2)
    assert "class DailySales(" in found["source"]


def test_a_name_of_ones_own(here: Path) -> None:
    FRAME.write_csv(here / "rows.csv")
    assert "class Sold(" in tidemill("contract", "infer", "rows.csv", "--name", "Sold").out
    assert tidemill("contract", "infer", "rows.csv", "--name", "not a name").code == 2


def test_no_name_to_be_had(monkeypatch: pytest.MonkeyPatch, here: Path) -> None:
    (here / "2026").mkdir()
    FRAME.write_csv(here / "2026" / "01.csv")
    assert "class Rows(" in tidemill("contract", "infer", "2026").out


def test_nothing_there() -> None:
    ended = tidemill("contract", "infer", "nowhere/*.csv")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "error: there are no data files at 'nowhere/*.csv'\n"


def test_not_what_the_suffix_says(here: Path) -> None:
    (here / "rows.parquet").write_text("no parquet")
    ended = tidemill("contract", "infer", "rows.parquet")
    assert ended.code == 1
    assert "rows.parquet can't be read as parquet" in ended.err


class TestShow:
    @pytest.fixture(autouse=True)
    def project(self, fresh: Path) -> Path:
        return fresh

    def test_a_contract_as_a_table(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py",
            "    volume =",
            "    many = tm.rule(pl.col('sold') < 900)\n    volume =",
        )
        ended = tidemill("contract", "show", "sales")
        assert (ended.code, ended.err) == (0, "")
        head, columns, rules = ended.out.rstrip().split("\n\n")
        assert head.split("\n")[0].startswith("Sales 1.0.0 (bakery.py:")
        assert "  key: date, shop, hour; partitioned by day of date" in head
        assert "\n  rows: min 30, on_fail warn\n  budget: max_bad 0.1" in head
        assert columns.split("\n")[3].split("  ")[0] == "hour"
        assert "never null, >= 7, <= 18" in columns
        assert rules.split("\n")[1].startswith("many  ")

    def test_rules_beyond_the_partition(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py",
            "    volume =",
            '    once = tm.Unique("date", "shop", "hour", description="d")\n    volume =',
        )
        last = tidemill("contract", "show", "sales").out.rstrip().split("\n\n")[-1]
        assert last.split("\n")[0].startswith("rule beyond the partition  must hold")
        assert last.split("\n")[1].startswith("once ")
        assert "(date, shop, hour) comes once in the whole table  fail" in last
        [rule] = tidemill("contract", "show", "sales", "--json").document["wider"]
        assert rule == {
            "kind": "unique",
            "must_hold": "(date, shop, hour) comes once in the whole table",
            "name": "once",
            "on_fail": "fail",
            "description": "d",
            "columns": ["date", "shop", "hour"],
        }

    def test_without_rules_and_as_a_document(self) -> None:
        assert tidemill("contract", "show", "labels").out.count("\n\n") == 1
        found = tidemill("contract", "show", "sales", "--json").document
        assert (found["schema"], found["name"], found["rules"]) == (
            *("tidemill.contract.show/1", "Sales"),
            [],
        )
        assert [column["name"] for column in found["columns"]] == ["date", "shop", "hour", "sold"]

    def test_a_contract_without_a_word(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py",
            '    """One row per shop and opening hour, as the tills send it."""\n',
            "",
        )
        assert tidemill("contract", "show", "sales").out.split("\n")[1].startswith("  key: ")

    def test_what_has_no_contract(self) -> None:
        ended = tidemill("contract", "show", "demand")
        assert (ended.code, "demand has no contract" in ended.err) == (2, True)
