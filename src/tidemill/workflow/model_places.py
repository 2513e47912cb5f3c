"""The endpoints and tables that predictions of a model go to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tidemill.contracts.column import Column
from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.endpoint import Endpoint
from tidemill.workflow.stage import Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPlace:
    """An endpoint or a table of a model: what patterns may call it, and the columns that it gets of rows."""

    label: str
    names: tuple[str, ...]
    columns: tuple[Column, ...] = ()


def places_of(
    model: str, stages: Mapping[str, Stage], endpoints: Iterable[Endpoint]
) -> Iterator[ModelPlace]:
    """Yield the endpoints and tables that a model answers or scores."""
    for endpoint in endpoints:
        if endpoint.model == model:
            yield ModelPlace(label=f"endpoint {endpoint.name}", names=(endpoint.name,))
    for stage in stages.values():
        if stage.kind is Kind.DELIVER and stage.model == model:
            yield ModelPlace(
                label=f"table {stage.name}",
                names=_table_names(stage),
                columns=_delivered_columns(stage, stages),
            )


def _table_names(stage: Stage) -> tuple[str, ...]:
    sink = stage.sink
    assert sink is not None
    places = [f"{sink.format}:{sink.folder}"]
    places += [f"{places[0]}:{sink.table}"] if sink.table else []
    return stage.name, sink.format, *places


def _delivered_columns(stage: Stage, stages: Mapping[str, Stage]) -> tuple[Column, ...]:
    """The columns that a table delivers beside the predictions; marked if the rows or its contract say so."""
    source = stages.get(stage.inputs[0].name) if stage.inputs else None
    contract = source.output if source is not None else None
    known = {column.name: column for column in contract.columns} if contract is not None else {}
    if stage.output is not None:
        own = stage.output.columns
        return tuple(column if column.pii else known.get(column.name, column) for column in own)
    names = (contract.key or contract.names) if contract is not None else ()
    return tuple(known[name] for name in names)
