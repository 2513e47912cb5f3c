"""`tidemill explain`: why something is what it is, down to source files."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import edit, tidemill
from tidemill.cli.explain import render
from tidemill.lineage.io.provenance import Explanation, InputFacts
from tidemill.workflow.stage import Kind

PLAIN = '"rain",\n        shop_code'


def opaque(folder: Path) -> None:
    """Let `labels` look at its rows while it is being called."""
    edit(
        folder / "bakery.py",
        "    return sales.select(*HOUR,",
        "    sales.collect()\n    return sales.select(*HOUR,",
    )


def explained(*arguments: str) -> dict[str, Any]:
    """The document of `tidemill explain ARGUMENTS`."""
    found = tidemill("explain", *arguments, "--json").document
    assert found["schema"] == "tidemill.explain/1"
    explanation: dict[str, Any] = found["explanation"]
    return explanation


def origins(explanation: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """The partitions that each stage contributed, nearest stage first."""
    return {o["stage"]: tuple(o["partitions"]) for o in explanation["origins"]}


def test_a_partition_down_to_its_files(built: Path) -> None:
    [run] = tidemill("runs", "--json").document["runs"]
    found = explained("features", "2026-02-01")
    assert (found["stage"], found["kind"], found["contract"]) == (
        *("features", "transform"),
        "Features 1.0.0",
    )
    assert found["place"].startswith("bakery.py:")
    assert (found["rows"], found["partitions"]) == (36, ["2026-02-01"])
    assert {"column rain", "column shop", "contract", "engine"} <= set(found["recipe_parts"])
    assert (found["judged_by"], found["opaque"], found["touched"]) == ("query", "", [])
    assert found["reads"] == [
        {"name": "sales", "reads": ["date", "shop", "hour"], "ignores": ["sold"], "fold": ""},
        {"name": "weather", "reads": ["date", "temperature", "rain"], "ignores": [], "fold": ""},
    ]
    assert origins(found) == {"weather": ("2026-02-01",), "sales": ("2026-02-01",)}
    weather, sales = found["origins"]
    assert [file["path"] for file in sales["files"]] == ["data/sales/2026-02-01.csv"]
    assert (weather["rows"], weather["runs"], weather["changed"]) == (1, [run["id"]], False)
    assert weather["columns"] == ["date", "temperature", "rain"]
    assert [(r["run"], r["command"]) for r in found["runs"]] == [(run["id"], "tidemill run")]


def test_as_text(built: Path) -> None:
    told = tidemill("explain", "sales", "2026-01-05").out
    assert told.startswith("sales 2026-01-05: ingest at bakery.py:")
    assert "35 rows, 1 quarantined; published " in told
    assert "  quarantine: sold.min: 1 of 36 values" in told
    assert "\n  key " in told
    assert ", judged by its source and how it reads it: contract " in told
    assert "sales from data/sales/2026-01-05.csv (" in told
    assert "`tidemill run` on " in told


def test_many_partitions_and_many_files(built: Path) -> None:
    told = tidemill("explain", "features").out
    assert told.startswith("features 2026-01-05 .. 2026-02-01 (28): transform")
    assert ", and 23 more" in told
    assert "\n  key " not in told
    assert len(explained("features")["origins"][0]["files"]) == 28


def test_the_columns_that_are_read(built: Path) -> None:
    told = tidemill("explain", "features").out
    assert ", judged by its query: 7 columns, contract " in told
    assert [line.split() for line in told.split("\n\n")[2].split("\n")] == [
        ["reads", "of", "columns", "not", "read"],
        ["sales", "date,", "shop,", "hour", "sold"],
        ["weather", "date,", "temperature,", "rain", "-"],
    ]
    assert ", judged by its declaration: inputs " in tidemill("explain", "forecast").out
    assert ", judged by its code: code " in tidemill("explain", "demand").out


def test_nothing_published(fresh: Path) -> None:
    told = tidemill("explain", "features").out
    assert "nothing is published yet" in told
    assert "\n  input " not in told
    assert origins(explained("features")) == {}


class TestColumn:
    def test_taken_over_as_it_was(self, built: Path) -> None:
        column = explained("features", "2026-02-01", "shop")["column"]
        assert column["same_as"] == ["sales.shop"]
        assert (column["type"], len(column["history"])) == (
            "Enum('harbour', 'market', 'station')",
            1,
        )

    def test_computed(self, built: Path) -> None:
        told = tidemill("explain", "features", "2026-02-01", "weekday").out
        assert "column weekday: Int64, 1 is Monday\n  values " in told
        assert ": computed here\n  changed to " in told

    def test_history(self, built: Path) -> None:
        """Its values are others after the second run, its neighbours' are not."""
        edit(built / "bakery.py", PLAIN, 'pl.col("rain") + 1,\n        shop_code')
        assert tidemill("run", "features").code == 0
        rain = explained("features", "2026-02-01", "rain")["column"]["history"]
        newest = tidemill("runs", "--limit", "1", "--json").document["runs"][0]["id"]
        assert len({version["hash"] for version in rain}) == 2
        assert rain[1]["run"] == newest
        assert len(explained("features", "2026-02-01", "hour")["column"]["history"]) == 1

    def test_down_to_the_files(self, built: Path) -> None:
        found = explained("labels", "2026-02-01", "loaves")
        assert found["column"]["lineage"] == [
            {"stage": "labels", "column": "loaves", "reads": {"sales": ["sold"]}, "opaque": ""},
            {"stage": "sales", "column": "sold", "reads": {}, "opaque": ""},
        ]
        [sales] = found["origins"]
        assert (sales["stage"], sales["columns"]) == ("sales", ["sold"])
        told = [line.split() for line in tidemill("explain", "labels", "loaves").out.split("\n")]
        assert ["labels.loaves", "sales:", "sold"] in told
        assert ["sales.sold", "its", "files"] in told
        assert (
            "sales from data/sales/2026-01-05.csv (" in tidemill("explain", "labels", "loaves").out
        )

    def test_of_an_ingest(self, built: Path) -> None:
        told = tidemill("explain", "sales", "2026-02-01", "sold").out
        assert "depends on" not in told
        assert "sales from data/sales/2026-02-01.csv (" in told

    def test_through_a_stage_that_is_judged_by_its_code(self, built: Path) -> None:
        opaque(built)
        told = tidemill("explain", "labels", "loaves").out
        assert "labels.loaves  sales: date, shop, hour, sold" in told
        why = "it collects sales when it is called"
        assert (
            f"  labels is judged by its code ({why}), so it depends on all columns of its inputs"
            in told
        )
        assert f"judged by its code (opaque: {why}): code " in tidemill("explain", "labels").out

    def test_of_all_partitions(self, built: Path) -> None:
        told = tidemill("explain", "features", "weekday").out
        assert told.startswith("features 2026-01-05 .. 2026-02-01 (28): transform")
        assert "column weekday: Int64, 1 is Monday\n  add a PARTITION to see" in told


