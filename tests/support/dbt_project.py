"""A project that reads models of dbt, run by an interpreter that has both: `dbt_project.py FOLDER`.

It builds the models by dbt as a user does, changes seeds and code in between, and prints as JSON what
Tidemill published and said.
"""

from __future__ import annotations

import csv
import json
import random
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

import tidemill as tm
from tidemill.core.errors import TidemillError
from tidemill.project.inference import infer_from_dbt

HERE = Path(sys.argv[1])
SHOP = HERE / "shop"
AIRPORTS = """
select code, country, name, tz, elevation::decimal(12, 3) as elevation, subd,
       '2026-03-29 01:30:00+01:00'::timestamptz as seen
from {{ ref('raw') }} where country is not null
"""
FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n"
    "seeds: {shop: {raw: {+column_types: "
    "{code: varchar, country: varchar, subd: varchar, elevation: double}}}}\n",
    "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, "
    f"path: {json.dumps(str(SHOP / 'shop.duckdb'))}, threads: 1}}}}}}\n",
    "models/airports.sql": AIRPORTS,
    "models/schema.yml": """
models:
  - name: airports
    config: {materialized: table, contract: {enforced: true}}
    columns:
      - {name: code, data_type: varchar, data_tests: [unique, not_null]}
      - {name: country, data_type: varchar}
      - {name: name, data_type: varchar}
      - {name: tz, data_type: varchar}
      - {name: elevation, data_type: "decimal(12,3)"}
      - {name: subd, data_type: varchar}
      - {name: seen, data_type: timestamptz}
""",
}
COLUMNS = ("code", "country", "name", "tz", "elevation", "subd")


class Airport(tm.Contract, version="1.0.0", key=("country", "code")):
    code = tm.String()
    country = tm.String(partition="value")
    name = tm.String()
    tz = tm.String()
    elevation = tm.Decimal(12, 3)
    subd = tm.String(nullable=True)
    seen = tm.Datetime(time_zone="UTC")


def declared(url: str, **more: Any) -> tm.Workflow:
    flow = tm.Workflow("airports")

    @flow.ingest
    def airports() -> tm.Source[Airport]:
        return tm.dbt("shop", "airports", url, max_missing=1.0, **more)

    return flow


def dbt(*arguments: str) -> bool:
    """Run a command of dbt in the shop; whether it succeeded."""
    runner: Any = import_module("dbt.cli.main").dbtRunner()
    place = ["--project-dir", str(SHOP), "--profiles-dir", str(SHOP)]
    with redirect_stdout(sys.stderr):
        found: bool = runner.invoke(["--quiet", *arguments, *place]).success
    return found


def airports() -> list[dict[str, str]]:
    """Airports of a package's data: those of five countries, with Namibia (NA)."""
    found = import_module("airportsdata").load("IATA")
    chosen = ("NA", "DE", "JP", "IS", "NZ")
    return [
        {"code": code, **{name: str(row[name]) for name in COLUMNS[1:]}}
        for code, row in found.items()
        if row["country"] in chosen
    ]


def write_seed(rows: list[dict[str, str]]) -> None:
    with (SHOP / "seeds" / "raw.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def change(drawn: random.Random, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Correct, move, add and remove some rows."""
    kept = [dict(row) for row in rows if drawn.random() > 0.01]
    for row in drawn.sample(kept, 3):
        row["elevation"] = f"{drawn.randrange(9000)}.125"
    drawn.choice(kept)["country"] = drawn.choice(["NA", "XX"])
    number = drawn.randrange(100)
    return [*kept, {**kept[0], "code": f"0{number:02}", "name": 'Ny "Æ", 飛行場'}]


def published(project: Any) -> list[list[str]]:
    frame = project.read("airports").collect()
    return sorted([str(value) for value in row] for row in frame.select(*COLUMNS, "seen").rows())


def expected(rows: list[dict[str, str]]) -> list[list[str]]:
    """The rows of the model, without dbt, DuckDB and Tidemill."""
    return sorted(
        [
            *(row[name] for name in COLUMNS[:4]),
            f"{float(row['elevation']):.3f}",
            row["subd"] or "None",
            "2026-03-29 00:30:00+00:00",
        ]
        for row in rows
    )


def run(**more: Any) -> dict[str, Any]:
    """One run, by a project that was opened anew."""
    workflow = declared(f"duckdb:///{SHOP / 'shop.duckdb'}", **more)
    project = tm.open(HERE, workflow=workflow)
    try:
        receipt = project.run(raise_on_failure=False)
        found = {"code": receipt.exit_code, "messages": list(receipt.messages)}
        found["ran"] = sum(stage.ran for stage in receipt.stages)
        try:
            return found | {"rows": published(project)}
        except TidemillError:
            return found | {"rows": []}
    finally:
        project.close()


def story() -> dict[str, Any]:
    for name, text in FILES.items():
        path = SHOP / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (SHOP / "seeds").mkdir()
    drawn, rows = random.Random(7), airports()
    write_seed(rows)
    found: dict[str, Any] = {"unbuilt": run(), "history": []}
    for _ in range(3):
        assert dbt("build")
        found["history"].append({**run(), "expected": expected(rows)})
        rows = change(drawn, rows)
        write_seed(rows)
    found["seed edited"] = run()
    dbt("parse")
    found["seed parsed"] = run()
    assert dbt("build")
    found["built again"] = {**run(), "expected": expected(rows)}
    found["contract"] = infer_from_dbt(str(SHOP), "airports").source
    assert dbt("build")
    found["same rows"] = run()
    (SHOP / "models" / "airports.sql").write_text(AIRPORTS + "and code <> 'FRA'\n")
    found["edited"] = run()
    dbt("parse")
    found["parsed"] = run()
    found["any"] = run(built=False)
    write_seed([*rows, rows[0]])
    found["duplicates built"] = dbt("build")
    found["failed test"] = run()
    (SHOP / "models" / "airports.sql").write_text("select nonsense")
    dbt("run")
    found["failed"] = run()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(story()))
