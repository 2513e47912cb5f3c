"""Declare a workflow once; run only what changed, checked, gated, priced and recorded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from tidemill.cases.python_case import case
    from tidemill.contracts.column_types import (
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
    from tidemill.contracts.compatibility.diff import diff
    from tidemill.contracts.io.contract import Contract
    from tidemill.contracts.io.odcs_files import read_odcs, write_odcs
    from tidemill.contracts.io.validate import Validated, validate
    from tidemill.contracts.spec import rule
    from tidemill.contracts.table_rules import (
        Budget,
        Drift,
        DriftAlarm,
        Freshness,
        References,
        Rows,
        Unique,
    )
    from tidemill.core.errors import TidemillError
    from tidemill.costs.io.usage_meter import record_usage
    from tidemill.folds.aggregates import fold
    from tidemill.ledger.run import RunFailed
    from tidemill.memos.io.decorator import memo
    from tidemill.models import standard_metrics as metrics
    from tidemill.models.candidate import Candidate
    from tidemill.models.curves import calibration, lift, precision_recall, roc
    from tidemill.models.encoding import Encoder, encoder
    from tidemill.models.importance import permutation_importance
    from tidemill.models.io import plots
    from tidemill.models.io.batches import Batches, batches
    from tidemill.models.metrics import scores
    from tidemill.models.threshold import split, threshold
    from tidemill.project.project import open_project as open
    from tidemill.serving.client_errors import RowsRefused, ServingError
    from tidemill.serving.client_exchange import Predictions
    from tidemill.serving.io.client import Client
    from tidemill.workflow.annotations import Frame, Parent, Predictor
    from tidemill.workflow.endpoint import rollout
    from tidemill.workflow.gate import (
        GateResult,
        Scores,
        beats_baseline,
        beats_live,
        no_slice_worse,
    )
    from tidemill.workflow.impure import impure
    from tidemill.workflow.loaders import dbt, dlt
    from tidemill.workflow.mlflow_source import mlflow_model
    from tidemill.workflow.model import Fitted, Params, fitted
    from tidemill.workflow.model_gates import cost_per_1k, golden, latency
    from tidemill.workflow.own_gate import gate
    from tidemill.workflow.prediction_log import log, prediction_log
    from tidemill.workflow.recorded_gates import calibrated, contract_ok, fresh, no_pii_to, size
    from tidemill.workflow.resources import resources
    from tidemill.workflow.retry_policy import retries
    from tidemill.workflow.review import review
    from tidemill.workflow.search import (
        Trial,
        TrialPruned,
        choices,
        integers,
        loguniform,
        search,
        uniform,
    )
    from tidemill.workflow.sink import Call, call, duckdb, parquet, postgres, sqlite
    from tidemill.workflow.source import Source, delta, files, iceberg, output, pull, sql
    from tidemill.workflow.trigger import (
        all_of,
        any_of,
        contract_changed,
        degraded,
        every,
        max_age,
        new_data,
        prediction_shift,
        volume,
    )
    from tidemill.workflow.window import all_partitions as all
    from tidemill.workflow.window import last as last
    from tidemill.workflow.workflow import Workflow

__all__ = [
    "Array",
    "Batches",
    "Binary",
    "Bool",
    "Budget",
    "Call",
    "Candidate",
    "Categorical",
    "Client",
    "Contract",
    "Date",
    "Datetime",
    "Decimal",
    "Drift",
    "DriftAlarm",
    "Duration",
    "Encoder",
    "Enum",
    "Fitted",
    "Float16",
    "Float32",
    "Float64",
    "Frame",
    "Freshness",
    "GateResult",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "Int128",
    "List",
    "Params",
    "Parent",
    "Predictions",
    "Predictor",
    "References",
    "Rows",
    "RowsRefused",
    "RunFailed",
    "Scores",
    "ServingError",
    "Source",
    "String",
    "Struct",
    "TidemillError",
    "Time",
    "Trial",
    "TrialPruned",
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
    "batches",
    "beats_baseline",
    "beats_live",
    "calibrated",
    "calibration",
    "call",
    "case",
    "choices",
    "contract_changed",
    "contract_ok",
    "cost_per_1k",
    "dbt",
    "degraded",
    "delta",
    "diff",
    "dlt",
    "duckdb",
    "encoder",
    "every",
    "files",
    "fitted",
    "fold",
    "fresh",
    "gate",
    "golden",
    "iceberg",
    "impure",
    "integers",
    "last",
    "latency",
    "lift",
    "log",
    "loguniform",
    "max_age",
    "memo",
    "metrics",
    "mlflow_model",
    "new_data",
    "no_pii_to",
    "no_slice_worse",
    "open",
    "output",
    "parquet",
    "permutation_importance",
    "plots",
    "postgres",
    "precision_recall",
    "prediction_log",
    "prediction_shift",
    "pull",
    "read_odcs",
    "record_usage",
    "resources",
    "retries",
    "review",
    "roc",
    "rollout",
    "rule",
    "scores",
    "search",
    "size",
    "split",
    "sql",
    "sqlite",
    "threshold",
    "uniform",
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
    "tidemill.cases.python_case": "case",
    "tidemill.models.io.batches": "Batches batches",
    "tidemill.memos.io.decorator": "memo",
    "tidemill.costs.io.usage_meter": "record_usage",
    "tidemill.contracts.io.validate": "Validated validate",
    "tidemill.contracts.io.contract": "Contract",
    "tidemill.folds.aggregates": "fold",
    "tidemill.ledger.run": "RunFailed",
    "tidemill.contracts.compatibility.diff": "diff",
    "tidemill.workflow.annotations": "Frame Parent Predictor",
    "tidemill.models.encoding": "Encoder encoder",
    "tidemill.models.curves": "calibration lift precision_recall roc",
    "tidemill.models.importance": "permutation_importance",
    "tidemill.models.io.plots": "plots=*",
    "tidemill.models.metrics": "scores",
    "tidemill.models.standard_metrics": "metrics=*",
    "tidemill.models.threshold": "split threshold",
    "tidemill.contracts.column_types": _COLUMNS,
    "tidemill.contracts.spec": "rule",
    "tidemill.core.errors": "TidemillError",
    "tidemill.workflow.endpoint": "rollout",
    "tidemill.models.candidate": "Candidate",
    "tidemill.workflow.gate": "GateResult Scores beats_baseline beats_live no_slice_worse",
    "tidemill.workflow.model_gates": "cost_per_1k golden latency",
    "tidemill.workflow.own_gate": "gate",
    "tidemill.workflow.recorded_gates": "calibrated contract_ok fresh no_pii_to size",
    "tidemill.workflow.impure": "impure",
    "tidemill.workflow.model": "Fitted Params fitted",
    "tidemill.workflow.prediction_log": "log prediction_log",
    "tidemill.workflow.resources": "resources",
    "tidemill.workflow.retry_policy": "retries",
    "tidemill.workflow.review": "review",
    "tidemill.workflow.search": ("Trial TrialPruned choices integers loguniform search uniform"),
    "tidemill.workflow.mlflow_source": "mlflow_model",
    "tidemill.workflow.loaders": "dbt dlt",
    "tidemill.workflow.source": "Source delta files iceberg output pull sql",
    "tidemill.workflow.sink": "Call call duckdb parquet postgres sqlite",
    "tidemill.contracts.table_rules": "Budget Drift DriftAlarm Freshness References Rows Unique",
    "tidemill.workflow.trigger": (
        "all_of any_of contract_changed degraded every max_age new_data prediction_shift volume"
    ),
    "tidemill.workflow.window": "all=all_partitions last",
    "tidemill.workflow.workflow": "Workflow",
    "tidemill.contracts.io.odcs_files": "read_odcs write_odcs",
    "tidemill.serving.client_errors": "RowsRefused ServingError",
    "tidemill.serving.client_exchange": "Predictions",
    "tidemill.serving.io.client": "Client",
    "tidemill.project.project": "open=open_project",
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
    module = import_module(home)
    value = module if attribute == "*" else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
