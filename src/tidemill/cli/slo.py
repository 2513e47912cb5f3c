"""`tidemill slo`: show how the objectives of stages and endpoints are met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import approximate_seconds
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.printable import printable
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    from tidemill.operations.burn_rate import Burn
    from tidemill.operations.objectives import ObjectiveStatus
    from tidemill.operations.problem import Problem

_HEADERS = ("objective", "of", "what", ">target", ">achieved", ">budget left", "errors come")
_NONE = (
    "no objective is declared; add one to pyproject.toml:\n\n"
    '[tool.tidemill.slo.fresh]\nstage = "features"\nfreshness = "26h"\ntarget = 0.99'
)


@click.command()
@json_option
@project_options
def slo(as_json: bool) -> None:
    """Show the objectives of the settings: target, what was achieved, the budget of errors that is left.

    Errors come at a rate of 1 if they would use the budget in exactly the objective's window.
    """
    with project_session() as project:
        metrics = project.metrics
        found = metrics.objectives()
        problems = [each for each in metrics.problems() if each.kind == "objective breach"]
    body = {"objectives": [_values(each) for each in found], "problems": problems}
    print_result(_text(found, problems), as_json, "tidemill.slo/1", lambda: body)


def _values(status: ObjectiveStatus) -> dict[str, object]:
    return {
        "objective": status.objective,
        "good": status.good,
        "bad": status.bad,
        "achieved": status.achieved,
        "budget_left": status.budget_left,
        "evidence": status.evidence,
        "burns": status.burns,
    }


def _text(found: Sequence[ObjectiveStatus], problems: Sequence[Problem]) -> str:
    if not found:
        return _NONE
    parts = [text_table(_HEADERS, map(_row, found))]
    parts += [f"{each.severity}: {each.title}" for each in problems]
    return "\n\n".join(parts)


def _row(status: ObjectiveStatus) -> list[str]:
    objective = status.objective
    what = str(objective.kind)
    if objective.limit:
        what += f" within {approximate_seconds(objective.limit)}"
    return [
        printable(objective.name),
        printable(objective.subject),
        what,
        f"{objective.target:.6g}",
        "-" if status.achieved is None else f"{status.achieved:.5f}",
        "-" if status.budget_left is None else f"{status.budget_left:.0%}",
        _burns(status.burns),
    ]


def _burns(burns: Sequence[Burn]) -> str:
    known = [
        f"{burn.long:.2g} x in {approximate_seconds(burn.windows.long)}"
        for burn in burns
        if burn.long is not None
    ]
    return ", ".join(known) or "-"
