"""`tidemill share`: say what would have to be computed again without the work of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import approximate_seconds
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.core.printable import printable
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    from tidemill.ledger.shared_work import SharedStage, SharedWork

_HEADERS = ("stage", ">partitions", ">by others", ">CPU to compute those again")
_MOST_NAMED = 5


@click.command()
@json_option
@project_options
def share(as_json: bool) -> None:
    """Say whose work the results are: what would be computed again here without that of others.

    Partitions are those that are published now in the environment. Whoever computed one did so anywhere: in a
    shared home on another machine, or in another environment. The CPU time is that of average steps.
    """
    with project_session() as project:
        found = project.sharing.read()
    print_result(_text(found), as_json, "tidemill.share/1", lambda: {"share": found})


def _text(found: SharedWork) -> str:
    total = sum(stage.partitions for stage in found.stages)
    if not total:
        return "nothing is published yet"
    some = [*found.computed_by.items()][:_MOST_NAMED]
    named = ", ".join(f"{printable(name)} {count:,}" for name, count in some)
    more = len(found.computed_by) - len(some)
    summary = "nothing here is the work of others"
    if found.by_others:
        summary = (
            f"{found.by_others:,} of {plural(total, 'partition')} were computed by others: alone, "
            f"{printable(found.here)} would compute them again in {approximate_seconds(found.cpu_s)} of CPU"
        )
    return "\n".join(
        [
            text_table(_HEADERS, map(_row, found.stages)),
            "",
            f"computed by {named}" + (f" and {more:,} more" if more else ""),
            summary,
        ]
    )


def _row(stage: SharedStage) -> tuple[str, ...]:
    cpu = "unknown" if stage.cpu_s is None else approximate_seconds(stage.cpu_s)
    return (
        printable(stage.stage),
        f"{stage.partitions:,}",
        f"{stage.by_others:,}" if stage.by_others else "-",
        cpu if stage.by_others else "-",
    )
