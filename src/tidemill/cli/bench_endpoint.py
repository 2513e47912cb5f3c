"""`tidemill bench-endpoint`: measure a running server."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.render.load_report import render_load_report
from tidemill.cli.request_options import parse_duration
from tidemill.core.errors import UsageError
from tidemill.project.load_tests import DRAWN_ROWS, LoadPlan, LoadReport, measure

if TYPE_CHECKING:
    import polars as pl


@click.command("bench-endpoint")
@click.argument("endpoint")
@click.option("--url", default="", metavar="URL",
              help="The server.  [default: as in the settings, http://127.0.0.1:8000]")  # fmt: skip
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), default=None, metavar="NUMBER",
              help="Send so many requests a second, whether they are answered or not.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 4096), default=None, metavar="N",
              help="Let N callers send one request after the other.")  # fmt: skip
@click.option("--connections", type=click.IntRange(1, 4096), default=64, show_default=True,
              metavar="N", help="With --rate: at most N requests on their way at once.")  # fmt: skip
@click.option("--duration", default="30s", callback=parse_duration, show_default=True,
              metavar="TIME", help="Send for so long.")  # fmt: skip
@click.option("--timeout", default="10s", callback=parse_duration, show_default=True,
              metavar="TIME", help="Give up a request after so long.")  # fmt: skip
@click.option("--rows", type=click.Path(path_type=Path), default=None, metavar="PATH",
              help="Rows to send in turns: a .json, .ndjson, .csv, .arrow or .parquet file, or the folder of "
              "a prediction log.  [default: drawn from the contract]")  # fmt: skip
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, metavar="N",
              help="Rows in a request.")  # fmt: skip
@click.option("--token-env", default="", metavar="VARIABLE",
              help="The environment variable with the token.")  # fmt: skip
@json_option
@project_options
def bench_endpoint(
    endpoint: str,
    url: str,
    rate: float | None,
    concurrency: int | None,
    rows: Path | None,
    token_env: str,
    as_json: bool,
    **options: float,
) -> None:
    """Send requests to ENDPOINT of a running server, and show how fast it answers.

    With --rate latencies count from when a request should have been sent, so that a server that stalls can't
    hide the requests that would have waited. With --concurrency callers wait for it, and the table also shows
    what they would have seen otherwise.
    """
    if (rate is None) is (concurrency is None):
        raise click.UsageError("give either --rate or --concurrency")
    report = _bench(endpoint, url, rate or 0.0, concurrency or 0, rows, token_env, options)
    print_result(
        render_load_report(report),
        as_json,
        "tidemill.load_report/1",
        lambda: {**asdict(report), "warnings": report.warnings},
    )
    if not report.answered:
        click.get_current_context().exit(1)


def _bench(
    endpoint: str,
    url: str,
    rate: float,
    callers: int,
    rows: Path | None,
    token_env: str,
    options: dict[str, float],
) -> LoadReport:
    plan = LoadPlan(
        rate=rate,
        callers=callers,
        duration=options["duration"],
        timeout=options["timeout"],
        connections=int(options["connections"]) if rate else 0,
        rows_per_request=int(options["batch"]),
    )
    token = _token(token_env)
    with ExitStack() as stack:
        sent: pl.DataFrame | Path | None = rows
        if sent is None or not url:
            serving = stack.enter_context(project_session()).serving
            if not url and serving.settings.socket:
                raise UsageError(
                    "the server listens on a Unix socket: name the proxy in front of it with --url"
                )
            url = url or serving.settings.base_url
            if sent is None:
                sent = serving.sample_requests(endpoint, DRAWN_ROWS)
        return measure(endpoint, sent, plan, url=url, token=token)


def _token(variable: str) -> str:
    if not variable:
        return ""
    found = os.environ.get(variable, "").strip()
    if not found:
        raise UsageError(
            f"--token-env {variable}: there is no such environment variable, or it is empty"
        )
    return found
