"""`tidemill contract infer`: any format, a file, a folder or a glob."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.commands import edit, tidemill

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
    assert "the suffix names no known format" in ended.err
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


def test_letters_of_other_languages_stay_in_names(here: Path) -> None:
    (here / "Bestände 2026.csv").write_text(
        "Größe/BMI,Höhe (m²),Größe_bmi,1. Preis\n1.5,2.5,3.5,4.5\n"
    )
    out = tidemill("contract", "infer", "Bestände 2026.csv").out
    assert "class Bestände(" in out
    columns = {each.name: each.source for each in declared(out).__tidemill_contract__.columns}
    assert columns == {
        "größe_bmi": "Größe/BMI",
        "höhe_m2": "Höhe (m²)",
        "Größe_bmi": "",
        "c_1_preis": "1. Preis",
    }


def test_nothing_there() -> None:
    ended = tidemill("contract", "infer", "nowhere/*.csv")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "error: there are no data files at 'nowhere/*.csv'\n"


def test_not_what_the_suffix_says(here: Path) -> None:
    (here / "rows.parquet").write_text("no parquet")
    ended = tidemill("contract", "infer", "rows.parquet")
    assert ended.code == 1
    assert "rows.parquet can't be read as parquet" in ended.err


def test_codes_with_leading_zeros_stay_text(here: Path) -> None:
    lines = [f"{n * 7:05},{n * 7:05},{n}" for n in range(100, 200)]
    (here / "a.csv").write_text("\n".join(["zip,other,n", "10000,10000,1"]))
    (here / "b.csv").write_text("\n".join(["zip,other,n", *lines]))
    told = tidemill("contract", "infer", "*.csv").out
    assert "zip = tm.String(" in told
    assert "n = tm.Int64(" in told
    assert "other = tm.String(" in told
    assert 'regex=r"^[0-9]{5}$"' in told
    assert all(len(line) <= 100 for line in told.splitlines())
    declared(told)
    alone = tidemill("contract", "infer", "a.csv").out
    assert "zip = tm.Int64(" in alone


WEATHER = """
import tidemill as tm


class Weather(tm.Contract, version="1.0.0", key=("at",)):
    "Readings of a station."

    at = tm.Datetime(format="%d.%m.%Y %H:%M")
    station = tm.String()
    temp = tm.Float64(source="Temp (C)", decimal_comma=True, nullable=True, null_values="-")


flow = tm.Workflow("weather")


@flow.ingest
def weather() -> tm.Source[Weather]:
    return tm.files("rows.csv", separator=";")
