"""Every word and number in a plan counts, and so does its place, but for those that are listed here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
from polars.exceptions import PolarsError

from tests.behaviour.query.test_mutations import EXPRESSIONS, QUERIES, query, quiet
from tidemill.analysis.query.plan_walk import PlanWalk
from tidemill.analysis.query.serialized import parse_query, serialize_query
from tidemill.analysis.query.value_numbers import UNKNOWN_FORM, MissingColumn

# How something is computed, not what.
HOW = {"run_parallel", "allow_parallel", "force_parallel"}
# Whether a fault is loud: a query that is run after all gives the same.
LOUD = {"strict", "duplicate_check", "should_broadcast"}
# Has no effect where an output has a value per row; where it has one, tests of rows see to it.
HEIGHT = {"maintain_dataframe_height"}
# The last digit of a number so large that adding 1 is lost.
HUGE = 1e15
Path = tuple[str | int, ...]


def leaves(tree: Any, path: Path = ()) -> Iterator[Path]:
    """The way to each word, number and null; marked inputs are left out."""
    match tree:
        case {"Select": {"input": {"DataFrameScan": _}}} | {"DataFrameScan": _}:
            return
        case dict():
            for name, part in tree.items():
                yield from leaves(part, (*path, name))
        case [int(), *_] if len(tree) > 20:
            yield (*path, len(tree) - 1)  # bytes: the last is enough
        case list():
            for at, part in enumerate(tree):
                yield from leaves(part, (*path, at))
        case _:
            yield path


def edited(leaf: Any) -> Any:
    match leaf:
        case str():
            return leaf + "~"
        case bool():
            return not leaf
        case None:
            return 7
    return leaf + 1


def everything(tree: Any) -> object:
    """All terms of a plan, or that it isn't one any more."""
    try:
        relation = PlanWalk(keys={}).relation(tree)
    except (MissingColumn, PolarsError, *UNKNOWN_FORM):
        return None
    return relation.rows, [(name, value.term) for name, value in relation.columns.items()]


def spared(path: Path, leaf: Any) -> bool:
    names = [part for part in path if isinstance(part, str)]
    huge = isinstance(leaf, float) and abs(leaf) > HUGE
    return huge or names[-1] in HOW | LOUD | HEIGHT


def silent(source: str) -> list[Path]:
    """The places in the plan of a query that can be edited without a trace."""
    with quiet():
        return list(_silent(parse_query(serialize_query(query(source)))))


def _silent(tree: Any) -> Iterator[Path]:
    before = everything(tree)
    for path in leaves(tree):
        *way, last = path
        part = tree
        for step in way:
            part = part[step]
        leaf = part[last]
        if not spared(path, leaf):
            part[last] = edited(leaf)
            if everything(tree) == before:
                yield path
            part[last] = leaf


# Names that are given twice, and that a plan forgets: the inner one says nothing.
FORGOTTEN = {
    "x.select(v=(pl.date(a, n, 1)))", "x.with_row_index().select(v=pl.nth(0))",
    "x.rename({'b': 'c', 'c': 'b'}).select('b')",
}  # fmt: skip


@pytest.mark.parametrize("group", EXPRESSIONS)
def test_every_leaf_of_an_expression_counts(group: str) -> None:
    for text in EXPRESSIONS[group]:
        source = f"x.select(v=({text}))"
        assert source in FORGOTTEN or not silent(source), source


@pytest.mark.parametrize("group", QUERIES)
def test_every_leaf_of_a_query_counts(group: str) -> None:
    for source in QUERIES[group]:
        assert source in FORGOTTEN or not silent(source), source


def swaps(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Pairs of neighbours in the plan that could change places."""
    match tree:
        case {"Select": {"input": {"DataFrameScan": _}}} | {"DataFrameScan": _}:
            return
        case dict():
            places: list[Any] = list(tree)
        case [int(), *_] if len(tree) > 20:
            return
        case list():
            places = list(range(len(tree)))
        case _:
            return
    for one, two in combinations(places, 2):
        if type(tree[one]) is type(tree[two]) and tree[one] != tree[two]:
            yield path, one, two
    for place in places:
        yield from swaps(tree[place], (*path, place))


def may_swap(part: Any, path: Path, one: Any, two: Any) -> bool:
    """Operands that commute, conditions of a filter, columns that a set of selectors names."""
    names = [name for name in path if isinstance(name, str)]
    if {one, two} == {"left", "right"}:
        return part["op"] in {"Plus", "Multiply", "And", "Or", "Eq", "NotEq"}
    if {one, two} <= HOW | LOUD | HEIGHT:
        return True
    conditions = names[-4:] == ["Filter", "predicate", "Function", "input"]
    selectors = {"ByDType", "Union", "ByName"} & set(names)
    # The order of the outputs of a select below another one.
    inner = names[-2:] == ["Select", "expr"] and names.count("Select") > 1
    return conditions or bool(selectors) or inner or "Rename" in names


def unmoved(source: str) -> Iterator[tuple[Path, Any, Any]]:
    """Neighbours in the plan of a query that can change places without a trace."""
    with quiet():
        tree = parse_query(serialize_query(query(source)))
        before = everything(tree)
        for path, one, two in swaps(tree):
            part: Any = tree
            for step in path:
                part = part[step]
            if may_swap(part, path, one, two):
                continue
            part[one], part[two] = part[two], part[one]
            if everything(tree) == before:
                yield path, one, two
            part[one], part[two] = part[two], part[one]


@pytest.mark.parametrize("group", sorted({*EXPRESSIONS, *QUERIES}))
def test_the_places_of_things_count(group: str) -> None:
    sources = [f"x.select(v=({text}))" for text in EXPRESSIONS.get(group, ())]
    for source in [*sources, *QUERIES.get(group, ())]:
        assert not list(unmoved(source)), source
