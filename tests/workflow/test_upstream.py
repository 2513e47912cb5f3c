"""What a stage depends on, directly or through others."""

from __future__ import annotations

from tests.support.planning import deliver, evaluate, flow_of, ingest, model, reads, transform
from tidemill.workflow.upstream import upstream_names

RAW, OTHER = ingest("raw"), ingest("other")
FEATURES = transform("features", "day", reads(RAW))
MODEL = model("model", reads(FEATURES), reads(RAW))
FLOW = flow_of(
    RAW, OTHER, FEATURES, MODEL, evaluate("scores", MODEL), deliver("out", MODEL, FEATURES)
)


def test_names_are_in_the_order_of_the_workflow() -> None:
    assert upstream_names(FLOW, RAW) == ()
    assert upstream_names(FLOW, MODEL) == ("raw", "features")
    assert upstream_names(FLOW, FLOW["out"]) == ("raw", "features", "model")
