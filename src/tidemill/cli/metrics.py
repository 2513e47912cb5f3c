"""`tidemill metrics`: show latency, throughput, errors, freshness and cost of stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import approximate_seconds, count, seconds, size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text
from tidemill.core.counts import money_text
from tidemill.core.errors import UsageError
from tidemill.core.printable import printable
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.core.units import parse_seconds
from tidemill.planning.freshness import format_age

if TYPE_CHECKING:
    from tidemill.operations.problem import Problem
    from tidemill.operations.stage_figures import EndpointFigures, StageFigures
    from tidemill.project.metrics import Metrics, MetricsReport
    from tidemill.project.project import Project

_HEADERS = (
    *(">runs", ">attempts", ">failed", ">retried", ">p50", ">p95", ">queued p95", ">arrival p95"),
    *(">rows/s", ">bytes/s", ">quarantined", ">age", ">CPU", ">cost"),
)
_RARE = (">retried", ">queued p95", ">arrival p95", ">quarantined", ">age", ">cost")
_ENDPOINT_HEADERS = ("endpoint", ">requests", ">failed", ">rows", ">p95", ">cost")


@click.command()
@click.argument("stage", default="", metavar="[STAGE]")
@click.option("--by", "by", type=click.Choice(["day", "partition"]), default="day", show_default=True,
              help="Show each day, or each partition, of STAGE.")  # fmt: skip
@click.option("--since", default="28d", show_default=True, metavar="LENGTH",
              help="Over the days since so long ago, such as 7d or 36h.")  # fmt: skip
@click.option(
    "--prometheus", is_flag=True, help="Write all metrics in the text format of Prometheus."
)
@json_option
@project_options
def metrics(stage: str, by: str, since: str, prometheus: bool, as_json: bool) -> None:
    """Show latency, throughput, errors, freshness and cost of each stage, from the ledger.

    p50 and p95 are percentiles over the successful attempts, arrival is the time from the arrival of a file
    to the publication, age that of the newest data. Steps that reused a known result cost nothing.
    With STAGE, show its days or partitions, and what is wrong with it.
    """
    since_s = _length(since)
    if prometheus and (as_json or stage):
        raise click.UsageError("--prometheus can't be combined with STAGE or --json")
    with project_session() as project:
        if prometheus:
            print_text(project.metrics.prometheus_text().rstrip("\n"))
            return
        source = project.metrics
        found = _report(project, source, stage, by, since_s)
        problems = [each for each in source.problems() if stage in ("", each.stage)]
    body = {
        "stage": stage,
        "by": by if stage else "stage",
        "since": found.first_day,
        "zone": found.zone,
        "stages": found.stages,
        "endpoints": found.endpoints,
        "problems": problems,
    }
    print_result(_text(found, stage, by, problems), as_json, "tidemill.metrics/1", lambda: body)


def _length(text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"--since {error}") from error


def _report(
    project: Project, source: Metrics, stage: str, by: str, since_s: float
) -> MetricsReport:
    if not stage:
        return source.report(since_s)
    project.workspace.known_stage(stage)
    by_key = source.by_partition if by == "partition" else source.by_day
    return by_key(stage, since_s)


def _text(found: MetricsReport, stage: str, by: str, problems: Sequence[Problem]) -> str:
    if not found.stages and not found.endpoints:
        what = f"{stage} hasn't run" if stage else "nothing has run"
        return f"{printable(what)} since {found.first_day}; start with `tidemill run`"
    first = by if stage else "stage"
    rows = [_row(figures, stage, found.now) for figures in found.stages]
    parts = [text_table(*drop_empty_columns((first, *_HEADERS), rows, *_RARE))] if rows else []
    if found.endpoints:
        parts.append(text_table(_ENDPOINT_HEADERS, map(_endpoint_row, found.endpoints)))
    parts.append(f"since {found.first_day}; days are those of {found.zone}")
    parts += [f"{each.title}\n  `{each.command}`" for each in problems]
    return "\n\n".join(parts)


def _row(figures: StageFigures, stage: str, now: float) -> list[str]:
    own = figures.performance
    failed = f"{own.failed:,} ({own.error_rate:.0%})" if own.failed else "-"
    rate = f"{own.quarantined:,} ({own.quarantine_rate:.1%})" if own.quarantined else "-"
    return [
        printable(figures.key if stage else own.stage),
        count(own.runs),
        count(own.attempts),
        failed,
        count(own.retried),
        *map(_duration, (own.wall.p50, own.wall.p95, own.queue.p95, figures.delay.p95)),
        count(round(own.rows_per_s or 0)),
        size(round(own.bytes_per_s or 0)),
        rate,
        "-" if figures.watermark is None else format_age(max(0.0, now - figures.watermark)),
        seconds(own.charged_cpu_s) if own.charged_cpu_s else "-",
        money_text(figures.cost, figures.currency) if figures.cost else "-",
    ]


def _endpoint_row(figures: EndpointFigures) -> list[str]:
    return [
        printable(figures.endpoint),
        count(figures.requests),
        count(figures.failed),
        count(figures.rows),
        _duration(figures.p95),
        money_text(figures.cost, figures.currency) if figures.cost else "-",
    ]


def _duration(number: float | None) -> str:
    return approximate_seconds(number) if number else "-"
