"""Changes of rules that look beyond the partition, and the direction of each."""

from __future__ import annotations

from typing import Any

import pytest

import tidemill as tm
from tidemill.contracts.compatibility.diff import diff
from tidemill.contracts.declaration import DeclaredContract
from tidemill.contracts.table_rules import TableRule

COLUMNS = {"day": tm.Date(partition="1d"), "a": tm.Int64(), "b": tm.Int64()}


class Ones(DeclaredContract):
    a = tm.Int64()
    b = tm.Int64()


class Others(DeclaredContract):
    a = tm.Int64()


def contract(rule: TableRule | None) -> type[DeclaredContract]:
    body: dict[str, Any] = COLUMNS if rule is None else {**COLUMNS, "x": rule}
    return type("Orders", (DeclaredContract,), body)


def fresh(within: str, column: str = "day", **more: Any) -> TableRule:
    return tm.Freshness(column, within=within, **{"on_fail": "fail", **more})


def drift(*columns: str, **more: Any) -> TableRule:
    return tm.Drift(*columns or ("a",), **{"on_fail": "fail", **more})


@pytest.mark.parametrize(
    ("old", "new", "expected", "words"),
    [
        # They come and go.
        (None, tm.Unique("a"), "tightens", "rule added: a comes once in the whole table"),
        (tm.Unique("a"), None, "loosens", "rule removed: a comes once in the whole table"),
        (None, tm.Unique("a", on_fail="warn"), "neutral", "rule added"),
        (tm.Drift("a"), None, "neutral", "rule removed: psi of a to the partition before"),
        # What only warns promises nothing; from warning to failing it begins to.
        (tm.Unique("a", on_fail="warn"), tm.Unique("b", on_fail="warn"), "neutral", "(a) -> (b)"),
        (tm.Unique("a", on_fail="warn"), tm.Unique("a"), "tightens", "on_fail warn -> fail"),
        (tm.Unique("a"), tm.Unique("a", on_fail="warn"), "loosens", "on_fail fail -> warn"),
        # Fewer columns that come once promise more.
        (tm.Unique("a", "b"), tm.Unique("a"), "tightens", "columns (a, b) -> (a)"),
        (tm.Unique("a"), tm.Unique("a", "b"), "loosens", "columns (a) -> (a, b)"),
        (tm.Unique("a"), tm.Unique("b"), "both", "columns (a) -> (b)"),
        # Ages.
        (fresh("2d"), fresh("26h"), "tightens", "within 2d -> 26h"),
        (fresh("1mo"), fresh("8w"), "loosens", "within 1mo -> 8w"),
        (fresh("24h"), fresh("1d"), "neutral", "within 24h -> 1d"),
        # Another table, or other columns of it.
        (tm.References("a", Ones), tm.References("a", Others), "both", "contract Ones -> Others"),
        (tm.References("a", Ones), tm.References("b", Ones, "a"), "both", "columns (a) -> (b)"),
        (tm.References("a", Ones), tm.References("a", Ones, "b"), "both", "to (a) -> (b)"),
        (tm.References("a", Ones), tm.References("a", Ones, stage="s"), "both", "stage none -> s"),
        # Distances.
        (drift(limit=0.2), drift(limit=0.1), "tightens", "limit 0.2 -> 0.1"),
        (drift(limit=0.2), drift(limit=0.3), "loosens", "limit 0.2 -> 0.3"),
        (drift("a"), drift("a", "b"), "tightens", "columns (a) -> (a, b)"),
        (drift("a", "b"), drift("b"), "loosens", "columns (a, b) -> (b)"),
        (drift(by="psi"), drift(by="ks"), "both", "by psi -> ks"),
        (drift(vs_last=1), drift(vs_last=7), "both", "vs_last 1 -> 7"),
        (tm.Unique("a"), tm.Unique("a", description="d"), "neutral", "description none -> d"),
    ],
)
def test_changes(old: TableRule | None, new: TableRule | None, expected: str, words: str) -> None:
    [change] = diff(contract(old), contract(new)).changes
    assert (change.about, str(change.direction)) == ("x", expected)
    assert words in change.words


def test_another_kind_under_the_same_name_goes_and_comes() -> None:
    changes = diff(contract(tm.Unique("a")), contract(drift("a"))).changes
    assert [str(change.direction) for change in changes] == ["loosens", "tightens"]


def test_nothing_changed() -> None:
    assert diff(contract(tm.Unique("a")), contract(tm.Unique("a"))).changes == ()
