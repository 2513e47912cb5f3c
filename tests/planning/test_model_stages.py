"""Models: outdated is one thing, due another; what is evaluated, judged and delivered, in what order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planning import (
    World,
    deliver,
    evaluate,
    flow_of,
    ingest,
    model,
    reads,
    shown,
    transform,
)
from tests.support.thoroughness import examples, thorough
from tests.support.worlds import moments, windows
from tidemill.core.partition import WHOLE, Grain, partition_key
from tidemill.workflow.gate import beats_baseline, beats_live
from tidemill.workflow.gate_kinds import Gate
from tidemill.workflow.partition_mapping import partitionings_of, visible_to_unpartitioned
from tidemill.workflow.stage import Flow
from tidemill.workflow.trigger import (
    Trigger,
    any_of,
    contract_changed,
    degraded,
    every,
    new_data,
    volume,
)
from tidemill.workflow.window import Last, Window, last
from tidemill.workflow.wiring import wiring_faults

DAYS = [f"2013-03-{day:02}" for day in range(1, 31)]
BEFORE, NEWEST = last("4d", before=last("2d")), last("2d")


def harbour(
    retrain: Trigger | None = None,
    *,
    gates: tuple[Gate, ...] | None = (beats_baseline("mae"),),
    version: str = "1.0.0",
    days: int = 8,
) -> World:
    """raw by day -> mod (four days before the last two) -> scores on two days -> out."""
    raw = ingest("raw")
    mod = model("mod", reads(raw, BEFORE, version=version), retrain=retrain, gates=gates)
    ev = evaluate("ev", mod, reads(raw, NEWEST))
    world = World(flow=flow_of(raw, mod, ev, deliver("out", mod, raw)))
    feed(world, days)
    return world


def feed(world: World, days: int, rows: int = 10) -> None:
    """One file a day, up to a day."""
    for day in DAYS[:days]:
        world.feed("raw", day, day, rows=rows)


def models_of(world: World) -> list[str]:
    """What the plan does besides ingests and deliveries."""
    return [one for one in shown(world.plan()) if "raw" not in one and "out" not in one]


FIRST = ["train mod", "evaluate ev[candidate] of candidate", "evaluate ev[baseline] of baseline"]
GATE = "gate mod of candidate"
LIVE = "evaluate ev[live] of live"


def test_the_first_model_is_trained_scored_judged_and_delivered() -> None:
    world = harbour()
    plan = world.run()
    kept = [one for one in shown(plan) if "raw" not in one and "out" not in one]
    assert kept == [*FIRST, GATE]
    (train,) = [step for step in plan.steps if step.stage == "mod" and step.subject == ""]
    assert train.reads == {"raw": tuple(DAYS[2:6])}
    assert train.reasons == ("not trained yet",)
    (state,) = plan.models
    assert (state.outdated, state.due, state.trigger) == ((), ("not trained yet",), "")
    gate = shown(plan).index(GATE)
    assert all(n > gate for n, one in enumerate(shown(plan)) if one.startswith("deliver"))
    assert world.live["mod"].scores.metrics == {"mae": 1.0}
    assert world.plan().empty


def test_a_refused_model_is_not_judged_again_and_delivers_nothing() -> None:
    world = harbour()
    ids: list[str] = []
    world.mae = _Always(20.0)
    plan = world.plan()
    for step in plan.steps:
        if step.stage == "out":
            break
        world._do(step, plan)
        ids.append(step.id)
    assert ids[-1] == GATE
    after = world.plan()
    assert after.empty
    assert [(w.stage, w.partition, w.reason) for w in after.waiting] == [
        ("out", "", "model `mod` has no approved version yet")
    ]
    # Other gates don't judge it either, unless that is requested.
    mod = model("mod", reads(world.flow["raw"], BEFORE), gates=(beats_live("mae"),))
    raw, _, ev, out = world.flow.stages
    world.flow = flow_of(raw, mod, ev, out)
    assert models_of(world) == []
    [state] = world.plan().models
    assert state.refused.startswith("mod: candidate ")
    assert state.refused.endswith("to have it judged again, run `tidemill run mod --again`")
    for stage in ("mod", "ev"):
        again = world.plan(stage=stage, again=True)
        assert [step.id for step in again.steps if step.forced] == [GATE]
        assert again.models[0].refused == ""
    assert [step.id for step in world.plan(again=True).steps if step.subject] == []


class _Always(dict[str, float]):
    """Every model is as bad."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def get(self, key: str, default: object = None) -> float:
        return self.value


def test_no_delivery_waits_when_there_is_nothing_to_deliver() -> None:
    world = harbour(days=0)
    plan = world.plan()
    assert plan.empty
    assert [(w.stage, w.reason) for w in plan.waiting] == [
        ("mod", "upstream `raw` has no partition in the window yet")
    ]


