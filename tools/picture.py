"""Draw the pictures in docs/assets; `picture.py --check` exits 1 when one is out of date.

flights.svg shows real plans: the flights template runs on 90 days of data, then it is planned twice, after
one more day of data, and after an edit of one expression. step.svg shows the modules that a step passes
through, from its plan to its publication. The others are plots of made rows. Nothing in a picture depends
on time or machine.
"""

import ast
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from itertools import pairwise
from math import sin
from pathlib import Path

import polars as pl

import tidemill as tm
from tidemill.cli.demo_data import write_daily_files
from tidemill.drawing.document import document
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.svg import Drawing, Hue, captioned, side_by_side
from tidemill.planning.plan import Plan
from tidemill.project.project import Project
from tidemill.workflow.stage import Flow, Kind, Stage

ROOT = Path(__file__).parent.parent
ASSETS = ROOT / "docs" / "assets"
PACKAGE = ROOT / "src" / "tidemill"
TEMPLATE = files("tidemill") / "templates" / "flights"
FIRST, LAST, NEW = date(2013, 1, 1), date(2013, 3, 31), date(2013, 4, 1)
BEFORE, AFTER = "is_between(16, 20)", "is_between(15, 20)"
HUES = {
    Kind.INGEST: Hue.BLUE,
    Kind.TRANSFORM: Hue.TEAL,
    Kind.MODEL: Hue.VIOLET,
    Kind.EVALUATE: Hue.AMBER,
    Kind.DELIVER: Hue.GREEN,
}


def flights() -> str:
    """Two plans of the flights template, side by side."""
    with tempfile.TemporaryDirectory() as folder:
        edit, day = plan_changes(Path(folder))
    return document(
        side_by_side(
            [
                captioned(
                    draw_plan(*day), "A new day of data arrives", "only that day's partitions run"
                ),
                captioned(
                    draw_plan(*edit), "One expression is edited", "only what depends on it runs"
                ),
            ]
        ),
        title="Two plans of the same workflow",
        description=f"{described('After a new day of data', day[1])} "
        f"{described('After an edit of one expression in features', edit[1])}",
    )


def plan_changes(root: Path) -> tuple[tuple[Flow, Plan], tuple[Flow, Plan]]:
    """Build the workflow, then plan it after an edit, and without the edit after a new day."""
    code = (TEMPLATE / "flights.py").read_text(encoding="utf-8")
    if BEFORE not in code:
        raise SystemExit(f"the template flights.py no longer contains {BEFORE!r}")
    (root / "pyproject.toml").write_bytes((TEMPLATE / "pyproject.toml").read_bytes())
    (root / "flights.py").write_text(code, encoding="utf-8")
    write_daily_files(root / "data", first=FIRST, last=LAST)
    with fresh_project(root) as project:
        receipt = project.run()
    if receipt.exit_code:
        raise SystemExit(f"the run of the template failed: {receipt.messages}")
    (root / "flights.py").write_text(code.replace(BEFORE, AFTER), encoding="utf-8")
    edit = plan_fresh(root)
    (root / "flights.py").write_text(code, encoding="utf-8")
    write_daily_files(root / "data", first=NEW, last=NEW)
    return edit, plan_fresh(root)


def plan_fresh(root: Path) -> tuple[Flow, Plan]:
    with fresh_project(root) as project:
        return project.flow, project.plan()


def fresh_project(root: Path) -> Project:
    """The project with its module imported again from its source."""
    sys.modules.pop("flights", None)
    sys.dont_write_bytecode = True  # an edit in the same second would be hidden by old bytecode
    return tm.open(root)


def draw_plan(flow: Flow, plan: Plan) -> Drawing:
    """The stages with what the plan does to them, and the gates between a model and its users."""
    nodes, edges = list[Node](), list[tuple[str, str]]()
    for stage in flow.stages:
        nodes.append(node_of(stage, plan))
        edges += [(item.name, stage.name) for item in stage.inputs]
        if stage.approval is not None:
            gate = f"approval of {stage.name}"
            note = f"{len(stage.approval.gates)} gates"
            nodes.append(Node(name=gate, label="approval", kind="gate", note=note, quiet=True))
            edges += [(scores, gate) for scores in readers(flow, stage, Kind.EVALUATE)]
            edges += [(gate, table) for table in readers(flow, stage, Kind.DELIVER)]
    return draw_graph(Graph(nodes=nodes, edges=edges, width=140, layer_gap=32))


