"""`tidemill runs stages`: show the performance of each stage over the last runs."""

from __future__ import annotations

from collections.abc import Sequence

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import approximate_seconds, count, seconds, size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.ledger.performance import Performance

_HEADERS = (
    *(
        "stage",
        ">runs",
        ">attempts",
        ">failed",
        ">retried",
        ">p50",
        ">p95",
        ">queued p50",
        ">queued p95",
    ),
    *(">rows/s", ">bytes/s", ">CPU", ">peak RSS", ">workers"),
)
_RARE = (">retried", ">queued p50", ">queued p95")


@click.command()
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, metavar="N",
              help="Over the last N runs that had steps to run.")  # fmt: skip
@json_option
@project_options
def stages(last: int, as_json: bool) -> None:
    """Show the performance of each stage in an environment: attempts, failures, durations, throughput.

    p50 and p95 are percentiles over the successful attempts. Steps that reused a known result don't
    count.
    """
    with project_session() as project:
        found = project.history.performance(last, project.environment)
    print_result(
        _table(found, last, project.environment),
        as_json,
        "tidemill.stages/1",
        lambda: {"environment": project.environment, "last": last, "stages": found},
    )


def _table(found: Sequence[Performance], last: int, environment: str) -> str:
    if not found:
        return f"no stage has run yet in {environment}; start with `tidemill run`"
    text = text_table(*drop_empty_columns(_HEADERS, map(_row, found), *_RARE))
    return f"{text}\n\nover the last runs in {environment} with steps of these stages, at most {last:,}"


def _row(stage: Performance) -> list[str]:
    failed = f"{stage.failed:,} ({stage.error_rate:.0%})" if stage.failed else "-"
    return [
        stage.stage,
        count(stage.runs),
        count(stage.attempts),
        failed,
        count(stage.retried),
        *map(_length, (stage.wall.p50, stage.wall.p95, stage.queue.p50, stage.queue.p95)),
        count(round(stage.rows_per_s or 0)),
        size(round(stage.bytes_per_s or 0)),
        seconds(stage.cpu_s),
        size(stage.peak_rss),
        count(stage.workers),
    ]


def _length(number: float | None) -> str:
    return approximate_seconds(number) if number else "-"