def test_an_evaluation_waits_for_its_window() -> None:
    raw, lookup = ingest("raw"), ingest("lookup", "whole")
    mod = model("mod", reads(raw, BEFORE))
    world = World(
        flow=flow_of(raw, lookup, mod, evaluate("ev", mod, reads(raw, NEWEST), reads(lookup)))
    )
    feed(world, 8)
    plan = world.run()
    assert not [step for step in plan.steps if step.stage == "ev"]
    assert [(w.stage, w.reason) for w in plan.waiting] == [
        ("ev", "upstream `lookup` has no partition in the window yet")
    ]


def test_new_days_make_it_outdated_and_only_the_live_model_is_scored_again() -> None:
    world = harbour(every("3d"))
    world.run()
    feed(world, 9)
    plan = world.run()
    (state,) = plan.models
    assert (state.outdated, state.due, state.trigger) == (
        ("upstream `raw` changed",),
        (),
        "every(3d)",
    )
    assert [one for one in shown(plan) if "raw" not in one and "out" not in one] == [LIVE]
    assert world.plan().empty


TRIGGERS = [
    (None, 30, ()),
    (new_data(), 9, ("new_data(): upstream `raw` changed",)),
    (every("3d"), 10, ()),
    (every("3d"), 11, ("every(3d): its newest data moved from 2013-03-06 to 2013-03-09",)),
    # Of the days that came into the window, only those that are published can be counted.
    (volume(0.5), 9, ()),
    (
        any_of(volume(0.5), every("3d")),
        10,
        ("volume(0.5): 20 new labelled rows since it was trained on 40",),
    ),
    (contract_changed(), 30, ()),
]


@pytest.mark.parametrize(("trigger", "days", "expected"), TRIGGERS)
def test_only_a_trigger_makes_it_due(
    trigger: Trigger | None, days: int, expected: tuple[str, ...]
) -> None:
    world = harbour(trigger)
    world.run()
    feed(world, days)
    (state,) = world.plan().models
    assert state.outdated
    assert state.due == expected
    assert ("train mod" in shown(world.plan())) == bool(expected)


def test_a_contract_of_another_version_is_a_trigger() -> None:
    world = harbour(contract_changed())
    world.run()
    world.flow = harbour(contract_changed(), version="2.0.0").flow
    assert world.plan().empty  # outdated is what its key says, and the key is the recipe's
    world.versions["mod"] = 2
    (state,) = world.plan().models
    assert state.due == ("contract_changed(): the contract of `raw` changed from 1.0.0 to 2.0.0",)


def degrading(days: int = 14) -> World:
    """A model that is worse from the day after its approval on, a run a day."""
    world = harbour(degraded("mae", by=0.05))
    world.run()
    world.mae[world.live["mod"].artifact.id] = 1.2
    for day in range(9, days + 1):
        feed(world, day)
        world.run()
    return world


def test_a_degraded_live_model_makes_it_due_when_days_have_shown_it() -> None:
    world = degrading(12)
    (state,) = world.plan().models
    assert state.due == ()
    assert state.evidence is not None
    assert state.evidence.note.startswith("it needs 5 days to know how much days differ")
    feed(world, 13)
    (state,) = world.run().models
    assert state.evidence is not None
    assert state.evidence.note.endswith("1 day of this plan will be counted when evaluated")
    (state,) = world.plan().models
    assert state.due == (
        "degraded(mae, by=0.05): `mae` of the live model is 1.2 on average over 5 labelled days "
        f"(100 rows), 1 at approval; alarm on {DAYS[9]}",
    )
    plan = world.run()
    assert "train mod" in shown(plan)
    # Figures of the model that was live until then are gone with it.
    assert sorted(world.heads["ev"]) == ["baseline", "candidate", "live"]
    assert world.live["mod"].through == DAYS[12]
    assert world.plan().empty


def test_each_day_since_the_approval_is_evaluated_once() -> None:
    world = degrading(12)
    assert sorted(world.heads["ev"])[3:] == [f"live {DAYS[n]}" for n in range(8, 12)]
    assert world.plan().empty
    # Labels that come late, and days that come late, are evaluated then.
    world.feed("raw", DAYS[9], DAYS[9], digest="corrected")
    assert f"evaluate ev[live {DAYS[9]}] of live" in shown(world.run())
    world.versions["ev"] = 2
    assert [one for one in shown(world.plan()) if one.startswith("evaluate ev[live 2")] == [
        f"evaluate ev[live {DAYS[n]}] of live" for n in range(8, 12)
    ]


def test_without_such_a_trigger_no_day_is_evaluated() -> None:
    world = harbour(every("30d"))
    world.run()
    feed(world, 12)
    world.run()
    assert sorted(world.heads["ev"]) == ["baseline", "candidate", "live"]


