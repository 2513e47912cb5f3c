"""Runs and receipts as notebooks show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tidemill.core.counts import money_text
from tidemill.core.figures import seconds, size
from tidemill.core.printable import html_text, shorten
from tidemill.core.text_table import drop_empty_columns
from tidemill.drawing.notebook import notebook_html, notebook_table
from tidemill.drawing.status import DrawnStatus
from tidemill.drawing.status_label import status_label
from tidemill.ledger.run import ASKED, Outcome, Receipt, RunInfo, Status

DRAWN_STATUSES: Mapping[Status, DrawnStatus] = {
    Status.RUNNING: DrawnStatus.RUNNING,
    Status.OK: DrawnStatus.CURRENT,
    Status.FAILED: DrawnStatus.FAILED,
    Status.INTERRUPTED: DrawnStatus.STALE,
    Status.LOST: DrawnStatus.FAILED,
    Status.WAITING: DrawnStatus.WAITING,
    Status.DECIDED: DrawnStatus.NEVER,
}
DRAWN_OUTCOMES: Mapping[Outcome, DrawnStatus] = {
    Outcome.OK: DrawnStatus.CURRENT,
    Outcome.BOUND: DrawnStatus.CURRENT,
    Outcome.CURRENT: DrawnStatus.CURRENT,
    Outcome.FAILED: DrawnStatus.FAILED,
    Outcome.RETRIED: DrawnStatus.STALE,
    Outcome.REFUSED: DrawnStatus.FAILED,
    Outcome.SKIPPED: DrawnStatus.NEVER,
    Outcome.PRUNED: DrawnStatus.CURRENT,
    Outcome.GAVE_UP: DrawnStatus.STALE,
    Outcome.STOPPED: DrawnStatus.WAITING,
}
_LONGEST = 2_000
_STAGES = ("stage", ">ran", ">reused", ">up to date", ">failed", f">{ASKED}", ">skipped", ">rows in",
           ">rows out", ">quarantined", ">time")  # fmt: skip


def receipt_html(receipt: Receipt) -> str:
    """How a run ended and what it cost, a row per stage, and one per cause of failures."""
    return notebook_html(*_receipt(receipt))


def run_html(info: RunInfo) -> str:
    """A run: who started what and when, and its receipt."""
    headline = f"<p>{html_text(shorten(info.headline, _LONGEST))}</p>"
    if info.receipt is None:
        label = f"<p>{status_label(DRAWN_STATUSES[info.status], info.status)}</p>"
        return notebook_html(label, headline)
    return notebook_html(headline, *_receipt(info.receipt))


def _receipt(receipt: Receipt) -> Iterator[str]:
    label = status_label(DRAWN_STATUSES[receipt.word], receipt.word)
    figures = [f"{seconds(receipt.wall_s)}, CPU {seconds(receipt.cpu_s)}"]
    figures += [f"memory {size(receipt.peak_rss)}"] if receipt.peak_rss else []
    figures += [money_text(receipt.cost, receipt.currency)] if receipt.cost else []
    yield f'<p>{label} <span class="soft">{html_text(", ".join(figures))}</span></p>'
    names, asked = ("skipped", "rows_in", "rows_out", "quarantined"), receipt.asked
    rows = [
        (
            tally.stage,
            *(f"{getattr(tally, name):,}" for name in ("ran", "bound", "current")),
            f"{tally.failed - asked[tally.stage]:,}",
            f"{asked[tally.stage]:,}" if asked[tally.stage] else "-",
            *(f"{getattr(tally, name):,}" for name in names),
            seconds(tally.wall_s) if tally.wall_s else "-",
        )
        for tally in receipt.stages
    ]
    yield notebook_table(*drop_empty_columns(_STAGES, rows, f">{ASKED}"), caption=receipt.headline)
    if receipt.failures:
        failures = (
            (one.stage, f"{len(one.partitions):,}", one.why, one.advice) for one in receipt.failures
        )
        yield notebook_table(("failed", ">steps", "why", "what to do"), failures)
