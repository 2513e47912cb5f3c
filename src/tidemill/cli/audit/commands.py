"""`tidemill audit show`, `verify`, `checkpoint` and `export`."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.figures import local_time
from tidemill.cli.render.json_document import json_option, print_result
from tidemill.cli.terminal.output import print_text, redactor
from tidemill.core.counts import plural
from tidemill.core.errors import UsageError
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.core.units import parse_seconds

if TYPE_CHECKING:
    from tidemill.governance.audit_report import AuditReport
    from tidemill.governance.audit_trail import AuditEntry
    from tidemill.project.audit import ExportedEvent


def _parse_time(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """Parse a local time or date, or a duration before now such as 7d; the callback of an option."""
    if value is None:
        return None
    try:
        return time.time() - parse_seconds(value)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is neither a date or time, such as 2026-11-28 or 2026-11-28T14:30, nor a time before "
            "now, such as 7d"
        ) from None
    if param.name == "until" and len(value) == len("2026-11-28"):
        return found.replace(hour=23, minute=59, second=59, microsecond=999_999).timestamp()
    return found.timestamp()


_since = click.option("--since", callback=_parse_time, metavar="TIME",
                      help="From a date or time on, or a time before now such as 7d.")  # fmt: skip


@click.command()
@click.option("--who", default="", metavar="NAME", help="Only what NAME did; parts and * match.")
@click.option("--what", default="", metavar="TEXT",
              help="Only actions and subjects that contain TEXT; * matches.")  # fmt: skip
@_since
@click.option("--until", callback=_parse_time, metavar="TIME", help="Until a date or time.")
@click.option("--kind", "kinds", multiple=True, metavar="EVENT",
              help="Only events of this kind, such as Voted; can be repeated.")  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Also events that no person acts by.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    metavar="N",
    help="Show the newest N.",
)
@click.option(
    "--before",
    type=click.IntRange(min=1),
    metavar="EVENT",
    help="Show those before event number EVENT.",
)
@json_option
@project_options
def show(  # noqa: PLR0913 - an option each
    who: str,
    what: str,
    since: float | None,
    until: float | None,
    kinds: tuple[str, ...],
    every: bool,
    limit: int,
    before: int | None,
    as_json: bool,
) -> None:
    """Show who did what, to what, when and why: the newest events, in their order.

    These are runs, decisions, deliveries, rollouts, rulings on rows, votes, waivers, tokens and environments,
    in all environments of the workflow.
    """
    with project_session() as project:
        found = project.audit.entries(
            who=who,
            what=what,
            since=since,
            until=until,
            kinds=kinds,
            every=every,
            limit=limit + 1,
            before=before,
        )
    # One more says whether there are earlier ones.
    found, more = found[-limit:], found[:-limit]
    print_result(
        _trail(found) + (_earlier(found) if more else ""),
        as_json,
        "tidemill.audit_trail/1",
        lambda: {"entries": [asdict(entry) for entry in found]},
    )


def _earlier(entries: Sequence[AuditEntry]) -> str:
    return f"\nthere are earlier ones: --before {entries[0].seq} shows them, --limit more at a time"


def _trail(entries: Sequence[AuditEntry]) -> str:
    if not entries:
        return "nothing was recorded that fits"
    rows = [
        (
            str(entry.seq),
            local_time(entry.at),
            entry.who or "-",
            entry.action,
            entry.subject or "-",
            entry.environment or "-",
            entry.reason or "-",
        )
        for entry in entries
    ]
    headers = (">event", "when", "who", "what", "to what", "in", "why")
    return text_table(*drop_empty_columns(headers, rows, "in", "why", "who"))


@click.command()
@click.option("--checkpoints", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              help="Also compare with the checkpoints in FILE; can be repeated.")  # fmt: skip
@click.option("--key", "keys", multiple=True, type=click.Path(path_type=Path), metavar="PUB",
              help="The public key that signed; can be repeated.  [default: of the settings]")  # fmt: skip
@click.option("--no-signatures", is_flag=True, help="Don't verify who signed.")
@json_option
@project_options
def verify(
    checkpoints: tuple[Path, ...], keys: tuple[Path, ...], no_signatures: bool, as_json: bool
) -> None:
    """Compare all events with the hash chain and with the checkpoints that are kept elsewhere.

    Exits with 1 if anything was changed, removed, added or moved before the last external checkpoint. Events
    after it are unsealed: whoever can write the home's files can still change them unseen.
    """
    with project_session() as project:
        found = project.audit.verify(
            checkpoints=checkpoints, keys=keys, signatures=not no_signatures
        )
    print_result(
        _report(found),
        as_json,
        "tidemill.audit/1",
        lambda: {"audit": {**asdict(found), "unsealed": found.unsealed}},
    )
    click.get_current_context().exit(0 if found.is_sound else 1)


def _report(found: AuditReport) -> str:
    lines = [
        f"verified {plural(found.events, 'event')} with {plural(found.checkpoints, 'checkpoint')}"
    ]
    lines += [f"changed: {each.place}: {each.message}" for each in found.problems]
    if found.sealed_at is None:
        lines.append("sealed: none")
    else:
        lines.append(f"sealed: the first {found.sealed:,}, {local_time(found.sealed_at)}")
    if found.unsealed:
        lines.append(f"unsealed: the last {found.unsealed:,}, which no external checkpoint has")
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


@click.command()
@click.option("--new-ledger", is_flag=True,
              help="Begin with this ledger in places that have checkpoints of another one.")  # fmt: skip
@json_option
@project_options
def checkpoint(new_ledger: bool, as_json: bool) -> None:
    """Make a signed checkpoint of all events now, and write it to the places in the settings.

    Without new events the last one is written again where it is missing. Exits with 1 if it couldn't be
    written somewhere.
    """
    with project_session() as project:
        made = project.audit.checkpoint(new_ledger=new_ledger)
    point = made.checkpoint
    head = "made a checkpoint" if made.is_new else "nothing is new since the checkpoint"
    lines = [f"{head} of {plural(point.size, 'event')}: {point.root}"]
    lines += made.problems
    print_result(
        "\n".join(lines),
        as_json,
        "tidemill.checkpoint/1",
        lambda: {
            "checkpoint": json.loads(point.line),
            "new": made.is_new,
            "problems": made.problems,
        },
    )
    click.get_current_context().exit(1 if made.problems else 0)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl",
              show_default=True, help="JSON lines, or comma-separated values.")  # fmt: skip
@_since
@project_options
def export(file: Path, form: str, since: float | None) -> None:
    """Write all events of the workflow for an auditor to FILE, or to stdout.

    Each has its number, time, who, what, to what, why, and its digest as a leaf of the trees of checkpoints.
    """
    to_stdout = str(file) == "-"
    if not to_stdout and file.exists():
        raise click.UsageError(f"{file} exists: choose another name")
    with project_session() as project, ExitStack() as stack:
        found = project.audit.export(since=since)
        target = sys.stdout if to_stdout else stack.enter_context(_created(file))
        count = _write(map(_exported, found), form, target)
    if not to_stdout:
        print_text(f"wrote {plural(count, 'event')} to {file}")


def _created(file: Path) -> TextIO:
    try:
        return open(file, "x", encoding="utf-8", newline="")
    except OSError as error:
        raise UsageError(f"{file} can't be written: {error.strerror}") from error


def _exported(event: ExportedEvent) -> dict[str, Any]:
    values = asdict(event.entry)
    at = datetime.fromtimestamp(event.entry.at, UTC)
    return {**values, "at": at.isoformat(timespec="milliseconds"), "leaf": event.leaf}


def _write(rows: Iterable[Mapping[str, Any]], form: str, target: TextIO) -> int:
    number = 0
    mask = redactor().redact
    writer: Any = csv.writer(target, lineterminator="\n")
    for number, row in enumerate(rows, 1):
        masked = {
            key: mask(value) if isinstance(value, str) else value for key, value in row.items()
        }
        if form == "jsonl":
            target.write(json.dumps(masked, ensure_ascii=False) + "\n")
            continue
        if number == 1:
            writer.writerow(masked)
        writer.writerow(map(_cell, masked.values()))
    return number


def _cell(value: Any) -> Any:
    """A value for a spreadsheet, which must not run a text as a formula."""
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
    )
