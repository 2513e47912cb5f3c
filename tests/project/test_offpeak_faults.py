"""Faults of the settings of work that waits."""

from __future__ import annotations

from pathlib import Path

from tests.support.planning import evaluate, flow_of, ingest, model, reads
from tidemill.offpeak.offpeak_settings import OffPeakSettings
from tidemill.project.offpeak_faults import off_peak_faults

RAW = ingest("raw")
MODEL = model("mod", reads(RAW))
FLOW = flow_of(RAW, MODEL, evaluate("scores", MODEL, reads(RAW)))


def test_stages_that_cant_wait_are_faults() -> None:
    settings = OffPeakSettings(defer={"mod": 60.0, "mode": None, "scores": 60.0})
    found = [*off_peak_faults(settings, FLOW, Path("shop"))]
    assert [fault.message for fault in found] == [
        "there is no stage 'mode' (did you mean 'mod'?)",
        "'scores' is an evaluation, which runs with its model: name the model",
    ]
    assert found[0].where == "shop/pyproject.toml: [tool.tidemill.offpeak.defer]"
