"""Findings about rows, as text and as JSON."""

from __future__ import annotations

from tidemill.serving.rows import RowFinding


def test_a_finding_names_row_rule_and_value() -> None:
    finding = RowFinding(row=3, field="hour", rule="hour.max", value=99, message="above max=23")
    assert str(finding) == "row 3: hour.max: above max=23, got 99"
    assert finding.document()["field"] == "hour"
