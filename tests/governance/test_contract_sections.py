"""The page of a contract names every change, who breaks by it, and why."""

from __future__ import annotations

from dataclasses import replace

import tidemill as tm
from tests.support.contracts import spec_of
from tidemill.governance.contract_facts import ContractChange
from tidemill.governance.contract_sections import contract_detail
from tidemill.lineage.impact import Consumer


class Before(tm.Contract, version="1.0.0", key=("id",)):
    id = tm.Int64(min=0)
    mail = tm.String()
    note = tm.String()


class After(tm.Contract, version="2.0.0", key=("id",)):
    id = tm.Int64(min=0, description="whose")
    note = tm.String()


CHANGE = ContractChange(
    stage="raw",
    old=spec_of(Before),
    new=spec_of(After),
    consumers=(
        Consumer(stage="letters", columns=("mail",), place="flow.py:9"),
        Consumer(stage="notes", columns=("note",), place="flow.py:12"),
        Consumer(stage="code", columns=None, place="flow.py:15"),
    ),
    tables=("sent",),
)


def test_who_breaks_is_named_with_the_owner_and_the_place() -> None:
    detail = contract_detail(CHANGE, "ops")
    assert detail.changes == (
        "raw is published by Before 1.0.0, and would be by After 2.0.0",
        "mail: column removed",
    )
    assert [line.partition(":")[0] for line in detail.worse] == ["letters breaks", "sent breaks"]
    assert all(line.endswith(" (owner: ops)") for line in detail.worse)
    changes, readers = detail.sections
    assert changes.table is not None
    assert [row[:2] for row in changes.table.rows] == [
        ("mail", "column removed"), ("id", "description added"),
    ]  # fmt: skip
    assert readers.table is not None
    assert [(row[0], row[1], *row[3:]) for row in readers.table.rows] == [
        ("letters", "yes", "ops", "flow.py:9"),
        ("sent", "yes", "ops", ""),
        ("notes", "no", "ops", "flow.py:12"),
        ("code", "maybe", "ops", "flow.py:15"),
    ]
    assert readers.table.rows[1][2] == "it delivers these rows: mail: column removed"
    assert readers.table.rows[2][2] == "it reads nothing that changes"


def test_public_tables_are_said_to_be_so() -> None:
    detail = contract_detail(replace(CHANGE, public=True), "")
    assert detail.worse[1] == (
        "sent breaks: it delivers these rows, also to people outside of the organization: "
        "mail: column removed"
    )


def test_a_contract_before_that_isnt_recorded_is_said() -> None:
    detail = contract_detail(replace(CHANGE, old=None), "")
    assert detail.changes == ("raw would be published by After 2.0.0",)
    assert detail.worse == (
        "the contract before isn't recorded, so that it isn't known what breaks",
    )
    assert detail.sections == ()
