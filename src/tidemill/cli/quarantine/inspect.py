"""`tidemill quarantine list`, `show` and `export`: inspect quarantined rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, local_time, plural
from tidemill.cli.render.frame import frame_table
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.partition import WHOLE, place_name, shown_key
from tidemill.core.printable import printable
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    from tidemill.project.quarantine import QuarantinedPartition


@click.command("list")
@click.argument("stage", default="", metavar="[STAGE]")
@json_option
@project_options
def list_(stage: str, as_json: bool) -> None:
    """List the partitions that have quarantined rows or rulings, of STAGE or of all stages."""
    with project_session() as project:
        found = project.quarantine.list(stage)
    print_result(
        _quarantine_table(found), as_json, "tidemill.quarantine/1", lambda: {"partitions": found}
    )


def _quarantine_table(found: Sequence[QuarantinedPartition]) -> str:
    if not found:
        return "nothing is quarantined"
    headers = ("stage", "partition", ">rows", "reasons", "since", "run", "contract")
    lines = [
        [
            held.stage if held.declared else f"{held.stage} (no longer declared)",
            "" if held.partition == WHOLE else shown_key(held.partition),
            count(held.rows),
            ", ".join(f"{rule} {rows}" for rule, rows in held.reasons.items()) or "-",
            local_time(held.at),
            held.run,
            held.contract,
        ]
        for held in found
    ]
    return "\n".join([text_table(headers, lines), *_rulings(found)])


def _rulings(found: Sequence[QuarantinedPartition]) -> list[str]:
    lines: list[str] = []
    for held in found:
        if not held.rulings:
            continue
        lines += ["", place_name(held.stage, held.partition)]
        carried = len(held.rulings) - held.pending
        for number, words in enumerate(held.rulings, 1):
            lines.append(
                f"  {number}. {printable(words)}{'' if number <= carried else ' (pending)'}"
            )
        if held.done:
            lines.append(f"  {held.done}")
        if held.gone:
            lines.append(
                f"  {plural(held.gone, 'row')} of them no longer in the source: not applied"
            )
    return lines


@click.command("show")
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--rows", default=20, show_default=True, type=click.IntRange(min=0), metavar="N",
              help="Show the first N rows.")  # fmt: skip
@json_option
@project_options
def show(stage: str, partition: str, rows: int, as_json: bool) -> None:
    """Show the quarantined rows of STAGE as they came, with their numbers and the rules they broke."""
    with project_session() as project:
        found = project.quarantine.rows(stage, partition)
    head = found.head(rows)
    title = place_name(stage, partition) + f": {plural(found.height, 'quarantined row')}"
    body = {"stage": stage, "partition": partition or None, "rows": found.height}
    print_result(
        "\n".join([title, "", frame_table(head)]),
        as_json,
        "tidemill.quarantined/1",
        lambda: {**body, "head": head.to_dicts()},
        data=True,
    )


@click.command("export")
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option("--to", required=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
              help="The file to write: .csv, .parquet, .json or .ndjson.")  # fmt: skip
@click.option("--guard", is_flag=True,
              help="Put an apostrophe before text that a spreadsheet would execute.")  # fmt: skip
@project_options
def export(stage: str, partition: str, to: Path, guard: bool) -> None:
    """Write the quarantined rows of STAGE to FILE, with their numbers in `_row`, and digests in `_digest`.

    Name a PARTITION if you want to correct the rows: `release --fixed` takes those of one partition.
    Values are written as they came. Before you open a .csv file in a spreadsheet, write it with --guard: a
    spreadsheet executes text such as `=HYPERLINK(...)`. `release --fixed` removes the apostrophes.
    """
    with project_session() as project:
        rows = project.quarantine.export(stage, partition, to=to, guard=guard)
    print_text(f"{plural(rows, 'quarantined row')} written to {to}")