@thorough
@settings(max_examples=examples(30))
@given(st.permutations(range(9, 16)), st.lists(st.booleans(), min_size=7, max_size=7))
def test_evidence_does_not_depend_on_the_order_of_runs_and_data(
    order: list[int], runs: list[bool]
) -> None:
    """Days come in any order, several with one run; the evidence is that of the days in order."""
    one, other = harbour(degraded("mae", by=9.0)), harbour(degraded("mae", by=9.0))
    for world in (one, other):
        world.run()
        world.mae[world.live["mod"].artifact.id] = 1.2
    for day in range(9, 16):
        world_day(one, day)
        one.run()
    for day, ran in zip(order, runs, strict=True):
        world_day(other, day)
        if ran:
            other.run()
    other.run()
    (first,), (second,) = one.plan().models, other.plan().models
    assert first.evidence == second.evidence
    assert first.evidence is not None
    assert first.evidence.value is not None


def world_day(world: World, number: int) -> None:
    """The file of one day."""
    world.feed("raw", DAYS[number - 1], DAYS[number - 1])


def test_a_refused_candidate_is_not_retrained_until_there_is_new_evidence() -> None:
    world = degrading(13)
    world.mae = _Always(20.0)
    plan = world.run()
    assert "train mod" in shown(plan)
    assert not world.decisions[
        max(world.decisions, key=lambda k: world.decisions[k].through)
    ].approved
    feed(world, 14)
    assert "train mod" not in shown(world.run())
    (state,) = world.plan().models
    assert state.evidence is not None
    assert "over 1 labelled day " in state.evidence.seen


def test_a_cooldown_begins_with_a_training_that_was_refused() -> None:
    world = harbour(any_of(new_data(), cooldown="3d"))
    world.run()
    world.mae = _Always(20.0)
    trained = []
    for number in range(9, 20):
        feed(world, number)
        world.clock = number * 86_400.0
        if "train mod" in shown(world.run()):
            trained.append(number)
    assert trained == [9, 12, 15, 18]
    # A person may train whenever they want.
    assert "train mod" in shown(world.run(train=frozenset({"mod"})))


def test_every_trigger_shows_what_it_saw_whether_or_not_the_model_is_outdated() -> None:
    trigger = any_of(degraded("mae", by=0.05), volume(0.5), every("3d"), contract_changed())
    world = harbour(trigger)
    assert world.plan().models[0].evidence is None
    world.run()
    (state,) = world.plan().models
    assert state.outdated == ()
    assert state.evidence is not None
    assert [(leaf.trigger, leaf.seen, leaf.fires) for leaf in state.evidence.leaves()] == [
        ("degraded(mae, by=0.05)", "`mae` was 1 at approval, and no labelled day came since", False),
        ("volume(0.5)", "0 new labelled rows since it was trained on 40", False),
        ("every(3d)", "its newest data is still 2013-03-06", False),
        ("contract_changed()", "no contract has another version than in its last training", False),
    ]  # fmt: skip


def test_asked_for_is_due_and_forced() -> None:
    world = harbour()
    world.run()
    plan = world.plan(train=frozenset({"mod"}))
    (train,) = [step for step in plan.steps if step.action == "train"]
    assert (train.reasons, train.forced) == (("training requested",), True)
    assert models_of(world) == []


def test_a_training_that_was_asked_for_is_done_once() -> None:
    world = harbour()
    world.run()
    at = world.heads["mod"][WHOLE].at
    assert not world.plan(train=frozenset({"mod"}), older_than=at).empty
    assert world.plan(train=frozenset({"mod"}), older_than=at - 1.0).empty


def test_what_was_trained_exactly_so_before_is_bound_without_a_trigger() -> None:
    world = harbour()
    world.run()
    world.versions["mod"] = 2
    world.run(train=frozenset({"mod"}))
    world.versions["mod"] = 0
    plan = world.plan()
    assert shown(plan)[0] == "bind mod"
    assert plan.steps[0].reasons == ("the same training was done before",)
    world.run()
    assert world.plan().empty


def test_a_training_that_cannot_be_proven_is_never_bound() -> None:
    world = harbour(new_data())
    world.unproven["mod"] = ("it draws random numbers without a seed: random (flow.py:3)",)
    world.run()
    assert world.plan().empty
    del world.heads["mod"]
    (train,) = [step for step in world.plan().steps if step.stage == "mod" and not step.subject]
    assert (train.action, train.forced) == ("train", True)


def test_an_evaluation_that_cannot_be_proven_runs_always() -> None:
    world = harbour()
    world.unproven["ev"] = ("it reads the clock: now (flow.py:3)",)
    world.run()
    assert models_of(world) == [LIVE]


