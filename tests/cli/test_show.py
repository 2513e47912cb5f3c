"""`tidemill show`: rows, artifacts, scores."""

from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill
from tidemill.project.models import Models
from tidemill.testing import records


class TestRows:
    def test_a_partition(self, built: Path) -> None:
        told = tidemill("show", "sales", "2026-01-05").out.split("\n")
        assert told[0].startswith(
            "sales 2026-01-05: ingest, contract Sales 1.0.0, 35 rows, 1 quarantined, "
        )
        assert told[2].split() == ["column", "type", "nulls", "min", "max", "distinct", "contract"]
        assert told[5].split() == [
            *("hour", "Int64", "-", "7", "18", "12"), *("never", "null,", ">=", "7,", "<=", "18"),
        ]  # fmt: skip
        assert told[8].split() == ["date", "shop", "hour", "sold"]
        assert told[-2].startswith("- 2026-01-05 quarantine: sold.min: 1 of 36 values")

    def test_a_name_that_is_not_unicode_is_no_damage(self, built: Path) -> None:
        ended = tidemill("show", "sales", "\udcff")
        assert ended.code == 2
        assert ended.err.startswith(
            "error: sales has no partition '\\udcff'; there is 2026-01-05 .. "
        )

    def test_all_partitions(self, built: Path) -> None:
        told = tidemill("show", "features", "--rows", "2").out
        assert told.startswith("features 2026-01-05 .. 2026-02-01 (28): transform, ")
        assert "1,004 rows" in told
        assert told.count("2026-01-05  harbour") == 2

    def test_json(self, built: Path) -> None:
        found = tidemill("show", "features", "2026-02-01", "--rows", "1", "--json").document
        assert found["schema"] == "tidemill.show/1"
        assert (found["stage"], found["kind"], found["partition"]) == (
            *("features", "transform"),
            "2026-02-01",
        )
        assert (found["partitions"], found["rows"]) == (["2026-02-01"], 36)
        assert found["columns"][2] == {
            "name": "hour",
            "type": "Int64",
            "rows": 36,
            "nulls": 0,
            "min": 7,
            "max": 18,
            "unique": 12,
            "contract": "never null, >= 7, <= 18",
        }
        assert found["head"][0]["shop"] == "harbour"

    def test_a_delivery_has_no_contract(self, built: Path) -> None:
        told = tidemill("show", "forecast", "2026-02-01").out
        assert told.startswith("forecast 2026-02-01: deliver, 36 rows")

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (["sales", "2020-01-01"], "has no partition '2020-01-01'; there is 2026-01-05 .. "),
            (["demand_scores", "nobody"], "there is baseline .. live (3)"),
            (["nothing"], "there is no stage 'nothing'"),
            (["demand", "--bad"], "demand"),
        ],
    )
    def test_not_there(self, built: Path, arguments: list[str], told: str) -> None:
        ended = tidemill("show", *arguments)
        assert told in ended.err + ended.out
        assert ended.code == (0 if "--bad" in arguments else 2)

    @pytest.mark.parametrize("stage", ["features", "demand", "demand_scores"])
    def test_not_yet(self, fresh: Path, stage: str) -> None:
        ended = tidemill("show", stage)
        assert ended.code == 2
        assert f"run `tidemill run {stage}`" in ended.err

    @pytest.mark.parametrize("options", [(), ("--bad",)])
    def test_damaged(self, built: Path, options: tuple[str, ...]) -> None:
        for path in (built / ".tidemill" / "objects").rglob("*.parquet"):
            path.write_bytes(b"PAR1 and no more PAR1")
        ended = tidemill("show", "sales", *options)
        assert "is damaged: its content doesn't match its name" in ended.err
        assert "Traceback" not in ended.err


class TestBad:
    def test_reasons_and_rows(self, built: Path) -> None:
        told = tidemill("show", "sales", "--bad", "--rows", "1").out.split("\n")
        assert told[0] == "sales: 8 quarantined rows, the first 1 below (--rows 8 shows all)"
        assert [line.split() for line in told[2:5]] == [
            ["rule", "rows"],
            ["key", "4"],
            ["sold.min", "4"],
        ]
        assert told[6].split() == ["_reasons", "date", "shop", "hour", "sold"]
        assert told[7].split() == ["sold.min", "2026-01-05", "station", "16", "-1"]
        assert len(told) == 9

    def test_none(self, built: Path) -> None:
        assert tidemill("show", "features", "2026-01-05", "--bad").out == (
            "features 2026-01-05: 0 quarantined rows\n"
        )


class TestModels:
    def test_an_artifact(self, built: Path) -> None:
        ended = tidemill("show", "demand", "--json")
        artifact = ended.document["artifact"]
        assert ended.err.startswith(f"demand {artifact['id']}: lightgbm, ")
        assert "trained on  features 2026-01-05 .. 2026-01-25 (21), labels " in ended.err
        assert len(artifact["trained_on"]["labels"]) == 21

    def test_scores(self, built: Path) -> None:
        ended = tidemill("show", "demand_scores", "--json")
        scores = ended.document["scores"]
        assert set(scores) == {"baseline", "candidate", "live"}
        assert scores["candidate"]["metrics"]["mae"] < scores["baseline"]["metrics"]["mae"]
        assert [part["value"] for part in scores["live"]["slices"]] == [
            *("harbour", "market"),
            "station",
        ]
        assert ended.err.split("\n")[2].split() == ["of", "by", "slice", "rows", "mae"]

    def test_the_threshold_of_scores(self, built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Models, "scores", lambda *_: {"live": records.scores()})
        ended = tidemill("show", "demand_scores")
        assert (
            "- live f1 judges the threshold 0.25, chosen by f1 (0.5 on 2013-03-06 to 2013-03-07)"
            in ended.out
        )
        assert tidemill("show", "demand_scores", "--json").document["scores"]["live"][
            "thresholds"
        ] == {
            "f1": {
                "value": 0.25,
                "days": ["2013-03-06", "2013-03-07"],
                "metric": "f1",
                "score": 0.5,
            }
        }

    def test_scores_of_one(self, built: Path) -> None:
        assert "baseline" not in tidemill("show", "demand_scores", "live").out


def test_what_a_verdict_found_is_shown_like_the_rest(built: Path) -> None:
    edit(
        built / "bakery.py",
        "    volume =",
        '    sold_once = tm.Unique("sold", on_fail="warn")\n    volume =',
    )
    assert tidemill("run").code == 0
    ended = tidemill("show", "sales", "2026-01-06")
    assert "- 2026-01-06 warn: sold_once: " in ended.out
    found = tidemill("show", "sales", "2026-01-06", "--json").document["findings"]
    assert "sold_once" in [finding["rule"] for finding in found["2026-01-06"]]
    assert "warn: sold_once: " in tidemill("explain", "sales", "2026-01-06").out
