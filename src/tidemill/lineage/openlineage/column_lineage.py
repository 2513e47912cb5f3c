"""The columns that each column of a dataset comes from, as a facet of OpenLineage.

It is what the query of a stage says. A column that a value is computed from is DIRECT (with the subtype
IDENTITY if the values are the same); one that only decides which rows there are is INDIRECT, and listed once
for the whole dataset. Of a stage whose query isn't known, only the reason for that is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from tidemill.analysis.query.summary import Reads
from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
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
    """The facet, and the number of columns that were left out of it; `unknown` says why there is none."""

    facet: Json | None
    left_out: int = 0
    unknown: str = ""


def query_edges(
    builder: FacetBuilder, recipe: Recipe, inputs: Mapping[str, Dataset]
) -> ColumnEdges:
    """The edges that a query says; without a facet if it isn't known."""
    if not recipe.lineage:
        return ColumnEdges(None, unknown=recipe.opaque or "its query isn't known")
    columns = [
        (column, values, _IDENTITY if column in recipe.copied else _DIRECT)
        for column in recipe.lineage
        if (values := recipe.values.get(column)) is not None
    ]
    return _facet(builder, inputs, columns, recipe.row_reads)


def copied_edges(builder: FacetBuilder, columns: Iterable[str], source: Dataset) -> ColumnEdges:
    """The edges of a delivery, which has columns of its input as they are."""
    return _facet(builder, {"": source}, [(name, {"": (name,)}, _IDENTITY) for name in columns], {})


def source_edges(builder: FacetBuilder, spec: ContractSpec, source: Dataset) -> ColumnEdges:
    """The edges of an ingest: each column is cast from one that the source must have."""
    columns = [
        (column.name, {"": (column.source_name,)}, _DIRECT)
        for column in spec.columns
        if not column.optional
    ]
    return _facet(builder, {"": source}, columns, {})


def _facet(
    builder: FacetBuilder,
    inputs: Mapping[str, Dataset],
    columns: Sequence[tuple[str, Reads, list[Json]]],
    row_reads: Reads,
) -> ColumnEdges:
    """List the edges of each column, and those of the rows, as long as there aren't too many."""
    whole = [*islice(_edges(inputs, row_reads, _INDIRECT), MOST_INPUT_FIELDS)]
    left, kept = MOST_INPUT_FIELDS - len(whole), dict[str, Json]()
    for column, reads, kind in columns:
        count = sum(len(names) for name, names in reads.items() if name in inputs)
        if count <= left:
            left -= count
            kept[column] = {"inputFields": [*_edges(inputs, reads, kind)]}
    values: Json = {"fields": kept, **({"dataset": whole} if whole else {})}
    return ColumnEdges(builder.facet("columnLineage", **values), len(columns) - len(kept))


def _edges(inputs: Mapping[str, Dataset], reads: Reads, kind: list[Json]) -> Iterator[Json]:
    for name, columns in reads.items():
        if name in inputs:
            dataset = inputs[name]
            for column in columns:
                yield {
                    "namespace": dataset.namespace,
                    "name": dataset.name,
                    "field": column,
                    "transformations": kind,
                }
