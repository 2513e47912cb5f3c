from __future__ import annotations

import random

import polars as pl
import pytest

from tidemill.contracts.checks.broken_rules import (
    BrokenRule,
    quarantined_rows,
    reasons_of,
    rejected_rows,
    without_cleared,
    without_rows,
)
from tidemill.contracts.checks.row_rules import RowRule
from tidemill.contracts.checks.ruled_rows import REASONS
from tidemill.contracts.column import OnFail

FRAME = pl.DataFrame({"a": [1, 2, 3]})


def broken(name: str, rows: list[bool], on_fail: OnFail = "quarantine") -> BrokenRule:
    rule = RowRule(id=name, on_fail=on_fail, violation="", advice="", sample_columns=())
    return BrokenRule(rule, pl.Series(rows))


FIRST = broken("first", [True, False, False])
BOTH = broken("both", [True, True, False])
WARNS = broken("warns", [False, False, True], "warn")


def test_only_rules_that_quarantine_reject_rows() -> None:
    rejected = rejected_rows([FIRST, BOTH, WARNS])
    assert rejected is not None
    assert rejected.to_list() == [True, True, False]
    assert without_rows(FRAME, rejected)["a"].to_list() == [3]
    assert rejected_rows([WARNS]) is None
    assert without_rows(FRAME, None) is FRAME


def test_quarantined_rows_have_their_reasons() -> None:
    found = quarantined_rows(FRAME, [FIRST, WARNS, BOTH])
    assert found is not None
    assert found.rows() == [(1, ["first", "both"]), (2, ["both"])]
    assert quarantined_rows(FRAME, [WARNS]) is None


def test_reasons_are_in_the_order_of_the_rules() -> None:
    reasons = reasons_of((item.rule.id, item.rows) for item in (BOTH, FIRST))
    assert (reasons.name, reasons.to_list()) == (REASONS, [["both", "first"], ["both"], []])


@pytest.mark.parametrize("count", [1, 62, 63, 130])
@pytest.mark.parametrize("height", [0, 1, 40])
def test_rows_may_break_any_of_many_rules(count: int, height: int) -> None:
    rng = random.Random(count)
    broken = {
        f"r{n}": [rng.choice([True, False, None]) for _ in range(height)] for n in range(count)
    }
    reasons = reasons_of((name, pl.Series(rows, dtype=pl.Boolean)) for name, rows in broken.items())
    wanted = [[name for name, rows in broken.items() if rows[row]] for row in range(height)]
    assert (reasons.dtype, reasons.to_list()) == (pl.List(pl.String), wanted)


def test_cleared_rows_break_nothing_that_quarantines() -> None:
    cleared = pl.Series([True, False, True])
    [both, warns] = without_cleared([FIRST, BOTH, WARNS], cleared)
    assert (both.rule, both.rows.to_list()) == (BOTH.rule, [False, True, False])
    assert (warns.rule, warns.rows.to_list()) == (WARNS.rule, [False, False, True])


def test_a_rule_that_is_broken_twice_is_one_rule() -> None:
    again = broken("first", [False, True, False])
    [found] = without_cleared([FIRST, again], pl.Series([False, False, False]))
    assert found.rows.to_list() == [True, True, False]
