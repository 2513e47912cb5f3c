"""A project of the first days of real flights: the stages of the template `flights` that compute tables."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import polars as pl

import tidemill as tm
from tidemill.cli.demo_data import write_daily_files
from tidemill.ledger.event import Attempted
from tidemill.ledger.run import Outcome

DAYS = 6


def create_flights(folder: Path) -> Path:
    """Write the project with its data, of the first days of 2013."""
    write_daily_files(folder / "data", first=date(2013, 1, 1), last=date(2013, 1, DAYS))
    code = (files("tidemill") / "templates" / "flights" / "flights.py").read_text(encoding="utf-8")
    (folder / "flights.py").write_text(code.partition("@flow.model")[0], encoding="utf-8")
    settings = '[tool.tidemill]\nworkflow = "flights:flow"\n'
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    return folder


def review_table(folder: Path, when: str) -> None:
    """Deliver the features as a table; people have to agree to partitions for which `when` holds."""
    with (folder / "flights.py").open("a", encoding="utf-8") as code:
        code.write('flow.table("published", stage=features, sink=tm.parquet("out"))\n')
    rule = {"on": ["table"], "when": when, "message": "a person looks at it", "effect": "review"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in rule.items()]
    text = "\n".join(["[[rule]]", 'id = "looked-at"', *lines, 'approvers = ["role:admin"]\n'])
    (folder / "tidemill.rules.toml").write_text(text, encoding="utf-8")


def send_again(folder: Path, day: str, distance: pl.Expr) -> None:
    """The source sends the flights of a day once more, with other distances."""
    file = folder / "data" / "flights" / f"{day}.parquet"
    rows = pl.read_parquet(file).with_columns(distance=distance)
    file.unlink()
    rows.write_parquet(file)


def computed(folder: Path, run: str) -> set[tuple[str, str]]:
    """The stages and partitions that a run computed."""
    with tm.open(folder) as project:
        events = [fact.event for fact in project.tools.ledger.events(kinds=["Attempted"])]
    found = [one.attempt for one in events if isinstance(one, Attempted) and one.run == run]
    return {(one.stage, one.partition) for one in found if one.outcome is Outcome.OK}
