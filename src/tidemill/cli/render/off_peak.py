"""Render what waiting for a cheaper time saved."""

from __future__ import annotations

from tidemill.cli.render.figures import approximate_seconds
from tidemill.ledger.off_peak import OffPeakSaving


def saving_line(saving: OffPeakSaving) -> str:
    """What the work of a run saved that had waited."""
    waited = (
        f"off-peak: {', '.join(saving.stages)} waited up to {approximate_seconds(saving.waited_s)}"
    )
    late = f"; LATE: {', '.join(saving.late)}" if saving.late else ""
    return f"{waited}, {_saved(saving)}{late}"


def _saved(saving: OffPeakSaving) -> str:
    if saving.share is None and saving.amount is None:
        return "what it saved isn't known"
    cost = (saving.share or 0.0) < 0 or (saving.amount or 0.0) < 0
    word = "cost more by" if cost else "saved"
    figures = []
    if saving.amount is not None:
        figures.append(f"{abs(saving.amount):,.4g} {saving.unit}".rstrip())
    if saving.share is not None:
        # Where prices are below 0, work is paid for.
        is_paid = saving.share > 1
        figures.append("more than 100 %" if is_paid else f"{100 * abs(saving.share):.0f} %")
    return f"{word} {' or '.join(figures)} against running at once"
