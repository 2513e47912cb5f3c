"""The contract of a stage, and what changed."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import edit, process
from tests.support.console import Visitor
from tidemill.console.views.stage_contract import show_contract
from tidemill.project.project import open_project

RULE = """
[[rule]]
id = "contracts"
on = ["contract"]
when = "False"
message = "never"
"""


def test_terms_versions_and_readers(built: Path) -> None:
    with open_project(built) as project:
        found, delivery = show_contract(project, "sales"), show_contract(project, "forecast")
    assert found.contract is not None
    assert [each.name for each in found.contract.rules] == ["rows", "budget"]
    assert {each.name: each.if_broken for each in found.contract.columns} == {
        "date": "row is quarantined",
        "shop": "partition fails",
        "hour": "row is quarantined",
        "sold": "row is quarantined",
    }
    [version] = found.versions
    assert (version.version, version.held, version.first_partition) == ("1.0.0", 28, "2026-01-05")
    assert found.readers[1].columns == ("date", "shop", "hour", "sold")
    assert (delivery.contract, delivery.versions, delivery.diffs) == (None, (), ())
    with Visitor(built) as visitor:
        for path in ("/stages/sales/contract", "/stages/sales"):
            assert '<a href="/lineage/sales/sold">sold</a>' in visitor.page(path).text


def test_what_changes_and_whom_it_breaks(fresh: Path) -> None:
    with (fresh / "tidemill.rules.toml").open("a") as file:
        file.write(RULE)
    assert process("run", "sales", cwd=fresh).returncode == 0
    edit(fresh / "bakery.py", "    sold = tm.Int64(min=0,", "    sold = tm.Int64(nullable=True,")
    with open_project(fresh) as project:
        found = show_contract(project, "sales")
    assert found.is_recorded
    [diff] = found.diffs
    assert (diff.head, diff.at, diff.is_allowed) == ("Sales 1.0.0", None, False) or diff.changes
    assert {change.about for change in diff.changes} == {"sold"}
    assert any("labels" in text for text in (*diff.broken, *diff.endangered))
