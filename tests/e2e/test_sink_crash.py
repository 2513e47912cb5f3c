"""Real sinks and kill -9 at any line of a delivery: each partition once, and whole versions only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import polars as pl
import pytest

from tests.support.servers import postgres_server
from tests.support.sinks import new_catalog, read_table
from tests.support.tides import FIRST, Tides, day
from tidemill.ledger.event import EffectDone, EffectQueued

REPOSITORY = Path(__file__).parents[2]
DAYS = 3
# A soak kills more runs.
KILLS = 30 if "SOAK_SECONDS" in os.environ else 4
FLOW = """
import polars as pl
import tidemill as tm


class Raw(tm.Contract, key=("day", "id")):
    day = tm.Date(partition="1d")
    id = tm.Int64()
    x = tm.Float64()


flow = tm.Workflow("tides")


@flow.ingest
def raw() -> tm.Source[Raw]:
    return tm.files("data/*.parquet", on_missing="remove")


def send(delivery: tm.Call) -> None:
    import json

    x = None if delivery.frame is None else delivery.frame["x"][0]
    with open("CALLS", "a") as calls:
        calls.write(json.dumps([delivery.key, delivery.partition, x]) + "\\n")


flow.table("out", stage=raw, sink=SINK)
"""
SINKS = {
    "parquet": 'tm.parquet("out")',
    "sqlite": 'tm.sqlite("out.db", "out")',
    "duckdb": 'tm.duckdb("out.duckdb", "out")',
    "postgres": 'tm.postgres("env:SINK_URL", "out")',
    "delta": 'tm.delta("out")',
    "iceberg": 'tm.iceberg("marts.out", uri="sqlite:///catalog.db")',
    "call": "tm.call(send)",
}
ATOMIC = ("sqlite", "duckdb", "postgres", "delta", "iceberg")


@pytest.fixture
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.node.callspec.params["format"] != "postgres":
        yield ""
        return
    with postgres_server() as found:
        monkeypatch.setenv("SINK_URL", found)
        yield found


class Shore:
    """A project that delivers one stage, and what a reader of its sink finds."""

    def __init__(self, root: Path, format: str, url: str) -> None:
        self.format, self.url, self.root = format, url, root
        text = FLOW.replace("SINK)", f"{SINKS[format]})").replace("CALLS", str(root / "calls"))
        self.tides = Tides(root, text)
        (root / "flow.txt").write_text(text)
        if format == "iceberg":
            new_catalog(root)
        self.wanted: dict[str, list[float]] = {}

    def change(self, number: int) -> None:
        """Other values on all days but one, which goes or returns."""
        self.wanted = {}
        for count in range(DAYS):
            path = self.root / "data" / f"{day(count)}.parquet"
            path.unlink(missing_ok=True)
            if count != number % DAYS:
                days = pl.Series("day", [FIRST] * 2).dt.offset_by(f"{count}d")
                rows = pl.DataFrame({"day": days, "id": [1, 2], "x": [float(number)] * 2})
                self.tides.put(path.name, rows)
                self.wanted[day(count)] = [float(number)] * 2

    def run(self, nth: int) -> tuple[int, str]:
        """A run that dies at its n-th line in the sink."""
        child = subprocess.run(
            [sys.executable, "-m", "tests.e2e.sink_child", str(self.root), str(nth)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=False,
        )
        assert child.returncode in (0, -signal.SIGKILL), child.stderr
        return child.returncode, child.stdout

    def read(self) -> dict[str, list[float]]:
        """The values of each partition, as a reader finds them now."""
        if self.format == "parquet":
            paths = sorted((self.root / "out").glob("*.parquet"))
            return {path.stem: pl.read_parquet(path)["x"].to_list() for path in paths}
        if self.format == "call":
            return self._called()
        frame = read_table(
            self.format, self.root, self.url, "marts.out" if self.format == "iceberg" else "out"
        )
        if frame is None:
            return {}
        found: dict[str, list[float]] = {}
        for partition, x in (
            frame.select("tidemill_partition", "x").sort("tidemill_partition").rows()
        ):
            found.setdefault(partition, []).append(x)
        return found

    def calls(self) -> list[tuple[str, str, float | None]]:
        path = self.root / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(json.loads(line)) for line in lines]

    def _called(self) -> dict[str, list[float]]:
        """What a receiver has that takes each key once."""
        seen, found = set[str](), dict[str, list[float]]()
        for key, partition, x in self.calls():
            if key not in seen:
                seen.add(key)
                found.pop(partition, None)
                if x is not None:
                    found[partition] = [x, x]
        return dict(sorted(found.items()))


def check_kills(shore: Shore, kills: int) -> None:
    rng = Random(kills)
    shore.change(0)
    _, printed = shore.run(0)
    lines = int(printed)
    assert lines > 20
    assert shore.read() == shore.wanted
    died = 0
    for number in range(1, kills + 1):
        before = shore.read()
        shore.change(number)
        # Evenly over the delivery, with some chance; a killed run has a second one that dies as well.
        nth = max(1, int((number - rng.random()) * lines / kills))
        for again in range(1 + number % 2):
            code, _ = shore.run(nth if not again else rng.randrange(1, lines))
            died += code != 0
            if shore.format in ATOMIC:
                assert shore.read() in (before, shore.wanted)
        receipt = shore.tides.run()
        assert receipt.exit_code == 0, receipt.messages
        assert shore.read() == shore.wanted
        assert shore.tides.ok() == {}
    assert died >= kills * 2 // 3
    events = shore.tides.events("EffectQueued", "EffectDone")
    queued = [event.effect.key for event in events if isinstance(event, EffectQueued)]
    done = [event.key for event in events if isinstance(event, EffectDone)]
    assert len(set(queued)) == len(queued)
    assert sorted(queued) == sorted(done)
    with shore.tides.open() as project:
        assert project.state().pending_effects == ()
        found = project.stored_state.verify()
    assert found.problems == ()
    if shore.format == "call":
        # Only the call at which a run died is repeated.
        repeats = Counter(key for key, _, _ in shore.calls())
        assert sum(repeats.values()) - len(repeats) <= died
        assert set(repeats) == set(queued)


@pytest.mark.parametrize("format", ["sqlite", "delta", "call"])
def test_a_run_that_is_killed_while_it_delivers(tmp_path: Path, format: str, url: str) -> None:
    check_kills(Shore(tmp_path, format, url), 2)


@pytest.mark.slow
@pytest.mark.parametrize("format", SINKS)
def test_runs_that_are_killed_at_many_lines(tmp_path: Path, format: str, url: str) -> None:
    # Its catalog makes Iceberg slow.
    check_kills(Shore(tmp_path, format, url), KILLS // 2 if format == "iceberg" else KILLS)
