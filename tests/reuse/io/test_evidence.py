"""The evidence of a flow's stages, and what it is kept by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tides import CHAIN, flow_of
from tidemill.analysis.code.code_fingerprint import code_of
from tidemill.analysis.query.summary import QuerySummary
from tidemill.reuse.io.evidence import gather_evidence
from tidemill.reuse.probe import Probe
from tidemill.reuse.recipe import Platform, probe_key
from tidemill.testing.doubles import MemoryProbes
from tidemill.workflow.seal import seal
from tidemill.workflow.stage import Flow, Kind, Stage

HERE = Platform(engine="2.1.0", python="3.11.7", machine="x86_64", tidemill="0.1.0")
WITH_TWIN = f"""{CHAIN}

@flow.transform
def again(raw: tm.Frame[Raw], doubled: tm.Frame[Doubled]) -> tm.Frame[Doubled]:
    return doubled.with_columns(double=pl.col("double") + 1)
"""


class NotedProbes(MemoryProbes):
    """A cache of probes that notes what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def get(self, keys: Collection[str]) -> Mapping[str, QuerySummary]:
        self.asked += keys
        return super().get(keys)


@pytest.fixture
def flow(tmp_path: Path) -> Flow:
    return seal(flow_of(tmp_path, WITH_TWIN, "evidence_chain"))


def gather(flow: Flow, probes: MemoryProbes) -> list[str]:
    """Gather the evidence of a flow, and return the stages that were probed."""
    probed: list[str] = []

    def prober(stage: Stage) -> Probe:
        probed.append(stage.name)
        return Probe(query=QuerySummary())

    gather_evidence(flow, probes, HERE, prober, lambda contract: [])
    return probed


def test_stages_are_probed_once_for_what_they_depend_on(flow: Flow) -> None:
    probes = NotedProbes()
    assert gather(flow, probes) == ["doubled", "daily", "again"]
    for stage in flow.stages:
        if stage.kind is Kind.TRANSFORM:
            assert stage.function is not None
            assert probe_key(stage, code_of(stage.function), HERE) in probes.asked
    assert gather(flow, probes) == []
    # Another contract of one that they share.
    raw = flow["raw"].output
    assert raw is not None
    wider = replace(raw, key=("day",))
    stages = tuple(
        replace(
            stage,
            output=wider if stage.output is raw else stage.output,
            inputs=tuple(
                replace(item, contract=wider) if item.contract is raw else item
                for item in stage.inputs
            ),
        )
        for stage in flow.stages
    )
    assert gather(replace(flow, stages=stages), probes) == ["doubled", "again"]
