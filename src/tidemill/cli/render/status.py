"""Draw the status of a project in about ten lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tidemill.core.printable import shorten
from tidemill.operations.duty import Duty, describe_wait
from tidemill.operations.status_report import Fact, StatusReport

# Lines of each part; what is left out is counted.
_MOST = 3


def render_status(report: StatusReport, width: int) -> str:
    """One line for each of the most important facts, with the command to look."""
    lines = [f"{report.workflow} in {report.environment}; up: {report.up}"]
    lines += _part("wrong", [_fact_text(fact) for fact in report.wrong] or ["nothing"])
    lines += _part("waiting", [*_waiting_lines(report.waiting)])
    active = [duty.because for duty in report.due if duty.at is None]
    lines += _part("running", [*map(_fact_text, report.running), *active] or ["nothing"])
    lines += _part(
        "due", [_duty_text(duty, report.at) for duty in report.due if duty.at is not None]
    )
    lines += _part("note", list(report.notes))
    if report.size:
        lines += _part(
            "disk", [f"{report.free / 1e9:,.1f} GB free; ledger {report.size / 1e6:,.1f} MB"]
        )
    return "\n".join(shorten(line, width) for line in lines)


def _part(name: str, texts: Sequence[str]) -> Iterator[str]:
    for number, text in enumerate(texts[:_MOST]):
        more = len(texts) - _MOST
        left = f" (and {more:,} more)" if more > 0 and number == _MOST - 1 else ""
        yield f"{name if number == 0 else '':8} {' '.join(text.split())}{left}"


def _fact_text(fact: Fact) -> str:
    owner = f"{fact.owner}: " if fact.owner else ""
    return f"{owner}{fact.text}{f' [{fact.command}]' if fact.command else ''}"


def _waiting_lines(facts: Sequence[Fact]) -> Iterator[str]:
    """A line for each owner, who is named once."""
    ordered = sorted(facts, key=lambda fact: fact.owner)
    for owner, group in groupby(ordered, key=lambda fact: fact.owner):
        found = [*group]
        texts = "; ".join(fact.text for fact in found)
        yield _fact_text(Fact(text=texts, owner=owner, command=found[0].command))


def _duty_text(duty: Duty, now: float) -> str:
    return f"{duty.task} {describe_wait((duty.at or now) - now)}, because {duty.because}"
