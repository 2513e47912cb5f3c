"""What metering a request costs, and whether what is charged adds up to what the process used.

A server answers two endpoints under load (wrk), first one after the other, then both at once. Linux only.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from bench.common import BENCH, PYTHON, Row, drive
from bench.lane_serving import FEATURES, fitted
from bench.metered_server import HEAVY_ROWS
from tidemill.serving.io.meter import Meter, resident_memory

CALLS, ROUNDS = 20_000, 15
LASTS_S, IDLE_S = 8, 4


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    return {"cost": cost_of_metering, "sums": lambda: sums(work)}


def cost_of_metering() -> list[Row]:
    """The CPU time of the calls that a server makes for each request."""
    series = Meter().series("delays", "v1")

    def metered() -> None:
        began, started = time.monotonic_ns(), time.thread_time_ns()
        cpu_ns = time.thread_time_ns() - started
        series.record(time.monotonic_ns() - began, cpu_ns)

    def empty() -> None:
        pass

    own = [(_each_us(metered) - _each_us(empty)) for _ in range(ROUNDS)]
    meter = Meter()
    for number in range(10):
        meter.series("delays", str(number))
    return [
        Row(name="metering a request", value=min(own), unit="us", goal=3.0, runs=tuple(own)),
        Row(name="adjusting 10 series", value=_least_us(meter.adjust, 200), unit="us"),
        Row(name="memory of the process", value=_least_us(resident_memory, 50), unit="us"),
    ]


def _each_us(call: Callable[[], object], calls: int = CALLS) -> float:
    started = time.thread_time_ns()
    for _ in range(calls):
        call()
    return (time.thread_time_ns() - started) / calls / 1000


def _least_us(call: Callable[[], object], calls: int) -> float:
    return min(_each_us(call, calls) for _ in range(ROUNDS))


@dataclass(frozen=True, slots=True)
class Used:
    """What the server used in a phase: by the kernel and by its meter; by endpoint what was charged."""

    used_s: float
    metered_s: float
    requests: Mapping[str, int]
    charged_s: Mapping[str, float]
    measured_s: Mapping[str, float]
    idle_s: float

    def each_us(self, name: str) -> float:
        """The CPU time that a request to an endpoint was charged."""
        return self.charged_s[name] / self.requests[name] * 1e6

    def scaled_us(self, name: str) -> float:
        """The same if the measured parts were scaled by one factor."""
        factor = sum(self.charged_s.values()) / sum(self.measured_s.values())
        return self.measured_s[name] * factor / self.requests[name] * 1e6


def sums(work: Path) -> list[Row]:
    """Compare what was charged with the process, and alone with together."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    model = work / "model.txt"
    fitted(20_000, 100, 1).save_model(model)
    with server(model) as port:
        time.sleep(IDLE_S)
        quiet = report(port, None)
        quick = phase(port, work, quiet, "quick")
        heavy = phase(port, work, quick[1], "heavy")
        both = phase(port, work, heavy[1], "quick", "heavy")
        last = both[1]
    whole = _difference(last, None)
    alone = {"quick": quick[0], "heavy": heavy[0]}
    rows = [
        Row(
            name="charged, idle and unshared against the process",
            value=abs(whole.metered_s / whole.used_s - 1) * 100,
            unit="%",
            goal=2.0,
            baseline=f"{whole.used_s:.2f} CPU s by the kernel",
        ),
        Row(name="idle share", value=whole.idle_s / whole.used_s * 100, unit="%"),
    ]
    for name, found in alone.items():
        true = found.each_us(name)
        rows += [
            Row(name=f"a {name} request alone", value=true, unit="us"),
            Row(
                name=f"a {name} request beside the other kind, charged",
                value=both[0].each_us(name),
                unit="us",
                baseline=f"alone {true:.0f}, scaled by one factor {both[0].scaled_us(name):.0f}",
            ),
        ]
    return rows


def phase(port: int, work: Path, before: Any, *names: str) -> tuple[Used, Any]:
    """What the server used while wrk sent requests to some endpoints."""
    clients = [load(port, work, name) for name in names]
    for client in clients:
        client.wait()
    after = report(port, before)
    return _difference(after, before), after


def load(port: int, work: Path, name: str) -> subprocess.Popen[bytes]:
    rows = [[0.5] * FEATURES] * (1 if name == "quick" else HEAVY_ROWS)
    script = work / f"{name}.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = '{json.dumps(rows)}'\n")
    command = ["wrk", "-t1", "-c4", f"-d{LASTS_S}s", "-s", str(script)]
    return subprocess.Popen(
        [*command, f"http://127.0.0.1:{port}/{name}"], stdout=subprocess.DEVNULL
    )


def report(port: int, _: Any) -> Any:
    with urlopen(f"http://127.0.0.1:{port}/report") as reply:
        return json.load(reply)


def _difference(after: Any, before: Any) -> Used:
    def counts(found: Any, field: str) -> dict[str, float]:
        return {each["endpoint"]: each[field] for each in found["snapshot"]["series"]}

    def change(get: Callable[[Any], dict[str, float]]) -> dict[str, float]:
        old = get(before) if before is not None else {}
        return {name: value - old.get(name, 0) for name, value in get(after).items()}

    requests = change(lambda found: counts(found, "requests"))
    charged = change(lambda found: counts(found, "charged_ns"))
    idle = change(lambda found: counts(found, "idle_ns"))
    total = change(lambda found: {
        "used_s": found["used_s"], "unshared_ns": found["snapshot"]["unshared_ns"],
    })  # fmt: skip
    measured = change(lambda found: dict(found["measured_ns"]))
    metered_ns = sum(charged.values()) + sum(idle.values()) + total["unshared_ns"]
    return Used(
        used_s=total["used_s"],
        metered_s=metered_ns / 1e9,
        requests={name: int(count) for name, count in requests.items()},
        charged_s={name: value / 1e9 for name, value in charged.items()},
        measured_s={name: value / 1e9 for name, value in measured.items()},
        idle_s=sum(idle.values()) / 1e9,
    )


@contextmanager
def server(model: Path) -> Iterator[int]:
    command = [PYTHON, str(BENCH / "metered_server.py"), str(model)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    drive("metering", sys.argv[1:], parts_of)
