"""`tidemill plan`: show what would run, why, and its estimated cost."""

from __future__ import annotations

from typing import Any

import click

from tidemill.cli.lazy_group import environment_options, param_option, project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result, to_json_values
from tidemill.cli.render.plan_and_receipt import render_plan, render_plan_markdown
from tidemill.cli.render.stage_reasons import render_why
from tidemill.cli.request_options import request_options
from tidemill.ledger.cost import Estimate
from tidemill.ledger.price import Price
from tidemill.planning.plan import Plan
from tidemill.planning.stage_reasons import StageReasons


@click.command()
@request_options
@click.option("--why", is_flag=True,
              help="Trace why STAGE or its PARTITION runs, waits or stays up to date, down to its files; "
                   "without STAGE, list every step.")  # fmt: skip
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@param_option
@environment_options
@project_options
def plan(why: bool, markdown: bool, as_json: bool, **request: Any) -> None:
    """Show what would run to bring STAGE or its PARTITION up to date (default: all), and why.

    Changes nothing.
    """
    if why and markdown:
        raise click.UsageError("--why and --markdown can't be combined")
    with project_session(begins=True) as project:
        made, price = project.plan(**request), project.price
        reasons = None
        if why and request["stage"]:
            partition = request["partition"] or ""
            reasons = project.plans.reasons(made, request["stage"], partition)
    if reasons is not None:
        parts = any(request[name] for name in ("since", "until", "limit"))
        text = render_why(reasons, made, parts_of_it=parts)
    else:
        text = (
            render_plan_markdown(made, price=price)
            if markdown
            else render_plan(made, why=why, price=price)
        )
    print_result(text, as_json, "tidemill.plan/1", lambda: plan_body(made, price, reasons))


def plan_body(made: Plan, price: Price, reasons: StageReasons | None = None) -> dict[str, Any]:
    """A plan in a document, with why a stage is in it."""
    return {
        "workflow": made.workflow,
        "environment": made.environment,
        "steps": [{"id": step.id, **to_json_values(step)} for step in made.steps],
        "estimate": _priced(made.estimate, price),
        "may_follow": _priced(made.may_follow, price),
        "current": made.current,
        "models": made.models,
        "waiting": made.waiting,
        "broken": made.broken,
        "missing": made.missing,
        "removals": made.removals,
        "notes": made.notes,
        "budgets": [each.document() for each in made.budgets],
        "heads": made.heads,
        "recipes": made.recipes,
        "why": reasons,
    }


def _priced(estimate: Estimate, price: Price) -> dict[str, Any]:
    cost = None if estimate.cpu_s is None else price.of(estimate.cpu_s)
    return {**to_json_values(estimate), "cost": cost, "currency": price.currency}
