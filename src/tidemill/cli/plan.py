"""`tidemill plan`: show what would run, why, and its estimated cost."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from tidemill.cli.lazy_group import (
    environment_options,
    param_option,
    project_location,
    project_options,
)
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import (
    json_option,
    markdown_option,
    print_result,
)
from tidemill.cli.render.plan_and_receipt import render_plan, render_plan_markdown
from tidemill.cli.render.stage_reasons import render_why
from tidemill.cli.request_options import parse_duration, request_options
from tidemill.core.json_values import to_json_values
from tidemill.ledger.cost import Estimate
from tidemill.ledger.price import Price
from tidemill.planning.plan import Plan
from tidemill.planning.request import request_of
from tidemill.planning.stage_reasons import StageReasons


@click.command()
@request_options
@click.option("--why", is_flag=True,
              help="Trace why STAGE or its PARTITION runs, waits or stays up to date, down to its files; "
                   "without STAGE, list every step.")  # fmt: skip
@markdown_option("Print Markdown, for a pull request.")
@click.option("--against", metavar="REF",
              help="Review what changed since a git ref: stages, contracts, rows, rules.")  # fmt: skip
@click.option("--compare-rows", type=click.IntRange(min=0), metavar="N",
              help="With --against: compare the rows of N partitions a stage.  [default: 2]")  # fmt: skip
@click.option("--compare-for", default="60s", callback=parse_duration, metavar="TIME",
              help="With --against: compare rows for at most TIME.  [default: 60s]")  # fmt: skip
@click.option("--tell", "tell_into", type=click.Path(path_type=Path), hidden=True)
@click.option("--answer", nargs=2, type=click.Path(path_type=Path), hidden=True)
@json_option
@param_option
@environment_options
@project_options
def plan(  # noqa: PLR0913 - a parameter for each option
    why: bool,
    markdown: bool,
    against: str | None,
    compare_rows: int | None,
    compare_for: float,
    tell_into: Path | None,
    answer: tuple[Path, Path] | None,
    as_json: bool,
    **request: Any,
) -> None:
    """Show what would run to bring STAGE or its PARTITION up to date (default: all), and why.

    Changes nothing.

    --against imports the workflow at REF from a temporary folder, computes the newest partitions of
    changed stages by both versions, publishes none of it, and compares them. The exit code is 3 when a
    change of a contract isn't allowed, else 4 when rules or people will hold the change back.
    """
    if answer is not None or tell_into is not None:
        _serve(tell_into, answer)
        return
    if why and markdown:
        raise click.UsageError("--why and --markdown can't be combined")
    if against is not None:
        if why:
            raise click.UsageError("--why and --against can't be combined")
        _review(against, request, (compare_rows, compare_for), markdown=markdown, as_json=as_json)
        return
    if compare_rows is not None:
        raise click.UsageError("--compare-rows says how many partitions --against compares; add it")
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


def _review(
    ref: str,
    request: Mapping[str, Any],
    limits: tuple[int | None, float],
    *,
    markdown: bool,
    as_json: bool,
) -> None:
    """Print the review of what changed since a git ref."""
    # Only a review needs it.
    rendering = import_module("tidemill.cli.render.change_review")
    partitions, seconds = limits
    with project_session(begins=True) as project:
        found = project.change_reviews.review(
            ref,
            request_of(**request),
            workflow=project_location().workflow,
            partitions=partitions,
            seconds=seconds,
        )
        # Prices are asked for by the clock of the home, which may not exist.
        price = project.price if found.plan is not None else Price()
    render = "render_change_review_markdown" if markdown else "render_change_review"
    print_result(
        getattr(rendering, render)(found, price),
        as_json,
        "tidemill.plan.against/1",
        lambda: rendering.review_body(
            found, plan_body(found.plan, price) if found.plan is not None else None
        ),
    )
    click.get_current_context().exit(found.exit_code)


def _serve(told: Path | None, answer: tuple[Path, Path] | None) -> None:
    """Do the part of a process that --against started."""
    if answer is not None:
        at = project_location()
        answer_question = import_module("tidemill.project.recompute_worker").answer_question
        answer_question(Path(at.project), at.workflow, *answer)
    if told is not None:
        with project_session() as project:
            project.change_reviews.write_version(told)


def plan_body(made: Plan, price: Price, reasons: StageReasons | None = None) -> dict[str, Any]:
    """A plan in a document, with why a stage is in it."""
    return {
        "workflow": made.workflow,
        "environment": made.environment,
        "steps": [{"id": step.id, **to_json_values(step)} for step in made.steps],
        "estimate": _priced(made.estimate, price, made.cost),
        "may_follow": _priced(made.may_follow, price),
        "current": made.current,
        "models": made.models,
        "waiting": made.waiting,
        "deferred": made.deferred,
        "price_unit": made.price_unit,
        "broken": made.broken,
        "missing": made.missing,
        "removals": made.removals,
        "notes": made.notes,
        "budgets": [each.document() for each in made.budgets],
        "heads": made.heads,
        "recipes": made.recipes,
        "why": reasons,
    }


def _priced(estimate: Estimate, price: Price, cost: float | None = None) -> dict[str, Any]:
    if cost is None and estimate.cpu_s is not None:
        cost = price.of(estimate.cpu_s)
    return {**to_json_values(estimate), "cost": cost, "currency": price.currency}
