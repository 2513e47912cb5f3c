"""The servers that `bench.serving` compares: ours with its endpoints, and bare ASGI applications."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.common import BENCH, PYTHON, measure
from bench.http_load import COUNT, Target, free_port, running
from bench.served_workflow import FEATURES, NUMBERS, build, request_row

ROOT = BENCH.parent
VARIABLES = {
    "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
    "OMP_NUM_THREADS": "1",
}
INFER = "/v2/models/demand/infer"
BINARY = "application/octet-stream"


def project(work: Path, endpoint: str, rounds: int = 100) -> Path:
    """The folder of a project with a live model, made when it is first asked for."""
    folder = work / endpoint
    if not folder.exists():
        build(folder, endpoint, rounds)
        measure([PYTHON, "-m", "tidemill", "run", "--inline"], folder, variables=VARIABLES)
    return folder


def retrain(folder: Path, endpoint: str, rounds: int) -> None:
    """Train another version of the model of a project, and let it go live."""
    build(folder, endpoint, rounds)
    command = [PYTHON, "-m", "tidemill", "run", "--inline", "--train", "demand"]
    measure(command, folder, variables=VARIABLES)


def model_file(folder: Path) -> Path:
    """The live model of a project, as a file of LightGBM."""
    from tidemill.project.project import open_project

    path = folder / "model.txt"
    with open_project(folder) as opened:
        artifact = opened.state().live["demand"].artifact
        path.write_bytes(opened.tools.artifacts.get(artifact.object))
    return path


def infer_body(rows: int) -> bytes:
    """A request of the Open Inference Protocol in JSON."""
    row = request_row()
    inputs = [
        {
            "name": name,
            "shape": [rows],
            "datatype": "BYTES" if name == "kind" else "FP64",
            "data": [row[name]] * rows,
        }
        for name in FEATURES
    ]
    return json.dumps({"inputs": inputs}, separators=(",", ":")).encode()


def binary_body(rows: int) -> tuple[bytes, Mapping[str, str]]:
    """The same request with binary tensors, which asks for a binary reply, and its headers."""
    import numpy as np

    row, inputs, data = request_row(), [], []
    for name in FEATURES:
        if name == "kind":
            payload = (len(row[name]).to_bytes(4, "little") + row[name].encode()) * rows
        else:
            payload = np.full(rows, row[name]).tobytes()
        inputs.append(
            {
                "name": name,
                "shape": [rows],
                "datatype": "BYTES" if name == "kind" else "FP64",
                "parameters": {"binary_data_size": len(payload)},
            }
        )
        data.append(payload)
    document = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    head = json.dumps(document, separators=(",", ":")).encode()
    headers = {"Content-Type": BINARY, "Inference-Header-Content-Length": str(len(head))}
    return head + b"".join(data), headers


def named_body(rows: int, **more: Any) -> bytes:
    """Named rows in JSON."""
    row = {**request_row(), **more}
    return json.dumps([row] * rows, separators=(",", ":")).encode()


def featured_body() -> bytes:
    """A row whose last feature is looked up; each request has another key."""
    row = {"day": "2024-01-18", **request_row()}
    del row[NUMBERS[-1]]
    body = json.dumps([{"id": 0, **row}], separators=(",", ":")).encode()
    return body.replace(b'"id":0', b'"id":' + COUNT)


@contextmanager
def ours(folder: Path, name: str, *arguments: str) -> Iterator[tuple[Target, float]]:
    """Serve a project; yield it with a request of one row, and the seconds until it was ready."""
    port = free_port()
    command = [PYTHON, "-m", "tidemill", "serve", "--port", str(port), *arguments]
    with running(command, folder, port, variables=VARIABLES, ready="/v2/health/ready") as (
        process,
        seconds,
    ):
        yield (
            Target(name=name, process=process, port=port, path=INFER, body=infer_body(1)),
            seconds,
        )


@contextmanager
def bare(folder: Path, way: str) -> Iterator[tuple[Target, float]]:
    """Run a bare application with the live model of a project; see `bare_asgi.py`."""
    port = free_port()
    command = [PYTHON, str(BENCH / "bare_asgi.py"), str(folder), str(port), way]
    with running(command, folder, port, variables=VARIABLES) as (process, seconds):
        yield (
            Target(
                name=f"bare ASGI, {way}", process=process, port=port, path="/", body=infer_body(1)
            ),
            seconds,
        )
