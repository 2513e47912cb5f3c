"""What a user's own process sees, in the project that is the current folder; one line of JSON.

inside.py run MODULE STAGE TIMES   import the module, then `tm.open().run(STAGE)` so many times
inside.py published MODULE         the content of every partition that is published
inside.py lay FOLDER               the flights data, below FOLDER
inside.py extend FOLDER FROM TO    the weather of a day once more, as that of another
inside.py unread                   another tail number for every flight, in all files
inside.py restate                  another wind speed for every hour, in all files
inside.py late FILE                the first flight of a file took off a minute later
inside.py unlike OUT               the rows that are published, against those below OUT
inside.py hashing STAGE TIMES      seconds of each part of writing the newest partitions of a stage
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def run(module: str, stage: str, times: str) -> dict[str, Any]:
    """Seconds of the import and of each run, everything from opening to closing the project."""
    sys.path.insert(0, "")
    began = time.perf_counter(), time.process_time()
    importlib.import_module(module)
    # What a run needs is imported once a process, and is no stage's cost; the rows of whole commands
    # have it.
    importlib.import_module("polars")
    importlib.import_module("tidemill.runs.io.execute")
    import tidemill as tm

    imported = time.perf_counter() - began[0], time.process_time() - began[1]
    runs = []
    for _ in range(int(times)):
        wall, cpu = time.perf_counter(), time.process_time()
        project = tm.open()
        receipt = project.run(stage)
        project.close()
        runs.append(
            {
                "wall_s": time.perf_counter() - wall,
                "cpu_s": time.process_time() - cpu,
                "ran": sum(tally.ran for tally in receipt.stages),
                "status": str(receipt.status),
            }
        )
    return {"import_wall_s": imported[0], "import_cpu_s": imported[1], "runs": runs}


def published(module: str) -> dict[str, Any]:
    """STAGE/PARTITION -> content, of all heads."""
    import tidemill as tm

    state = tm.open(workflow=f"{module}:flow").state()
    return {
        f"{stage}/{key}": binding.product.content
        for stage, head in state.heads.items()
        for key, binding in head.partitions.items()
    }


def lay(folder: str) -> dict[str, Any]:
    """How many rows were laid out."""
    from tidemill.cli.demo_data import write_daily_files

    return {"rows": write_daily_files(Path(folder)).rows}


def extend(folder: str, start: str, day: str) -> dict[str, Any]:
    """The weather of `start`, laid out as that of `day`."""
    import polars as pl

    weather = pl.read_parquet(Path(folder, f"{start}.parquet"))
    shifted = weather.with_columns(date=pl.lit(day).str.to_date())
    shifted.write_parquet(Path(folder, f"{day}.parquet"))
    return {"rows": shifted.height}


def unread() -> dict[str, Any]:
    """How many files were written anew with other tail numbers."""
    import polars as pl

    paths = sorted(Path("data", "flights").iterdir())
    for path in paths:
        flights = pl.read_parquet(path)
        flights.with_columns(pl.col("tailnum") + "X").write_parquet(path)
    return {"files": len(paths)}


def restate() -> dict[str, Any]:
    """How many files were written anew with other wind speeds."""
    import polars as pl

    paths = sorted(Path("data", "weather").iterdir())
    for path in paths:
        weather = pl.read_parquet(path)
        weather.with_columns(pl.col("wind_speed") + 1).write_parquet(path)
    return {"files": len(paths)}


def late(file: str) -> dict[str, Any]:
    """The row that was changed: the first that arrived."""
    import polars as pl

    flights = pl.read_parquet(file).with_row_index()
    row = flights.filter(pl.col("arr_delay").is_not_null())["index"][0]
    later = pl.col("dep_delay") + (pl.col("index") == row).cast(pl.Float64)
    flights.with_columns(later).drop("index").write_parquet(file)
    return {"row": row}


def unlike(out: str) -> dict[str, Any]:
    """How many rows each table of the project has that the plain script's has not, or the reverse."""
    import polars as pl

    import tidemill as tm

    found = {}
    project = tm.open()
    for stage in ("joined", "features", "daily", "total"):
        ours = project.read(stage).collect().with_columns(pl.col("origin").cast(pl.String))
        path = Path(out, f"{stage}.parquet")
        theirs = pl.read_parquet(path if path.exists() else Path(out, stage, "*.parquet"))
        theirs = theirs.select(pl.col(name).cast(dtype) for name, dtype in ours.schema.items())
        found[stage] = sum(
            one.join(other, on=ours.columns, how="anti", nulls_equal=True).height
            for one, other in ((ours, theirs), (theirs, ours))
        )
    project.close()
    return found


def hashing(stage: str, times: str) -> dict[str, Any]:
    """CPU and wall seconds of hashing, encoding and storing the 60 newest partitions, 30 at a time."""
    import tempfile

    import tidemill as tm
    from tidemill.adapters.files.artifacts import FileArtifacts
    from tidemill.analysis.hashing.column_hash import FrameHasher, rowset_hash
    from tidemill.core.fingerprint import object_name
    from tidemill.store.frames import encode_all

    project = tm.open()
    keys = sorted(project.state().heads[stage].partitions)[-60:]
    frames = [project.read(stage, key).collect() for key in keys]
    output = project.stage(stage).output
    assert output is not None
    key = output.key
    # As a run does it: what the types alone say is made once a stage.
    hasher = FrameHasher(frames[0].schema)
    spent: list[dict[str, tuple[float, float]]] = []
    for _ in range(int(times)):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            store = FileArtifacts(Path(folder))
            clock = Clock()
            for batch in (frames[:30], frames[30:]):
                payloads = clock.run("encode", encode_all, batch)
                hashed = clock.run("columns", hasher.hashes_of, batch)
                for frame, hashes, payload in zip(batch, hashed, payloads, strict=True):
                    clock.run("rows", rowset_hash, frame, key, hashes)
                    clock.run("name", object_name, payload, ".parquet")
                clock.run("store", store.put_all, [(item, ".parquet") for item in payloads])
            spent.append(clock.spent)
    project.close()
    return {"spent": spent}


class Clock:
    """Adds up CPU and wall seconds of calls, by name."""

    def __init__(self) -> None:
        self.spent: dict[str, tuple[float, float]] = {}

    def run(self, name: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns."""
        wall, cpu = time.perf_counter(), time.process_time()
        found = function(*arguments)
        took = time.process_time() - cpu, time.perf_counter() - wall
        before = self.spent.get(name, (0.0, 0.0))
        self.spent[name] = before[0] + took[0], before[1] + took[1]
        return found


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "run": run,
    "published": published,
    "lay": lay,
    "extend": extend,
    "unread": unread,
    "restate": restate,
    "late": late,
    "unlike": unlike,
    "hashing": hashing,
}

if __name__ == "__main__":
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
