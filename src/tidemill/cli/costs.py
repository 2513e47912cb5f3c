"""`tidemill costs`: show what stages, models, endpoints, environments and days cost."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.errors import UsageError
from tidemill.core.printable import printable
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.project.costs import (
    COST_HEADERS,
    NOTHING,
    cost_cells,
    cost_notes,
    days_text,
)

if TYPE_CHECKING:
    from tidemill.project.costs import CostReport, CostRow, DatedLine

_BY = ("stage", "model", "day", "month", "environment", "endpoint")
_CSV = (
    *("ChargePeriodStart", "ChargePeriodEnd", "SubAccountName", "ResourceType", "ResourceName"),
    *("BilledCost", "BillingCurrency", "x_SharedCost", "x_FailedCost", "x_CpuSeconds"),
    *(
        "x_MemoryGbSeconds",
        "x_GpuSeconds",
        "x_StorageGbSeconds",
        "x_EgressGb",
        "x_Spent",
        "x_Units",
    ),
)


@click.command()
@click.option("--by", type=click.Choice(_BY), default="stage", show_default=True,
              help="What the rows are about.")  # fmt: skip
@click.option("--since", default="28d", show_default=True, metavar="LENGTH|MONTH",
              help="Over the days since so long ago, such as 7d or 36h, or of today, this-month, last-month "
              "or a month such as 2026-11.")  # fmt: skip
@click.option("--all", "everywhere", is_flag=True, help="In all environments, not only in one.")
@click.option("--csv", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Also write a line per environment, day and stage to FILE.")  # fmt: skip
@json_option
@project_options
def costs(by: str, since: str, everywhere: bool, file: Path | None, as_json: bool) -> None:
    """Show what work costs, from the ledger: steps and requests, with failed and repeated ones.

    What belongs to nothing alone is divided: what runs use beside their steps by what these use, what servers
    use beside requests by versions. `--by environment` shows all environments.
    """
    everywhere = everywhere or by == "environment"
    with project_session() as project:
        source = project.costs
        found = source.report(by, since=since, everywhere=everywhere)
        if not (found.rows or everywhere):
            # What a dropped environment did cost is known.
            project.environments.require(project.environment)
        if file is not None:
            _write(file, source.lines(since=since, everywhere=everywhere))
    body = {
        "by": by,
        "since": found.days.first,
        "until": found.days.last,
        "zone": found.zone,
        "environments": found.environments,
        "rows": found.rows,
        "total": found.total,
        "is_priced": found.is_priced,
        "unpriced": found.unpriced,
        "estimates": found.estimates,
    }
    print_result(_text(found), as_json, "tidemill.costs/1", lambda: body)


def _text(found: CostReport) -> str:
    where = ", ".join(map(printable, found.environments))
    if not found.rows:
        return f"nothing has run in {where or 'any environment'} {days_text(found)}"
    rows = [_row(printable(row.key), row) for row in found.rows]
    if len(rows) > 1:
        whole = None if found.rows[0].share is None else 1.0
        rows.append(_row("total", replace(found.rows[0], line=found.total, share=whole)))
    headers = (found.by.value, *COST_HEADERS, ">share")
    shown = drop_empty_columns(headers, rows, *headers[2:])
    period = f"{where} {days_text(found)}; days are those of {found.zone}"
    parts = [text_table(*shown), "\n".join((period, *cost_notes(found)))]
    return "\n\n".join(parts)


def _row(key: str, row: CostRow) -> list[str]:
    return [key, *cost_cells(row.line), NOTHING if row.share is None else f"{row.share:.1%}"]


def _write(file: Path, lines: Iterable[DatedLine]) -> None:
    """Write lines as CSV, with the names of columns of the FOCUS specification as far as it has them."""
    try:
        with file.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(_CSV)
            for each in lines:
                writer.writerows(_csv_rows(each))
    except OSError as error:
        raise UsageError(f"--csv {file} can't be written: {error.strerror or error}") from error


def _csv_rows(each: DatedLine) -> Iterator[list[Any]]:
    """A row per currency; the first has all quantities, so that those of all rows add up."""
    used, line = each.line.used, each.line
    end = (date.fromisoformat(each.day) + timedelta(days=1)).isoformat()
    quantities: list[Any] = [
        *(used.cpu_s, used.memory_gb_s, used.gpu_s, used.storage_gb_s, used.egress_gb, used.spent),
        json.dumps(used.units, sort_keys=True) if used.units else "",
    ]
    for currency, amount in sorted(line.amounts.items()):
        parts = (line.shared.get(currency, 0.0), line.failed.get(currency, 0.0))
        yield [
            *(each.day, end, each.environment, each.kind.value, each.name),
            *(amount, currency, *parts, *quantities),
        ]
        quantities = [0.0] * 6 + [""]
