"""`tidemill restore`: deliver again what a table had after an earlier run."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import command_line, environment_options, project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.request_options import parse_duration
from tidemill.core.counts import plural


@click.command()
@click.argument("table")
@click.argument("run")
@click.option("--wait", default="0", callback=parse_duration, metavar="DURATION",
              help="Wait up to DURATION for a run to end, such as 30s or 5m.")  # fmt: skip
@click.option("--again", is_flag=True, help="Ask people once more about what they rejected.")
@json_option
@environment_options
@project_options
def restore(table: str, run: str, wait: float, again: bool, as_json: bool) -> None:
    """Deliver again what TABLE had after RUN, without computing anything.

    Rules and reviews decide on it as on any delivery of the table.

    Partitions that came later are removed from the sink. What is published stays, so that the next run
    delivers only what changes from now on; `tidemill run TABLE --again` delivers all of it.
    """
    with project_session() as project:
        found = project.delivered_tables.restore(
            table, run, command=command_line(), wait_s=wait, again=again
        )
    count = plural(len(found.partitions), "partition")
    removed = f", {len(found.removed):,} removed" if found.removed else ""
    text = f"{table}: {count} delivered{removed} as of run {run}"
    print_result(text, as_json, "tidemill.restored/1", lambda: {"restored": found})
