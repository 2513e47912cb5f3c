"""Column lineage: which columns are direct, which only decide about rows, and how many are listed."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.contracts.column import Column
from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.openlineage import column_lineage
from tidemill.lineage.openlineage.column_lineage import (
    ColumnEdges,
    copied_edges,
    query_edges,
    source_edges,
)
from tidemill.lineage.openlineage.dataset_names import Dataset
from tidemill.lineage.openlineage.facets import FacetBuilder
from tidemill.reuse.recipe import Recipe

BUILDER = FacetBuilder("urn:tidemill:1")
A, B = (Dataset(namespace="ns", name=f"w.{name}") for name in "ab")


def edges_of(found: ColumnEdges) -> dict[str, list[tuple[str, str, str]]]:
    """By column the dataset, the column and the kind of each edge; those of the rows under ""."""
    assert found.facet is not None

    def edge(field: Any) -> tuple[str, str, str]:
        [kind] = field["transformations"]
        assert field["namespace"] == "ns"
        return field["name"], field["field"], "/".join(kind.values())

    listed = {
        name: [*map(edge, item["inputFields"])] for name, item in found.facet["fields"].items()
    }
    return {**listed, "": [*map(edge, found.facet.get("dataset", []))]}


def test_values_are_direct_and_rows_are_listed_once() -> None:
    recipe = Recipe(
        digest="r",
        lineage={"k": {"a": ("k", "f")}, "s": {"a": ("x", "f"), "b": ("y",)}, "n": {"a": ("f",)}},
        values={"k": {"a": ("k",)}, "s": {"a": ("x",), "b": ("y",)}, "n": {"a": ()}},
        copied=("k",),
        row_reads={"a": ("f",), "gone": ("z",)},
    )
    found = query_edges(BUILDER, recipe, {"a": A, "b": B})
    assert edges_of(found) == {
        "k": [("w.a", "k", "DIRECT/IDENTITY")],
        "s": [("w.a", "x", "DIRECT"), ("w.b", "y", "DIRECT")],
        "n": [],
        "": [("w.a", "f", "INDIRECT")],
    }


@pytest.mark.parametrize("reason", ["", "it collects a when it is called"])
def test_of_a_query_that_isnt_known_the_reason_is_said(reason: str) -> None:
    found = query_edges(BUILDER, Recipe(digest="r", opaque=reason), {"a": A})
    assert found == ColumnEdges(None, unknown=reason or "its query isn't known")


def test_a_column_whose_values_were_not_recorded_is_left_out() -> None:
    """As it is with a probe that was stored by an earlier version."""
    recipe = Recipe(digest="r", lineage={"k": {"a": ("k",)}})
    assert edges_of(query_edges(BUILDER, recipe, {"a": A})) == {"": []}


def test_a_delivery_copies_and_an_ingest_casts() -> None:
    assert edges_of(copied_edges(BUILDER, ["k"], A)) == {
        "k": [("w.a", "k", "DIRECT/IDENTITY")],
        "": [],
    }
    columns = (
        Column(name="k", dtype=DType("Int64"), source="Key"),
        Column(name="o", dtype=DType("Int64"), optional=True),
    )
    spec = ContractSpec(name="T", version="1", columns=columns)
    assert edges_of(source_edges(BUILDER, spec, A)) == {"k": [("w.a", "Key", "DIRECT")], "": []}


def test_edges_beyond_a_number_are_left_out_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_lineage, "MOST_INPUT_FIELDS", 3)
    wide = {"a": ("x", "y")}
    recipe = Recipe(
        digest="r",
        lineage=dict.fromkeys("pqr", wide),
        values={"p": {"a": ("x",)}, "q": wide, "r": {"a": ("y",)}},
        row_reads={"a": ("f",)},
    )
    found = query_edges(BUILDER, recipe, {"a": A})
    assert (list(edges_of(found)), found.left_out) == (["p", "r", ""], 1)
