"""Selectors give the columns that Polars gives."""

from __future__ import annotations

from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import PolarsError

from tests.support.query import drawn
from tests.support.query.templates import SELECTORS
from tidemill.analysis.query.selectors import expand_selector
from tidemill.analysis.query.serialized import parse_query, serialize_query
from tidemill.analysis.query.value_numbers import UnknownMeaning


@pytest.mark.parametrize(
    "selector", [*SELECTORS, "cs.by_name('x', 'k')", "cs.by_name('q', require_all=False)"]
)
@pytest.mark.parametrize("source", drawn.INPUTS)
@pytest.mark.parametrize("groups", [None, ["k"], ["g", "k"], ["none"]])
def test_selectors_give_what_polars_gives(
    selector: str, source: str, groups: list[str] | None
) -> None:
    schema = drawn.INPUTS[source]
    chosen = eval(selector, {"pl": pl, "cs": cs})
    frame = pl.LazyFrame(schema=schema)
    try:
        if groups is None:
            expected = frame.select(chosen).collect_schema().names()
        else:
            keys = [pl.lit(1).alias(name) if name not in schema else name for name in groups]
            made = frame.group_by(keys).agg(chosen.name.suffix("!"))
            expected = [name[:-1] for name in made.collect_schema().names()[len(groups) :]]
    except PolarsError:
        return
    (tree,) = parse_query(serialize_query(frame.select(chosen)))["Select"]["expr"]
    assert expand_selector(tree["Selector"], list(schema), lambda: schema, groups) == expected


@given(
    st.lists(st.sampled_from("abcde"), unique=True),
    st.lists(st.sampled_from("abcdef"), unique=True),
)
def test_everyday_selectors_are_expanded_as_polars_does(
    columns: list[str], names: list[str]
) -> None:
    schema = dict.fromkeys(columns, pl.Int8())
    listed: dict[str, Any] = {"ByName": {"names": names, "strict": True}}
    for selector in ("Wildcard", listed, {"Difference": ["Wildcard", listed]}):
        chosen = cs.by_name(*names) if names else cs.by_name([])
        expression: Any = pl.all()
        if selector != "Wildcard":
            expression = chosen if selector is listed else cs.all() - chosen
        try:
            expected = pl.LazyFrame(schema=schema).select(expression).collect_schema().names()
        except PolarsError:
            with pytest.raises(UnknownMeaning):
                expand_selector(selector, columns, lambda: schema, None)
        else:
            assert expand_selector(selector, columns, lambda: schema, None) == expected