def test_scores_that_are_known_are_bound() -> None:
    world = harbour()
    world.run()
    del world.heads["ev"]
    assert models_of(world) == ["bind ev[live] of live"]


def test_without_approval_the_candidate_is_scored_and_nothing_is_judged() -> None:
    world = harbour(gates=None)
    plan = world.run()
    assert GATE not in shown(plan)
    assert "evaluate ev[candidate] of candidate" in shown(plan)
    assert world.plan().empty


def test_a_head_without_an_artifact_counts_as_never_trained() -> None:
    world = harbour()
    world.run()
    bound = world.heads["mod"][WHOLE]
    world.heads["mod"][WHOLE] = replace(bound, product=replace(bound.product, artifact=None))
    (state,) = world.plan().models
    assert state.due == ("not trained yet",)


def test_time_is_counted_on_the_first_input_that_has_it() -> None:
    lookup, raw = ingest("lookup", "whole"), ingest("raw")
    mod = model("mod", reads(lookup), reads(raw, BEFORE), retrain=every("3d"), gates=None)
    world = World(flow=flow_of(lookup, raw, mod))
    world.feed("lookup", "l", WHOLE)
    feed(world, 8)
    world.run()
    feed(world, 11)
    (state,) = world.plan().models
    assert state.due == ("every(3d): its newest data moved from 2013-03-06 to 2013-03-09",)


@pytest.mark.parametrize(
    ("cut", "keys", "due"),
    [("month", ["2013-03", "2013-04"], True), ("value", ["EWR"], False), ("whole", [WHOLE], False)],
)
def test_an_input_that_is_cut_anew_has_a_time_of_its_own(
    cut: str, keys: list[str], due: bool
) -> None:
    def flow(cut: str) -> Flow:
        raw = ingest("raw", cut)
        return flow_of(raw, model("mod", reads(raw), retrain=every("3d"), gates=None))

    for first, fed, then, after in [("day", DAYS[:1], cut, keys), (cut, keys, "day", DAYS)]:
        world = World(flow=flow(first))
        world.feed("raw", "a", *fed)
        world.run()
        world.flow = flow(then)
        world.feed("raw", "a", *after)
        (state,) = world.plan().models
        assert bool(state.due) == (due and first == "day")


def test_values_have_no_newest_partition() -> None:
    raw = ingest("raw", "value")
    world = World(flow=flow_of(raw, model("mod", reads(raw), retrain=every("3d"), gates=None)))
    world.feed("raw", "a", "EWR")
    world.run()
    world.feed("raw", "a", "EWR", "JFK")
    (state,) = world.plan().models
    assert (state.outdated != (), state.due) == (True, ())


def test_more_than_one_stage_may_feed_a_model() -> None:
    raw = ingest("raw")
    labels = transform("labels", "day", reads(raw))
    mod = model("mod", reads(raw, BEFORE), reads(labels, BEFORE))
    ev = evaluate("ev", mod, reads(raw, NEWEST), reads(labels, NEWEST))
    world = World(flow=flow_of(raw, labels, mod, ev))
    feed(world, 8)
    plan = world.run()
    ranks = shown(plan)
    assert ranks.index("train mod") > ranks.index(f"run labels[{DAYS[5]}]")
    assert world.plan().empty


@given(data=st.data())
def test_evaluation_never_sees_what_was_trained_on(data: st.DataObject) -> None:
    grains = data.draw(st.lists(st.sampled_from(Grain), min_size=1, max_size=3))
    inputs = [ingest(f"in{number}", str(grain)) for number, grain in enumerate(grains)]
    window = {i.name: (data.draw(windows), data.draw(windows)) for i in inputs}
    trained = data.draw(st.lists(st.sampled_from(inputs), min_size=1, unique=True))
    scored = data.draw(st.lists(st.sampled_from(inputs), min_size=1, unique=True))
    mod = model("mod", *(reads(i, window[i.name][0]) for i in trained))
    ev = evaluate("ev", mod, *(reads(i, _near(data, window[i.name])) for i in scored))
    flow = flow_of(*inputs, mod, ev)
    if wiring_faults({stage.name: stage for stage in flow.stages}):
        return
    held = {
        i.name: sorted({partition_key(m, g) for m in data.draw(moments)})
        for i, g in zip(inputs, grains, strict=True)
    }
    learned, judged = (
        visible_to_unpartitioned(stage, partitionings_of(flow), held) for stage in (mod, ev)
    )
    if learned.keys() == {i.name for i in trained}:
        assert not any(set(keys) & set(learned.get(name, ())) for name, keys in judged.items())


def _near(data: st.DataObject, pair: tuple[Window, Window]) -> Window:
    """A window of its own, or the one that training ends before."""
    trained, own = pair
    before = trained.before if isinstance(trained, Last) else None
    return data.draw(st.sampled_from([own, before or own]))
