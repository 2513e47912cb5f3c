"""The results of checks: what was checked, what is broken, and no values of rows."""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.finding import Finding
from tidemill.contracts.spec import ContractSpec, Rule
from tidemill.contracts.table_rules import FreshnessRule, Rows, UniqueRule
from tidemill.lineage.openlineage import contract_checks
from tidemill.lineage.openlineage.contract_checks import BrokenRules, assertions
from tidemill.lineage.openlineage.facets import FacetBuilder

BUILDER = FacetBuilder("urn:tidemill:1")
SPEC = ContractSpec(
    name="T",
    version="1",
    columns=(
        Column(name="a.b", dtype=DType("Int64"), min=0, max=9, unique=True),
        Column(name="c", dtype=DType("String"), nullable=True, isin=("x", "y")),
    ),
    key=("a.b",),
    rules=(Rule(expr=pl.col("c") != "", name="not_empty"),),
    rows=Rows(min=1),
    table_rules=(
        UniqueRule(name="once", columns=("c",)),
        FreshnessRule(name="fresh", column="c", within="1d"),
    ),
)


def finding(rule: str, severity: Any = "quarantine", rows: int = 2) -> Finding:
    return Finding(rule=rule, severity=severity, rows=rows, sample="s3cret", message="has s3cret")


def checks_of(spec: ContractSpec | None, *findings: Finding) -> dict[str, Any]:
    broken = BrokenRules()
    broken.add(findings)
    facet, left_out = assertions(BUILDER, spec, broken)
    assert left_out == 0
    assert "s3cret" not in json.dumps(facet)
    return {check.pop("name"): check for check in facet["assertions"]}


def test_every_declared_check_has_a_result() -> None:
    found = checks_of(SPEC)
    assert {name: check.get("expected") for name, check in found.items()} == {
        "a.b.null": None,
        "a.b.unique": None,
        "a.b.min": "0",
        "a.b.max": "9",
        "c.isin": "('x', 'y')",
        "key": "a.b",
        "not_empty": str(pl.col("c") != ""),
        "rows": None,
        "once": "c comes once in the whole table",
    }
    assert all(check["success"] for check in found.values())
    assert found["a.b.null"] == {"assertion": "not_null", "success": True, "column": "a.b"}
    assert found["c.isin"]["assertion"] == "accepted_values"
    assert found["not_empty"]["assertion"] == "not_empty"


def test_broken_rules_come_first_with_their_number_of_rows() -> None:
    findings = [finding("a.b.min"), finding("a.b.min", "fail", 3), finding("a.b.min", rows=1)]
    found = checks_of(SPEC, *findings, finding("fresh", "warn"), finding("rulings", "info"))
    assert list(found)[:2] == ["a.b.min", "fresh"]
    assert found["a.b.min"] == {
        "assertion": "min",
        "success": False,
        "column": "a.b",
        "expected": "0",
        "severity": "error",
        "actual": "6 rows break it",
    }
    assert found["fresh"]["severity"] == "warn"
    assert "rulings" not in found


def test_without_a_known_contract_only_broken_rules_are_listed() -> None:
    found = checks_of(None, finding("c.type"))
    assert found == {
        "c.type": {
            "assertion": "c.type",
            "success": False,
            "severity": "quarantine",
            "actual": "2 rows break it",
        }
    }


def test_a_run_fails_by_rules_that_a_partition_is_not_published_with() -> None:
    broken = BrokenRules()
    broken.add([finding("x.min"), finding("x.max", "warn")])
    assert not broken.failed
    broken.add([finding("budget", "fail")])
    assert broken.failed


def test_checks_beyond_a_number_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract_checks, "MOST_CHECKS", 4)
    facet, left_out = assertions(BUILDER, SPEC, BrokenRules())
    assert (len(facet["assertions"]), left_out) == (4, 5)
