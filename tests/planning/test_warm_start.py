"""Which version a training continues, and when it is from scratch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planning import World, deliver, evaluate, flow_of, ingest, model, reads
from tidemill.core.partition import WHOLE
from tidemill.ledger.delivery import Delivery
from tidemill.planning.plan import Step
from tidemill.workflow.gate import beats_baseline
from tidemill.workflow.gate_kinds import Gate
from tidemill.workflow.model import Artifact, ParentVersion
from tidemill.workflow.trigger import new_data
from tidemill.workflow.window import all_partitions, last

DAYS = [f"2013-03-{day:02}" for day in range(1, 31)]
GATES = (beats_baseline("mae"),)
REFUSED = 20.0


def harbour(
    limit: int | None = 3, *, gates: tuple[Gate, ...] | None = GATES, days: int = 8
) -> World:
    """raw by day -> mod (four days before the last two), trained on every new day -> ev -> out."""
    raw = ingest("raw")
    mod = model(
        "mod",
        reads(raw, last("4d", before=last("2d"))),
        retrain=new_data(),
        gates=gates,
        warm_start=limit,
    )
    ev = evaluate("ev", mod, reads(raw, last("2d")))
    stages = [raw, mod, ev]
    if gates is not None:
        stages.append(deliver("out", mod, raw))
    world = World(flow=flow_of(*stages))
    feed(world, days)
    return world


def feed(world: World, days: int) -> None:
    """One file a day, up to a day."""
    for day in DAYS[:days]:
        world.feed("raw", day, day)


def newest(world: World) -> Artifact:
    """What was trained, or bound, last."""
    artifact = world.heads["mod"][WHOLE].product.artifact
    assert artifact is not None
    return artifact


def training(world: World) -> Step | None:
    """The training that is planned now."""
    steps = (step for step in world.plan().steps if step.stage == "mod" and not step.subject)
    return next(steps, None)


def lineage(world: World) -> str:
    [state] = world.plan().models
    return state.lineage


@pytest.fixture
def world() -> World:
    world = harbour()
    world.run()
    return world


def test_the_first_training_is_from_scratch(world: World) -> None:
    assert (newest(world).parent, newest(world).generation) == (None, 0)
    assert lineage(harbour()) == "trains from scratch: no version is live"
    assert lineage(harbour(gates=None)) == "trains from scratch: it is the first one"


def test_a_version_that_became_live_is_not_outdated(world: World) -> None:
    first = newest(world)
    assert world.live["mod"].artifact == first
    assert world.plan().empty
    feed(world, 9)
    world.run()
    assert world.live["mod"].artifact == newest(world) != first
    plan = world.plan()
    assert plan.empty
    [state] = plan.models
    assert (state.outdated, state.due, state.lineage) == ((), (), "")


def test_a_new_day_continues_the_live_version_once(world: World) -> None:
    first = newest(world)
    feed(world, 9)
    step = training(world)
    assert step is not None
    assert step.parent == first.id
    assert lineage(world) == f"continues {first.id}, generation 1 of 3"
    assert world.plan().parents == {"mod": first}
    world.run()
    second = newest(world)
    assert second.parent is not None
    assert (second.parent.id, second.parent.key) == (first.id, first.key)
    assert second.generation == 1
    made = list(world.made)
    world.run()
    assert world.made == made


def test_after_some_generations_one_is_from_scratch(world: World) -> None:
    found = [newest(world).generation]
    for days in range(9, 16):
        feed(world, days)
        if found[-1] == 3:
            live = world.live["mod"].artifact.id
            assert lineage(world) == f"trains from scratch: {live} is generation 3 of 3"
        world.run()
        found.append(newest(world).generation)
    assert found == [0, 1, 2, 3, 0, 1, 2, 3]


def test_a_changed_recipe_trains_from_scratch(world: World) -> None:
    first = newest(world)
    world.versions["mod"] = 2
    feed(world, 9)
    assert lineage(world) == f"trains from scratch: the recipe changed since {first.id}"
    world.run()
    assert newest(world).parent is None


def test_after_a_rollback_the_live_version_is_continued(world: World) -> None:
    first = world.live["mod"]
    for days in (9, 10):
        feed(world, days)
        world.run()
    world.live["mod"] = first
    assert training(world) is None, "a rollback alone trains nothing"
    feed(world, 11)
    step = training(world)
    assert step is not None
    assert step.parent == first.artifact.id
    world.run()
    assert newest(world).generation == 1


def test_a_refused_candidate_is_not_continued(world: World) -> None:
    first = newest(world)
    feed(world, 9)
    world.mae = _Refused()
    world.run()
    refused = newest(world)
    assert world.live["mod"].artifact == first
    world.mae = {}
    feed(world, 10)
    assert lineage(world) == f"continues {first.id}, generation 1 of 3"
    world.run()
    assert newest(world) != refused
    assert newest(world).parent == replace(_parent(refused), digest=_parent(newest(world)).digest)


class _Refused(dict[str, float]):
    """Every model is bad."""

    def get(self, key: str, default: object = None) -> float:
        return REFUSED


def _parent(artifact: Artifact) -> ParentVersion:
    assert artifact.parent is not None
    return artifact.parent


def test_a_requested_training_on_the_same_inputs_gives_the_same_version(world: World) -> None:
    feed(world, 9)
    world.run()
    second = newest(world)
    step = next(s for s in world.plan(train=frozenset(["mod"])).steps if s.stage == "mod")
    assert (step.forced, step.parent) == (True, _parent(second).id)
    world.run(train=frozenset(["mod"]))
    assert newest(world) == second


def test_a_training_from_scratch_is_repeated_from_scratch(world: World) -> None:
    first = newest(world)
    plan = world.plan(train=frozenset(["mod"]))
    assert plan.models[0].lineage == f"trains from scratch: {first.id} was trained from scratch"
    world.run(train=frozenset(["mod"]))
    assert newest(world) == first


def test_without_an_approval_the_last_version_is_continued() -> None:
    world = harbour(gates=None)
    world.run()
    for days in (9, 10):
        feed(world, days)
        world.run()
    assert newest(world).generation == 2


def test_without_warm_start_nothing_is_continued() -> None:
    world = harbour(None)
    world.run()
    feed(world, 9)
    step = training(world)
    assert step is not None
    assert (step.parent, lineage(world), world.plan().parents) == ("", "", {})


@pytest.mark.parametrize("why", ["missing", "damaged"])
def test_a_parent_that_is_not_stored_is_not_continued(world: World, why: str) -> None:
    first = newest(world)
    feed(world, 9)
    world.missing = {first.object: why}
    assert lineage(world) == f"trains from scratch: the stored model {first.id} is {why}"


def test_a_training_is_not_repeated_with_a_parent_that_is_gone(world: World) -> None:
    first = newest(world)
    feed(world, 9)
    world.run()
    del world.traces[first.key]
    plan = world.plan(train=frozenset(["mod"]))
    assert (
        plan.models[0].lineage == f"trains from scratch: its parent {first.id} isn't known any more"
    )


def test_a_lower_limit_trains_from_scratch_and_makes_nothing_outdated(world: World) -> None:
    feed(world, 9)
    world.run()
    second = newest(world)
    mod = world.flow["mod"]
    assert mod.training is not None
    none = replace(mod, training=replace(mod.training, warm_start=0))
    world.flow = flow_of(*(none if stage is mod else stage for stage in world.flow.stages))
    assert training(world) is None
    world.run(train=frozenset(["mod"]))
    assert newest(world).parent is None
    assert newest(world) != second


@pytest.mark.parametrize(("gone", "lost"), [(8, 6), (5, 5)])
def test_rows_that_are_removed_do_not_stay_in_the_model(world: World, gone: int, lost: int) -> None:
    feed(world, 9)
    world.run()
    second = newest(world)
    assert second.trained_on == {"raw": tuple(DAYS[3:7])}
    del world.files["raw"][DAYS[gone]]
    why = f"raw {DAYS[lost]}, which {second.id} was trained on, is gone"
    assert lineage(world) == f"trains from scratch: {why}"
    world.run()
    assert newest(world).parent is None
    assert newest(world) != second


def test_a_partition_that_left_the_window_is_no_removal(world: World) -> None:
    feed(world, 12)
    world.run()
    assert newest(world).trained_on == {"raw": tuple(DAYS[6:10])}
    assert newest(world).generation == 1


def test_a_window_without_anything_new_trains_from_scratch(world: World) -> None:
    first = newest(world)
    mod = world.flow["mod"]
    [item] = mod.inputs
    shorter = replace(mod, inputs=(replace(item, window=last("2d", before=last("2d"))),))
    world.flow = flow_of(*(shorter if stage is mod else stage for stage in world.flow.stages))
    why = f"{first.id} has seen all partitions of the window"
    assert lineage(world) == f"trains from scratch: {why}"
    world.run()
    assert (newest(world).parent, newest(world).trained_on) == (None, {"raw": tuple(DAYS[4:6])})


def test_a_value_that_is_removed_does_not_stay_in_the_model() -> None:
    raw = ingest("raw", "value")
    mod = model("mod", reads(raw, all_partitions), retrain=new_data(), gates=None, warm_start=9)
    world = World(flow=flow_of(raw, mod))
    for name in ("lisbon", "porto"):
        world.feed("raw", name, name)
    world.run()
    first = newest(world)
    world.feed("raw", "aveiro", "aveiro")
    assert lineage(world) == f"continues {first.id}, generation 1 of 9"
    world.run()
    second = newest(world)
    del world.files["raw"]["aveiro"]
    why = f"raw aveiro, which {second.id} was trained on, is gone"
    assert lineage(world) == f"trains from scratch: {why}"


def test_nothing_is_trained_when_inputs_that_were_computed_again_stay_equal(world: World) -> None:
    feed(world, 9)
    world.run()
    second = newest(world)
    world.versions["raw"] = 1
    step = training(world)
    assert step is not None
    assert step.parent == second.id
    made = len(world.made)
    world.run()
    assert newest(world) == second
    assert len(world.made) == made + 9, "the days, and no model"


_actions = st.lists(
    st.sampled_from(["day", "correct", "edit", "rollback", "refuse", "train", "crash", "again"]),
    max_size=14,
)


class History:
    """A world to which something happens, then a run; `lives` are the deliveries so far."""

    def __init__(self, limit: int, *, gated: bool) -> None:
        self.world = harbour(limit, gates=GATES if gated else None)
        self.gated = gated
        self.days = 8
        self.lives: list[Delivery] = []
        self.run()

    def run(self, *models: str) -> None:
        self.world.run(train=frozenset(models))
        if self.gated:
            self.lives.append(self.world.live["mod"])

    def happen(self, action: str) -> None:
        world = self.world
        world.mae = _Refused() if action == "refuse" else {}
        if action in ("day", "refuse", "crash"):
            self.days += 1
            feed(world, self.days)
        elif action == "correct":
            day = DAYS[self.days - 3]
            world.feed("raw", day, day, digest=f"corrected {len(world.made)}")
        elif action == "edit":
            world.versions["mod"] = world.versions.get("mod", 0) + 2
        elif action == "rollback" and self.lives:
            world.live["mod"] = self.lives[0]
        if action == "crash":
            world.run(crash_after=len(world.plan().steps) // 2)
        self.run(*(["mod"] if action == "train" else []))


@settings(max_examples=120, deadline=None)
@given(actions=_actions, limit=st.integers(0, 3), gated=st.booleans())
def test_every_version_follows_from_its_parent_and_its_inputs(
    actions: list[str], limit: int, gated: bool
) -> None:
    history = History(limit, gated=gated)
    for action in actions:
        history.happen(action)
        after = history.world.plan()
        assert [step.id for step in after.steps if step.stage == "mod"] == []
    lives = [live.artifact for live in history.lives]
    known = history.world.traces
    for artifact in [b.product.artifact for b in known.values() if b.product.artifact is not None]:
        assert artifact.generation <= limit
        assert (artifact.generation > 0) == (artifact.parent is not None)
        if artifact.parent is not None:
            parent = known[artifact.parent.key].product.artifact
            assert parent is not None
            assert (parent.id, parent.recipe) == (artifact.parent.id, artifact.recipe)
            assert parent.generation == artifact.generation - 1
            assert not gated or parent in lives
