"""Measure events of OpenLineage in this process, and print the figures as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), "."]

import tidemill as tm  # noqa: E402
from tests.support.openlineage.validation import faults  # noqa: E402
from tidemill.ledger.event import RecordedEvent  # noqa: E402
from tidemill.lineage.openlineage.column_lineage import query_edges  # noqa: E402
from tidemill.lineage.openlineage.dataset_names import Dataset  # noqa: E402
from tidemill.lineage.openlineage.event_text import encode_event  # noqa: E402
from tidemill.lineage.openlineage.facets import FacetBuilder  # noqa: E402
from tidemill.lineage.openlineage.run_events import RunEvents  # noqa: E402
from tidemill.project.openlineage_settings import OpenLineageSettings  # noqa: E402
from tidemill.project.project import Project  # noqa: E402
from tidemill.reuse.recipe import Recipe  # noqa: E402

COLUMNS, DAYS, ROUNDS = 20, 20, 9
CODE = '''"""Twenty columns from files to a table: half of them as they are, half computed."""

import polars as pl

import tidemill as tm

NUMBERS = [f"c{{n}}" for n in range({numbers})]


class Raw(tm.Contract, version="1.0.0", key=("day", "id")):
    """One row per reading."""

    day = tm.Date(partition="1d")
    id = tm.Int64(min=0, description="The number of the reading.")
    for name in NUMBERS:
        vars()[name] = tm.Float64(max=1e6, unit="cm")
    del name
    any_bad = tm.Budget(max_bad=1)


class Clean(tm.Contract, version="1.0.0", key=("day", "id")):
    day, id = Raw.day, Raw.id
    for name in NUMBERS:
        vars()[name] = tm.Float64(unit="m")
    del name


flow = tm.Workflow("wide", owner="ops")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet")


@flow.transform
def clean(raw: tm.Frame[Raw]) -> tm.Frame[Clean]:
    """Convert to metres."""
    computed = [(pl.col(name) * 0.01).alias(name) for name in NUMBERS[::2]]
    return raw.filter(pl.col("c0") >= 0).with_columns(computed)


flow.table("out", stage=clean, sink=tm.parquet("out"))
'''


def write() -> None:
    Path("wide.py").write_text(CODE.format(numbers=COLUMNS - 2))
    Path("pyproject.toml").write_text('[tool.tidemill]\nworkflow = "wide:flow"\n')
    Path("data").mkdir(exist_ok=True)
    for number in range(DAYS):
        day = date(2024, 1, 1) + timedelta(days=number)
        values = {f"c{n}": [float(n), 2e6 if number % 7 == 0 else 1.0] for n in range(COLUMNS - 2)}
        frame = pl.DataFrame({"day": [day, day], "id": [0, 1], **values})
        frame.write_parquet(f"data/{day}.parquet")


@contextmanager
def project(settings: OpenLineageSettings | None) -> Iterator[Project]:
    with tm.open(".") as found:
        found.workspace.settings = replace(
            found.settings, tables={**found.settings.tables, "openlineage": settings}
        )
        yield found


def main() -> dict[str, Any]:
    write()
    files = OpenLineageSettings(file="sent.jsonl")
    with project(files) as opened:
        first = opened.run().run
    with project(files) as opened:
        opened.run("clean", again=True, since="2024-01-03", until="2024-01-05")
        opened.run()
        sent = [json.loads(line) for line in Path("sent.jsonl").read_text().splitlines()]
        facts = list(opened.tools.ledger.events())
        context = opened.openlineage.context
        count = sum(1 for _ in opened.openlineage.events(first))
        made = [one_us(lambda: make(facts, context), count) for _ in range(ROUNDS)]
    cost = [(run_ms(None), run_ms(files)) for _ in range(ROUNDS)]
    return {
        "events": len(sent),
        "invalid": sum(bool(faults(event)) for event in sent),
        "bytes": max(len(encode_event(event)) for event in sent),
        "made": made,
        "without": statistics.median(without for without, _ in cost),
        "with": [sent - without for without, sent in cost],
        "hanging": hanging_s(),
        **wide(),
    }


def make(facts: list[RecordedEvent], context: Any) -> None:
    events = RunEvents(context)
    for fact in facts:
        for make_event in events.add(fact):
            encode_event(make_event())


def one_us(call: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    call()
    return (time.process_time() - begun) * 1e6 / count


def run_ms(settings: OpenLineageSettings | None) -> float:
    """CPU milliseconds of a run that computes all days of a stage again."""
    with project(settings) as opened:
        begun = time.process_time()
        opened.run("clean", again=True, inline=True)
        return (time.process_time() - begun) * 1e3


def hanging_s() -> float:
    """Seconds that a server that never answers adds to a run."""
    go = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            go.wait(60)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    settings = OpenLineageSettings(url=f"http://127.0.0.1:{server.server_address[1]}", timeout=60)
    times = []
    for each in (None, settings):
        with project(each) as opened:
            begun = time.perf_counter()
            opened.run("clean", again=True, inline=True)
            times.append(time.perf_counter() - begun)
    go.set()
    server.shutdown()
    return times[1] - times[0]


def wide() -> dict[str, float]:
    """Bytes and CPU milliseconds of the edges of 1,000 columns that each come from 1,000 columns."""
    names = tuple(f"column_{n}" for n in range(1000))
    every = {name: {"a": names} for name in names}
    recipe = Recipe(digest="r", lineage=every, values=every, row_reads={"a": names})
    begun = time.process_time()
    edges = query_edges(FacetBuilder("urn:a"), recipe, {"a": Dataset(namespace="n", name="w.a")})
    size = len(json.dumps(edges.facet))
    return {"wide_bytes": size, "wide_ms": (time.process_time() - begun) * 1e3}


if __name__ == "__main__":
    print(json.dumps(main()))