class TestModels:
    def test_what_it_was_trained_on_and_what_its_gates_said(self, built: Path) -> None:
        found = explained("demand")
        assert found["live"] == found["artifact"]["id"]
        [decision] = found["decisions"]
        assert decision["approved"] is True
        assert [result["gate"].partition("(")[0] for result in decision["results"]] == [
            *("beats_live", "beats_baseline"),
            "no_slice_worse",
        ]
        partitions = origins(found)
        assert list(partitions) == ["labels", "features", "weather", "sales"]
        assert {len(keys) for keys in partitions.values()} == {21}
        told = tidemill("explain", "demand").out
        assert f"model {found['live']} is live; parameters " in told
        assert "  approved by gates at " in told
        assert "    passed beats_baseline(mae): " in told

    def test_one_that_was_stopped(self, built: Path) -> None:
        live = explained("demand")["live"]
        edit(built / "bakery.py", '"learning_rate": 0.1', '"learning_rate": 0.001')
        assert tidemill("run", "--train", "demand").code == 4
        told = tidemill("explain", "demand").out
        assert f"is not live (live: {live}); parameters " in told
        assert "  refused by gates at " in told
        assert "    FAILED beats_live(mae): " in told

    def test_scores(self, built: Path) -> None:
        partitions = origins(explained("demand_scores", "live"))
        assert partitions["demand"] == ("all",)
        # The newest week was scored, and the three before were trained on.
        assert len(partitions["features"]) == 28

    def test_a_delivery_names_the_model_that_scored_it(self, built: Path) -> None:
        live = explained("demand")["live"]
        found = explained("forecast", "2026-02-01")
        assert found["model"] == live
        assert origins(found)["demand"] == ("all",)
        assert "2026-02-01" in origins(found)["features"]
        assert f"\nscored by model {live}\n" in tidemill("explain", "forecast", "2026-02-01").out


