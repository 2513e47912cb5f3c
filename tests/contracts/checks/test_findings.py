from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from tidemill.contracts import column_types as tm
from tidemill.contracts.checks.checker import check_rows
from tidemill.contracts.checks.findings import unplaced_findings
from tidemill.contracts.column import Column
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec, rule
from tidemill.contracts.table_rules import Budget, Rows

NAN, INF = float("nan"), float("inf")
ANY_BAD = Budget(max_bad=1)


def contract(body: dict[str, Any], **arguments: Any) -> ContractSpec:
    budgets = {} if any(isinstance(item, Budget) for item in body.values()) else {"any": ANY_BAD}
    declared: type[DeclaredContract] = type(
        "C", (DeclaredContract,), {**body, **budgets}, **arguments
    )
    return declared.__tidemill_contract__


def one(column: Column, **more: Any) -> ContractSpec:
    return contract({"a": column, **more})


def test_a_finding_says_what_how_many_which_and_what_to_do() -> None:
    judged = check_rows(pl.DataFrame({"a": [5, -1, -2, -1, -3, -4]}), one(tm.Int64(min=0)))
    (finding,) = judged.findings
    assert finding == Finding(
        rule="a.min",
        severity="quarantine",
        rows=5,
        sample="-1, -2, -3",
        message="a.min: 5 of 6 values are below min=0, such as -1, -2, -3; "
        "fix the source, or change min=",
    )


def test_a_long_value_is_cut_in_a_finding() -> None:
    judged = check_rows(pl.DataFrame({"a": ["y" * 500]}), one(tm.String(regex="x")))
    assert judged.findings[0].sample == "'" + "y" * 56 + "..."


def test_a_missing_value_is_found_by_its_key() -> None:
    spec = contract({"id": tm.Int64(), "a": tm.Int64(), "f": tm.Float64()}, key="id")
    frame = pl.DataFrame({"id": [7, 8], "a": [1, None], "f": [NAN, 1.0]})
    assert [(item.rule, item.sample) for item in check_rows(frame, spec).findings] == [
        ("a.null", "8"),
        ("f.nan", "7"),
    ]


def test_personal_data_are_in_no_finding() -> None:
    """Findings are recorded for good, and shown to everybody who may see runs."""
    spec = contract(
        {
            "mail": tm.String(pii="email", regex="@"),
            "born": tm.Int64(pii="birth year", min=1900, nullable=True),
            "shop": tm.String(),
            "sold": tm.Int64(min=0),
            "late": rule(pl.col("born") < 2000),
        },
        key=["mail", "shop"],
    )
    frame = pl.DataFrame(
        {
            "mail": ["secret-a", "secret-b@", "b@", "c@", "c@"],
            "born": ["secret", "1850", "2001", "1950", "1950"],
            "shop": ["north", "north", "south", "east", "east"],
            "sold": [1, -1, None, 1, 1],
        }
    )
    found = check_rows(frame, spec).findings
    assert {item.rule: item.sample for item in found} == {
        "key": "'east'",
        "mail.regex": "",
        "born.type": "",
        "born.min": "",
        "sold.min": "-1",
        "sold.null": "'south'",
        "late": "'south'",
    }
    assert not [item.message for item in found if "secret" in item.message]
    assert not [item.message for item in found if "1850" in item.message]


def test_many_unknown_columns_are_not_all_listed() -> None:
    frame = pl.DataFrame({"a": [1]} | {f"z{n}": [1] for n in range(50)})
    (finding,) = check_rows(frame, contract({"a": tm.Int64()}, unknown_columns="fail")).findings
    assert "'z10', 'z11', ...; declare them" in finding.message
    assert 'unknown_columns="drop"' in finding.message
    assert finding.sample == ""  # the names are said once


def test_the_default_budget_says_how_to_allow_more() -> None:
    declared: type[DeclaredContract] = type("C", (DeclaredContract,), {"a": tm.Int64()})
    spec = declared.__tidemill_contract__
    judged = check_rows(pl.DataFrame({"a": [None, None, 1]}), spec)
    assert judged.findings[-1].message == (
        "bad rows: 2 of 3 rows are bad (66.7%), more than half; "
        "fix the source, or allow more with tm.Budget(max_bad=...) in the contract"
    )


@pytest.mark.parametrize(("unplaced", "fails"), [(5, False), (6, True), (10, True)])
def test_rows_without_a_partition_are_counted_against_the_source(
    unplaced: int, fails: bool
) -> None:
    declared: type[DeclaredContract] = type("C", (DeclaredContract,), {"a": tm.Int64()})
    found = unplaced_findings(declared.__tidemill_contract__, "data/a.csv", unplaced, 10)
    assert [item.severity for item in found] == ["fail"] * fails
    assert not fails or found[0].message.startswith(
        f"bad rows: {unplaced} of 10 rows of data/a.csv have no partition"
    )


def test_a_budget_says_by_how_much() -> None:
    judged = check_rows(
        pl.DataFrame({"a": [1, None]}), one(tm.Int64(), budget=Budget(max_bad=0.02))
    )
    assert judged.findings[-1].message == (
        "bad rows: 1 of 2 rows are bad (50.0%), more than the 2.0% that its budget allows; "
        "fix the source, or raise max_bad of the budget"
    )


@pytest.mark.parametrize(
    ("size", "says"),
    [
        (Rows(min=3), []),
        (Rows(min=4), ["fewer than min=4"]),
        (Rows(max=2), ["more than max=2"]),
        (Rows(max=3, on_fail="fail"), []),
        # What is held against other partitions is judged when the partition is published.
        (Rows(vs_last=3, within=0.4), []),
    ],
)
def test_a_partition_has_as_many_rows_as_it_should(size: Rows, says: list[str]) -> None:
    judged = check_rows(pl.DataFrame({"a": [1, 2, 3]}), one(tm.Int64(), size=size))
    assert len(judged.findings) == len(says)
    for finding, text in zip(judged.findings, says, strict=True):
        assert (finding.rule, finding.severity, finding.rows) == ("rows", size.on_fail, 3)
        assert text in finding.message
