"""Call a transform on frames without rows, to learn its output columns and its query before any data moves.

It is called twice: on scans that record when rows are requested, and on placeholder frames that can be
found in the query. A stage that collects rows when it is called (a pivot over values, a maximum) can't
be judged by its query: it is *opaque*, and the result of the call is discarded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import polars as pl
from polars.exceptions import PanicException, PolarsError

from tidemill.analysis.code.call_watch import CallWatch
from tidemill.analysis.query.column_digests import (
    ColumnDigest,
    PartitionColumns,
    QueryDigests,
    query_digests,
)
from tidemill.analysis.query.column_reads import ColumnReads, columns_read, reads_of_run
from tidemill.analysis.query.placeholders import placeholder_frame
from tidemill.analysis.query.scan_leaves import Leaves, recording_frame
from tidemill.analysis.query.serialized import UnreadableQuery
from tidemill.analysis.query.summary import QuerySummary, Reads
from tidemill.contracts.checks.schema import schema_faults, schema_of
from tidemill.core.errors import Fault, describe_error
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.other_frames import describe_other_frame
from tidemill.memos.identity import probe_memos
from tidemill.reuse.recipe import all_input_columns, describe_hidden_input, undeclared_fault
from tidemill.workflow.fold_inputs import input_columns, value_columns
from tidemill.workflow.stage import Input, Kind, Stage

# Parts of a query whose effect isn't visible in it.
_HIDDEN = {
    **{"python": "a Python function", "plugin": "a plugin", "sql": "SQL", "sink": "a sink"},
    "codes": "the codes of a Categorical",
}
_STRANGE = {"scan": "a scan", "source": "an IO source"}
_WRONG = QuerySummary(opaque="its output doesn't match its contract")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The result of calling a stage on frames without rows: its query, and the faults found in it.

    A stage that `raised` may still work on real rows, so `check` reports it and a run doesn't.
    """

    query: QuerySummary
    faults: tuple[Fault, ...] = ()
    raised: tuple[Fault, ...] = ()


def probe(stage: Stage) -> Probe | None:
    """Call a transform on frames of its inputs' contracts; None for stages that aren't judged by a query."""
    found = _probe_memos(stage)
    if found is None or not found.raised or not any(item.reads for item in stage.inputs):
        return found
    # It may have raised because a column that it uses isn't among its declared reads.
    beyond = tuple(_undeclared_reads(stage, _probe_memos(_with_all_columns(stage))))
    return replace(found, raised=(), faults=(*found.faults, *beyond)) if beyond else found


def _with_all_columns(stage: Stage) -> Stage:
    """The stage with all columns of its inputs, whatever it declares to read."""
    return replace(stage, inputs=tuple(replace(item, reads=None) for item in stage.inputs))


def _undeclared_reads(stage: Stage, whole: Probe | None) -> Iterator[Fault]:
    """Faults for the columns that a stage uses but doesn't declare; `whole` probed it with all columns."""
    for item in stage.inputs:
        asked = whole.query.reads.get(item.name, ()) if whole is not None else ()
        for name in asked:
            if item.reads is not None and name not in item.columns:
                message = (
                    f"transform {stage.name!r} reads {item.name}.{name}, which it doesn't declare "
                    f"({item.reads}, {item.reads.place})"
                )
                yield Fault(message=message, where=stage.place, hint=f"add {name!r} to its reads")


def _probe_memos(stage: Stage) -> Probe | None:
    with probe_memos() as memos:
        found = _call_stage(stage)
    return found and replace(found, query=replace(found.query, memos=bool(memos)))


