"""How the values of operands become one value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.analysis.query.evaluation_scope import Scope, along, each
from tidemill.analysis.query.value_numbers import ONE, Length, Lost, Relation, Unknown, Value

ROWS, FEWER = Length("rows", 1), Length("fewer", 1)
A = Value("a", "term a", ROWS, reads=2, root="a")
B = Value("b", "term b", ROWS, reads=4, root="b")
LITERAL = Value("literal", "seven", ONE)
OPEN = A._replace(open="group_by")
SCOPE = Scope.of(
    Relation(
        rows=ROWS.term, reads=1, columns={"a": A, "b": B}, keys=(frozenset({"term a", "term b"}),)
    ),
    dict,
)


def test_values_of_rows_depend_on_their_operands_alone() -> None:
    made = each("+", [A, B], SCOPE)
    assert (made.name, made.length, made.reads) == ("a", ROWS, 6)
    assert made.term == each("+", [A, B], replace(SCOPE, length=FEWER)).term
    assert made.term != each("+", [B, A], SCOPE).term
    assert each("+", [A, LITERAL], SCOPE).length == ROWS
    assert each("+", [LITERAL, LITERAL], SCOPE).length == ONE


def test_values_over_rows_depend_on_which_rows_there_are() -> None:
    made = along("cum_sum", [A], SCOPE)
    assert (made.length, made.reads) == (ROWS, 3)
    assert made.term != along("cum_sum", [A], replace(SCOPE, length=FEWER)).term


def test_operands_of_several_lengths_have_a_new_one() -> None:
    made = each("+", [A, B._replace(length=FEWER)], SCOPE)
    assert made.length not in (ROWS, FEWER, ONE)


@pytest.mark.parametrize(
    ("made", "unordered", "unstable"),
    [
        (each("+", [OPEN, LITERAL], SCOPE), "group_by", ""),
        (each("+", [OPEN, OPEN], SCOPE), "group_by", ""),
        (each("+", [OPEN, B], SCOPE), "", "values in no fixed order beside others (group_by)"),
        (along("max", [OPEN], SCOPE, length=ONE, free=True), "", ""),
        (along("unique", [OPEN], SCOPE, free=True), "group_by", ""),
        (along("CumSum", [OPEN], SCOPE), "", "cum_sum over rows in no fixed order (group_by)"),
        (along("mode", [A], SCOPE, open="mode"), "mode", ""),
        (
            along(("Shift", 1), [A], replace(SCOPE, open="join")),
            "",
            "shift over rows in no fixed order (join)",
        ),
        (along("sum", [A], replace(SCOPE, unstable="odd"), free=True), "", "odd"),
    ],
)
def test_where_order_and_values_are_undefined(made: Value, unordered: str, unstable: str) -> None:
    assert (made.open, made.unstable) == (unordered, unstable)


def test_keys_are_unique_together_with_what_is_constant_in_a_group() -> None:
    assert SCOPE.tells_apart(A, B)
    assert not SCOPE.tells_apart(A)
    assert replace(SCOPE, fixed=frozenset({"term b"})).tells_apart(A)


def test_a_column_that_does_not_exist() -> None:
    assert SCOPE.column("a").term == "term a"
    with pytest.raises(Lost, match="column 'c'"):
        SCOPE.column("c")
    with pytest.raises(Unknown):
        SCOPE.inside().column("a")
