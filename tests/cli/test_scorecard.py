"""`tidemill scorecard`: as text, Markdown, HTML and JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.commands import edit, tidemill
from tests.support.repository import git


def test_nothing_ran(fresh: Path) -> None:
    found = tidemill("scorecard")
    assert found.code == 0
    assert "n/a: there were no predictions" in found.out


def test_the_scorecard_of_a_project(built: Path) -> None:
    edit(built / "pyproject.toml", "# cpu_hour = 0.04", "cpu_hour = 4000.0")
    found = tidemill("scorecard", "--json", "--html", "card.html").document
    assert found["schema"] == "tidemill.scorecard/1"
    assert (found["workflow"], found["environment"], found["zone"]) == ("bakery", "prod", "UTC")
    (cost,) = [each for each in found["numbers"] if each["name"] == "cost"]
    # The scores of the template are delivered as a table.
    assert cost["n"] > 1_000
    assert 0 < cost["high"] < cost["value"]
    assert cost["currency"] == "USD"
    charged = cost["value"] * cost["n"] / 1_000 + found["costs"]["other"]
    assert abs(charged / found["costs"]["spent"] - 1) < 1e-3
    page = (built / "card.html").read_text()
    assert page.count("<section") == len(found["numbers"])
    assert page.count("<svg") >= 1
    assert len(page) < 300_000
    text = tidemill("scorecard", "--window", "7d").out
    assert "COST OF 1,000 PREDICTIONS" in text
    assert "There are none." in tidemill("scorecard", "--changes").out
    markdown = tidemill("scorecard", "--markdown").out
    assert markdown.startswith("# bakery in prod: four numbers\n")
    # What is kept between commands costs only time.
    for kept in (built / ".tidemill" / "metrics").glob("*.scorecard.bin"):
        kept.unlink()
    again = tidemill("scorecard", "--json").document
    assert [each["n"] for each in again["numbers"]] == [each["n"] for each in found["numbers"]]


@pytest.mark.parametrize("command", [("scorecard",), ("note", "weekly")])
def test_an_environment_that_is_not_there(fresh: Path, command: tuple[str, ...]) -> None:
    found = tidemill(*command, "--env", "prdo")
    assert (found.code, found.out) == (2, "")
    assert "there is no environment 'prdo'" in found.err


def test_bad_options(fresh: Path) -> None:
    assert tidemill("scorecard", "--window", "soon").code == 2
    assert tidemill("scorecard", "--json", "--markdown").code == 2
    assert "can't be written" in tidemill("scorecard", "--html", "no/where.html").err


def test_changes_in_a_repository(built: Path) -> None:
    git("init", "--quiet")
    edit(built / "bakery.py", '"rain",', 'rain=pl.col("rain") * 2,')
    git("add", "bakery.py", "pyproject.toml")
    git("commit", "--quiet", "-m", "secret words")
    assert tidemill("run").code == 0
    head = git("rev-parse", "HEAD").strip()
    # The other stages were published as they are now before anybody looked.
    found = tidemill("scorecard", "--json").document
    (change,) = found["changes"]["delivered"]
    assert (change["id"], change["stages"], change["item"]) == (head, ["features"], "forecast")
    assert 0 <= change["live"] - change["committed"] < 86_400
    (number,) = [each for each in found["numbers"] if each["name"] == "deliver"]
    assert (number["n"], number["value"]) == (1, change["live"] - change["committed"])
    text = tidemill("scorecard", "--changes").out
    assert f"  {head[:10]} " in text
    assert "live as" in text
    assert "secret words" not in text
