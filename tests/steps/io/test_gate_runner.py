"""Gates on a candidate whose record lacks what they need."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tidemill as tm
from tidemill.models.predictors import ModelPredictor
from tidemill.steps.gate_messages import GateWork
from tidemill.steps.io.gate_runner import GateRunner, gate_content
from tidemill.testing.doubles import MemoryArtifacts
from tidemill.testing.records import model_artifact, scores
from tidemill.workflow.gate import GateOutcome
from tidemill.workflow.stage import Approval, Flow, Kind, Stage


def counts_rows(candidate: tm.Candidate) -> list[str]:
    return [f"{candidate.rows.height} rows of {candidate.rows.columns}"]


def is_odd(candidate: tm.Candidate) -> bool:
    return bool(candidate.scores.rows % 2)


class NamelessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def raises_it(candidate: tm.Candidate) -> bool:
    raise NamelessError


def leaves(candidate: tm.Candidate) -> bool:
    sys.exit(0)


def runner(gate: Any) -> GateRunner:
    model = Stage(
        name="model", kind=Kind.MODEL, function=None, inputs=(), output=None, place="x.py:1",
        approval=Approval(model="model", gates=(gate,)),
    )  # fmt: skip
    flow = Flow(name="shop", owner="", stages=(model,))

    def predictor(artifact: Any) -> ModelPredictor:
        return ModelPredictor(lambda rows: rows[:, 0], artifact)

    return GateRunner(flow, Path("/nowhere"), MemoryArtifacts(), predictor)


def work(gate: Any, **changes: Any) -> GateWork:
    made = GateWork(
        model="model",
        position=0,
        artifact=model_artifact(),
        content=gate_content(gate, Path("/nowhere")),
        scores={"scores": scores()},
    )
    return replace(made, **changes)


@pytest.mark.parametrize("gate", [tm.latency(5), tm.cost_per_1k(1)], ids=str)
def test_an_artifact_without_recorded_rows_cant_be_measured(gate: Any) -> None:
    result = runner(gate).run(work(gate))
    assert result.outcome is GateOutcome.UNKNOWN
    assert result.evidence == (
        "no rows were recorded with the model, not enough data to tell (train it again: "
        "`tidemill run --train model`)"
    )


def test_a_function_sees_that_there_are_no_rows() -> None:
    gate = tm.gate(counts_rows)
    assert runner(gate).run(work(gate)).evidence == "0 rows of ['hour', 'wind']"


@pytest.mark.parametrize(
    ("function", "evidence"),
    [
        (
            raises_it,
            "it raised NamelessError: (its message can't be shown: RuntimeError) (test_gate_",
        ),
        (leaves, "it raised SystemExit: 0 (test_gate_runner.py:"),
    ],
)
def test_whatever_a_function_raises_is_its_evidence(function: Any, evidence: str) -> None:
    gate = tm.gate(function)
    result = runner(gate).run(work(gate))
    assert result.evidence.startswith(evidence)
    assert not result.passed


def test_code_that_differs_isnt_run() -> None:
    gate = tm.gate(is_odd)
    result = runner(gate).run(work(gate, content="other"))
    assert (result.passed, "another one in this process" in result.evidence) == (False, True)
    # A gate that needs no process was declared in its place.
    assert not runner(tm.size(9)).run(work(gate)).passed


@pytest.mark.parametrize("found", [{}, {"scores": replace(scores(), rows=0)}])
def test_a_function_isnt_asked_about_nothing(found: Any) -> None:
    gate = tm.gate(is_odd)
    result = runner(gate).run(work(gate, scores=found))
    assert result.evidence in ("no evaluation scored no row", "scores scored no row")


def test_the_model_can_be_loaded_before() -> None:
    assert runner(tm.latency(5)).run(work(tm.latency(5), position=None)).passed


def test_a_file_that_is_gone_fails_its_gate() -> None:
    gate = tm.golden("golden.csv")
    result = runner(gate).run(work(tm.latency(5)))
    assert result.evidence.startswith("golden(golden.csv): there is no such file in")
