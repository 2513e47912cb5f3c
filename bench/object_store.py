"""What an object store costs: `python -m bench.object_store [PART...]`, on an S3 server of this machine.

Objects are stored and read, one batch after the other, beside the same in files; a workflow is computed
with each; and many source files are listed and fetched. The server shares the CPUs. Prints a table and
writes it to results/object_store.json.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import obstore

from bench.common import TIDEMILL, Row, Used, cpu, drive, measure, wall
from tidemill.adapters.files.artifacts import FileArtifacts
from tidemill.adapters.objectstore.artifacts import StoreArtifacts
from tidemill.adapters.objectstore.opened import open_artifacts, open_files, open_stores
from tidemill.core.fingerprint import object_name
from tools import object_store

OBJECTS, BYTES, BATCHES, STEPS = 100, 20_000, 5, 144
LIMIT = 1 << 30
FILES, FETCHED = 10_000, 1_000
_MANY = """import tidemill as tm


class Rows(tm.Contract, key=("id",)):
    id = tm.Int64()


flow = tm.Workflow("many")


@flow.ingest
def raw() -> tm.Source[Rows]:
    return tm.files("PLACE/*.csv")
"""


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name, in the order in which they are measured."""
    return {
        "objects": lambda: _objects(work),
        "workflow": lambda: _workflow(work),
        "sources": lambda: _sources(work),
    }


def _objects(work: Path) -> list[Row]:
    with ExitStack() as stack:
        far = _times(_store(stack, work, "objects"))
    near = _times(FileArtifacts(work / "files"))
    what = f"one of {OBJECTS} objects of {BYTES / 1e3:.0f} kB that are"
    return [
        Row(
            name=f"{what} {text}",
            unit="ms",
            value=statistics.median(far[key]),
            goal=goal,
            runs=tuple(far[key]),
            baseline=f"{statistics.median(near[key]):.2f} in files",
        )
        for key, text, goal in (
            ("put", "stored together", 20.0),
            ("again", "stored though they are there", None),
            ("find", "looked for", None),
            ("fetch", "fetched together", None),
        )
    ]


def _store(stack: ExitStack, work: Path, name: str) -> StoreArtifacts:
    """A store in a new S3 server, which ends with the stack."""
    os.environ.update(stack.enter_context(object_store.server()))
    url = f"s3://{object_store.BUCKET}/{name}"
    return open_artifacts(url, work / name, LIMIT, lambda: name)


def _times(artifacts: StoreArtifacts | FileArtifacts) -> dict[str, list[float]]:
    """Milliseconds for an object, of some batches."""
    found: dict[str, list[float]] = {"put": [], "again": [], "find": [], "fetch": []}
    for _ in range(BATCHES):
        objects = [(os.urandom(BYTES), ".bin") for _ in range(OBJECTS)]
        names = [object_name(*each) for each in objects]
        calls = {
            "put": lambda objects=objects: artifacts.put_all(objects),
            "again": lambda objects=objects: artifacts.put_all(objects),
            "find": lambda names=names: artifacts.find_missing(names),
            "fetch": lambda names=names: artifacts.fetch(names),
        }
        for key, call in calls.items():
            if key == "fetch" and isinstance(artifacts, StoreArtifacts):
                artifacts.cache.forget(names)
            began = time.perf_counter()
            call()
            found[key].append(1e3 * (time.perf_counter() - began) / OBJECTS)
    return found


def _workflow(work: Path) -> list[Row]:
    """A workflow of small steps, with objects in files and in a store, in turns."""
    with ExitStack() as stack:
        _store(stack, work, "unused")
        found = [
            (_run(work, f"near-{n}", ""), _run(work, f"far-{n}", f"far-{n}")) for n in range(3)
        ]
    near, far = ([pair[side] for pair in found] for side in (0, 1))
    return [
        Row(name=f"first run of {STEPS} small steps, {what}", unit="s", value=median(far),
            baseline=f"{median(near):.2f} with files")
        for what, median in (("wall", wall), ("CPU", cpu))
    ]  # fmt: skip


def _sources(work: Path) -> list[Row]:
    """Runs on many small files of one table, in a folder and in a store: the first one, and those after."""
    (work / "many").mkdir()
    with ExitStack() as stack:
        _store(stack, work, "unused")
        store = open_stores(f"s3://{object_store.BUCKET}").store

        def write(number: int) -> None:
            name, payload = f"many/{number:05}.csv", f"id\n{number}\n".encode()
            (work / name).write_bytes(payload)
            obstore.put(store, name, payload, use_multipart=False)

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(write, range(FILES)))
        near = _reads(work, "near", str(work / "many"))
        far = _reads(work, "far", f"s3://{object_store.BUCKET}/many")
        fetch = _fetch_ms(work)
    return [
        Row(name=f"one of {FETCHED:,} source files that are fetched together", unit="ms", value=fetch),
        Row(name=f"first run on {FILES:,} source files, wall", unit="s", value=far[0].wall_s,
            baseline=f"{near[0].wall_s:.2f} in a folder"),
        *(Row(name=f"run on {FILES:,} source files with nothing changed, {what}", unit="s",
              value=median(far[1:]), baseline=f"{median(near[1:]):.2f} in a folder")
          for what, median in (("wall", wall), ("CPU", cpu))),
    ]  # fmt: skip


def _reads(work: Path, name: str, place: str) -> list[Used]:
    folder = work / f"{name}-project"
    folder.mkdir()
    (folder / "many.py").write_text(_MANY.replace("PLACE", place), encoding="utf-8")
    return [measure([TIDEMILL, "-w", "many:flow", "run"], folder) for _ in range(1 + BATCHES)]


def _fetch_ms(work: Path) -> float:
    """Milliseconds for a file of those that are fetched together."""
    bucket = f"s3://{object_store.BUCKET}"
    files = open_files(bucket, work / "copies", LIMIT)
    listed = files.list_files(f"{bucket}/many/*.csv")[:FETCHED]
    began = time.perf_counter()
    files.fetch(listed)
    return 1e3 * (time.perf_counter() - began) / len(listed)


def _run(work: Path, name: str, path: str) -> Used:
    folder = work / name
    measure([TIDEMILL, "init", name], work)
    if path:
        file = folder / "pyproject.toml"
        head = "[tool.tidemill]\n"
        url = f"s3://{object_store.BUCKET}/{path}"
        text = file.read_text(encoding="utf-8").replace(head, f'{head}artifacts = "{url}"\n', 1)
        file.write_text(text, encoding="utf-8")
    return measure([TIDEMILL, "run"], folder)


if __name__ == "__main__":
    drive("object_store", sys.argv[1:], parts_of)
