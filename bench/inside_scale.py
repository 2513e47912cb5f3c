"""Makes and measures states too large to be run, in the project that is the current folder.

inside_scale.py lay HOURS       files of a thousand hours each, a row an hour; one hour has its own
inside_scale.py build           publish made-up products for every step of the workflow
inside_scale.py change          other values in the file of one hour
inside_scale.py plan TIMES      open the project and plan, so many times
inside_scale.py branch TIMES    branch off, plan there, compare, promote, drop, so many times
inside_scale.py commit SAMPLE   publish every partition of the first stage in a commit of its own

Only the products are made up: keys, bindings and what the ledger holds come from the code that a run
executes. One line of JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

START = datetime(1900, 1, 1)
HOURS_A_FILE = 1000
BATCH = 2000
ALONE = Path("data", "alone.parquet")


def lay(hours: str) -> dict[str, Any]:
    """How many rows were laid out."""
    count = int(hours)
    for first in range(0, count, HOURS_A_FILE):
        rows = [n for n in range(first, min(first + HOURS_A_FILE, count)) if n != count // 2]
        _table(rows, 0.0).write_parquet(Path("data", f"{first:09}.parquet"))
    _table([count // 2], 0.0).write_parquet(ALONE)
    return {"rows": count}


def _table(hours: Sequence[int], value: float) -> Any:
    import polars as pl

    import tidemill as tm

    output = tm.open().stage("s0").output
    assert output is not None
    at = pl.Series("at", [START + timedelta(hours=n) for n in hours], dtype=pl.Datetime("us"))
    others = [pl.lit(value + n).alias(name) for n, name in enumerate(output.names[1:])]
    return pl.DataFrame(at).with_columns(others)


def change() -> dict[str, Any]:
    """The hour that has a file of its own."""
    import polars as pl

    hour = pl.read_parquet(ALONE)["at"][0]
    _table([round((hour - START).total_seconds() / 3600)], 1.0).write_parquet(ALONE)
    half_an_hour_ago = time.time() - 1800
    os.utime(ALONE, (half_an_hour_ago, half_an_hour_ago))
    return {"at": str(hour)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The project, with all that its ingest stage sees."""

    project: Any
    plan: Any
    keys: list[str]
    fed: Mapping[str, str]

    @classmethod
    def here(cls) -> Opened:
        """Open it; the first partitions would run, the rest is left out."""
        import tidemill as tm

        project = tm.open()
        plan = project.plan(limit=1)
        fed = {key: path for path, file in plan.sources["s0"].items() for key in file.rows}
        return cls(project=project, plan=plan, keys=sorted(fed), fed=fed)

    def steps(self, number: int) -> Iterator[Any]:
        """The steps of a stage, each on its own partition of what comes before."""
        from tidemill.ledger.run import Action
        from tidemill.planning.data_stages import FILES
        from tidemill.planning.plan import Step

        for key in self.keys:
            reads = {f"s{number - 1}": (key,)} if number else {FILES: (self.fed[key],)}
            yield Step(
                stage=f"s{number}",
                partition=key,
                action=Action.RUN,
                reasons=("new partition",),
                reads=reads,
            )

    def settle(self) -> None:
        """Run, with nothing to do: that notes the files, the recipes and that all is current."""
        receipt = self.project.run()
        if any(stage.ran for stage in receipt.stages) or receipt.exit_code:
            raise RuntimeError(f"what was made up isn't current: {receipt.stages}")
        self.project.close()

    def append(self, events: Iterable[Any]) -> float:
        """Append events in large batches; the seconds that only this took."""
        rest, took = iter(events), 0.0
        while batch := list(islice(rest, BATCH)):
            began = time.perf_counter()
            self.project.tools.ledger.append(batch, now=self.project.tools.clock())
            took += time.perf_counter() - began
        return took


def pretending(
    opened: Opened,
    before: Mapping[str, Mapping[str, Any]],
    *,
    objects: bool,
    seed: int = 0,
    payload: bytes = b"",
) -> Any:
    """Steps of a stage that give made-up products, on what is bound `before` it, by stage.

    With `objects` everything that they name is stored: the `payload`, if there is one.
    """
    from tidemill.core.fingerprint import object_name
    from tidemill.history.io.log_recorder import LogRecorder
    from tidemill.ledger.binding import Product, content_of
    from tidemill.ledger.price import Price
    from tidemill.runs.io.change_decisions import ChangeDecisions
    from tidemill.runs.io.job import EngineOptions, Job, NoProgress
    from tidemill.runs.io.published_view import PublishedView
    from tidemill.runs.io.step_lifecycle import StepLifecycle
    from tidemill.runs.io.step_progress import StepInProgress
    from tidemill.runs.io.table_checks import TableChecker
    from tidemill.steps.io.step_runner import StepRunner
    from tidemill.steps.step_messages import StepCost, StepOutput

    draw = random.Random(seed)
    store = opened.project.tools.artifacts

    class Pretending(StepLifecycle):
        def _find_known(self, *_: Any) -> None:
            """Nothing is known."""

        def do(self, step: Any) -> Any:
            [begun] = self.begin([step])
            if isinstance(begun, StepInProgress):
                return self.finish(begun, _made(step), StepCost())
            return begun

    def _made(step: Any) -> StepOutput:
        columns = {name: draw.randbytes(16).hex() for name in flow[step.stage].output.names}
        given = payload or draw.randbytes(3000) if objects else b""
        name = f"{draw.randbytes(32).hex()}.parquet"
        if objects:
            name = object_name(given, ".parquet")
        elif opened.fed[step.partition] == str(ALONE):
            # What a plan would read is looked for in the store.
            [name] = store.put_all([(name.encode(), ".parquet")])
        rowset = draw.randbytes(16).hex()
        product = Product(
            content=content_of(columns, rowset),
            objects=(name,),
            columns=columns,
            rowset=rowset,
            rows=1,
            bytes=3000,
        )
        return StepOutput(product=product, objects=((given, ".parquet"),) if objects else ())

    tools, flow, recipes = opened.project.tools, opened.project.flow, opened.project.recipes
    job = Job(
        tools=tools,
        flow=flow,
        recipes=recipes,
        plan=opened.plan,
        state=opened.project.state(),
        run="made-up",
        command="bench",
        price=Price(),
        progress=NoProgress(),
        engines=EngineOptions(),
    )
    holdings = PublishedView(heads=before, live={})
    shop = StepRunner(
        tools, flow, recipes, opened.plan.environment, LogRecorder(tools.logs / "bench")
    )
    bench = TableChecker(flow, holdings, shop.frames, {}, lambda: None)
    return Pretending(job, holdings, shop, bench, lambda _: True, ChangeDecisions())


