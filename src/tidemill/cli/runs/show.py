"""`tidemill runs show`: list past runs, or show one with its attempts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from tidemill.cli.lazy_group import project_options
from tidemill.cli.project_option import project_session
from tidemill.cli.render.failures import render_findings
from tidemill.cli.render.figures import count, local_time, plain_text, plural, seconds
from tidemill.cli.render.json_document import json_option, print_result, text_width
from tidemill.cli.render.plan_and_receipt import RECHECKED, render_memo, render_receipt
from tidemill.core.counts import money_text
from tidemill.core.partition import WHOLE, shown_key, summarize_keys
from tidemill.core.text_table import drop_empty_columns, text_table
from tidemill.ledger.run import ASKED, FAULTS, Attempt, Outcome, Receipt, RunInfo
from tidemill.project.shown_runs import shown_runs
from tidemill.runs.failures import group_attempts
from tidemill.runs.totals import memo_usage

_COST, _ACTOR, _ASKED = ">cost", "by", f">{ASKED}"
_LIST = (
    *("run", "status", "started", ">took", ">ran", ">reused", RECHECKED, ">failed", _ASKED, _COST),
    *("environment", _ACTOR, "command"),
)


@click.command("show")
@click.argument("run", default="", metavar="[RUN]")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N",
              help="List the last N runs.")  # fmt: skip
@json_option
@project_options
def show(run: str, limit: int, as_json: bool) -> None:
    """List the last runs, newest first; or show the receipt of RUN and its failed attempts by cause.

    RUN is an id, a prefix of one, or `last`. --json lists every attempt.
    """
    with project_session() as project:
        if not run:
            found = shown_runs(project.workspace.tools.ledger, project.runs(limit))
            body: dict[str, object] = {"runs": found}
            print_result(run_list(found), as_json, "tidemill.runs/1", lambda: body)
            return
        [info] = shown_runs(project.workspace.tools.ledger, [project.history.run(run)])
        attempts, currency = project.history.attempts(info.id), project.settings.currency
        notes = project.history.notes(info.id)
    body = {"run": info, "attempts": attempts, "notes": notes}
    text = "\n".join([run_text(info, attempts, currency), *map(plain_text, notes)])
    print_result(text, as_json, "tidemill.run/1", lambda: body)


def run_list(found: Sequence[RunInfo]) -> str:
    if not found:
        return "no runs yet; start one with `tidemill run`"
    rows = [_row(info) for info in found]
    return text_table(*drop_empty_columns(_LIST, rows, RECHECKED, _ASKED, _COST, _ACTOR))


def _row(info: RunInfo) -> list[str]:
    stages = info.receipt.stages if info.receipt else ()
    asked = info.receipt.asked.total() if info.receipt else 0
    took = seconds(info.ended - info.started) if info.ended is not None else ""
    return [
        info.id,
        str(info.status),
        local_time(info.started),
        took,
        count(sum(s.ran for s in stages)),
        count(sum(s.bound for s in stages)),
        count(sum(s.rechecked for s in stages)),
        count(sum(s.failed for s in stages) - asked),
        count(asked),
        _cost(info.receipt),
        info.environment,
        info.actor,
        info.command,
    ]


def _cost(receipt: Receipt | None) -> str:
    return (
        money_text(receipt.cost, receipt.currency) if receipt is not None and receipt.cost else "-"
    )


def run_text(info: RunInfo, attempts: list[Attempt], currency: str) -> str:
    holder = info.holder
    who = f"process {holder.get('pid', '?')} on {holder.get('host', '?')}"
    who = f"{info.actor}, {who}" if info.actor else who
    parts = [f"{info.command} ({who}) in {info.environment}, {local_time(info.started)}"]
    if info.receipt is not None:
        parts += ["", render_receipt(info.receipt, text_width())]
    else:
        parts.append(f"{info.status}: no receipt was recorded")
        used = memo_usage(attempts)
        parts += [render_memo(used, currency)] if used is not None else []
    verdicts = [a for a in attempts if a.outcome is Outcome.OK and a.message]
    parts += [line for attempt in verdicts for line in ("", *_attempt_lines(attempt, 0))]
    for group in group_attempts(attempts, FAULTS):
        parts += ["", *_attempt_lines(group[0], len(group) - 1)]
    skipped = list(_skipped_lines(attempts))
    return "\n".join([*parts, *([""] if skipped else []), *skipped])


def _attempt_lines(attempt: Attempt, more: int) -> Iterator[str]:
    """An attempt with its message and trace; `more` attempts of the same cause are only counted."""
    place = "" if attempt.partition == WHOLE else f" {shown_key(attempt.partition)}"
    others = f" (and {plural(more, 'more attempt')} for the same cause)" if more else ""
    outcome = ASKED if attempt.review else attempt.outcome
    yield plain_text(
        f"{attempt.action} {attempt.stage}{place} {outcome}{others}: {attempt.message}"
    )
    if attempt.findings:
        yield render_findings(attempt.findings, indent="  ")
    # The trace of a query has no line of the user's code, and repeats the message.
    if attempt.trace and attempt.trace not in attempt.message:
        yield "  " + plain_text(attempt.trace.rstrip()).replace("\n", "\n  ")


def _skipped_lines(attempts: Sequence[Attempt]) -> Iterator[str]:
    """A line per stage whose steps were skipped, or stopped by a budget, and why the first one was."""
    stages: dict[tuple[str, str, str], list[Attempt]] = {}
    for attempt in attempts:
        if attempt.outcome is Outcome.SKIPPED or attempt.fate == "budget":
            key = attempt.action, attempt.stage, str(attempt.outcome)
            stages.setdefault(key, []).append(attempt)
    for (action, stage, outcome), group in stages.items():
        keys = summarize_keys({attempt.partition for attempt in group} - {WHOLE})
        yield plain_text(
            " ".join(filter(None, (action, stage, keys))) + f" {outcome}: {group[0].message}"
        )
