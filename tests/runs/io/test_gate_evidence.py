"""What is gathered for gates: only what they look at, and nothing that is missing counts as there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tidemill as tm
from tidemill.ledger.binding import Binding, Product
from tidemill.ledger.price import Price
from tidemill.runs.io.gate_evidence import EvidenceGatherer
from tidemill.runs.io.gate_step import ScoredModels
from tidemill.runs.io.job import EngineOptions
from tidemill.testing.doubles import MemoryArtifacts
from tidemill.testing.records import model_artifact, scores
from tidemill.workflow.stage import Approval, Flow, Kind, Stage

BOUND = Binding(
    key="k", recipe="r", contract="1", check="c", product=Product(content="c"), run="r", at=1.0
)


@pytest.mark.parametrize(
    ("gate", "sizes", "training"),
    [
        (tm.size(9), (5, None), {}),
        (tm.contract_ok(), (), {"features": {"2013-03-06": BOUND, "2013-03-07": None}}),
        (tm.fresh("2d"), (), {}),
    ],
    ids=str,
)
def test_facts(gate: Any, sizes: Any, training: Any) -> None:
    artifacts = MemoryArtifacts()
    [name] = artifacts.put_all([(b"model", ".txt")])
    artifact = replace(model_artifact(), object=name, golden="gone.parquet")
    model = Stage(
        name="model", kind=Kind.MODEL, function=None, inputs=(), output=None, place="x.py:1",
        approval=Approval(model="model", gates=(gate,)),
    )  # fmt: skip
    job: Any = SimpleNamespace(
        tools=SimpleNamespace(root=Path("/nowhere"), artifacts=artifacts),
        engines=EngineOptions(),
        flow=Flow(name="shop", owner="", stages=(model,)),
        price=Price(),
    )
    published: Any = SimpleNamespace(get=lambda _, key: BOUND if key == "2013-03-06" else None)
    runner: Any = SimpleNamespace(settle=lambda: None)
    scored = ScoredModels(candidate={"scores": scores()}, live=None, baseline={})
    gatherer = EvidenceGatherer(job, published, runner)
    found = gatherer.gather(model, artifact, scored, 3.0, "2013-03-08", lambda evidence: None)
    assert found.facts is not None
    assert (found.facts.sizes, found.facts.training) == (sizes, training)
    assert (found.facts.now, found.facts.through) == (3.0, "2013-03-08")
    assert found.measured.results == {}
