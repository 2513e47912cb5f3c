"""Expand selectors to column names, over a frame or inside of groups."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, TypeAlias

import polars as pl
from polars.exceptions import PolarsError

from tidemill.analysis.query.value_numbers import UnknownMeaning

Schema: TypeAlias = Mapping[str, pl.DataType]
_SUFFIX = "__tidemill_selected"


def expand_selector(
    selector: Any, names: Sequence[str], schema: Callable[[], Schema], groups: Sequence[str] | None
) -> list[str]:
    """Expand `selector` over the columns `names`; `schema` is called if their types are needed.

    Inside of groups (`groups` holds the names of their keys) most selectors leave out the keys.
    Raises Unknown for a selector that Polars refuses.
    """
    if groups is None:
        plain = _expand_common(selector, names)
        if plain is not None:
            return plain
    types = schema() if "ByDType" in repr(selector) else dict.fromkeys(names, pl.Null())
    return _expand_with_polars(selector, types, groups)


def _expand_common(selector: Any, names: Sequence[str]) -> list[str] | None:
    """Expand the common selectors without Polars; None for others."""
    match selector:
        case "Wildcard":
            return list(names)
        case {"ByName": {"names": list(listed), "strict": True}} if set(listed) <= set(names):
            return listed
        case {"Difference": ["Wildcard", {"ByName": {"names": list(listed), "strict": strict}}]}:
            dropped = set(listed)
            if strict and not dropped <= set(names):
                return None
            return [name for name in names if name not in dropped]
    return None


def _expand_with_polars(selector: Any, types: Schema, groups: Sequence[str] | None) -> list[str]:
    text = json.dumps({"Selector": selector}).encode()
    frame = pl.LazyFrame(schema=dict(types))
    try:
        expression = pl.Expr.deserialize(BytesIO(text), format="json")
        if groups is None:
            return frame.select(expression).collect_schema().names()
        keys = [pl.col(name) for name in groups if name in types] or [pl.lit(0).alias(_SUFFIX)]
        made = frame.group_by(keys).agg(expression.name.suffix(_SUFFIX)).collect_schema().names()
    except PolarsError as error:
        raise UnknownMeaning(f"selector {selector}") from error
    return [name.removesuffix(_SUFFIX) for name in made[len(keys) :]]