def build() -> dict[str, Any]:
    """How many partitions were published, and the seconds that appending took."""
    from tidemill.ledger.event import Published

    opened = Opened.here()
    made: dict[str, Any] = {}

    def published(number: int) -> Iterator[Any]:
        steps = pretending(opened, {f"s{number - 1}": dict(made)}, objects=False, seed=number)
        for step in opened.steps(number):
            done = steps.do(step)
            if done.publication is None or not done.attempt or done.attempt.message:
                raise RuntimeError(f"{step.id}: {done.attempt}")
            [event] = [event for event in done.publication.events if isinstance(event, Published)]
            made[step.partition] = event.binding
            yield event

    stages = len(opened.project.flow.names)
    append_s = sum(opened.append(published(number)) for number in range(stages))
    opened.settle()
    return {"partitions": stages * len(opened.keys), "append_s": append_s}


def plan(times: str) -> dict[str, Any]:
    """Seconds of opening the project and planning, each time anew, and the steps; the peak memory."""
    from tidemill.ledger.io.process_usage import peak_memory

    importlib.import_module("scaled")
    # As in inside.py: what is imported once a process is no plan's cost.
    adapters = (
        *("files.claims", "files.artifacts", "files.probes", "model_formats.lightgbm"),
        *("sinks.parquet", "sqlite.ledger"),
    )
    for name in ("project.project", *(f"adapters.{adapter}" for adapter in adapters)):
        importlib.import_module(f"tidemill.{name}")
    import tidemill as tm

    runs = []
    for _ in range(int(times)):
        wall, cpu = time.perf_counter(), time.process_time()
        project = tm.open()
        found = project.plan()
        took = time.perf_counter() - wall, time.process_time() - cpu
        runs.append({"wall_s": took[0], "cpu_s": took[1], "steps": len(found.steps)})
        shown = [f"{step.id}: {'; '.join(step.reasons)}" for step in found.steps[:3]]
        project.close()
    return {"runs": runs, "shown": shown, "peak_rss": peak_memory()}


def branch(times: str) -> dict[str, Any]:
    """Seconds of each act on an environment that is like production, of several times."""
    importlib.import_module("scaled")
    import tidemill as tm

    took: dict[str, list[float]] = {}

    def timed(name: str, act: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = act()
        took.setdefault(name, []).append(time.perf_counter() - start)
        return found

    for number in range(int(times) + 1):
        name = f"dev-{number}"
        with tm.open() as project:
            project.state()  # the ledger is open
            timed("branch", lambda: project.environments.create(name))  # noqa: B023
        with tm.open(env=name) as dev:
            if timed("plan", dev.plan).steps:
                raise RuntimeError(f"{name} isn't like production")
            timed("diff", lambda: dev.diff("prod"))
        with tm.open() as project:
            receipt = timed("promote", lambda: project.promote(name))  # noqa: B023
            if receipt.exit_code or any(stage.ran or stage.bound for stage in receipt.stages):
                raise RuntimeError(f"{name} promoted something: {receipt}")
            timed("drop", lambda: project.environments.drop([name]))  # noqa: B023
    # The first time also imports what the others find imported.
    return {name: each[1:] for name, each in took.items()}


def commit(sample: str) -> dict[str, Any]:
    """Milliseconds of the first and of the last commits, and how many there were."""
    from tidemill.ledger.io.lease_holder import this_process
    from tidemill.runs.io.lease import take_lease
    from tidemill.runs.io.publisher import Publisher

    opened = Opened.here()
    steps = pretending(opened, {}, objects=True)
    tools, environment = opened.project.tools, opened.plan.environment
    lease = take_lease(tools, environment, this_process("bench"), 0.0)
    publisher = Publisher(tools, environment, lease.lease, {}, lambda _: None)
    took = []
    for step in opened.steps(0):
        done = steps.do(step)
        wall, cpu = time.perf_counter(), time.process_time()
        publisher.send(done.publication)
        publisher.settle()
        took.append((time.perf_counter() - wall, time.process_time() - cpu))
    publisher.close()
    lease.close()
    opened.settle()
    count = int(sample)
    return {
        "commits": len(took),
        **{
            name: {
                unit: statistics.median(each[which] for each in part) * 1000
                for which, unit in enumerate(("wall_ms", "cpu_ms"))
            }
            for name, part in (("first", took[:count]), ("last", took[-count:]))
        },
    }


COMMANDS: dict[str, Callable[..., dict[str, Any]]] = {
    "lay": lay,
    "build": build,
    "change": change,
    "plan": plan,
    "branch": branch,
    "commit": commit,
}

if __name__ == "__main__":
    sys.path.insert(0, "")
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
