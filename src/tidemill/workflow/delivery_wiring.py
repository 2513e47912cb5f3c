"""Check a delivered table against what it delivers: its rows, partitions and the types of its sink."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from posixpath import normpath

from tidemill.contracts.dtype import DType
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import did_you_mean
from tidemill.workflow.sink import PARTITION_COLUMN, Sink, unstorable
from tidemill.workflow.stage import Stage

# What the model adds to the rows that it scores.
_PREDICTED: Mapping[str, DType] = {"prediction": DType("Float64"), "model": DType("String")}
# The class itself, or the probability of one.
_BY_MODEL = ("prediction", "probability_")


def delivery_faults(stage: Stage, stages: Mapping[str, Stage]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a table, and what to do."""
    source = stages[stage.inputs[0].name].output
    if source is None:
        return
    if stage.output is not None:
        yield from _contract_faults(stage.output, source)
    yield from _type_faults(stage, delivered_columns(stage, source))
    if stage.exclude_training:
        yield from _training_faults(stage, source, stages)


def delivered_columns(stage: Stage, source: ContractSpec) -> dict[str, tuple[DType, bool]]:
    """The type of each column that is known to be delivered, and whether it may have nulls."""
    if not stage.model:
        columns = source.columns
    elif stage.output is not None:
        columns = stage.output.columns
    else:
        columns = tuple(map(source.column, source.key or source.names))
    found = {column.name: (column.dtype, column.nullable) for column in columns}
    if stage.model and stage.output is None:
        found.update({name: (dtype, True) for name, dtype in _PREDICTED.items()})
    return found


def is_predicted(column: str) -> bool:
    """Whether a column of rows that a model scores is the model's."""
    return column in _PREDICTED or column.startswith(_BY_MODEL)


def _contract_faults(output: ContractSpec, source: ContractSpec) -> Iterator[tuple[str, str]]:
    for column in output.columns:
        if column.name.startswith(_BY_MODEL) or column.optional:
            continue
        if column.name not in (*source.names, *_PREDICTED):
            yield (
                f"its contract {output.name} has a column {column.name!r}, which {source.name} "
                "doesn't have",
                did_you_mean(column.name, (*source.names, *_PREDICTED)),
            )
            continue
        given = _PREDICTED.get(column.name) or source.column(column.name).dtype
        if not column.dtype.includes(given):
            yield (
                f"{column.name} is {given}, but its contract {output.name} declares {column.dtype}",
                "declare the type that it has",
            )
    own, other = output.partitioning, source.partitioning
    if (own.column, own.grain) != (other.column, other.grain):
        yield (
            f"its contract {output.name} is partitioned {own}, but {source.name} is {other}",
            "reuse the partition column of the features",
        )


def _type_faults(
    stage: Stage, columns: Mapping[str, tuple[DType, bool]]
) -> Iterator[tuple[str, str]]:
    assert stage.sink is not None
    kind = stage.sink.format
    for name, (dtype, nullable) in columns.items():
        if found := unstorable(kind, dtype, nullable=nullable):
            yield f"its sink ({kind}) can't store {name!r}, which is {found[0]}", found[1]
    if kind in ("parquet", "call"):
        return
    if PARTITION_COLUMN in columns:
        yield f"it has a column {PARTITION_COLUMN!r}, which its sink adds", "rename the column"
    seen: dict[str, str] = {}
    for name in columns:
        if not name or "\0" in name or (kind == "postgres" and len(name.encode()) > _PG_NAME):
            yield f"its sink ({kind}) can't have a column of the name {name!r}", "rename the column"
        # These databases don't distinguish names by case.
        if kind in ("sqlite", "duckdb") and name.lower() in seen:
            both = f"{seen[name.lower()]!r} and {name!r}"
            yield f"its sink ({kind}) can't tell the columns {both} apart", "rename one of them"
        seen[name.lower()] = name


_PG_NAME = 63


def _training_faults(
    stage: Stage, source: ContractSpec, stages: Mapping[str, Stage]
) -> Iterator[tuple[str, str]]:
    model, name = stages.get(stage.model), stage.inputs[0].name
    if model is not None and name not in {item.name for item in model.inputs}:
        yield (
            f"exclude_training= needs to know which partitions of {name!r} the model {model.name!r} "
            "was trained on, but it doesn't read them",
            "leave exclude_training out",
        )
    elif source.partitioning.is_whole:
        yield (
            f"exclude_training= leaves out partitions, but {name!r} has none",
            "partition its contract, or leave exclude_training out",
        )


def shared_place_faults(stages: Iterable[Stage]) -> Iterator[tuple[Stage, str, str]]:
    """Yield the tables that deliver to the place of an earlier one, and what to do."""
    seen: dict[tuple[str, ...], Stage] = {}
    for stage in stages:
        if stage.sink is None:
            continue
        first = seen.setdefault(_place(stage.sink), stage)
        assert first.sink is not None
        if first is stage:
            continue
        if stage.sink.format != "call":
            message = (
                f"it delivers to the place of {first.name!r}: each would replace the other's rows"
            )
            yield stage, message, "choose another table or folder"
        elif stage.sink.function is not first.sink.function:
            message = (
                f"its function has the name of that of {first.name!r}, {stage.sink.folder}, by which "
                "deliveries are known"
            )
            yield stage, message, "give each function a name of its own"


def _place(sink: Sink) -> tuple[str, ...]:
    match sink.format:
        case "parquet" | "delta":
            return "folder", normpath(sink.folder)
        case "sqlite" | "duckdb":
            # These databases don't distinguish names by case.
            return "file", normpath(sink.folder), sink.table.lower()
    return sink.format, sink.folder, sink.catalog, sink.table