def readers(flow: Flow, model: Stage, kind: Kind) -> list[str]:
    return [stage.name for stage in flow.readers(model.name) if stage.kind is kind]


def node_of(stage: Stage, plan: Plan) -> Node:
    run, note = counts(stage.name, plan)
    return Node(
        name=stage.name,
        label=stage.name,
        kind=stage.kind.value,
        note=note,
        hue=HUES[stage.kind],
        quiet=not run,
    )


def counts(stage: str, plan: Plan) -> tuple[int, str]:
    """How many partitions of a stage run, and in words how many run and are up to date."""
    run, current = len(plan.by_stage().get(stage, ())), plan.current.get(stage, 0)
    for model in plan.models:
        if model.stage == stage and not run:
            return 0, "outdated, not due" if model.outdated else "up to date"
    parts = [f"{run} run" if run else "", f"{current} up to date" if current else ""]
    return run, ", ".join(part for part in parts if part)


def described(change: str, plan: Plan) -> str:
    """The plan in words, for readers who don't see the picture."""
    stages = sorted({*plan.by_stage(), *plan.current})
    return f"{change}: " + "; ".join(f"{name}: {counts(name, plan)[1]}" for name in stages) + "."


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A module on the way of a step, and what it does there."""

    module: str
    does: str
    hue: Hue


DECIDE = (
    Stop(module="planning/planner", does="which steps, and why", hue=Hue.VIOLET),
    Stop(module="planning/plan", does="steps, as a value", hue=Hue.VIOLET),
    Stop(module="runs/io/scheduler", does="order, side by side", hue=Hue.BLUE),
    Stop(module="runs/io/step_lifecycle", does="inputs and attempt", hue=Hue.BLUE),
    Stop(module="reuse/step_key", does="is the result known?", hue=Hue.AMBER),
)
COMPUTE = (
    Stop(module="runs/io/engines", does="this process or a worker", hue=Hue.BLUE),
    Stop(module="steps/io/step_runner", does="make the output", hue=Hue.TEAL),
    Stop(module="steps/io/ingest_reader", does="read the source", hue=Hue.TEAL),
    Stop(module="steps/io/data_step", does="run the query", hue=Hue.TEAL),
    Stop(module="steps/io/model_step", does="train or score", hue=Hue.TEAL),
    Stop(module="steps/io/invocation", does="call the function", hue=Hue.TEAL),
)
PUBLISH = (
    Stop(module="contracts/checks/checker", does="check every row", hue=Hue.RED),
    Stop(module="store/frames", does="encode the output", hue=Hue.GREY),
    Stop(module="runs/io/table_checks", does="rules about the table", hue=Hue.BLUE),
    Stop(module="runs/io/publisher", does="store, then commit", hue=Hue.BLUE),
    Stop(module="ports/ledger", does="append events", hue=Hue.GREEN),
)
BRANCHES = ("ingest_reader", "data_step", "model_step")


def step() -> str:
    """The modules that a step passes through, in three parts."""
    parts = {
        "1. Decide": (DECIDE, "reuse a known result"),
        "2. Compute": (COMPUTE, "in any process, from data alone"),
        "3. Check and publish": (PUBLISH, "everything, or nothing"),
    }
    drawings = [
        captioned(draw_way(stops), title, subtitle) for title, (stops, subtitle) in parts.items()
    ]
    stops = [stop for stops, _ in parts.values() for stop in stops]
    refuse_strangers([stop.module for stop in stops])
    return document(
        side_by_side(drawings),
        title="The life of a step",
        description="; ".join(f"{stop.module}: {stop.does}" for stop in stops) + ".",
    )


def draw_way(stops: Sequence[Stop]) -> Drawing:
    """Stops from top to bottom; those that are alternatives are beside each other."""
    rows: list[list[Stop]] = []
    for stop in stops:
        beside = rows and all(name(s) in BRANCHES for s in (rows[-1][0], stop))
        if beside:
            rows[-1].append(stop)
        else:
            rows.append([stop])
    nodes = [
        Node(
            name=stop.module,
            label=name(stop),
            kind=stop.module.removesuffix(f"/{name(stop)}"),
            note=stop.does,
            hue=stop.hue,
        )
        for stop in stops
    ]
    edges = [(a.module, b.module) for above, below in pairwise(rows) for a in above for b in below]
    return draw_graph(Graph(nodes=nodes, edges=edges, layer_gap=32))


def name(stop: Stop) -> str:
    return stop.module.rpartition("/")[2]


def refuse_strangers(modules: Sequence[str]) -> None:
    """SystemExit when a stop has nothing to do with those before it.

    One of the two imports the other, or another stop imports both and so leads from one to the other.
    """
    imports = {module: imports_of(PACKAGE / f"{module}.py") | {module} for module in modules}
    for i, module in enumerate(modules[1:], 1):
        known = {name for names in imports.values() if module in names for name in names}
        if known.isdisjoint(modules[:i]):
            raise SystemExit(f"no stop of the picture leads to {module}")


def imports_of(file: Path) -> set[str]:
    """The modules of Tidemill that a module imports, as paths."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = (node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {
        module.removeprefix("tidemill.").replace(".", "/") for module in found if module is not None
    }


