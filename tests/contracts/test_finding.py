from __future__ import annotations

import pytest

from tidemill.contracts.finding import BrokenContract, Finding, Severity, TableFindings, rejections
from tidemill.core.errors import ContractError


def finding(rule: str, severity: Severity, rows: int) -> Finding:
    return Finding(rule=rule, severity=severity, rows=rows)


TOO_MANY = finding("budget", "fail", 5)
FEW, MANY = finding("a.min", "quarantine", 2), finding("b.null", "quarantine", 4)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((), ()),
        ((FEW, MANY), ()),
        ((FEW, finding("c.max", "warn", 9), MANY, TOO_MANY), (MANY, FEW)),
        ((FEW, finding("rows", "fail", 1)), ()),
    ],
)
def test_the_rules_that_bad_rows_break_are_told_if_these_are_too_many(
    findings: tuple[Finding, ...], expected: tuple[Finding, ...]
) -> None:
    assert rejections(findings) == expected


def test_the_error_carries_them() -> None:
    error = BrokenContract("it broke", (MANY,))
    assert isinstance(error, ContractError)
    assert (str(error), error.exit_code, error.findings) == ("it broke", 3, (MANY,))


def test_a_verdict_says_what_is_wrong() -> None:
    told = Finding(rule="fresh", severity="warn", rows=0, message="fresh: too old")
    assert TableFindings(at=1.0, findings=(told, FEW)).messages == ("fresh: too old", "a.min")