def test_what_changed_since(built: Path) -> None:
    edit(built / "bakery.py", "weekday=pl.col", "weekday=1 + pl.col")
    told = tidemill("explain", "features", "2026-02-01").out
    assert "\n  changed since: the expression for `weekday` changed\n" in told


def test_a_contract_that_checks_something_else_since(built: Path) -> None:
    edit(built / "bakery.py", "min=30)", "min=31)")
    assert "\n  changed since: the checks of its contract changed\n" in (
        tidemill("explain", "sales", "2026-02-01").out
    )


def test_what_is_never_reused(built: Path) -> None:
    edit(
        built / "bakery.py",
        "    return sales.select(*HOUR,",
        "    import time\n\n    time.time()\n    return sales.select(*HOUR,",
    )
    assert "\n  never reused: it reads the clock" in tidemill("explain", "labels").out


def test_an_input_that_changed_since(built: Path) -> None:
    file = built / "data" / "sales" / "2026-02-01.csv"
    rows = file.read_text().split("\n")
    file.write_text("\n".join([*rows[:1], rows[1].rpartition(",")[0] + ",99", *rows[2:]]))
    assert tidemill("run", "sales").code == 0
    found = explained("features", "2026-02-01")
    # Another number of loaves is nothing to a stage that doesn't read it.
    assert not any(origin["changed"] for origin in found["origins"])
    assert "changed since" not in tidemill("explain", "features", "2026-02-01").out
    [sales] = explained("labels", "2026-02-01")["origins"]
    assert (sales["changed"], sales["changed_columns"]) == (True, ["sold"])
    told = tidemill("explain", "labels", "2026-02-01").out.split("\n")
    place = next(number for number, line in enumerate(told) if line.startswith("  input "))
    assert told[place].endswith("  changed since")
    assert told[place + 1].endswith("  sold")
    assert len(explained("labels", "2026-02-01")["runs"]) == 2
    [shop] = explained("labels", "2026-02-01", "shop")["origins"]
    assert not shop["changed"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["featres"], "did you mean 'features'?"),
        (["features", "2020-01-01"], "there is 2026-01-05 .. 2026-02-01 (28)"),
        (
            ["features", "2026-02-01", "rian"],
            "Features has no column 'rian' (did you mean 'rain'?)",
        ),
        (["demand", "all", "mae"], "demand is a model: it has no contracted columns"),
    ],
)
def test_not_there(built: Path, arguments: list[str], told: str) -> None:
    ended = tidemill("explain", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err


def test_not_there_yet(fresh: Path) -> None:
    ended = tidemill("explain", "features", "2026-02-01")
    assert "there is nothing published yet; run `tidemill run features`" in ended.err


def test_what_was_only_seen_while_it_ran() -> None:
    found = Explanation(
        stage="labels",
        kind=Kind.TRANSFORM,
        place="bakery.py:70",
        contract="Labels 1.0.0",
        recipe="0123456789abcdef",
        recipe_parts={"code": "d" * 32},
        judged_by="code",
        opaque="it collects sales when it is called",
        unproven=("it reads the clock: time.time (bakery.py:71)",),
        reads=(InputFacts(name="sales", reads=(), ignores=("sold",), fold="by town: n=count()"),),
        touched=(
            "it reads the clock: time.time (bakery.py:71)",
            "it reads the environment: os.environ (tables.py:9)",
        ),
    )
    told = render(found).split("\n")
    assert told[4:6] == [
        "  never reused: it reads the clock: time.time (bakery.py:71)",
        "  never reused: when it ran, it reads the environment: os.environ (tables.py:9)",
    ]
    assert told[-2].split() == ["sales", "(number", "of", "rows)", "sold"]
    assert told[-1] == "  sales is folded by town: n=count()"
