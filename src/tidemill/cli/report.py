"""`tidemill report`: write a report on a run, a model or a week to one HTML file."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.errors import StorageError
from tidemill.core.text_table import text_table

_KINDS = (
    (
        "tidemill report last",
        "the last run: what failed and why, how long steps took, what it cost",
    ),
    ("tidemill report RUN", "a run, by the beginning of its id"),
    ("tidemill report MODEL", "the live version of a model: gates, figures, data, how to go back"),
    ("tidemill report MODEL VERSION", "another version, by the beginning of its id"),
    ("tidemill report week", "the last 7 days: the four numbers, changes, errors, costs, reviews"),
    ("tidemill report --week 2026-W47", "a week of the calendar"),
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@click.command("report")
@click.argument("subject", default="", metavar="[RUN|MODEL|week]")
@click.argument("version", default="", metavar="[VERSION]")
@click.option(
    "--week", default="", metavar="WEEK", help="A week of the calendar, such as 2026-W47."
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Write it to this file.  [default: a name by what it is about]")  # fmt: skip
@json_option
@project_options
def report(subject: str, version: str, week: str, out: Path | None, as_json: bool) -> None:
    """Write a report on a run, a version of a model or a week to one HTML file.

    The file needs no network and no other file, and is smaller than 500 kB. The name of a report is `last` or
    the beginning of a run's id, else a model, or `week`. Without one this lists the kinds of reports.
    """
    if week and (version or subject not in ("", "week")):
        raise click.UsageError("--week is only for `tidemill report week`")
    if not (subject or week):
        kinds = [{"command": command, "about": about} for command, about in _KINDS]
        print_result(
            text_table(("command", "report on"), _KINDS), as_json, "tidemill.reports/1",
            lambda: {"kinds": kinds},
        )  # fmt: skip
        return
    with project_session() as project:
        reports = project.reports
        found = reports.week(week) if week else reports.report_on(subject, version)
    file = out or Path(f"{_UNSAFE.sub('-', found.name)}.html")
    try:
        file.write_text(found.html, encoding="utf-8", errors="replace", newline="\n")
    except OSError as error:
        raise StorageError(f"{file} can't be written: {error.strerror or error}") from error
    written = len(found.html.encode(errors="replace"))
    print_result(
        f"wrote {file}: {found.about} ({size(written)})",
        as_json,
        "tidemill.report/1",
        lambda: {"kind": found.kind, "about": found.about, "file": str(file), "bytes": written},
    )
