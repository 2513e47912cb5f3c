"""A served model and its p99, alone and beside training that wants every core.

The server is a process that answers HTTP on 127.0.0.1, one request after the other. Requests are due at a
fixed rate, whatever became of those before, and their latency counts from when they were due.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.common import BENCH, PYTHON
from bench.lane_speed import LONG_S, bench_lane, drained, finals, task
from tidemill.adapters.lanes.process_lane import ProcessLane
from tidemill.ports.execution import Fate, WorkerClass

FEATURES = 20
RATE, LASTS_S, ROUNDS, CLIENTS = 100, 5.0, 2, 8
CORES = os.cpu_count() or 1
PATIENCE_S = 60.0
TRAINING = {"training": WorkerClass(niceness=10, deferrable=True)}


def data(rows: int) -> tuple[Any, Any]:
    """Made-up features and what is to be told from them."""
    import numpy as np

    chance = np.random.default_rng(7)
    features = chance.random((rows, FEATURES))
    return features, features @ chance.random(FEATURES) + chance.normal(0, 0.1, rows)


def fitted(rows: int, rounds: int, threads: int) -> Any:
    """A model; LightGBM."""
    import lightgbm as lgb

    features, target = data(rows)
    options = {"objective": "regression", "num_threads": threads, "verbose": -1}
    return lgb.train(options, lgb.Dataset(features, target), num_boost_round=rounds)


def train(params: bytes, inputs: tuple[str, ...] = (), output: str = "") -> bytes:
    """Fit trees for so many seconds, with as many threads as the task has CPUs; tell how many a second.

    `inputs` names the file that says that it began.
    """
    import lightgbm as lgb

    threads = int(os.environ["OMP_NUM_THREADS"])
    features, target = data(200_000)
    options = {"objective": "regression", "num_threads": threads, "verbose": -1, "num_leaves": 127}
    model = lgb.Booster(options, lgb.Dataset(features, target))
    model.update()
    Path(inputs[0]).touch()
    begun, trees = time.monotonic(), 0
    while time.monotonic() - begun < float(params):
        model.update()
        trees += 1
    return str(trees / (time.monotonic() - begun)).encode()


def serve(path: str) -> None:
    """Answer requests with a model's predictions, until killed; the port is printed first."""
    import lightgbm as lgb
    import numpy as np

    model = lgb.Booster(model_file=path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                row = np.asarray(json.loads(await reader.readexactly(length)))
                value = model.predict(row.reshape(1, -1), num_threads=1)[0]
                body = json.dumps({"prediction": value}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        except asyncio.IncompleteReadError:
            writer.close()

    async def listen() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(listen())


@contextmanager
def _served(folder: Path) -> Iterator[int]:
    """The port of a server of a small model."""
    path = folder / "model.txt"
    fitted(20_000, 100, CORES).save_model(path)
    command = [PYTHON, "-m", "bench.inside_lane", "serve", str(path)]
    server = subprocess.Popen(command, cwd=BENCH.parent, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline())
    finally:
        server.kill()
        server.wait()


def load(port: int, requests: int) -> list[float]:
    """Milliseconds from when each request was due until its answer was there."""
    found: list[float] = []
    begun = time.perf_counter() + 0.1

    def client(first: int) -> None:
        body = json.dumps([0.5] * FEATURES).encode()
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        with socket.create_connection(("127.0.0.1", port)) as stream:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in range(first, requests, CLIENTS):
                due = begun + number / RATE
                time.sleep(max(0.0, due - time.perf_counter()))
                stream.sendall(request)
                got = stream.recv(4096)
                if not got.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"the server answered {got!r}")
                found.append((time.perf_counter() - due) * 1000)

    clients = [threading.Thread(target=client, args=(first,)) for first in range(CLIENTS)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    if len(found) != requests:
        raise RuntimeError(f"{requests - len(found)} of {requests} requests had no answer")
    return found


def serving(folder: str) -> dict[str, Any]:
    """Latencies alone, beside training as in any class, and beside training in a class that gives way."""
    place, count = Path(folder), int(RATE * LASTS_S)
    latencies: dict[str, list[float]] = {"alone": [], "default": [], "training": []}
    trees: dict[str, list[float]] = {"default": [], "training": [], "unserved": []}
    with (
        _served(place) as port,
        bench_lane(max_workers=CORES, idle_s=LONG_S, classes=TRAINING) as lane,
    ):
        load(port, 100)
        for turn in range(ROUNDS):
            latencies["alone"] += load(port, count)
            for name in ("default", "training"):
                begun = place / f"{name} {turn}"
                begin_training(lane, name, begun)
                latencies[name] += load(port, count)
                (event,) = finals(lane, 1)
                trees[name].append(float(event.result))
            # What training does when nobody is served.
            (event,) = drained(lane, [training_task("training", place / f"unserved {turn}")])
            trees["unserved"].append(float(event.result))
    return {
        "latencies": {name: _quantiles(each) for name, each in latencies.items()},
        "trees": {name: statistics.mean(each) for name, each in trees.items()},
    }


def begin_training(lane: ProcessLane, name: str, begun: Path, seconds: float = LASTS_S) -> None:
    """Wait until a training of this class is at work; RuntimeError with its end if it never was."""
    lane.submit(training_task(name, begun, seconds))
    until = time.monotonic() + PATIENCE_S
    while not begun.exists():
        ended = [event for event in lane.events(0.01) if event.fate is not Fate.STARTED]
        if ended or time.monotonic() > until:
            raise RuntimeError(f"the training didn't begin: {ended}")


def training_task(name: str, begun: Path, seconds: float = LASTS_S) -> Any:
    """A training in a class of workers that wants every core; it makes the file `begun` when it began."""
    params = str(seconds).encode()
    found = task(str(begun), "nothing", params, inputs=(str(begun),), cpus=float(CORES))
    return replace(found, function="bench.lane_serving:train", worker_class=name)


def _quantiles(found: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(found, n=1000, method="inclusive")
    return {"p50": cuts[499], "p99": cuts[989], "max": max(found)}
