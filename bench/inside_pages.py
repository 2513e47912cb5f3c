"""Makes up what the stages of the project that is the current folder published, in one large run.

inside_pages.py lay HOURS           a file with an hour a row
inside_pages.py build RUN STAGE     publish a made-up product for every hour of every stage, and log it;
                                    those of STAGE can be read

What the ledger holds comes from the code that a run executes (`inside_scale.py`). One line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any

from inside_scale import Opened, lay, pretending  # type: ignore[import-not-found]

_LINES = 5_000


def build(run: str, readable: str) -> dict[str, Any]:
    """How many partitions were published."""
    from tidemill.ledger.event import RunEnded, RunStarted
    from tidemill.ledger.run import Receipt, Status
    from tidemill.workflow.seal import dependencies

    opened = Opened.here()
    flow, environment = opened.project.flow, opened.plan.environment
    steps = len(flow.names) * len(opened.keys)
    opened.append(
        [
            RunStarted(
                run=run, environment=environment, command="tidemill run", holder={}, steps=steps
            )
        ]
    )
    made: dict[str, dict[str, Any]] = {}
    for stage in flow.stages:
        reads = [name for name in dependencies(stage) if name in made]
        shop = pretending(
            opened,
            {name: made[name] for name in reads},
            objects=stage.name == readable,
            payload=_table() if stage.name == readable else b"",
        )
        made[stage.name] = {}
        opened.append(_published(opened, run, stage.name, shop, made))
    opened.append([RunEnded(run=run, status=Status.OK, receipt=Receipt(run=run, status=Status.OK))])
    _log(opened, run, readable)
    opened.settle()
    return {"partitions": steps}


def _published(
    opened: Opened, run: str, stage: str, shop: Any, made: Mapping[str, dict[str, Any]]
) -> Iterator[Any]:
    """The events of all steps of a stage, whose bindings are noted in `made`."""
    from tidemill.ledger.event import Attempted, Published
    from tidemill.ledger.run import Action
    from tidemill.planning.data_stages import FILES
    from tidemill.planning.plan import Step
    from tidemill.workflow.seal import dependencies

    reads = dependencies(opened.project.flow[stage])
    for key in opened.keys:
        step = Step(
            stage=stage,
            partition=key,
            action=Action.RUN,
            reasons=("new partition",),
            reads={name: (key,) for name in reads} or {FILES: (opened.fed[key],)},
        )
        done = shop.do(step)
        if done.publication is None or not done.attempt or done.attempt.message:
            raise RuntimeError(f"{step.id}: {done.attempt}")
        [event] = [each for each in done.publication.events if isinstance(each, Published)]
        made[stage][key] = event.binding
        yield Attempted(run=run, environment=opened.plan.environment, attempt=done.attempt)
        yield event


def _table() -> bytes:
    import polars as pl

    found = BytesIO()
    table = pl.DataFrame({"at": [0], "c1": [1.0], "c2": [2.0]})
    table.with_columns(pl.col("at").cast(pl.Datetime("us"))).write_parquet(found)
    return found.getvalue()


def _log(opened: Opened, run: str, stage: str) -> None:
    """Lines as the steps of a stage print them."""
    from dataclasses import asdict

    from tidemill.ledger.log_line import LogLine

    folder, at = opened.project.tools.logs / run, opened.project.tools.clock()
    folder.mkdir(parents=True)
    with (folder / "1.jsonl").open("w") as file:
        for number in range(_LINES):
            key = opened.keys[number % len(opened.keys)]
            line = LogLine(
                at=at, stage=stage, partition=key, attempt=1, stream="stdout", text=f"line {number}"
            )
            file.write(json.dumps(asdict(line)) + "\n")


COMMANDS = {"lay": lay, "build": build}

if __name__ == "__main__":
    sys.path.insert(0, "")
    print(json.dumps(COMMANDS[sys.argv[1]](*sys.argv[2:])))
