"""`tidemill promote`: promote an environment to another, atomically."""

from __future__ import annotations

import sys

import click

from tidemill.cli.lazy_group import command_line, place_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result, text_width
from tidemill.cli.render.plan_and_receipt import render_receipt
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
@click.option("--wait", default="0", callback=parse_duration, metavar="DURATION",
              help="Wait up to DURATION for another run to end, such as 30s or 5m.")  # fmt: skip
@json_option
@place_options
def promote(
    source: str,
    target: str,
    train: tuple[str, ...],
    allow_removals: str,
    again: bool,
    wait: float,
    as_json: bool,
) -> None:
    """Promote the environment SOURCE to TARGET (default: prod), atomically, and print a receipt.

    Plans in TARGET with the current code, which must be what SOURCE ran. Reuses known results, runs the
    rest, and publishes everything in one transaction, or nothing: also if rules or people hold back a table
    or a model of it (exit code 4). Data that TARGET ingested meanwhile stays.
    """
    with project_session(target) as project, ProgressBars(sys.stderr) as progress:
        receipt = project.promote(
            source,
            train=train,
            allow_removals=allow_removals,
            again=again,
            wait_s=wait,
            command=command_line(),
            progress=progress,
            raise_on_failure=False,
        )
    print_result(
        render_receipt(receipt, text_width()),
        as_json,
        "tidemill.receipt/1",
        lambda: {"receipt": receipt},
    )
    click.get_current_context().exit(receipt.exit_code)
