"""`tidemill costs`: show what stages, models, endpoints, environments and days cost."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import count, plural, seconds, size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import money_text
from tidemill.core.errors import UsageError
from tidemill.core.printable import printable
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.core.units import parse_seconds
from tidemill.ledger.price import GB, HOUR_S, MONTH_S

if TYPE_CHECKING:
    from tidemill.project.costs import CostLine, CostReport, CostRow, DatedLine

_BY = ("stage", "model", "day", "month", "environment", "endpoint")
_HEADERS = (
    *(">attempts", ">CPU", ">memory", ">GPU", ">storage", ">sent", ">units", ">of it failed"),
    *(">of it shared", ">cost", ">share"),
)
NO_PRICE = (
    "no price is set, so only quantities are known: set one with cpu_hour = 0.04 in [tool.tidemill] of "
    "pyproject.toml"
)
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
@click.option("--since", default="28d", show_default=True, metavar="LENGTH",
              help="Over the days since so long ago, such as 7d or 36h.")  # fmt: skip
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
    since_s, everywhere = _length(since), everywhere or by == "environment"
    with project_session() as project:
        source = project.costs
        found = source.report(by, since_s=since_s, everywhere=everywhere)
        if not (found.rows or everywhere):
            # What a dropped environment did cost is known.
            project.environments.require(project.environment)
        if file is not None:
            _write(file, source.lines(since_s=since_s, everywhere=everywhere))
    body = {
        "by": by,
        "since": found.first_day,
        "zone": found.zone,
        "environments": found.environments,
        "rows": found.rows,
        "total": found.total,
        "is_priced": found.is_priced,
        "unpriced": found.unpriced,
        "estimates": found.estimates,
    }
    print_result(_text(found), as_json, "tidemill.costs/1", lambda: body)


def _length(text: str) -> float:
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"--since {error}") from error


def _text(found: CostReport) -> str:
    where = ", ".join(map(printable, found.environments))
    if not found.rows:
        return f"nothing has run in {where or 'any environment'} since {found.first_day}"
    rows = [_row(printable(row.key), row) for row in found.rows]
    if len(rows) > 1:
        whole = None if found.rows[0].share is None else 1.0
        rows.append(_row("total", replace(found.rows[0], line=found.total, share=whole)))
    shown = drop_empty_columns((found.by.value, *_HEADERS), rows, *_HEADERS[1:])
    parts = [text_table(*shown), "\n".join(_notes(found, where))]
    return "\n\n".join(parts)


def _notes(found: CostReport, where: str) -> Iterator[str]:
    yield f"{where} since {found.first_day}; days are those of {found.zone}"
    if not found.is_priced:
        yield NO_PRICE
    if len(found.total.amounts) > 1:
        yield "prices were in several currencies: amounts of one are never added to those of another"
    if found.unpriced:
        yield f"no price is set for {', '.join(map(printable, found.unpriced))}: they cost nothing"
    if found.is_priced and found.total.shared:
        yield "metered: CPU, GPUs, units; estimated: memory, as the peak of each process all the time"
    errors = found.estimates
    if errors.median_error is not None and errors.bias is not None:
        runs, side = plural(errors.runs, "run"), "low" if errors.bias < 0 else "high"
        yield (
            f"estimates of the last {runs} were off by {errors.median_error:.0%} (median; too {side} by "
            f"{abs(errors.bias):.0%})"
        )


def _row(key: str, row: CostRow) -> list[str]:
    return [key, *_figures(row.line), "-" if row.share is None else f"{row.share:.1%}"]


def _figures(line: CostLine) -> list[str]:
    used = line.used
    return [
        count(line.events),
        seconds(used.cpu_s) if used.cpu_s else "-",
        _gb_hours(used.memory_gb_s),
        seconds(used.gpu_s) if used.gpu_s else "-",
        f"{used.storage_gb_s / MONTH_S:.3g} GB months" if used.storage_gb_s else "-",
        size(round(used.egress_gb * GB)) if used.egress_gb else "-",
        ", ".join(
            f"{number:,.10g} {printable(name)}" for name, number in sorted(used.units.items())
        )
        or "-",
        *(_amounts(amounts) for amounts in (line.failed, line.shared, line.amounts)),
    ]


def _gb_hours(gb_s: float) -> str:
    if not gb_s:
        return "-"
    return f"{gb_s / HOUR_S:,.1f} GB h" if gb_s >= HOUR_S else f"{gb_s:,.3g} GB s"


def _amounts(amounts: Mapping[str, float]) -> str:
    return (
        " + ".join(money_text(value, name) for name, value in sorted(amounts.items()) if value)
        or "-"
    )


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
