"""Call a data stage on frames without rows, to know its output before any data moves.

A stage that reads its rows while it is being called (a pivot over values seen, a maximum) can't be
judged that way: it is *opaque*, and whatever the call gave is discarded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from polars.io.plugins import register_io_source

from tidemill.decide.schema import schema_faults, schema_of
from tidemill.domain.contract import ContractSpec
from tidemill.domain.errors import Fault
from tidemill.domain.stage import Kind, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a stage gave on frames without rows: faults against its contract, or that it is opaque.

    A stage that `raised` may still do on rows: `check` reports it, a run finds out.
    """

    faults: tuple[Fault, ...] = ()
    raised: tuple[Fault, ...] = ()
    opaque: str = ""
    schema: Mapping[str, pl.DataType] = field(default_factory=dict)


class _Read(Exception):
    """Raised by the sources when rows are asked for during the call."""


def probe(stage: Stage) -> Probe:
    """Call a transform on frames of its inputs' contracts and hold its schema against its own contract."""
    if stage.kind is not Kind.TRANSFORM or stage.function is None or stage.output is None:
        return Probe()
    reads: list[str] = []
    frames = {
        item.name: _unreadable(item.name, item.contract, reads)
        for item in stage.frames
        if item.contract is not None
    }
    try:
        result = stage.function(**frames)
        schema = dict(result.lazy().collect_schema()) if _is_frame(result) else None
    except Exception as error:  # noqa: BLE001 - the stage's own code may raise anything
        if reads:
            return Probe(opaque=_opaque(reads))
        return Probe(raised=(_raised(stage, error),))
    if reads:
        return Probe(opaque=_opaque(reads))
    if schema is None:
        return Probe(faults=(_not_a_frame(stage, result),))
    faults = schema_faults(stage.output, schema, where=stage.place)
    named = tuple(
        Fault(message=f"transform {stage.name!r}: {f.message}", where=f.where, hint=f.hint)
        for f in faults
    )
    return Probe(faults=named, schema=schema)


def _unreadable(name: str, contract: ContractSpec, reads: list[str]) -> pl.LazyFrame:
    """A frame of the full contracted schema that notes when its rows are asked for."""

    def source(*_: Any) -> Iterator[pl.DataFrame]:
        reads.append(name)
        raise _Read(name)

    return register_io_source(source, schema=schema_of(contract))


def _is_frame(result: object) -> bool:
    return isinstance(result, (pl.LazyFrame, pl.DataFrame))


def _opaque(reads: list[str]) -> str:
    return f"it reads {reads[0]} while it is being called"


def _raised(stage: Stage, error: Exception) -> Fault:
    text = str(error).strip().partition("\n")[0]
    return Fault(
        message=f"transform {stage.name!r} raised {type(error).__name__}: {text}",
        where=stage.place,
        hint="it was called on frames without rows that have the columns of its inputs' contracts",
    )


def _not_a_frame(stage: Stage, result: object) -> Fault:
    kind = type(result).__name__
    message = f"transform {stage.name!r} returned {kind}, not a polars.LazyFrame"
    return Fault(message=message, where=stage.place, hint="return the query, don't collect it")
