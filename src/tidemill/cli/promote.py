"""`tidemill promote`: promote an environment to another, atomically."""

from __future__ import annotations

import sys
from typing import Any

import click

from tidemill.cli.lazy_group import command_line, place_options
from tidemill.cli.plan import plan_body
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result, text_width
from tidemill.cli.render.plan_and_receipt import render_plan, render_receipt
from tidemill.cli.request_options import parse_duration
from tidemill.cli.terminal.progress_option import ProgressBars
from tidemill.workflow.environment import PRODUCTION


@click.command()
@click.argument("source")
@click.argument("target", default=PRODUCTION, metavar="[TARGET]")
@click.option("--train", multiple=True, metavar="MODEL",
              help="Train MODEL in TARGET even if no trigger fires; can be repeated.")  # fmt: skip
@click.option("--allow-removals", default="", metavar="ID",
              help="Remove what sources of TARGET lost; `tidemill plan` shows it, and its ID.")  # fmt: skip
@click.option("--again", is_flag=True,
              help="Have what gates or people refused judged once more; nothing else reruns.")  # fmt: skip
@click.option("--dry-run", is_flag=True,
              help="Show what would be promoted, run, trained and asked, and change nothing.")  # fmt: skip
@click.option("--fail-fast", is_flag=True,
              help="Begin nothing any more once a step has failed; what runs may end.")  # fmt: skip
@click.option("--wait", default="0", callback=parse_duration, metavar="DURATION",
              help="Wait up to DURATION for another run to end, such as 30s or 5m.")  # fmt: skip
@json_option
@place_options
def promote(  # noqa: PLR0913 - its options
    source: str,
    target: str,
    train: tuple[str, ...],
    allow_removals: str,
    again: bool,
    dry_run: bool,
    fail_fast: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Promote the environment SOURCE to TARGET (default: prod), atomically, and print a receipt.

    Plans in TARGET with the current code, which must be what SOURCE ran. Reuses known results, runs the
    rest, and publishes everything in one transaction, or nothing: also if rules or people hold back a table
    or a model of it (exit code 4). Data that TARGET ingested meanwhile stays.

    With --dry-run the exit code is that of the promotion, as far as it can be foreseen.
    """
    if dry_run:
        _show(source, target, as_json, train=train, allow_removals=allow_removals, again=again)
        return
    with project_session(target) as project, ProgressBars(sys.stderr) as progress:
        receipt = project.promote(
            source,
            train=train,
            allow_removals=allow_removals,
            again=again,
            wait_s=wait,
            command=command_line(),
            progress=progress,
            fail_fast=fail_fast,
            raise_on_failure=False,
        )
    print_result(
        render_receipt(receipt, text_width()),
        as_json,
        "tidemill.receipt/1",
        lambda: {"receipt": receipt},
    )
    click.get_current_context().exit(receipt.exit_code)


def _show(source: str, target: str, as_json: bool, **request: Any) -> None:
    """Print what a promotion would do."""
    with project_session(target) as project:
        found, price = project.preview_promotion(source, **request), project.price
    held = [f"it is held back: {line}" for note in found.held_by for line in note.splitlines()]
    head = f"promotion of {source} to {target}, which changes nothing yet"
    print_result(
        "\n".join((head, *held, render_plan(found.plan, price=price))),
        as_json,
        "tidemill.promotion_plan/1",
        lambda: {
            "source": source,
            "held_by": found.held_by,
            "exit_code": found.exit_code,
            "plan": plan_body(found.plan, price),
        },
    )
    click.get_current_context().exit(found.exit_code)
