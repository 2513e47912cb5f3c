"""Servers leave messages for the one that judges in the ledger, one at a time."""

from __future__ import annotations

from pathlib import Path

from tests.support.serving import sales_project
from tidemill.project.served_evidence import ServedEvidence


def test_a_message_waits_until_it_is_taken(tmp_path: Path) -> None:
    project = sales_project(tmp_path)
    one, other = ServedEvidence(project.workspace), ServedEvidence(project.workspace)
    assert other.take() == ""
    assert one.post("first")
    assert not one.post("second")
    assert (other.take(), other.take()) == ("first", "")
    assert one.post("second")
    assert other.take() == "second"
