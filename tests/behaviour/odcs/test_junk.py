"""Whatever stands in a document that the standard allows: it is read, listed, or refused by name."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.behaviour.odcs.test_documents import EXPECTED, leaves, parsed
from tests.support.odcs.contracts import contracts
from tests.support.thoroughness import examples, thorough
from tidemill.contracts.checks.row_rules import column_rules
from tidemill.contracts.checks.schema import schema_of
from tidemill.contracts.io.odcs_yaml import parse_text, to_yaml
from tidemill.contracts.odcs.reader import read_document
from tidemill.contracts.odcs.writer import write_document
from tidemill.core.errors import ContractError, SourceError

JUNK: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.text(max_size=5),
        st.dates(),
        st.sampled_from(
            ["object", "array", "vector", "Enum", "Array", "Decimal(0, 9)", "1e999", "-1"]
        ),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@cache
def document_of(name: str) -> Any:
    return parsed(name).fields


def survives(fields: Any) -> None:
    """Reading raises nothing but errors that say what is wrong; what is read can be checked."""
    try:
        fields = parse_text(to_yaml(fields), "junk.yaml").fields
    except (SourceError, ValueError):
        # Not what the standard allows: `text_of` and `parse` tell.
        return
    try:
        found = read_document(fields, file="junk.yaml")
    except ContractError:
        return
    for spec in found.contracts:
        schema_of(spec)
        try:
            column_rules(spec)
        except ContractError:
            # What only Polars knows, as for contracts that are declared as classes.
            continue


@given(st.data(), JUNK)
@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "envelope.odcs.yaml"])
def test_one_value_is_junk(name: str, data: st.DataObject, junk: Any) -> None:
    whole = copy.deepcopy(document_of(name))
    path = data.draw(st.sampled_from([*leaves(whole)]))
    spoil(whole, path, junk)
    survives(whole)


@thorough
@settings(max_examples=examples(30))
@given(contracts(), st.data(), JUNK)
def test_one_value_of_an_export_is_junk(spec: Any, data: st.DataObject, junk: Any) -> None:
    whole = write_document(spec)
    spoil(whole, data.draw(st.sampled_from([*leaves(whole)])), junk)
    survives(whole)


def spoil(part: Any, path: tuple[str | int, ...], junk: Any) -> None:
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = junk
