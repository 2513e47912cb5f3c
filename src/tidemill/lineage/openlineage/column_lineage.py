"""The columns that each column of a dataset comes from, as a facet of OpenLineage.

It is what the query of a stage says. A column that a value is computed from is DIRECT (with the subtype
IDENTITY if the values are the same); one that only decides which rows there are is INDIRECT, and listed once
for the whole dataset. Nothing is said of a stage whose query isn't known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from tidemill.analysis.query.summary import Reads
from tidemill.contracts.spec import ContractSpec
from tidemill.lineage.openlineage.dataset_names import Dataset
from tidemill.lineage.openlineage.facets import FacetBuilder, Json
from tidemill.reuse.recipe import Recipe

# More input fields than this aren't listed: each takes some 120 bytes.
MOST_INPUT_FIELDS = 5000
_IDENTITY = [{"type": "DIRECT", "subtype": "IDENTITY"}]
_DIRECT = [{"type": "DIRECT"}]
_INDIRECT = [{"type": "INDIRECT"}]


@dataclass(frozen=True, slots=True)
class ColumnEdges:
    """The facet, and the number of columns that were left out of it."""

    facet: Json | None
    left_out: int = 0


def query_edges(
    builder: FacetBuilder, recipe: Recipe, inputs: Mapping[str, Dataset]
) -> ColumnEdges:
    """The edges that a query says; without a facet if it isn't known."""
    if not recipe.lineage:
        return ColumnEdges(None)
    fields = {
        column: list(_fields(inputs, values, _IDENTITY if column in recipe.copied else _DIRECT))
        for column in recipe.lineage
        if (values := recipe.values.get(column)) is not None
    }
    whole = list(_fields(inputs, recipe.row_reads, _INDIRECT))
    return _facet(builder, fields, whole)


def copied_edges(builder: FacetBuilder, columns: Iterable[str], source: Dataset) -> ColumnEdges:
    """The edges of a delivery, which has columns of its input as they are."""
    fields = {name: [_field(source, name, _IDENTITY)] for name in columns}
    return _facet(builder, fields, [])


def source_edges(builder: FacetBuilder, spec: ContractSpec, source: Dataset) -> ColumnEdges:
    """The edges of an ingest: each column is cast from one that the source must have."""
    fields = {
        column.name: [_field(source, column.source_name, _DIRECT)]
        for column in spec.columns
        if not column.optional
    }
    return _facet(builder, fields, [])


def _fields(inputs: Mapping[str, Dataset], reads: Reads, kind: list[Json]) -> Iterator[Json]:
    for name, columns in reads.items():
        if name in inputs:
            yield from (_field(inputs[name], column, kind) for column in columns)


def _field(dataset: Dataset, column: str, kind: list[Json]) -> Json:
    return {
        "namespace": dataset.namespace,
        "name": dataset.name,
        "field": column,
        "transformations": kind,
    }


def _facet(
    builder: FacetBuilder, fields: Mapping[str, list[Json]], whole: list[Json]
) -> ColumnEdges:
    left = MOST_INPUT_FIELDS - len(whole[:MOST_INPUT_FIELDS])
    kept: dict[str, Json] = {}
    for column, edges in fields.items():
        if len(edges) <= left:
            left -= len(edges)
            kept[column] = {"inputFields": edges}
    values: Json = {"fields": kept}
    if whole:
        values["dataset"] = whole[:MOST_INPUT_FIELDS]
    return ColumnEdges(builder.facet("columnLineage", **values), len(fields) - len(kept))
