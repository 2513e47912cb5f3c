"""Runs and receipts in notebooks."""

from __future__ import annotations

from dataclasses import replace

from tests.ledger.test_run import FAILED, FAILURE
from tidemill.ledger.run import Receipt, RunInfo, StageTotals, Status
from tidemill.ledger.run_notebook import DRAWN_STATUSES, receipt_html, run_html

INFO = RunInfo(id="r1", environment="prod", status=Status.RUNNING, started=0.0, command="x <y>")


def test_stages_and_failures() -> None:
    found = receipt_html(replace(FAILED, cost=0.5, currency="EUR", peak_rss=2_000_000))
    assert '<td>sales</td><td class="n">1,200</td><td class="n">0</td>' in found
    assert '<td class="n">1</td><td>ValueError: &lt;no&gt; at a.py:7</td>' not in found
    assert (
        '<td>labels</td><td class="n">2</td><td>ValueError: &lt;no&gt; at a.py:7</td><td>correct it</td>'
        in found
    )
    assert "1.23 s, CPU 0.00 s, memory 2.0 MB, 0.50 EUR" in found
    assert "</svg>failed</span>" in found
    assert receipt_html(Receipt(run="r2", status=Status.OK)).count("<table>") == 1


def test_a_run_with_and_without_a_receipt() -> None:
    going = run_html(INFO)
    assert "</svg>running</span>" in going
    assert "x &lt;y&gt;</p>" in going
    done = run_html(replace(INFO, receipt=FAILED, status=Status.FAILED))
    assert done.count("<style>") == 1
    assert done.count("<table>") == 2


def test_a_large_receipt_is_cut() -> None:
    stages = tuple(StageTotals(stage="<" * 500, ran=n, wall_s=0.1) for n in range(5_000))
    failures = tuple(FAILURE(stage="&" * 500, partitions=("p",)) for _ in range(5_000))
    html = receipt_html(Receipt(run="r", status=Status.FAILED, stages=stages, failures=failures))
    assert len(html.encode()) < 200_000
    assert html.count("more, left out") == 2


def test_every_status_is_drawn() -> None:
    assert set(DRAWN_STATUSES) == {*Status}
