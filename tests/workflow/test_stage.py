"""A sealed flow, as it is asked."""

from __future__ import annotations

import pytest

from tests.support.planning import CUTS, deliver, evaluate, flow_of, ingest, model, reads
from tidemill.core.partition import Partitioning
from tidemill.workflow.sink import Sink, parquet

RAW = ingest("raw")
MOD = model("mod", reads(RAW))
EV = evaluate("ev", MOD, reads(RAW))
OUT = deliver("out", MOD, RAW)
FLOW = flow_of(RAW, MOD, EV, OUT)


def test_stages_by_name() -> None:
    assert (FLOW.names, FLOW["ev"]) == (("raw", "mod", "ev", "out"), EV)
    with pytest.raises(KeyError):
        FLOW["nothing"]


def test_readers() -> None:
    assert FLOW.readers("raw") == (MOD, EV, OUT)
    assert FLOW.readers("mod") == (EV, OUT)
    assert FLOW.readers("out") == ()


def test_frames_are_the_inputs_with_a_contract() -> None:
    assert [item.name for item in EV.frames] == ["raw"]
    assert OUT.frames == ()


@pytest.mark.parametrize("cut", CUTS)
def test_a_stage_is_cut_as_its_contract_says(cut: str) -> None:
    found = ingest("raw", cut).partitioning
    assert found.is_whole == (cut == "whole")
    assert str(found.grain or "") == ("" if cut in ("whole", "value") else cut)


def test_what_has_no_output_is_whole() -> None:
    assert MOD.partitioning == Partitioning()


def test_parquet() -> None:
    assert parquet("out/scored") == Sink(folder="out/scored", format="parquet")
