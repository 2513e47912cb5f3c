"""What a served prediction costs, against a bare ASGI application and other servers with the same model.

CPU microseconds are those of all processes of a server per request; servers are asked in turns in one
sitting, and judged by ratios, because these stay the same on a busy machine. It needs wrk
(`apt-get install wrk`) and Linux.

`python -m bench.serving --peers` installs the other servers under build/peers, and measures them, too.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import peers
from bench.common import Row, drive
from bench.http_load import Load, Target, memory_mb, send, tree_cpu_s
from bench.lane_serving import CORES, TRAINING, begin_training
from bench.lane_speed import LONG_S, bench_lane, finals
from bench.metering import cost_of_metering
from bench.open_load import Sent, send_at, send_at_random
from bench.serving_targets import (
    bare,
    binary_body,
    featured_body,
    infer_body,
    model_file,
    named_body,
    ours,
    project,
    retrain,
)

ROUNDS, LASTS_S = 3, 1
CONNECTIONS = (1, 16, 64)
BOOSTER, RUNNER = "bare ASGI, booster", "bare ASGI, runner"
# CPU of a request as a share of theirs, at most.
PEER_GOALS = {
    "KServe": 0.25,
    "MLServer": 0.25,
    "LitServe": 0.15,
    "BentoML": 0.1,
    "MLflow": 0.1,
    "Ray Serve": 0.1,
}
SWAPS, SWAP_EVERY_S = 100, 0.3
OVERLOAD, USED, FLOOD_S, CALM_S = 3.0, 0.85, 20.0, 8.0
# So many that one is free for each request that is due: those that are refused have waited.
FLOOD_CONNECTIONS = 800
# Requests that take the most of a millisecond, and are called on the event loop.
DEEP_TREES, DEEP_ROWS = 1000, 18
WORKER_CONNECTIONS, GROW_TRIES = 8, 10
TRAINED_RATE, TRAINED_S = 100, 8.0


def parts_of(work: Path) -> Mapping[str, Callable[[], list[Row]]]:
    """The parts by name."""
    parts = {
        "requests": requests,
        "features": features,
        "start": start,
        "swaps": swaps,
        "overload": overload,
        "workers": workers,
        "training": training,
        "others": others,
    }
    return {
        **{name: partial(part, work) for name, part in parts.items()},
        "metering": lambda: cost_of_metering()[:1],
    }


class Sitting:
    """Loads on several servers in turns, `ROUNDS` times."""

    def __init__(self, targets: Sequence[Target], work: Path, connections: int) -> None:
        self.loads: dict[str, list[Load]] = {target.name: [] for target in targets}
        for _ in range(ROUNDS):
            for target in targets:
                self.loads[target.name].append(send(target, work, connections, LASTS_S))

    def each_us(self, name: str) -> float:
        """The median of the CPU time of a request."""
        return statistics.median(load.each_us for load in self.loads[name])

    def ratio(self, name: str, to: str, figure: Callable[[Load], float]) -> tuple[float, ...]:
        """The ratio of a figure in each round."""
        pairs = zip(self.loads[name], self.loads[to], strict=True)
        return tuple(figure(one) / figure(other) for one, other in pairs)


def _each_us(load: Load) -> float:
    return load.each_us


def _p99(load: Load) -> float:
    return load.p99_ms


def _ratio_row(
    sitting: Sitting,
    name: str,
    to: str,
    what: str,
    goal: float | None,
    figure: Callable[[Load], float] = _each_us,
) -> Row:
    found = sitting.ratio(name, to, figure)
    return Row(
        name=what, value=statistics.median(found), unit="x", goal=goal, runs=found, baseline=to
    )


def requests(work: Path) -> list[Row]:
    """One row and 100 rows, against bare applications."""
    rows: list[Row] = []
    with ExitStack() as stack:
        plain, ruled = project(work, "plain"), project(work, "ruled")
        one, _ = stack.enter_context(ours(plain, "1 row, OIP JSON"))
        rule, _ = stack.enter_context(ours(ruled, "1 row, OIP JSON, a tm.rule"))
        booster, _ = stack.enter_context(bare(plain, "booster"))
        runner, _ = stack.enter_context(bare(plain, "runner"))
        named = replace(one, name="1 row, named", path="/predict/demand", body=named_body(1))
        for connections in CONNECTIONS:
            targets = [one, booster, runner, named, rule]
            sitting = Sitting(targets, work, connections)
            at = f"c={connections}"
            rows += [
                Row(name=f"{target.name}, {at}", value=sitting.each_us(target.name), unit="us")
                for target in targets
            ]
            rows += [
                _ratio_row(sitting, one.name, BOOSTER, f"1 row, {at}", 1.3),
                _ratio_row(sitting, one.name, RUNNER, f"1 row, {at}", None),
                _ratio_row(sitting, rule.name, one.name, f"a tm.rule, {at}", None),
            ]
            if connections == 16:
                rows.append(_ratio_row(sitting, one.name, BOOSTER, f"p99, 1 row, {at}", 2.0, _p99))
        rows += _hundred(one, work)
    return rows


def _hundred(one: Target, work: Path) -> list[Row]:
    body, headers = binary_body(100)
    text = replace(one, name="100 rows, OIP JSON", body=infer_body(100))
    binary = replace(one, name="100 rows, OIP binary", body=body, headers=headers)
    sitting = Sitting([text, binary], work, 16)
    return [
        *(
            Row(name=f"{each.name}, c=16", value=sitting.each_us(each.name), unit="us")
            for each in (text, binary)
        ),
        _ratio_row(sitting, binary.name, text.name, "100 rows in binary, c=16", 0.5),
    ]


def features(work: Path) -> list[Row]:
    """One row whose features are computed with one lookup, against one without."""
    rows: list[Row] = []
    with ExitStack() as stack:
        plain, featured = project(work, "plain"), project(work, "featured")
        one, _ = stack.enter_context(ours(plain, "1 row, named"))
        one = replace(one, path="/predict/demand", body=named_body(1))
        looked, _ = stack.enter_context(ours(featured, "1 row, features="))
        looked = replace(looked, path="/predict/demand", body=featured_body())
        for connections, goal in ((1, 1000.0), (16, None)):
            sitting = Sitting([one, looked], work, connections)
            at, share = f"c={connections}", 3.0 if connections == 16 else None
            rows += [
                Row(
                    name=f"features= with a lookup, {at}",
                    value=sitting.each_us(looked.name),
                    unit="us",
                    goal=goal,
                ),
                _ratio_row(sitting, looked.name, one.name, f"features= with a lookup, {at}", share),
            ]
    return rows


def start(work: Path) -> list[Row]:
    """How long a server takes until it answers, and its memory then."""
    folder = project(work, "plain")
    took, used, shares, private = [], [], [], []
    for _ in range(ROUNDS):
        with ours(folder, "start") as (target, seconds):
            took.append(seconds)
            used.append(tree_cpu_s(target.process))
            send(target, work, 4, 1)
            share, own = memory_mb(target.process)
            shares.append(share)
            private.append(own)
    return [
        # The quickest: other work on the machine only adds to it.
        Row(
            name="ready with one model",
            value=min(took),
            unit="s",
            goal=1.0,
            runs=tuple(took),
            baseline=f"of which CPU {min(used):.2f} s",
        ),
        Row(
            name="memory (PSS)",
            value=statistics.median(shares),
            unit="MB",
            goal=75.0,
            runs=tuple(shares),
        ),
        Row(name="memory of its own", value=statistics.median(private), unit="MB"),
    ]


def swaps(work: Path) -> list[Row]:
    """Whether requests are lost while another version goes live a hundred times."""
    from tidemill.project.project import open_project

    folder = project(work, "plain")
    retrain(folder, "plain", rounds=50)
    loads: list[Load] = []
    with ours(folder, "swapped") as (target, _), open_project(folder) as opened:
        lasts_s = int(SWAPS * SWAP_EVERY_S) + 3
        client = threading.Thread(target=lambda: loads.append(send(target, work, 8, lasts_s)))
        client.start()
        for _ in range(SWAPS):
            opened.models.moves.rollback("demand")
            time.sleep(SWAP_EVERY_S)
        client.join()
    (load,) = loads
    return [
        Row(
            name=f"{SWAPS} swaps under load, lost requests",
            value=load.failed,
            unit="",
            goal=0,
            baseline=f"{load.requests:,} requests",
        )
    ]


def overload(work: Path) -> list[Row]:
    """What is answered at three times the capacity, and how quickly.

    Requests come at random times. The goal of p99 is against a server that is well used (0.85 of the
    capacity): an answer in an overload may take twice as long as what callers know from there. The beginning
    counts, in which the server finds out that it isn't a burst. Answers are counted per CPU second of the
    server, because the sender takes a core from it.
    """
    with ours(project(work / "deep", "plain", DEEP_TREES), "overload") as (target, _):
        heavy = replace(target, body=infer_body(DEEP_ROWS))
        full = send(heavy, work, 4, 3)
        capacity = full.requests / 3
        half, used = (send_at_random(heavy, capacity * share, CALM_S) for share in (0.5, USED))
        before = tree_cpu_s(target.process)
        flood = send_at_random(heavy, capacity * OVERLOAD, FLOOD_S, FLOOD_CONNECTIONS)
        used_us = (tree_cpu_s(target.process) - before) * 1e6
    answered, refused = len(flood.answered_ms), flood.statuses.get(503, 0)
    became = ", ".join(f"{count} x {status}" for status, count in sorted(flood.statuses.items()))
    at = f"{OVERLOAD:g} x capacity"
    rows = [
        Row(
            name=f"answered at {at}, per CPU second",
            value=full.each_us * answered / used_us,
            unit="x",
            goal=0.9,
            least=True,
            baseline=f"{capacity:.0f} requests/s of {full.each_us:.0f} us at capacity; {became}",
        ),
        Row(
            name="a refusal",
            value=(used_us - full.each_us * answered) / max(1, refused),
            unit="us",
            goal=30.0,
            baseline="CPU of the server beside its answers",
        ),
    ]
    for share, calm, goal in ((0.5, half, None), (USED, used, 2.0)):
        p99 = _quantile(calm, 0.99)
        rows.append(
            Row(
                name=f"p99 of those answered at {at}, to {share:g} x",
                value=_quantile(flood, 0.99) / p99,
                unit="x",
                goal=goal,
                baseline=f"{p99:.1f} ms at {share:g} x the capacity, {len(calm.answered_ms)} answers",
            )
        )
    late = sorted(flood.late_ms)
    rows.append(
        Row(
            name=f"sent later than due at {at}, p99",
            value=late[int(len(late) * 0.99)],
            unit="ms",
            baseline=f"the sender used {flood.cpu_s / flood.seconds:.0%} of a CPU",
        )
    )
    return rows


def workers(work: Path) -> list[Row]:
    """What two processes answer, against one; the sender needs a part of a core as well."""
    folder, rates = project(work / "deep", "plain", DEEP_TREES), []
    for count in (1, 2):
        with ours(folder, f"{count} processes", "--workers", str(count)) as (target, _):
            heavy = replace(target, body=infer_body(DEEP_ROWS))
            for _ in range(GROW_TRIES):
                send(heavy, work, WORKER_CONNECTIONS, 2)
                if _answering(target) == count:
                    break
            # Connections that the first process closes are opened to the other one.
            loads = [send(heavy, work, WORKER_CONNECTIONS, 3) for _ in range(ROUNDS)]
            found = _answering(target)
        if found != count:
            raise RuntimeError(f"{found} of {count} processes answer")
        rates.append(max((load.requests - load.failed) / 3 for load in loads))
    one, two = rates
    return [
        Row(name="requests/s of one process", value=one, unit="/s"),
        Row(name="requests/s of two processes", value=two, unit="/s"),
        Row(name="two processes to one", value=two / one, unit="x", goal=1.0, least=True),
    ]


def _answering(target: Target) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{target.port}/status", timeout=10) as reply:
        return len(json.load(reply)["processes"])


def training(work: Path) -> list[Row]:
    """The p99 of served predictions while a training wants every core."""
    alone, beside = Sent(), Sent()
    with (
        ours(project(work, "plain"), "trained") as (target, _),
        bench_lane(max_workers=CORES, idle_s=LONG_S, classes=TRAINING) as lane,
    ):
        send_at(target, TRAINED_RATE, 1.0)
        for turn in range(2):
            alone.answered_ms += send_at(target, TRAINED_RATE, TRAINED_S).answered_ms
            begun = work / f"training {turn}"
            begin_training(lane, "training", begun, TRAINED_S)
            beside.answered_ms += send_at(target, TRAINED_RATE, TRAINED_S).answered_ms
            (_,) = finals(lane, 1)
    quiet, busy = _quantile(alone, 0.99), _quantile(beside, 0.99)
    return [
        Row(
            name="p99 while a training wants every core",
            value=busy / quiet,
            unit="x",
            goal=1.5,
            baseline=f"{busy:.2f} ms against {quiet:.2f} ms without",
        )
    ]


def _quantile(sent: Sent, share: float) -> float:
    found = sorted(sent.answered_ms)
    return found[min(len(found) - 1, int(len(found) * share))] if found else float("inf")


def others(work: Path) -> list[Row]:
    """One row on other servers, one after the other, each in turns with ours; see `--peers`."""
    folder = project(work, "plain")
    model, rows = model_file(folder), []
    with ours(folder, "ours") as (target, _):
        for name, goal in PEER_GOALS.items():
            what = f"1 row, c=16, against {name}"
            if not peers.is_installed(name):
                rows.append(_missing(name, "it is not installed: --peers does"))
                continue
            try:
                with peers.peer(name, model, work) as (peer, seconds):
                    rows += _against(target, peer, seconds, what, goal, work)
            except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
                rows.append(_missing(name, str(error).strip().splitlines()[-1]))
    return rows


def _missing(name: str, why: str) -> Row:
    return Row(name=f"{name} was not measured", value=0, unit="", baseline=why)


def _against(
    target: Target, peer: Target, seconds: float, what: str, goal: float, work: Path
) -> list[Row]:
    sitting = Sitting([target, peer], work, 16)
    ratio = _ratio_row(sitting, target.name, peer.name, what, goal)
    us, (memory, _) = sitting.each_us(peer.name), memory_mb(peer.process)
    told = f"{us:.0f} us a request, ready after {seconds:.1f} s, {memory:.0f} MB"
    return [replace(ratio, baseline=told)]


if __name__ == "__main__":
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    chosen = [argument for argument in sys.argv[1:] if argument != "--peers"]
    with_peers = len(chosen) < len(sys.argv) - 1
    if with_peers:
        peers.install()
    drive("serving", chosen, parts_of, asked=() if with_peers else ("others",))
