"""Run a case: compute its stage from its tables in memory, as a run does, and publish nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import polars as pl
from polars.exceptions import PanicException

from tidemill.cases.case_verdict import CaseOutcome, CaseVerdict, judge_case
from tidemill.cases.cell_values import CellError
from tidemill.cases.io.case_tables import CaseTables
from tidemill.cases.io.model_cases import evaluate_model, predict_rows, predict_training_rows
from tidemill.cases.io.time_limit import OutOfTime, time_limit
from tidemill.cases.stage_case import StageCase, StageCaseResult
from tidemill.contracts.spec import ContractSpec
from tidemill.core.errors import TidemillError
from tidemill.ports.formats import ModelFormat
from tidemill.workflow.stage import Flow, Kind, Stage
from tidemill.workflow.user_errors import user_error

# What a failed case shows of what its code printed.
_MOST_OUTPUT = 20_000


class CaseRunner:
    """Runs cases of one workflow, each for at most `timeout_s` seconds; 0: without a limit."""

    def __init__(
        self, flow: Flow, formats: Sequence[ModelFormat], *, timeout_s: float = 60.0
    ) -> None:
        self._flow = flow
        self._formats = formats
        self._timeout_s = timeout_s
        self._readers: dict[tuple[str, bool], ContractSpec] = {}

    def run(self, case: StageCase) -> StageCaseResult:
        """Run a case, and compare its outcome with what it expects; an error becomes a part of the result."""
        stage, printed = self._flow[case.stage], StringIO()
        tables = CaseTables(self._flow, case, self._readers)
        start = time.perf_counter()
        with redirect_stdout(printed), redirect_stderr(printed):
            verdict = self._verdict(case, stage, tables)
        seconds = time.perf_counter() - start
        return StageCaseResult(
            case=case,
            problems=verdict.problems,
            differences=verdict.differences,
            broken={name: frozenset(rules) for name, rules in tables.broken.items()},
            stages=tuple(tables.computed),
            notes=tuple(dict.fromkeys(tables.notes)),
            output=printed.getvalue()[:_MOST_OUTPUT],
            seconds=seconds,
        )

    def rows(self, case: StageCase) -> tuple[dict[str, pl.DataFrame], pl.DataFrame, dict[str, int]]:
        """The rows of the tables that a case is computed from, by stage, and those that its stage gives.

        Also how many rows of each stage are quarantined. Raises what the stage raises.
        """
        tables = CaseTables(self._flow, case, self._readers)
        output = tables.rows(case.stage)
        inputs = [item.name for item in self._flow[case.stage].frames] or [case.stage]
        rejected = {name: bad.height for name, bad in tables.rejected.items()}
        return {name: tables.rows(name) for name in inputs}, output, rejected

    def _verdict(self, case: StageCase, stage: Stage, tables: CaseTables) -> CaseVerdict:
        verdict = CaseVerdict()
        try:
            # Many rows take long to compare, too.
            with time_limit(self._timeout_s):
                verdict = judge_case(case, self._outcome(case, stage, tables), stage.output)
        except OutOfTime as error:
            return CaseVerdict(problems=(f"{stage.name}: {error}",))
        return verdict

    def _outcome(self, case: StageCase, stage: Stage, tables: CaseTables) -> CaseOutcome:
        try:
            return self._compute(stage, tables)
        except CellError as error:
            return CaseOutcome(unusable=str(error))
        except TidemillError as error:
            if isinstance(error.__cause__, OutOfTime):
                return CaseOutcome(unusable=f"{stage.name}: {error.__cause__}")
            return CaseOutcome(error=str(error))
        # A case must not end the others, whatever its stage raises.
        except (Exception, PanicException) as error:  # noqa: BLE001
            return CaseOutcome(error=str(user_error(stage, case.partition, error)))

    def _compute(self, stage: Stage, tables: CaseTables) -> CaseOutcome:
        rows: pl.DataFrame | None = None
        scores: Mapping[str, float] = {}
        predictions: pl.Series | None = None
        match stage.kind:
            case Kind.INGEST | Kind.TRANSFORM:
                rows = tables.rows(stage.name)
            case Kind.MODEL:
                predictions = predict_training_rows(stage, tables, self._formats)
            case Kind.EVALUATE:
                scores = evaluate_model(stage, tables, self._formats)
            case Kind.DELIVER:
                rows = predict_rows(stage, tables, self._formats)
        return CaseOutcome(
            rows=rows, rejected=tables.rejected, scores=scores, predictions=predictions
        )
