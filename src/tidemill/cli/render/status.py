"""Draw the status of a project in about ten lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from tidemill.core.printable import shorten
from tidemill.operations.duty import Duty, describe_wait
from tidemill.operations.status_report import Fact, StatusReport

# Lines of each part; what is left out is counted.
_MOST = 3
# On a narrow terminal a line with a command is longer than a line.
_LEAST = 30


def render_status(report: StatusReport, width: int) -> str:
    """One line for each of the most important facts; its command to look is whole, whatever is cut."""
    nothing = (Fact(text="nothing"),)
    active = [Fact(text=duty.because) for duty in report.due if duty.at is None]
    due = [Fact(text=_due_text(duty, report.at)) for duty in report.due if duty.at is not None]
    disk = f"{report.free / 1e9:,.1f} GB free; ledger {report.size / 1e6:,.1f} MB"
    parts: Mapping[str, Sequence[Fact]] = {
        "wrong": report.wrong or nothing,
        "waiting": [*_by_owner(report.waiting)],
        "running": [*report.running, *active] or nothing,
        "due": due,
        "note": [Fact(text=note) for note in report.notes],
        "disk": [Fact(text=disk)] if report.size else [],
    }
    head = shorten(f"{report.workflow} in {report.environment}; up: {report.up}", width)
    lines = (line for name, facts in parts.items() for line in _part(name, facts, width))
    return "\n".join((head, *lines))


def _part(name: str, facts: Sequence[Fact], width: int) -> Iterator[str]:
    for number, fact in enumerate(facts[:_MOST]):
        more = len(facts) - _MOST
        left = f" (and {more:,} more)" if more > 0 and number == _MOST - 1 else ""
        owner = f"{fact.owner}: " if fact.owner else ""
        text = f"{name if number == 0 else '':8} {owner}{' '.join(fact.text.split())}"
        tail = f"{f' [{fact.command}]' if fact.command else ''}{left}"
        yield shorten(text, max(width - len(tail), _LEAST)) + tail


def _by_owner(facts: Sequence[Fact]) -> Iterator[Fact]:
    """One fact for each owner, and those that nobody in particular is asked about."""
    ordered = sorted(facts, key=lambda fact: fact.owner)
    for owner, group in groupby(ordered, key=lambda fact: fact.owner):
        found = [*group]
        if not owner:
            yield from found
            continue
        texts = "; ".join(fact.text for fact in found)
        yield Fact(text=texts, owner=owner, command=found[0].command)


def _due_text(duty: Duty, now: float) -> str:
    return f"{duty.task} {describe_wait((duty.at or now) - now)}, because {duty.because}"
