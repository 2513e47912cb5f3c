"""The work of `bench.verification`, each part in a process of its own; a line of JSON tells what it took."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tidemill.adapters.files import artifacts as files
from tidemill.ports.artifacts import Artifacts
from tidemill.project.project import Project, open_project
from tidemill.store import frames, profiles, published, verification

FLOW = """import polars as pl

import tidemill as tm


class Item(tm.Contract):
    day = tm.Date(partition="1d")
    {columns}


class Total(tm.Contract):
    day = Item.day
    total = tm.Float64()


flow = tm.Workflow("verified", owner="bench")


@flow.ingest
def items() -> tm.Source[Item]:
    return tm.files("data/*.parquet")


@flow.transform
def scaled(items: tm.Frame[Item]) -> tm.Frame[Item]:
    return items.with_columns(f0=pl.col("f0") * 2)


@flow.transform
def totals(scaled: tm.Frame[Item]) -> tm.Frame[Total]:
    return scaled.group_by("day").agg(total=pl.col("f0").sum())
"""
ROOT = Path.cwd()
KINDS = {"f": "Float64", "n": "Int64", "s": "String", "b": "Bool"}


def data(rows: int, days: int) -> dict[str, Any]:
    """Write a project with a file a day, in the folder of its number of rows."""
    folder = ROOT / str(rows)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    names = [f"{kind}{number}" for kind in KINDS for number in range(5)][:19]
    columns = "\n    ".join(f"{name} = tm.{KINDS[name[0]]}()" for name in names)
    (folder / "verified.py").write_text(FLOW.format(columns=columns))
    draw = np.random.default_rng(1)
    for number in range(days):
        held: dict[str, Any] = {"day": [date(2025, 1, 1) + timedelta(days=number)] * rows}
        for name in names:
            held[name] = {
                "f": lambda: draw.normal(size=rows),
                "n": lambda: draw.integers(0, 1_000, rows),
                "s": lambda: draw.choice(["EWR", "JFK", "LGA", "BOS"], rows),
                "b": lambda: draw.random(rows) < 0.5,
            }[name[0]]()
        pl.DataFrame(held).write_parquet(folder / "data" / f"{number:03}.parquet")
    return {}


def publish(rows: int) -> dict[str, Any]:
    """Run the project, so that there is something to read; both kinds of objects are of one build."""
    for how in ("verified", "plain"):
        home = ROOT / str(rows) / ".tidemill"
        shutil.rmtree(home, ignore_errors=True)
        _run(rows, how, "items")
        kept = home.with_name(f"home-{how}")
        shutil.rmtree(kept, ignore_errors=True)
        home.rename(kept)
    return {}


def build(rows: int, how: str) -> dict[str, Any]:
    """CPU seconds of a full build."""
    shutil.rmtree(ROOT / str(rows) / ".tidemill", ignore_errors=True)
    return {"cpu_s": _run(rows, how)}


def read(rows: int, how: str) -> dict[str, Any]:
    """CPU seconds of reading all that is published: all columns, one, and one as a step does."""
    home = ROOT / str(rows) / ".tidemill"
    home.unlink(missing_ok=True)
    home.symlink_to(f"home-{how}")
    with _project(rows, how) as project:
        bound = tuple(project.workspace.state(whole=True).heads["items"].partitions.values())
        contract = project.flow["items"].output
        assert contract is not None

        def step() -> None:
            store = frames.FrameStore(project.tools.artifacts, lambda: None)
            store.require({"items": bound})
            store.load(bound, contract, reads=["f0"]).select("f0").collect()
            store.confirm(bound)

        return {
            "all": least(lambda: project.read("items").collect()),
            "one": least(lambda: project.read("items").select("f0").collect()),
            "step": least(step),
        }


def least(work: Callable[[], Any], times: int = 7) -> float:
    """The least CPU seconds of several calls."""
    took = []
    for _ in range(times):
        started = time.process_time()
        work()
        took.append(time.process_time() - started)
    return min(took)


def _run(rows: int, how: str, stage: str = "") -> float:
    with _project(rows, how) as project:
        project.recipes  # noqa: B018 - the stages are probed once, and not each time
        started = time.process_time()
        receipt = project.run(stage, inline=True)
        took = time.process_time() - started
    assert receipt.exit_code == 0, receipt.messages
    return took


def _project(rows: int, how: str) -> Project:
    if how == "plain":
        switch_off()
    folder = ROOT / str(rows)
    sys.path.insert(0, str(folder))
    os.chdir(folder)
    return open_project(folder, workflow="verified:flow")


def switch_off() -> None:
    """Neither write checksums nor check them, as before there were any."""

    def scan(
        artifacts: Artifacts,
        products: Sequence[verification.StoredProduct],
        order: Sequence[str] = (),
        *,
        alike: bool = True,
    ) -> pl.LazyFrame:
        names = [name for product in products for name, _ in product]
        return pl.scan_parquet([artifacts.uri(name) for name in names], glob=False)

    def unsealed(buffer: BytesIO) -> tuple[bytes, str]:
        return buffer.getvalue(), frames.PARQUET

    patches: list[tuple[Any, str, Any]] = [
        (verification.ObjectVerifier, "payloads", lambda self, wanted: iter(())),
        (verification.ObjectVerifier, "confirm", lambda self, names: None),
        (profiles, "verify_object", lambda *_: (None, True)),
        (published, "scan_verified", scan),
        (frames, "_sealed", unsealed),
        (files, "_is_stored", lambda path, payload: os.path.exists(path)),
    ]
    for owner, name, other in patches:
        setattr(owner, name, other)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "data": data,
    "publish": publish,
    "build": build,
    "read": read,
}

if __name__ == "__main__":
    part, *arguments = sys.argv[1:]
    print(json.dumps(PARTS[part](*(int(a) if a.isdigit() else a for a in arguments))))
