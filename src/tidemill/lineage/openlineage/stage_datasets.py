"""The datasets that a run of a stage read and wrote, with what is known of them."""

from __future__ import annotations

from tidemill.contracts.spec import ContractSpec
from tidemill.core.lazy_dataclass import dataclass
from tidemill.lineage.openlineage.column_lineage import (
    ColumnEdges,
    copied_edges,
    query_edges,
    source_edges,
)
from tidemill.lineage.openlineage.contract_checks import assertions
from tidemill.lineage.openlineage.dataset_names import Dataset
from tidemill.lineage.openlineage.facets import FacetBuilder, Json, timestamp, type_text
from tidemill.lineage.openlineage.lineage_context import LineageContext
from tidemill.lineage.openlineage.stage_tally import StageTally
from tidemill.reuse.input_contents import RULINGS
from tidemill.workflow.delivery_wiring import delivered_columns, is_predicted
from tidemill.workflow.source import Query, Source
from tidemill.workflow.stage import Kind, Stage

_LONGEST_QUERY = 20_000
_CHANGED = "its declaration isn't the one that computed it"
# The recorded input of an ingest.
_FILES = "files"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDatasets:
    """Adds datasets to the event of a stage's run; `stage` is None if it isn't declared any more."""

    context: LineageContext
    builder: FacetBuilder
    tally: StageTally
    environment: str
    stage: Stage | None

    def describe(self, event: Json) -> None:
        """Add the inputs and outputs, and the query of an ingest."""
        source = self._source()
        inputs = self._inputs()
        origins = self.context.places.sources(source) if source is not None else ()
        if isinstance(source, Query) and len(source.query) <= _LONGEST_QUERY:
            event["job"]["facets"]["sql"] = self.builder.facet(
                "sql", query=self.context.redact(source.query)
            )
        read = [*inputs.values(), *origins]
        event["inputs"] = [self._input(dataset, alone=len(read) == 1) for dataset in read]
        edges = self._edges(inputs, source, origins)
        event["outputs"] = [self._output(dataset, edges) for dataset in self._output_places()]
        if edges.left_out:
            counts = {"columnLineage": edges.left_out}
            event["run"]["facets"]["tidemill_leftOut"] = self.builder.trimmed(counts)

    def describe_checks(self, event: Json) -> None:
        """Add what was checked, with the results."""
        tally, builder = self.tally, self.builder
        found, left_out = assertions(builder, self._known_contract(), tally.broken)
        metrics = builder.facet(
            "dataQualityMetrics",
            rowCount=tally.rows,
            bytes=tally.bytes,
            fileCount=tally.objects,
            lastUpdated=timestamp(tally.ended),
            columnMetrics={},
        )
        facets = {"dataQualityMetrics": metrics, "dataQualityAssertions": found}
        own = self._own()
        event["inputs"] = [
            {"namespace": own.namespace, "name": own.name, "inputFacets": facets},
        ]
        if left_out:
            counts = {"dataQualityAssertions": left_out}
            event["run"]["facets"]["tidemill_leftOut"] = builder.trimmed(counts)

    @property
    def _is_known(self) -> bool:
        """Whether the declaration is what computed everything that was published."""
        name = self.tally.stage
        if self.stage is None or name not in self.context.recipes:
            return False
        return self.tally.recipes == {self.context.recipes[name].digest}

    def _known_contract(self) -> ContractSpec | None:
        return self.stage.output if self.stage is not None and self._is_known else None

    def _source(self) -> Source[object] | None:
        stage = self.stage
        if stage is None or stage.kind is not Kind.INGEST or not self._is_known:
            return None
        return self.context.source_of(stage)

    def _own(self) -> Dataset:
        return self._dataset(self.tally.stage)

    def _dataset(self, stage: str) -> Dataset:
        return self.context.places.stage(self.environment, self.context.flow.name, stage)

    def _inputs(self) -> dict[str, Dataset]:
        """The stages that were read: as it was recorded, or as it is declared if nothing was published."""
        stage, names = self.stage, [name for name in self.tally.inputs if name != RULINGS]
        if stage is None:
            # What an ingest is known by isn't a stage.
            names = [name for name in names if name != _FILES]
        elif stage.kind is Kind.INGEST:
            names = []
        elif not self.tally.published:
            names = [item.name for item in stage.inputs]
            names += [stage.model] if stage.model else []
        return {name: self._dataset(name) for name in names}

    def _input(self, dataset: Dataset, *, alone: bool) -> Json:
        found: Json = {"namespace": dataset.namespace, "name": dataset.name}
        # Of several inputs, only the sum is recorded.
        if alone and self.tally.rows_in:
            statistics = self.builder.facet(
                "inputStatistics", rowCount=self.tally.rows_in, size=self.tally.bytes_in or None
            )
            found["inputFacets"] = {"inputStatistics": statistics}
        if dataset.layer not in ("", "tidemill"):
            found["facets"] = {"storage": self._storage(dataset)}
        return found

    def _output_places(self) -> list[Dataset]:
        """The places that rows were delivered to, or the stage's own dataset."""
        places = [self.context.places.sink(effect) for effect in self.tally.effects.values()]
        return [place for place in places if place is not None] or [self._own()]

    def _output(self, dataset: Dataset, edges: ColumnEdges) -> Json:
        found: Json = {"namespace": dataset.namespace, "name": dataset.name}
        facets, tally, builder = self._table_facets(dataset), self.tally, self.builder
        if tally.version:
            facets["version"] = builder.facet("version", datasetVersion=tally.version)
        if edges.facet is not None:
            facets["columnLineage"] = edges.facet
        elif edges.unknown and tally.published:
            reason = self.context.redact(edges.unknown)
            facets["tidemill_unknownColumnLineage"] = builder.unknown(reason)
        if facets:
            found["facets"] = facets
        if tally.published:
            files = tally.delivered if dataset.layer == "file" else None
            found["outputFacets"] = {
                "outputStatistics": builder.facet(
                    "outputStatistics",
                    rowCount=tally.rows,
                    size=tally.bytes,
                    fileCount=files if dataset.layer != "tidemill" else tally.objects,
                )
            }
        return found

    def _table_facets(self, dataset: Dataset) -> Json:
        stage, own = self.stage, self._own()
        if stage is None:
            return {}
        facets: Json = {}
        spec = self._known_contract()
        if spec is not None:
            facets.update(self.builder.table(spec, self.context.flow.owner))
        elif stage.kind is Kind.DELIVER and self._is_known:
            facets["schema"] = self._delivered_schema(stage)
        kind = {Kind.MODEL: "MODEL", Kind.EVALUATE: "SCORES"}.get(stage.kind, "TABLE")
        facets["datasetType"] = self.builder.facet("datasetType", datasetType=kind)
        facets["storage"] = self._storage(dataset)
        if (dataset.namespace, dataset.name) != (own.namespace, own.name):
            # Other projects read what was delivered by the name of the stage.
            also = {"namespace": own.namespace, "name": own.name, "type": "TABLE"}
            facets["symlinks"] = self.builder.facet("symlinks", identifiers=[also])
        return facets

    def _storage(self, dataset: Dataset) -> Json:
        return self.builder.facet(
            "storage", storageLayer=dataset.layer, fileFormat=dataset.format or None
        )

    def _edges(
        self,
        inputs: dict[str, Dataset],
        source: Source[object] | None,
        origins: tuple[Dataset, ...],
    ) -> ColumnEdges:
        """The columns that those of the output come from, as far as that is certain."""
        # Models and scores have no columns.
        if self.stage is None or self.stage.kind in (Kind.MODEL, Kind.EVALUATE):
            return ColumnEdges(None)
        if not self._is_known:
            return ColumnEdges(None, unknown=_CHANGED)
        if self.stage.kind is Kind.TRANSFORM:
            return query_edges(self.builder, self.context.recipes[self.stage.name], inputs)
        if self.stage.kind is Kind.DELIVER:
            item, kept = self.stage.inputs[0], self._delivered_columns()
            if not kept or item.name not in inputs:
                return ColumnEdges(None, unknown="the columns of its input aren't known")
            return copied_edges(self.builder, kept, inputs[item.name])
        if isinstance(source, Query):
            return ColumnEdges(
                None, unknown="its source is an SQL query, which may compute columns"
            )
        if len(origins) != 1 or self.stage.output is None:
            return ColumnEdges(None, unknown="its source doesn't say what it reads")
        return source_edges(self.builder, self.stage.output, origins[0])

    def _delivered_columns(self) -> list[str]:
        """The columns that a delivery has of its input as they are."""
        stage, source = self.stage, self._delivered_contract()
        if stage is None or source is None:
            return []
        return [
            name
            for name, (dtype, _) in delivered_columns(stage, source).items()
            if name in source.names
            and source.column(name).dtype == dtype
            and not (stage.model and is_predicted(name))
        ]

    def _delivered_contract(self) -> ContractSpec | None:
        """The contract of what a delivery delivers, or scores."""
        name = self.stage.inputs[0].name if self.stage is not None else ""
        return self.context.flow[name].output if name in self.context.flow.names else None

    def _delivered_schema(self, stage: Stage) -> Json:
        source = self._delivered_contract()
        columns = delivered_columns(stage, source) if source is not None else {}
        fields = [{"name": name, "type": type_text(dtype)} for name, (dtype, _) in columns.items()]
        return self.builder.facet("schema", fields=fields)
