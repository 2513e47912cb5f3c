"""`tidemill ledger compact`."""

from __future__ import annotations

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import size
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.core.counts import plural
from tidemill.ledger.compaction_report import CompactionReport
from tidemill.project.ledger_compaction import LedgerCompaction


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be saved.")
@json_option
@project_options
def compact(dry_run: bool, as_json: bool) -> None:
    """Make old events of the ledger smaller: they keep their figures, and lose what explains old results.

    Superseded results lose the hashes of their columns and inputs, attempts at them their reasons and
    tracebacks, receipts the messages of failures. What is published, what can be reused, models and decisions
    stay as they are. The hash chain, checkpoints and proofs hold as before. How old events must be is in the
    settings: [tool.tidemill.ledger] compact_after, by default 14d.

    It can be interrupted at any moment, and runs beside other work. What the file doesn't need any more is
    given back to the disk, in small steps; a large file that an earlier version made is copied once for that,
    while no run and no `tidemill up` works.
    """
    with project_session() as project:
        report = LedgerCompaction(project.workspace).compact(dry_run=dry_run)
    print_result(
        _text(report, dry_run=dry_run),
        as_json,
        "tidemill.compaction/1",
        lambda: {"compaction": report, "dry_run": dry_run},
    )


def _text(report: CompactionReport, *, dry_run: bool) -> str:
    return "\n".join([*_events_lines(report, dry_run=dry_run), *_file_lines(report), *report.notes])


def _events_lines(report: CompactionReport, *, dry_run: bool) -> list[str]:
    lost = sum(report.events.values())
    if not lost and not report.packed:
        return ["no event is old enough to be compacted"]
    kinds = ", ".join(f"{name} {count:,}" for name, count in report.events.items())
    details = f" ({kinds})" if kinds else ""
    would = "would " if dry_run else ""
    return [
        f"{plural(lost, 'event')} {would}lose details{details}, {report.packed:,} are only compressed",
        f"their bodies: {size(report.bytes_before)} before, {size(report.bytes_after)} after",
    ]


def _file_lines(report: CompactionReport) -> list[str]:
    if report.file_after == report.file_before:
        return []
    return [f"the file: {size(report.file_before)} before, {size(report.file_after)} after"]
