"""`tidemill run`: run the plan."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import (
    command_line,
    environment_options,
    param_option,
    project_location,
    project_options,
)
from tidemill.cli.project_option import project_session
from tidemill.cli.render.frame import frame_table
from tidemill.cli.render.json_document import json_option, print_result, text_width
from tidemill.cli.render.plan_and_receipt import render_receipt
from tidemill.cli.request_options import parse_duration, request_options
from tidemill.cli.terminal.interrupt import ends_by_itself
from tidemill.cli.terminal.output import print_text
from tidemill.cli.terminal.progress_option import ProgressBars
from tidemill.core.counts import plural
from tidemill.core.errors import StepError
from tidemill.core.partition import WHOLE, place_name

if TYPE_CHECKING:
    from tidemill.ledger.run import Receipt
    from tidemill.project.project import Project
    from tidemill.project.trials import DebugOutput


@click.command()
@request_options
@click.option("--wait", default="0", callback=parse_duration, metavar="DURATION",
              help="Wait up to DURATION for another run to end, such as 30s or 5m.")  # fmt: skip
@click.option("--debug", is_flag=True,
              help="Run one step in this process (breakpoints work) and publish nothing.")  # fmt: skip
@click.option("--inline", is_flag=True,
              help="Run all steps in this process, one by one; resource limits don't apply.")  # fmt: skip
@click.option("--fail-fast", is_flag=True,
              help="Begin nothing any more once a step has failed; what runs may end.")  # fmt: skip
@click.option("--off-peak", is_flag=True,
              help="Leave work for when it is cheaper; `tidemill plan` shows when.")  # fmt: skip
@click.option("--watch", is_flag=True,
              help="Run, and again whenever sources or code change, until Ctrl-C.")  # fmt: skip
@json_option
@param_option
@environment_options
@project_options
def run(
    wait: float,
    debug: bool,
    inline: bool,
    fail_fast: bool,
    off_peak: bool,
    watch: bool,
    as_json: bool,
    **request: Any,
) -> None:
    """Run what `tidemill plan` with the same arguments shows, and print a receipt.

    Runs all stages, or STAGE with what is upstream of it, or only its PARTITION and what that reads. A
    terminal shows a progress bar per stage; otherwise progress is a line now and then. A table lists
    failures, with their causes and what to do.
    """
    if watch:
        if debug or as_json:
            raise click.UsageError("--watch can't be combined with --debug or --json")
        _watch()
        return
    if debug:
        _debug(request, as_json)
        return
    # Breakpoints work with --inline, and bars would be drawn over the debugger.
    bars = nullcontext() if inline else ProgressBars(sys.stderr)
    with project_session(begins=True) as project, bars as progress:
        receipt = project.run(
            **request,
            wait_s=wait,
            command=command_line(),
            progress=progress,
            inline=inline,
            fail_fast=fail_fast,
            off_peak=off_peak,
            raise_on_failure=False,
        )
    text = render_receipt(receipt, text_width())
    print_result(text, as_json, "tidemill.receipt/1", lambda: {"receipt": receipt})
    click.get_current_context().exit(receipt.exit_code)


def _watch() -> None:
    """Run the same command without --watch, and again whenever something changes."""
    at = project_location()
    words = shlex.split(command_line())[1:]
    words.remove("--watch")
    # What watches must not be ended while it waits for the run that it interrupted.
    ends_by_itself.set()
    watched = import_module("tidemill.project.watched_runs")
    code = watched.repeat_on_changes(
        words, at.project, workflow=at.workflow, environment=at.environment, say=_say
    )
    click.get_current_context().exit(code)


def _say(text: str) -> None:
    print_text(f"{datetime.now():%H:%M:%S} {text}", err=True)


def run_all(project: Project) -> tuple[Receipt, str]:
    """Run all stages, show the progress, and return the receipt and its text."""
    with ProgressBars(sys.stderr) as progress:
        receipt = project.run(command=command_line(), progress=progress, raise_on_failure=False)
    return receipt, render_receipt(receipt, text_width())


def _debug(request: dict[str, Any], as_json: bool) -> None:
    stage, partition = request.pop("stage"), request.pop("partition")
    if not stage:
        raise click.UsageError("--debug needs a STAGE, and its PARTITION if it has several")
    if any(request.values()):
        raise click.UsageError("--debug runs one step: it takes only a STAGE and a PARTITION")
    with project_session() as project:
        try:
            trial = project.debug(stage, partition or WHOLE)
        except StepError as error:
            print_text(error.trace, err=True)
            raise
    print_result(
        _trial_text(stage, partition, trial),
        as_json,
        "tidemill.trial/1",
        lambda: _body(trial),
        data=True,
    )


def _trial_text(stage: str, partition: str, trial: DebugOutput) -> str:
    product = trial.product
    name = place_name(stage, partition)
    lines = [
        f"{name}: {plural(product.rows, 'row')}, {product.quarantined:,} quarantined; nothing was published",
        "",
        frame_table(trial.rows.head(10)),
        *(f"- {f.severity}: {f.message or f.rule}" for f in product.findings),
    ]
    if trial.bad is not None:
        lines += ["", "quarantined:", frame_table(trial.bad.head(10))]
    return "\n".join(lines)


def _body(trial: DebugOutput) -> dict[str, Any]:
    bad = trial.bad.head(10).to_dicts() if trial.bad is not None else []
    return {"product": trial.product, "head": trial.rows.head(10).to_dicts(), "bad": bad}