def calibration() -> str:
    """A classifier that is a little too sure of itself."""
    return tm.plots.calibration(late_flights(), "late", day="date").svg


def over_time() -> str:
    """The error of a model and of a baseline."""
    models = {"live": delays(6.0), "baseline": delays(9.0)}
    return tm.plots.over_time(models, tm.metrics.mae("delay")).svg


def slices() -> str:
    """The error of two models by airport."""
    models = {"candidate": delays(5.5), "live": delays(6.0)}
    metric = tm.metrics.mae("delay")
    scores = {
        name: tm.scores(rows.lazy(), metric, by="origin", day="date")
        for name, rows in models.items()
    }
    return tm.plots.slices(scores).svg


def late_flights() -> pl.DataFrame:
    """Made rows of 40 days; which are late depends on their numbers only."""
    rows = range(4_000)
    predicted = [noise(n) for n in rows]
    return pl.DataFrame(
        {
            "date": [FIRST + timedelta(days=n // 100) for n in rows],
            "prediction": predicted,
            "late": [noise(n + 0.5) < 0.1 + 0.7 * p for n, p in zip(rows, predicted, strict=True)],
        }
    )


def delays(error: float) -> pl.DataFrame:
    """Made rows of 40 days at three airports, whose errors depend on their numbers only."""
    rows = range(2_400)
    airports = {"EWR": 1.0, "JFK": 0.8, "LGA": 1.2}
    names = [list(airports)[n % 3] for n in rows]
    sizes = [
        error * airports[name] * (noise(n) + noise(n // 60) / 2)
        for n, name in zip(rows, names, strict=True)
    ]
    return pl.DataFrame(
        {
            "date": [FIRST + timedelta(days=n // 60) for n in rows],
            "origin": names,
            "delay": [0.0] * len(rows),
            "prediction": sizes,
        }
    )


def noise(seed: float) -> float:
    """A number from 0 to 1 that looks random, and is the same on every machine."""
    return sin(seed * 12.9898) * 43_758.5453 % 1


PICTURES: Mapping[str, Callable[[], str]] = {
    "flights": flights,
    "step": step,
    "calibration": calibration,
    "over_time": over_time,
    "slices": slices,
}


def outdated() -> list[Path]:
    """The files that aren't what they would be drawn as now."""
    files = {ASSETS / f"{name}.svg": draw() for name, draw in PICTURES.items()}
    return [
        file
        for file, text in files.items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str]) -> int:
    """Write the pictures, or with `--check` only compare them."""
    if list(arguments) == ["--check"]:
        files = outdated()
        for file in files:
            print(f"{file} is out of date; write it with: python tools/picture.py")
        return 1 if files else 0
    ASSETS.mkdir(exist_ok=True)
    for name, draw in PICTURES.items():
        (ASSETS / f"{name}.svg").write_text(draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
