"""`tidemill drift`: show whether a table drifted, and which columns carry the evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.partition import shown_key
from tidemill.core.text_table import text_table

if TYPE_CHECKING:
    from tidemill.project.drift_report import ColumnDrift, DriftReport

_HEADERS = ("column", ">evidence", ">missing then", ">now", ">KS", ">PSI", "shares then", "now", "")
_BLOCKS = "▁▂▃▄▅▆▇█"


@click.command()
@click.argument("stage")
@click.argument("partition", default="", metavar="[PARTITION]")
@click.option(
    "--rule", default="", metavar="NAME", help="Judge by this drift alarm of the contract."
)
@json_option
@project_options
def drift(stage: str, partition: str, rule: str, as_json: bool) -> None:
    """Show whether STAGE drifted, at PARTITION or now, and which columns carry the evidence.

    Judges by the drift alarm of its contract, or by the default one. Shows the last alarm until a new
    reference is complete, then the newest partition.
    """
    with project_session() as project:
        report = project.drift(stage, partition, rule=rule)
    print_result(
        render(report), as_json, "tidemill.drift/1", lambda: {"drift": _body(report)}, data=True
    )


def render(report: DriftReport) -> str:
    """Render a report: what it found, what was compared, and a line per column."""
    lines = [report.headline]
    if report.reference is not None:
        first, last = map(shown_key, report.reference)
        lines.append(f"  compared with {first} .. {last} ({report.reference_partitions})")
    lines.append(f"  {report.rule.name}: {report.rule}")
    lines += [f"  {remark}" for remark in report.remarks()]
    table = text_table(_HEADERS, map(_row, report.columns), indent="  ")
    return "\n".join([*lines, "", table])


def _body(report: DriftReport) -> dict[str, object]:
    names = (item.name for item in fields(report) if item.name not in ("past", "now"))
    return {name: getattr(report, name) for name in names}


def _row(column: ColumnDrift) -> tuple[str, ...]:
    if not column.missing:
        why = "no reference" if column.exists else "not in this partition"
        return (column.name, f"{column.evidence:.0%}", "-", "-", "-", "-", why, "", "")
    shares = column.shares
    highest = max((*shares.then, *shares.now), default=0.0)
    return (
        column.name,
        f"{column.evidence:.0%}",
        *(f"{share:.1%}" for share in column.missing),
        *("-" if figure is None else f"{figure:.3f}" for figure in (column.ks, column.psi)),
        *(sparkline(side, highest) for side in (shares.then, shares.now)),
        _scale(column),
    )


def _scale(column: ColumnDrift) -> str:
    """Say what the blocks stand for: the ends of the axis, or the first categories."""
    shares = column.shares
    if shares.edges:
        return f"{shares.edges[0]:.4g} .. {shares.edges[-1]:.4g}"
    return ", ".join(shares.names[:4]) + (", ..." if len(shares.names) > 4 else "")


def sparkline(shares: Sequence[float], highest: float) -> str:
    """Draw shares as blocks, one character each; `highest` has the full height."""
    if highest <= 0:
        return ""
    levels = [math.ceil(share / highest * len(_BLOCKS)) for share in shares]
    return "".join(_BLOCKS[min(level, len(_BLOCKS)) - 1] if level > 0 else " " for level in levels)
