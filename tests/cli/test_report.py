"""`tidemill report`: one HTML file about a run, a model or a week."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill


def written(name: str) -> str:
    """A report that was written, after checks that hold for all."""
    page = Path(name).read_text(encoding="utf-8")
    assert len(page.encode()) < 500_000
    # It asks for nothing outside, and runs nothing.
    assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert not re.findall(r"<(?:script|link|img|iframe|object|form)\b", page)
    assert "default-src &#x27;none&#x27;" in page
    assert "by Tidemill; made 20" in page
    return page


def test_without_a_name_the_kinds_are_listed(built: Path) -> None:
    found = tidemill("report")
    assert found.code == 0
    assert "tidemill report last" in found.out
    assert [*built.glob("*.html")] == []
    kinds = tidemill("report", "--json").document["kinds"]
    assert "tidemill report week" in [each["command"] for each in kinds]


def test_a_run(built: Path) -> None:
    run = tidemill("runs", "--json").document["runs"][0]["id"]
    done = tidemill("report", "last", "--json")
    assert done.document["kind"] == "run"
    assert done.document["file"] == f"run-{run}.html"
    page = written(f"run-{run}.html")
    assert f"<h1>Run {run}</h1>" in page
    assert "<h2>Timeline</h2>" in page
    assert "beats_baseline(mae)" in page
    assert "<td>sold.min</td>" in page
    assert tidemill("report", run[:-3], "--out", "r.html").code == 0
    assert f"<h1>Run {run}</h1>" in written("r.html")


def test_a_run_that_failed(built: Path) -> None:
    weekday = 'pl.col("date").dt.weekday().cast(pl.Int64)'
    edit(built / "bakery.py", weekday, f"{weekday} + 100")
    assert tidemill("run").code != 0
    assert tidemill("report", "last", "--out", "r.html").code == 0
    page = written("r.html")
    assert "</svg>failed</span>" in page
    assert "What failed, and why" in page
    assert "<td>weekday.max</td>" in page


def test_a_model(built: Path) -> None:
    done = tidemill("report", "demand")
    assert re.fullmatch(r"wrote demand-\w{12}\.html: version \w{12} of demand, .*\n", done.out)
    (file,) = Path().glob("demand-*.html")
    page = written(str(file))
    assert "</svg>live</span>" in page
    assert "demand_scores: mae by day" in page
    assert "No other version was live before it." in page
    # The baseline was scored on the same rows.
    assert '<th scope="col" class="n">baseline</th>' in page
    version = file.stem.removeprefix("demand-")
    assert tidemill("report", "demand", version[:5], "--out", "m.html").code == 0
    assert "no version" in tidemill("report", "demand", "zzz").err


def test_a_week(built: Path) -> None:
    assert tidemill("report", "week").code == 0
    (file,) = Path().glob("week-*.html")
    assert "<h2>Four numbers</h2>" in written(str(file))
    assert tidemill("report", "--week", "2025-W47", "--out", "w.html").code == 0
    page = written("w.html")
    assert "bakery in prod: week 2025-W47" in page
    assert "Nothing ran." in page
    assert tidemill("report", "week", "--week", "2025-W47", "--out", "w.html").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("demnd",), "there is no run or model 'demnd' (did you mean 'demand'?)"),
        (("lst",), "did you mean 'last'?"),
        (("features",), "there is no run or model 'features' (there is: demand, last, week)"),
        (("2",), "begin with '2'"),
        (("--week", "2026-W60"), "there is no week '2026-W60': name one as in 2026-W47"),
        (("--week", "9999-W52"), "week"),
        (("--week", "x"), "there is no week 'x'"),
        (("--week", "9998-W01"), "the week 9998-W01 is still to come"),
        (("demand", "--week", "2026-W47"), "--week is only for `tidemill report week`"),
    ],
)
def test_names_that_mean_nothing(built: Path, words: tuple[str, ...], told: str) -> None:
    if words == ("2",):
        tidemill("run", "--again", "labels")
    found = tidemill("report", *words)
    assert found.code == 2
    assert told in found.err
    assert [*Path().glob("*.html")] == []


def test_a_file_that_cannot_be_written(built: Path) -> None:
    found = tidemill("report", "last", "--out", "no/r.html")
    assert found.code == 1
    assert "no/r.html can't be written" in found.err
