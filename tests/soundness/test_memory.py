"""Random projects, edited at random and run in this process over doubles in memory: never a wrong value."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.soundness import edits
from tests.soundness.counting import Scenario, Tally, random_scenario, shrink
from tests.soundness.model import KNOBS, LOOKS, OPERATORS, Flow, random_flow
from tests.soundness.render import rendered
from tests.soundness.soaking import FULL, SECONDS, judged, report, scenario_of, soak
from tests.support.thoroughness import examples, thorough

# Enough for every kind of edit to come several times; a soak plays hundreds of times as many.
ALL = 14
SCENARIOS = examples(4, ALL)
LEAST = 100
FLOWS = [random_flow(Random(seed)) for seed in range(60)]


@thorough
def test_what_is_published_is_what_a_naive_interpreter_says() -> None:
    total = soak(judged, scenario_of, SCENARIOS, 0.6, _enough)
    report("edits in memory", total)
    if SECONDS >= FULL:
        assert _enough(total)
    elif not SECONDS and SCENARIOS == ALL:
        assert set(edits.KINDS) <= set(total.edits)


def _enough(total: Tally) -> bool:
    """So many edits, and so many of each kind."""
    rarest = min(total.edits[kind] for kind in edits.KINDS)
    return sum(total.edits.values()) >= 10_000 and rarest >= LEAST


def test_random_workflows_have_every_operator_and_every_place_for_a_number() -> None:
    stages = [stage for flow in FLOWS for stage in flow.stages]
    assert {stage.op for stage in stages} == set(OPERATORS)
    assert {knob for stage in stages for knob in stage.knobs} == set(KNOBS)
    assert {len(flow.names) for flow in FLOWS} >= set(range(2, 9))


@pytest.mark.parametrize(
    "flow", FLOWS[:20], ids=lambda flow: "-".join(stage.op for stage in flow.stages)
)
def test_every_number_and_every_look_of_a_workflow_is_in_its_text(flow: Flow) -> None:
    texts = rendered(flow)
    for name, text in texts.items():
        compile(text, name, "exec")
    for stage in flow.stages:
        for knob in stage.knobs:
            more = {**stage.knobs, knob: stage.knobs[knob] + 1}
            if knob != "shared":
                assert rendered(flow.swap(replace(stage, knobs=more))) != texts
        for look in LOOKS:
            more = {**stage.looks, look: stage.looks[look] + 1}
            assert rendered(flow.swap(replace(stage, looks=more))) != texts


def test_a_failing_scenario_is_cut_down_to_the_edits_that_it_takes() -> None:
    def fails(scenario: Scenario) -> bool:
        return {("append", 7), ("comment", 1)} <= set(scenario.edits)

    filler = random_scenario(5, 40).edits
    whole = Scenario(3, (*filler, ("append", 7), *filler, ("comment", 1), *filler))
    assert shrink(whole, fails) == Scenario(3, (("append", 7), ("comment", 1)))