"""
READINGS = "at;station;Temp (C)\n02.03.2026 06:00;00427;-1,5\n02.03.2026 07:00;00427;-\n"


def test_how_a_file_is_written_is_recognised_and_of_a_stage_kept(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A line with too many fields is one that a run quarantines.
    (here / "rows.csv").write_text(f"{READINGS}02.03.2026 08:00;00427;1,0;more\n")
    inferred = tidemill("contract", "infer", "rows.csv", "--name", "Weather")
    assert (inferred.code, inferred.err) == (0, "")
    assert 'tm.files(..., separator=";")' in inferred.out
    [at, station, temp] = declared(inferred.out).__tidemill_contract__.columns
    assert at.text.formats == ("%d.%m.%Y %H:%M",)
    assert str(station.dtype) == "String"
    assert (temp.source, temp.text.decimal_comma, temp.text.null_values) == (
        *("Temp (C)", True),
        ("-",),
    )
    alone = tidemill("contract", "infer", "rows.csv", "--separator", ",")
    assert len(declared(alone.out).__tidemill_contract__.columns) == 1
    (here / "forecast.py").write_text(WEATHER)
    monkeypatch.delitem(sys.modules, "forecast", raising=False)
    project = ("-w", "forecast:flow")
    assert tidemill(*project, "run").code == 0
    kept = declared(tidemill(*project, "contract", "infer", "weather").out).__tidemill_contract__
    assert kept.description == "Readings of a station."
    assert [(c.source, c.text) for c in kept.columns] == [
        (c.source, c.text) for c in (at, station, temp)
    ]


class TestInferStage:
    def test_what_is_published(self, built: Path) -> None:
        told = tidemill("contract", "infer", "features")
        assert (told.code, told.err) == (0, "")
        spec = declared(told.out).__tidemill_contract__
        assert (spec.name, spec.key) == ("Features", ("date", "shop", "hour"))
        # What no data shows is kept from the contract.
        assert spec.column("weekday").description == "1 is Monday"
        assert spec.column("rain").unit == "mm"
        assert str(spec.partitioning) == "by day of date"
        assert "could be partition=" not in told.out

    def test_some_of_its_partitions(self, built: Path) -> None:
        found = tidemill(
            *("contract", "infer", "sales", "--from", "2026-01-06", "--to", "2026-01-07", "--json")
        ).document
        assert found["partitions"] == ["2026-01-06", "2026-01-07"]
        assert (found["name"], found["stage"]) == ("Sales", "sales")
        until = tidemill("contract", "infer", "sales", "--to", "2026-01-05", "--json").document
        assert until["partitions"] == ["2026-01-05"]

    def test_a_query_without_rows(self, fresh: Path) -> None:
        edit(fresh / "bakery.py", "*HOUR, loaves=", "*HOUR, pl.lit('x').alias('more'), loaves=")
        told = tidemill("contract", "infer", "labels").out
        assert (
            '"""What the query of labels gives, of which no row was seen: say what one row is."""'
            in told
        )
        spec = declared(told).__tidemill_contract__
        assert spec.names == ("date", "shop", "hour", "more", "loaves")
        assert spec.column("loaves").unit == "loaf"

    def test_a_stage_or_files_of_its_name(self, built: Path) -> None:
        (built / "sales").mkdir()
        FRAME.write_csv(built / "sales" / "rows.csv")
        assert "sold = tm.Int64(min=1)  # 3 to 4" in tidemill("contract", "infer", "sales").out
        assert "hour = " in tidemill("contract", "infer", "sales", "--stage").out

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (
                ("sale",),
                1,
                "there are no data files at 'sale', and no stage of that name (did you mean",
            ),
            (("sale", "--stage"), 2, "there is no stage 'sale'"),
            (("no/such",), 1, "there are no data files at 'no/such'"),
            (("sales", "--from", "2031-01"), 2, "no partition from 2031-01: there is 2026-01-05"),
            (("sales", "--to", "2001-01"), 2, "sales has no partition"),
            (("demand",), 2, "demand"),
            (("demand_scores", "--from", "2026"), 2, "--from and --to name times"),
        ],
    )
    def test_what_is_not_there(
        self, arguments: tuple[str, ...], code: int, words: str, built: Path
    ) -> None:
        ended = tidemill("contract", "infer", *arguments)
        assert (ended.code, ended.out) == (code, "")
        assert words in ended.err


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
        head, columns, rules, counts, around, flow = ended.out.rstrip().split("\n\n")
        assert head.split("\n")[0].startswith("Sales 1.0.0 (bakery.py:")
        assert "\n  key: date, shop, hour\n  partition: by day of date\n" in head
        assert columns.split("\n")[3].split("  ")[0] == "hour"
        assert "never null, >= 7, <= 18" in columns
        assert rules.split("\n")[1].startswith("many  ")
        assert "rows                 at least 30 rows" in counts
        assert "at most 10 % of the rows are quarantined" in counts
        assert around.split("\n")[0].startswith("produced by sales (ingest, bakery.py:")
        assert around.split("\n")[1:] == [
            "read by features (date, shop, hour)",
            "read by labels (date, shop, hour, sold)",
        ]
        assert flow.split("\n")[-1] == "sold    labels"

    def test_rules_beyond_the_partition(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py",
            "    volume =",
            '    once = tm.Unique("date", "shop", "hour", description="d")\n    volume =',
        )
        last = tidemill("contract", "show", "sales").out.rstrip().split("\n\n")[2]
        assert last.split("\n")[0].startswith("rule over the table  must hold")
        assert last.split("\n")[3].startswith("once ")
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
        assert "rule over" not in tidemill("contract", "show", "labels").out
        found = tidemill("contract", "show", "sales", "--json").document
        assert (found["schema"], found["name"], found["rules"]) == (
            *("tidemill.contract.show/1", "Sales"),
            [],
        )
        assert [column["name"] for column in found["columns"]] == ["date", "shop", "hour", "sold"]
        assert found["columns"][2]["must"] == ["never null", ">= 7", "<= 18"]
        [sales] = found["stages"]
        assert [use["columns"] for use in sales["uses"]] == [
            ["date", "shop", "hour"],
            ["date", "shop", "hour", "sold"],
        ]

    def test_a_class_by_its_module(self) -> None:
        by_stage = tidemill("contract", "show", "labels").out
        assert tidemill("contract", "show", "bakery:Labels").out == by_stage
        assert "labels  " not in by_stage
        assert "loaves  sales: sold  demand, demand_scores" in by_stage

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("bakery:Sale", "bakery has no contract 'Sale' (did you mean 'Sales'?"),
            ("bakery:pl", "bakery has no contract 'pl'"),
            ("nowhere:Sales", "there is no module 'nowhere'"),
            ("sale", "there is no stage 'sale'"),
        ],
    )
    def test_what_is_not_there(self, name: str, words: str) -> None:
        ended = tidemill("contract", "show", name)
        assert (ended.code, ended.out) == (2, "")
        assert words in ended.err

    def test_a_class_that_no_stage_gives(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py",
            "class Weather(",
            'class Spare(tm.Contract, version="1.0.0"):\n    x = tm.Int64()\n\n\nclass Weather(',
        )
        assert "given by" not in tidemill("contract", "show", "bakery:Spare").out

    def test_code_that_collects_is_not_followed(self, fresh: Path) -> None:
        edit(
            fresh / "bakery.py", "return sales.select(", "sales.collect()\n    return sales.select("
        )
        told = tidemill("contract", "show", "labels").out
        assert "  not followed column by column: it collects sales when it is called" in told

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


def test_history(fresh: Path) -> None:
    ended = tidemill("contract", "history", "sales")
    assert ended.out == "sales: Sales, declared 1.0.0; nothing is published yet\n"
    assert tidemill("run").code == 0
    edit(
        fresh / "bakery.py",
        'Sales(tm.Contract, version="1.0.0"',
        'Sales(tm.Contract, version="1.1.0"',
    )
    edit(fresh / "bakery.py", "hour = tm.Int64(min=7, max=18)", "hour = tm.Int64(min=7, max=19)")
    assert tidemill("run", "sales", "--limit", "2").code == 0
    ended = tidemill("contract", "history", "sales")
    head, _, names, old, new = ended.out.rstrip().split("\n")
    assert head == "sales: Sales, declared 1.1.0"
    assert names.split() == ["version", "published", "in", "use", "first", "when", "last", "when"]
    assert old.split()[:4] == ["1.0.0", "28", "26", "2026-01-05"]
    assert new.split()[:4] == ["1.1.0", "2", "2", "2026-01-05"]
    found = tidemill("contract", "history", "sales", "--json").document
    assert (found["contract"], found["declared"]) == ("Sales", "1.1.0")
    assert [(v["version"], v["held"], v["last"]["partition"]) for v in found["versions"]] == [
        ("1.0.0", 26, "2026-02-01"),
        ("1.1.0", 2, "2026-01-06"),
    ]
    assert "contract Sales 1.0.0 (26), 1.1.0 (2), " in tidemill("show", "sales").out
    assert "contract Sales 1.1.0, " in tidemill("show", "sales", "2026-01-05").out
    assert ": ingest at bakery.py:49, contract Sales 1.0.0 (26), 1.1.0 (2)" in (
        tidemill("explain", "sales").out
    )


def test_history_of_what_makes_no_table(fresh: Path) -> None:
    ended = tidemill("contract", "history", "demand")
    assert (ended.code, ended.err) == (2, "error: demand has no contract: it makes no table\n")


def test_a_model_of_dbt(here: Path) -> None:
    ended = tidemill("contract", "infer", "orders", "--dbt", "shop")
    assert ended.code == 1
    assert "manifest.json can't be read" in ended.err
    node = {
        "unique_id": "model.shop.orders",
        "resource_type": "model",
        "package_name": "shop",
        "name": "orders",
        "relation_name": "orders",
        "original_file_path": "models/orders.sql",
        "raw_code": "select 1",
        "checksum": {"name": "sha256", "checksum": ""},
        "created_at": 0,
        "columns": {
            "day": {"data_type": "date"},
            "shop": {"data_type": "varchar"},
            "Net sum": {"data_type": "double"},
        },
        "primary_key": ["day", "shop"],
    }
    manifest = {"metadata": {"project_name": "shop"}, "nodes": {node["unique_id"]: node}}
    (here / "shop" / "target").mkdir(parents=True)
    (here / "shop" / "target" / "manifest.json").write_text(json.dumps(manifest))
    source = tidemill("contract", "infer", "orders", "--dbt", "shop").out
    assert "# Not expressed: Orders: column 'Net sum', whose name isn't a valid Python" in source
    contract = declared(source)
    assert contract.__name__ == "Orders"
    assert contract.__tidemill_contract__.key == ("day", "shop")
    document = tidemill("contract", "infer", "orders", "--dbt", "shop", "--json").document
    assert (document["dbt"], document["model"]) == ("shop", "model.shop.orders")