def _call_stage(stage: Stage) -> Probe | None:
    if stage.kind is not Kind.TRANSFORM or stage.function is None or stage.output is None:
        return None
    noted: list[str] = []
    function = stage.function
    schemas = {item.name: _schema(item) for item in stage.frames}
    frames = {name: recording_frame(name, schema, noted) for name, schema in schemas.items()}
    try:
        with CallWatch(stage.place) as watched:
            result = function(**frames)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - its code may raise anything
        return _opaque_probe(noted) if noted else _raised_probe(stage, error)
    if noted:
        return _opaque_probe(noted)
    if not isinstance(result, (pl.LazyFrame, pl.DataFrame)):
        return Probe(query=_WRONG, faults=(_not_a_frame_fault(stage, result),))
    outside = [t for t in watched.hidden_inputs if t.kind == "reads" and not stage.is_vouched_for]
    readers = tuple(undeclared_fault(stage, f"reads {t.name}", t.where) for t in outside)
    touched = tuple(
        describe_hidden_input(touch) for touch in watched.hidden_inputs if touch.kind != "reads"
    )
    try:
        found = _judge_query(stage, result.lazy(), Leaves.of(frames), schemas)
    except (PolarsError, PanicException) as error:
        return _raised_probe(stage, error)
    # A watched call has a file and line; the query only shows that there is one.
    query = replace(found.query, touched=touched or found.query.touched)
    return replace(found, query=query, faults=(*found.faults, *readers))


def _schema(item: Input) -> dict[str, pl.DataType]:
    assert item.contract is not None
    if item.fold is not None:
        return dict(item.fold.schema)
    schema = schema_of(item.contract)
    return {name: schema[name] for name in item.columns}


def _judge_query(
    stage: Stage,
    result: pl.LazyFrame,
    leaves: Leaves | None,
    schemas: dict[str, dict[str, pl.DataType]],
) -> Probe:
    """Check the query of a stage against its contract, and digest its columns."""
    assert stage.output is not None
    assert stage.function is not None
    schema = dict(result.collect_schema())
    wrong = schema_faults(stage.output, schema, where=stage.place)
    if wrong:
        return Probe(query=_WRONG, faults=tuple(_name_stage(stage, fault) for fault in wrong))
    keep = stage.output.unknown_columns == "keep"
    # Optional columns that the stage doesn't return are filled when its rows are checked.
    names = list(schema) if keep else [name for name in stage.output.names if name in schema]
    asked = columns_read(result.select(names), leaves)
    strangers = () if asked is None else asked.foreign_leaves
    faults = [
        undeclared_fault(stage, f"reads {s.name}", stage.place)
        for s in strangers
        if s.kind in _STRANGE
    ]
    if faults:
        return Probe(
            query=QuerySummary(opaque="it reads something that is not one of its inputs"),
            faults=tuple(faults),
        )
    try:
        again = stage.function(**{name: placeholder_frame(name, s) for name, s in schemas.items()})
        found = query_digests(
            again.lazy().select(names), _unique_keys(stage), _partition_columns(stage)
        )
        return _judge_columns(stage, found, _columns_used(stage, asked, found))
    except UnreadableQuery as reason:
        return Probe(query=QuerySummary(opaque=str(reason)))


def _judge_columns(stage: Stage, found: QueryDigests, reads: Reads) -> Probe:
    strangers = [hit for hit in found.opaque_parts if hit.kind in _STRANGE]
    faults = [
        undeclared_fault(stage, f"reads {_STRANGE[hit.kind]} of {hit.name}", stage.place)
        for hit in strangers
    ]
    faults += [_codes_fault(stage, hit.name) for hit in found.opaque_parts if hit.kind == "codes"]
    hidden = [hit for hit in found.opaque_parts if hit.kind != "unseeded"]
    if hidden:
        what = _HIDDEN.get(hidden[0].kind, hidden[0].kind)
        return Probe(
            query=QuerySummary(opaque=f"its query contains {what} ({hidden[0].name})"),
            faults=tuple(faults),
        )
    drawn = [hit.name for hit in found.opaque_parts]
    query = QuerySummary(
        columns={name: column.digest for name, column in found.columns.items()},
        lineage={name: dict(input_columns(stage, c.reads)) for name, c in found.columns.items()},
        reads=reads,
        touched=tuple(f"it draws random numbers without a seed: {name}" for name in drawn),
        unstable=found.unstable,
        unordered=found.unordered,
        least=found.min_rows,
        values={name: dict(value_columns(stage, c.values)) for name, c in found.columns.items()},
        copied=tuple(name for name, c in found.columns.items() if _is_copied(stage, c)),
        row_reads=dict(input_columns(stage, found.row_reads)),
    )
    return Probe(query=query)


