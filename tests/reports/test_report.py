"""Reports as values."""

from __future__ import annotations

from tidemill.governance.page_values import page_table
from tidemill.reports.report import ReportPart


def test_a_part_is_empty_if_nothing_is_under_its_title() -> None:
    assert ReportPart(title="t", tables=[page_table(("a",), [])]).is_empty
    assert not ReportPart(title="t", tables=[page_table(("a",), [("x",)])]).is_empty
    assert not ReportPart(title="t", html="<p>x</p>").is_empty
    assert not ReportPart(title="t", commands=("x",)).is_empty
