"""How the values of operands become one value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.analysis.query.evaluation_scope import (
    EvaluationScope,
    combine_by_row,
    combine_over_rows,
)
from tidemill.analysis.query.value_numbers import (
    ONE,
    Length,
    MissingColumn,
    Relation,
    UnknownMeaning,
    Value,
)

ROWS, FEWER = Length("rows", 1), Length("fewer", 1)
A = Value("a", "term a", ROWS, reads=2, root="a")
B = Value("b", "term b", ROWS, reads=4, root="b")
LITERAL = Value("literal", "seven", ONE)
OPEN = A._replace(open="group_by")
SCOPE = EvaluationScope.of(
    Relation(
        rows=ROWS.term, reads=1, columns={"a": A, "b": B}, keys=(frozenset({"term a", "term b"}),)
    ),
    dict,
)


def test_values_of_rows_depend_on_their_operands_alone() -> None:
    made = combine_by_row("+", [A, B], SCOPE)
    assert (made.name, made.length, made.reads) == ("a", ROWS, 6)
    assert made.term == combine_by_row("+", [A, B], replace(SCOPE, length=FEWER)).term
    assert made.term != combine_by_row("+", [B, A], SCOPE).term
    assert combine_by_row("+", [A, LITERAL], SCOPE).length == ROWS
    assert combine_by_row("+", [LITERAL, LITERAL], SCOPE).length == ONE


def test_values_over_rows_depend_on_which_rows_there_are() -> None:
    made = combine_over_rows("cum_sum", [A], SCOPE)
    assert (made.length, made.reads) == (ROWS, 3)
    assert made.term != combine_over_rows("cum_sum", [A], replace(SCOPE, length=FEWER)).term


def test_operands_of_several_lengths_have_a_new_one() -> None:
    made = combine_by_row("+", [A, B._replace(length=FEWER)], SCOPE)
    assert made.length not in (ROWS, FEWER, ONE)


@pytest.mark.parametrize(
    ("made", "unordered", "unstable"),
    [
        (combine_by_row("+", [OPEN, LITERAL], SCOPE), "group_by", ""),
        (combine_by_row("+", [OPEN, OPEN], SCOPE), "group_by", ""),
        (
            combine_by_row("+", [OPEN, B], SCOPE),
            "",
            "values in no fixed order beside others (group_by)",
        ),
        (combine_over_rows("max", [OPEN], SCOPE, length=ONE, free=True), "", ""),
        (combine_over_rows("unique", [OPEN], SCOPE, free=True), "group_by", ""),
        (
            combine_over_rows("CumSum", [OPEN], SCOPE),
            "",
            "cum_sum over rows in no fixed order (group_by)",
        ),
        (combine_over_rows("mode", [A], SCOPE, open="mode"), "mode", ""),
        (
            combine_over_rows(("Shift", 1), [A], replace(SCOPE, open="join")),
            "",
            "shift over rows in no fixed order (join)",
        ),
        (combine_over_rows("sum", [A], replace(SCOPE, unstable="odd"), free=True), "", "odd"),
    ],
)
def test_where_order_and_values_are_undefined(made: Value, unordered: str, unstable: str) -> None:
    assert (made.open, made.unstable) == (unordered, unstable)


def test_keys_are_unique_together_with_what_is_constant_in_a_group() -> None:
    assert SCOPE.is_unique(A, B)
    assert not SCOPE.is_unique(A)
    assert replace(SCOPE, fixed=frozenset({"term b"})).is_unique(A)


def test_a_column_that_does_not_exist() -> None:
    assert SCOPE.column("a").term == "term a"
    with pytest.raises(MissingColumn, match="column 'c'"):
        SCOPE.column("c")
    with pytest.raises(UnknownMeaning):
        SCOPE.element_scope().column("a")
