"""What a prediction over gRPC costs, against the same over HTTP, and against grpcio that predicts nothing.

CPU microseconds are those of the server per call; servers are asked in turns in one sitting, and judged by
ratios, because these stay the same on a busy machine. HTTP is asked by wrk, gRPC by grpcio, whose client
takes most of the time of a call: so its latency is compared with that of grpcio's own server only. It needs
wrk (`apt-get install wrk`) and Linux.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench.common import BENCH, PYTHON, Row, drive
from bench.http_load import Load, Target, free_port, send, tree_cpu_s
from bench.serving_targets import binary_body, ours, project

ROUNDS, LASTS_S = 3, 2
CALLERS = (1, 16)
AIO, THREADS = "grpcio, on an event loop, no model", "grpcio, in threads, no model"


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    return {"calls": partial(calls, work)}


def message(rows: int) -> bytes:
    """The call that asks what `binary_body` does."""
    from tidemill.serving.grpc_messages import message_class

    body, headers = binary_body(rows)
    length = int(headers["Inference-Header-Content-Length"])
    inputs, at, raw = json.loads(body[:length])["inputs"], length, []
    for each in inputs:
        size = each.pop("parameters")["binary_data_size"]
        raw.append(body[at : at + size])
        at += size
    request = message_class("ModelInferRequest")
    asked: bytes = request(
        model_name="demand", inputs=inputs, raw_input_contents=raw
    ).SerializeToString()
    return asked


def call(target: Target, work: Path, callers: int, seconds: int) -> Load:
    """Call a server over gRPC."""
    before = tree_cpu_s(target.process)
    command = [PYTHON, BENCH / "grpc_load.py", target.port, callers, seconds]
    found = json.loads(
        subprocess.run(
            list(map(str, command)), input=target.body, capture_output=True, check=True
        ).stdout
    )
    used = tree_cpu_s(target.process) - before
    return Load(**found, failed=0, each_us=used / found["requests"] * 1e6)


@contextmanager
def peer(way: str, name: str) -> Iterator[Target]:
    """Run a server of grpcio."""
    port = free_port()
    command = [PYTHON, BENCH / "grpc_peer.py", port, way]
    with subprocess.Popen(list(map(str, command))) as process:
        try:
            # The client waits until it answers.
            yield Target(name=name, process=process.pid, port=port, path="", body=message(1))
        finally:
            process.kill()


def calls(work: Path) -> list[Row]:
    """Calls of one row and of 100."""
    rows: list[Row] = []
    with ExitStack() as stack:
        served, _ = stack.enter_context(ours(project(work, "plain"), "1 row, HTTP JSON", "--grpc"))
        named = {1: "1 row", 100: "100 rows"}
        over_http = {
            count: replace(served, name=f"{name}, HTTP binary", body=body, headers=headers)
            for count, name in named.items()
            for body, headers in [binary_body(count)]
        }
        over_grpc = {
            count: replace(served, name=f"{name}, gRPC", body=message(count))
            for count, name in named.items()
        }
        peers = [stack.enter_context(peer(*each)) for each in (("aio", AIO), ("threads", THREADS))]
        for callers in CALLERS:
            asked: list[tuple[Target, Callable[..., Load]]] = [
                (served, send),
                *((target, send) for target in over_http.values()),
                *((target, call) for target in (*over_grpc.values(), *peers)),
            ]
            loads: dict[str, list[Load]] = {target.name: [] for target, _ in asked}
            for _ in range(ROUNDS):
                for target, way in asked:
                    loads[target.name].append(way(target, work, callers, LASTS_S))
            rows += _rows(loads, f"c={callers}")
    return rows


def _rows(loads: Mapping[str, list[Load]], at: str) -> list[Row]:
    rows = [
        Row(
            name=f"{name}, {at}", value=statistics.median(load.each_us for load in found), unit="us"
        )
        for name, found in loads.items()
    ]
    pairs = [
        ("1 row, gRPC", AIO, "each_us"),
        ("1 row, gRPC", AIO, "p50_ms"),
        ("1 row, gRPC", "1 row, HTTP JSON", "each_us"),
        ("100 rows, gRPC", "100 rows, HTTP binary", "each_us"),
    ]
    for name, to, figure in pairs:
        found = tuple(
            getattr(one, figure) / getattr(other, figure)
            for one, other in zip(loads[name], loads[to], strict=True)
        )
        what = "CPU" if figure == "each_us" else "median latency"
        rows.append(
            Row(
                name=f"{name}, {what}, {at}", value=statistics.median(found), unit="x",
                runs=found, baseline=to,
            )
        )  # fmt: skip
    return rows


if __name__ == "__main__":
    drive("grpc_calls", sys.argv[1:], parts_of)