def _is_copied(stage: Stage, column: ColumnDigest) -> bool:
    """Whether a column has the values of one input column; those of a fold are computed, but for groups."""
    folds = {item.name: item.fold.fold.by for item in stage.frames if item.fold is not None}
    return column.copied and all(
        name in folds.get(item, (name,)) for item, names in column.values.items() for name in names
    )


def _unique_keys(stage: Stage) -> dict[str, tuple[str, ...]]:
    """The keys of inputs that are unique across all partitions that a stage may see at once."""
    contracts = {
        item.name: item.contract
        for item in stage.frames
        if item.contract is not None and set(item.contract.key) <= set(item.columns)
    }
    unique = {
        name: contract.key
        for name, contract in contracts.items()
        if contract.partitioning.is_whole or contract.partitioning.column in contract.key
    }
    return unique | {item.name: item.fold.fold.by for item in stage.frames if item.fold is not None}


def _partition_columns(stage: Stage) -> PartitionColumns | None:
    """The columns that partition the inputs like the output; None if a partition reads beyond its own."""
    cut, output = stage.partitioning, stage.output
    if output is None or cut.is_whole:
        return None
    cuts: dict[str, str] = {}
    for item in stage.frames:
        assert item.contract is not None
        other = item.contract.partitioning
        if item.fold is not None:
            return None
        if other.is_whole:
            cuts[item.name] = ""
            continue
        dtype = item.contract.column(other.column).dtype
        # 0.0 and -0.0 are equal but lie in different partitions.
        alike = dtype == output.column(cut.column).dtype and not dtype.name.startswith("Float")
        own = alike and item.window is None and cut.grain == other.grain
        if not own or other.column not in item.columns:
            return None
        cuts[item.name] = other.column
    return PartitionColumns(inputs=cuts, result=cut.column)


def _columns_used(stage: Stage, asked: ColumnReads | None, found: QueryDigests) -> Reads:
    """The columns that the stage reads from each input; all columns if its query doesn't tell."""
    everything = all_input_columns(stage)
    if asked is None:
        return everything
    reads = reads_of_run(asked, found)
    return input_columns(stage, {name: reads.get(name, ()) for name in everything})


def _opaque_probe(noted: list[str]) -> Probe:
    return Probe(query=QuerySummary(opaque=f"it collects {noted[0]} when it is called"))


def _raised_probe(stage: Stage, error: BaseException) -> Probe:
    said = describe_error(error).partition("\n")[0].strip()
    fault = Fault(
        message=f"transform {stage.name!r} raised {said}",
        where=stage.place,
        hint="it was called on frames without rows that have the columns of its inputs' contracts",
    )
    opaque = f"it raised {type(error).__name__} on frames without rows"
    return Probe(query=QuerySummary(opaque=opaque), raised=(fault,))


def _codes_fault(stage: Stage, column: str) -> Fault:
    return Fault(
        message=f"transform {stage.name!r} uses the codes of a Categorical ({column}): they differ "
        "between processes",
        where=stage.place,
        hint="declare the column as tm.Enum([...]), whose codes are fixed, or join a table of codes",
    )


def _name_stage(stage: Stage, fault: Fault) -> Fault:
    return replace(fault, message=f"transform {stage.name!r}: {fault.message}")


def _not_a_frame_fault(stage: Stage, result: object) -> Fault:
    kind, _, conversion = describe_other_frame(result).partition("; ")
    message = f"transform {stage.name!r} returned {kind}, not a polars.LazyFrame"
    hint = conversion or "return the query without collecting it"
    return Fault(message=message, where=stage.place, hint=hint)
