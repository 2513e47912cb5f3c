"""Draw docs/assets/flights.svg from real plans; `picture.py --check` exits 1 when it is out of date.

The flights template runs on 90 days of real data. Then it is planned twice: after one more day of data,
and after an edit of one expression. Nothing of the drawing depends on time or machine.
"""

import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from importlib.resources import files
from pathlib import Path

import tidemill as tm
from tidemill.cli.demo_data import lay_out
from tidemill.drawing.graph import Graph, Node, draw_graph
from tidemill.drawing.svg import Drawing, Hue, captioned, document, side_by_side
from tidemill.planning.plan import Plan
from tidemill.project.project import Project
from tidemill.workflow.stage import Flow, Kind, Stage

PICTURE = Path(__file__).parent.parent / "docs" / "assets" / "flights.svg"
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


def picture() -> str:
    """The picture as an SVG document."""
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
    lay_out(root / "data", first=FIRST, last=LAST)
    with fresh_project(root) as project:
        receipt = project.run()
    if receipt.exit_code:
        raise SystemExit(f"the run of the template failed: {receipt.messages}")
    (root / "flights.py").write_text(code.replace(BEFORE, AFTER), encoding="utf-8")
    edit = plan_fresh(root)
    (root / "flights.py").write_text(code, encoding="utf-8")
    lay_out(root / "data", first=NEW, last=NEW)
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


def main(arguments: Sequence[str]) -> int:
    """Write the picture, or with `--check` only compare it."""
    text = picture()
    if list(arguments) != ["--check"]:
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(text, encoding="utf-8")
        return 0
    if PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PICTURE} is out of date; write it with: python tools/picture.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
