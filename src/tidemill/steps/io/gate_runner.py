"""Evaluate the gates that need the model itself, or run code of the user: in a process that may die."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import polars as pl

from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.core.errors import TidemillError, describe_error
from tidemill.models.candidate import Candidate, Compared, with_figures
from tidemill.models.golden_gate import input_columns, judge_golden
from tidemill.models.golden_rows import split_predictions
from tidemill.models.io.golden_file import read_golden_rows
from tidemill.models.own_gate_result import refused, result_of
from tidemill.models.prediction_speed import (
    CpuPrice,
    PredictionSpeed,
    calls_of,
    judge_cost,
    judge_latency,
    measure_calls,
)
from tidemill.models.predictors import ModelPredictor
from tidemill.ports.artifacts import Artifacts
from tidemill.steps.gate_messages import GateWork
from tidemill.workflow.gate import GateResult
from tidemill.workflow.gate_kinds import PROCESS_GATES, Gate
from tidemill.workflow.model import Artifact
from tidemill.workflow.model_gates import CostPer1k, Golden, LatencyLimit
from tidemill.workflow.own_gate import OwnGate
from tidemill.workflow.stage import Flow, Stage


def gate_content(gate: Gate, root: Path) -> str:
    """Identify what a gate consists of besides its declaration: code, or a file; "" for others.

    Raises UsageError for a file that can't be read.
    """
    if isinstance(gate, OwnGate):
        return code_of(gate.function).digest
    if isinstance(gate, Golden):
        return read_golden_rows(gate, root)[1]
    return ""


class GateRunner:
    """Evaluates gates of a workflow on a candidate; `predictor` loads its model."""

    def __init__(
        self,
        flow: Flow,
        root: Path,
        artifacts: Artifacts,
        predictor: Callable[[Artifact], ModelPredictor],
    ) -> None:
        self._flow = flow
        self._root = root
        self._artifacts = artifacts
        self._predictor = predictor

    def run(self, work: GateWork) -> GateResult:
        """Evaluate a gate; whatever goes wrong in it is its evidence, and it fails."""
        model = self._flow[work.model]
        assert model.approval is not None
        if work.position is None:
            self._predictor(work.artifact)
            return GateResult(gate=model.name, passed=True, evidence="it is loaded")
        gate = model.approval.gates[work.position]
        try:
            return self._evaluate(gate, model, work)
        except TidemillError as error:
            return refused(gate, str(error))
        # The code of a gate, or of a model, may raise anything; errors may have no text.
        except (Exception, SystemExit, pl.exceptions.PanicException) as error:  # noqa: BLE001
            traceback.print_exc()
            return refused(gate, f"it raised {describe_error(error)}{_place(error)}")

    def _evaluate(self, gate: Gate, model: Stage, work: GateWork) -> GateResult:
        if not isinstance(gate, PROCESS_GATES) or gate_content(gate, self._root) != work.content:
            return refused(
                gate,
                "its code or its file is another one in this process: it was edited meanwhile, or "
                "holds state that differs between processes",
            )
        if isinstance(gate, OwnGate):
            return self._judge_own(gate, work)
        predictor = self._predictor(work.artifact)
        if isinstance(gate, Golden):
            rows, _ = read_golden_rows(gate, self._root)
            return judge_golden(
                gate,
                rows,
                work.artifact,
                input_columns(model),
                lambda frame: predictor.predict(frame.lazy()).collect(),
            )
        assert isinstance(gate, LatencyLimit | CostPer1k)
        return self._judge_speed(gate, work, predictor)

    def _judge_speed(
        self, gate: LatencyLimit | CostPer1k, work: GateWork, predictor: ModelPredictor
    ) -> GateResult:
        recorded = self._recorded_rows(work.artifact)
        if recorded.is_empty():
            advice = f"train it again: `tidemill run --train {work.model}`"
            evidence = f"no rows were recorded with the model, not enough data to tell ({advice})"
            return GateResult(gate=str(gate), passed=False, unknown=True, evidence=evidence)
        calls = calls_of(predictor.encoded(recorded), gate.rows)
        speed = measure_calls(
            predictor.function, calls, gate.rows, time.perf_counter, time.process_time
        )
        return _judge(gate, speed, CpuPrice(hour=work.cpu_hour, currency=work.currency))

    def _judge_own(self, gate: OwnGate, work: GateWork) -> GateResult:
        empty = [name for name, scores in work.scores.items() if not scores.rows]
        if empty or not work.scores:
            return refused(gate, f"{', '.join(empty) or 'no evaluation'} scored no row")
        candidate = Candidate(
            model=work.model,
            artifact=work.artifact,
            evaluations={name: _compared(name, work) for name in work.scores},
            _rows=lambda: self._recorded_rows(work.artifact),
            _predict=lambda rows: self._predictor(work.artifact).predict(rows.lazy()).collect(),
        )
        return result_of(gate, gate.function(candidate))

    def _recorded_rows(self, artifact: Artifact) -> pl.DataFrame:
        """The input rows that are stored with a model; none if it has none."""
        if not artifact.golden:
            return pl.DataFrame(schema=dict.fromkeys(artifact.inputs, pl.Null))
        stored = pl.read_parquet(BytesIO(self._artifacts.get(artifact.golden)))
        return split_predictions(stored)[0]


def _place(error: BaseException) -> str:
    """Where an error was raised, in brackets: `(flights.py:12)`."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""


def _compared(name: str, work: GateWork) -> Compared:
    scores = with_figures(work.scores[name])
    assert scores is not None
    return Compared(
        scores=scores,
        live=with_figures(work.live.get(name)),
        baseline=with_figures(work.baseline.get(name)),
    )


def _judge(gate: LatencyLimit | CostPer1k, speed: PredictionSpeed, price: CpuPrice) -> GateResult:
    if isinstance(gate, LatencyLimit):
        return judge_latency(gate, speed)
    return judge_cost(gate, speed, price)
