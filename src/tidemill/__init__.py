"""Declare a workflow once; run only what changed, checked, gated, priced and recorded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tidemill.act.memo import memo
    from tidemill.act.validating import Validated, validate
    from tidemill.contracts import Contract
    from tidemill.decide.aggregates import fold
    from tidemill.decide.frame import Frame, Predictor
    from tidemill.decide.review.compare import diff
    from tidemill.decide.scoring import scores
    from tidemill.domain.columns import (
        Array,
        Binary,
        Bool,
        Categorical,
        Date,
        Datetime,
        Decimal,
        Duration,
        Enum,
        Float16,
        Float32,
        Float64,
        Int8,
        Int16,
        Int32,
        Int64,
        Int128,
        List,
        String,
        Struct,
        Time,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        UInt128,
    )
    from tidemill.domain.contract import rule
    from tidemill.domain.errors import TidemillError
    from tidemill.domain.gate import Scores, beats_baseline, beats_live, no_slice_worse
    from tidemill.domain.impure import impure
    from tidemill.domain.model import Fitted, Params, fitted
    from tidemill.domain.resources import resources, retries
    from tidemill.domain.source import Source, delta, files, iceberg, output, pull, sql
    from tidemill.domain.stage import parquet
    from tidemill.domain.table_rules import (
        Budget,
        Drift,
        Freshness,
        References,
        Rows,
        Unique,
    )
    from tidemill.domain.trigger import (
        all_of,
        any_of,
        contract_changed,
        degraded,
        every,
        new_data,
        volume,
    )
    from tidemill.domain.window import all_partitions as all
    from tidemill.domain.window import last as last
    from tidemill.domain.workflow import Workflow
    from tidemill.odcs import read_odcs, write_odcs
    from tidemill.project import open_project as open

__all__ = [
    "Array",
    "Binary",
    "Bool",
    "Budget",
    "Categorical",
    "Contract",
    "Date",
    "Datetime",
    "Decimal",
    "Drift",
    "Duration",
    "Enum",
    "Fitted",
    "Float16",
    "Float32",
    "Float64",
    "Frame",
    "Freshness",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Int128",
    "List",
    "Params",
    "Predictor",
    "References",
    "Rows",
    "Scores",
    "Source",
    "String",
    "Struct",
    "TidemillError",
    "Time",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "UInt128",
    "Unique",
    "Validated",
    "Workflow",
    "__version__",
    "all",
    "all_of",
    "any_of",
    "beats_baseline",
    "beats_live",
    "contract_changed",
    "degraded",
    "delta",
    "diff",
    "every",
    "files",
    "fitted",
    "fold",
    "iceberg",
    "impure",
    "last",
    "memo",
    "new_data",
    "no_slice_worse",
    "open",
    "output",
    "parquet",
    "pull",
    "read_odcs",
    "resources",
    "retries",
    "rule",
    "scores",
    "sql",
    "validate",
    "volume",
    "write_odcs",
]

_COLUMNS = (
    "Array Binary Bool Categorical Date Datetime Decimal Duration Enum Float16 Float32 Float64 Int8 "
    "Int16 Int32 Int64 Int128 List String Struct Time UInt8 UInt16 UInt32 UInt64 UInt128"
)
# Where each public name lives. They are imported when they are first used, so that the command line
# and workflows start quickly.
_HOMES = {
    "tidemill.act.memo": "memo",
    "tidemill.act.validating": "Validated validate",
    "tidemill.contracts": "Contract",
    "tidemill.decide.aggregates": "fold",
    "tidemill.decide.review.compare": "diff",
    "tidemill.decide.frame": "Frame Predictor",
    "tidemill.decide.scoring": "scores",
    "tidemill.domain.columns": _COLUMNS,
    "tidemill.domain.contract": "rule",
    "tidemill.domain.errors": "TidemillError",
    "tidemill.domain.gate": "Scores beats_baseline beats_live no_slice_worse",
    "tidemill.domain.impure": "impure",
    "tidemill.domain.model": "Fitted Params fitted",
    "tidemill.domain.resources": "resources retries",
    "tidemill.domain.source": "Source delta files iceberg output pull sql",
    "tidemill.domain.stage": "parquet",
    "tidemill.domain.table_rules": "Budget Drift Freshness References Rows Unique",
    "tidemill.domain.trigger": "all_of any_of contract_changed degraded every new_data volume",
    "tidemill.domain.window": "all=all_partitions last",
    "tidemill.domain.workflow": "Workflow",
    "tidemill.odcs": "read_odcs write_odcs",
    "tidemill.project": "open=open_project",
}
_PUBLIC = {
    name.partition("=")[0]: (home, name.partition("=")[2] or name)
    for home, names in _HOMES.items()
    for name in names.split()
}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'tidemill' has no attribute {name!r}")
    home, attribute = _PUBLIC[name]
    value = getattr(import_module(home), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
