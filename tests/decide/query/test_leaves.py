"""Every single word and number in a plan counts, but for those that are listed here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from polars.exceptions import PolarsError

from tests.decide.query.test_mutations import EXPRESSIONS, QUERIES, query, quiet
from tidemill.decide.query.nodes import Plan
from tidemill.decide.query.terms import SURPRISES, Lost
from tidemill.decide.query.text import parsed, written

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
        relation = Plan(keys={}).relation(tree)
    except (Lost, PolarsError, *SURPRISES):
        return None
    return relation.rows, [(name, value.term) for name, value in relation.columns.items()]


def spared(path: Path, leaf: Any) -> bool:
    names = [part for part in path if isinstance(part, str)]
    huge = isinstance(leaf, float) and abs(leaf) > HUGE
    return huge or names[-1] in HOW | LOUD | HEIGHT


def silent(source: str) -> list[Path]:
    """The places in the plan of a query that can be edited without a trace."""
    with quiet():
        return list(_silent(parsed(written(query(source)))))


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
