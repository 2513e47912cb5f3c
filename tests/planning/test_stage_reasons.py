"""Why a stage runs, waits or stays: the reasons of a plan, followed upstream to the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.planning import (
    World,
    deliver,
    evaluate,
    file_of,
    flow_of,
    ingest,
    model,
    reads,
    transform,
)
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Head
from tidemill.ledger.run import Action
from tidemill.planning.plan import Plan, Step, Waiting
from tidemill.planning.stage_reasons import (
    ReasonFacts,
    ReasonGroup,
    StageReasons,
    collect_reasons,
    planned_partitions,
    reasons_without_partition,
    unlikely_condition,
)
from tidemill.workflow.source import SourceFile

DAYS = ("2013-03-01", "2013-03-02", "2013-03-03")

RAW, RATES = ingest("raw"), ingest("rates", "whole")
CLEAN = transform("clean", "day", reads(RAW))
JOINED = transform("joined", "day", reads(CLEAN), reads(RATES))
GUESS = model("guess", reads(JOINED))
SCORES = evaluate("scores", GUESS, reads(JOINED))
TABLE = deliver("table", GUESS, JOINED)
FLOW = flow_of(RAW, RATES, CLEAN, JOINED, GUESS, SCORES, TABLE)


class Case:
    """A world that remembers which files and which runs it had."""

    def __init__(self) -> None:
        self.world = World(flow=FLOW)
        self.sources: dict[str, dict[str, SourceFile]] = {}
        self.recorded: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {}
        self.world.feed("rates", "r.csv", WHOLE)
        for day in DAYS[:2]:
            self.world.feed("raw", f"{day}.csv", day)

    def run(self, name: str, at: float, **request: Any) -> None:
        """Run, and say of what was made by which run, when."""
        before = {stage: dict(bound) for stage, bound in self.world.heads.items()}
        plan = self.world.run(**request)
        for stage, bound in self.world.heads.items():
            for key, held in bound.items():
                if before.get(stage, {}).get(key) is not held:
                    bound[key] = replace(held, run=name, at=at)
        self.sources = {stage: dict(files) for stage, files in plan.sources.items()}
        self.recorded[name] = {(step.stage, step.partition): step.reasons for step in plan.steps}

    def why(self, stage: str, plan: Plan | None = None, partition: str = "") -> StageReasons:
        world = self.world
        recipes = {name: world.recipe(name) for name in FLOW.names}
        heads = {name: Head(partitions=bound) for name, bound in world.heads.items()}

        def recorded(run: str) -> Mapping[tuple[str, str], tuple[str, ...]]:
            return self.recorded[run]

        before = ReasonFacts(heads=heads, sources=self.sources, recorded_reasons=recorded)
        plan = plan or world.plan(stage=stage)
        return collect_reasons(plan, FLOW, recipes, FLOW[stage], before, partition)


@pytest.fixture
def case() -> Case:
    made = Case()
    made.run("first", 1.0)
    return made


def told(groups: tuple[ReasonGroup, ...]) -> list[str]:
    """Groups in short."""
    return [
        f"{g.does} {g.stage} {' '.join(g.partitions)}: {'; '.join((*g.reasons, *g.files))}"
        for g in groups
    ]


def test_nothing_to_do(case: Case) -> None:
    found = case.why("joined")
    assert told(found.groups) == [f"stay joined {DAYS[0]} {DAYS[1]}: "]
    assert found.because == ()
    assert (found.recipe, found.judged_by) == (case.world.recipe("joined").digest, "code")
    assert found.recipe_parts == case.world.recipe("joined").parts
    assert found.model is None


def test_a_partition_that_stays_is_followed_to_its_files(case: Case) -> None:
    found = case.why("joined", partition=DAYS[1])
    assert told(found.groups) == [f"stay joined {DAYS[1]}: "]
    assert told(found.because) == [
        f"stay clean {DAYS[1]}: ",
        f"stay rates {WHOLE}: r.csv is unchanged",
        f"stay raw {DAYS[1]}: {DAYS[1]}.csv is unchanged",
    ]
    # A model may be outdated while what it delivered stays.
    assert "guess" not in str(case.why("table", partition=DAYS[0]).because)
    unknown = case.why("joined", partition="2020-01-01")
    assert (unknown.groups, unknown.because) == ((), ())


def test_a_file_that_changed(case: Case) -> None:
    """From the stage over all between to the file; a partition that stays is told apart."""
    case.world.feed("raw", f"{DAYS[1]}.csv", DAYS[1], digest="two")
    found = case.why("joined")
    assert told(found.groups) == [
        f"run joined {DAYS[1]}: upstream `clean` will rerun",
        f"stay joined {DAYS[0]}: ",
    ]
    assert told(found.because) == [
        f"run clean {DAYS[1]}: upstream `raw` will rerun",
        f"run raw {DAYS[1]}: files changed; {DAYS[1]}.csv changed",
    ]


def test_new_and_lost_files(case: Case) -> None:
    case.world.feed("raw", f"{DAYS[2]}.csv", DAYS[2])
    del case.world.files["raw"][f"{DAYS[0]}.csv"]
    found = case.why("raw")
    assert told(found.groups) == [
        f"remove raw {DAYS[0]}: its input was removed; {DAYS[0]}.csv was removed",
        f"run raw {DAYS[2]}: new partition; {DAYS[2]}.csv is new",
        f"stay raw {DAYS[1]}: ",
    ]
    assert told(case.why("clean").because) == [
        f"run raw {DAYS[2]}: new partition; {DAYS[2]}.csv is new"
    ]


def test_a_file_that_no_longer_feeds_alone(case: Case) -> None:
    """Another file goes, and what it fed is made of the rest."""
    case.world.feed("raw", "more.csv", DAYS[0])
    case.run("second", 2.0)
    del case.world.files["raw"]["more.csv"]
    [group, _] = case.why("raw").groups
    assert group.files == ("more.csv was removed",)


def test_equal_reasons_are_one_group(case: Case) -> None:
    case.world.versions["clean"] = 1
    found = case.why("joined")
    assert told(found.groups) == [f"run joined {DAYS[0]} {DAYS[1]}: upstream `clean` will rerun"]
    assert told(found.because) == [f"run clean {DAYS[0]} {DAYS[1]}: its code changed"]
    # What the other input does is nothing to this.
    assert "rates" not in {group.stage for group in found.because}


def test_what_was_made_since(case: Case) -> None:
    """A run of the input alone is behind it, with the reasons that were recorded then."""
    case.world.feed("raw", f"{DAYS[1]}.csv", DAYS[1], digest="two")
    case.run("second", 2.0, stage="clean")
    found = case.why("joined")
    assert told(found.groups)[0] == f"run joined {DAYS[1]}: upstream `clean` changed"
    assert told(found.because) == [
        f"made clean {DAYS[1]}: upstream `raw` will rerun",
        f"made raw {DAYS[1]}: files changed",
    ]
    assert {group.run for group in found.because} == {"second"}


def test_what_was_made_by_a_run_that_is_not_recorded(case: Case) -> None:
    case.world.feed("raw", f"{DAYS[1]}.csv", DAYS[1], digest="two")
    case.run("second", 2.0, stage="clean")
    case.recorded["second"] = {}
    assert told(case.why("joined").because)[0] == f"made clean {DAYS[1]}: "


def test_waiting(case: Case) -> None:
    del case.world.files["rates"]
    found = case.why("joined")
    assert told(found.groups) == [
        f"remove joined {DAYS[0]} {DAYS[1]}: its input was removed",
        f"wait joined {DAYS[0]} {DAYS[1]}: upstream `rates` has no partition yet",
    ]
    assert told(found.because) == ["remove rates all: its input was removed; r.csv was removed"]


def test_a_partition_whose_input_waits(case: Case) -> None:
    """The wait of the input is behind it."""
    plan = case.world.plan(stage="joined")
    waits = [
        ("joined", DAYS[2], f"upstream `clean` has no partition {DAYS[2]} yet"),
        ("clean", DAYS[2], f"upstream `raw` has no partition {DAYS[2]} yet"),
        ("clean", "2013-03-09", "upstream `raw` has no partition 2013-03-09 yet"),
        ("raw", DAYS[2], "one of its source files can't be read"),
    ]
    made = [Waiting(stage=stage, partition=key, reason=reason) for stage, key, reason in waits]
    found = case.why("joined", replace(plan, waiting=tuple(made)))
    assert told(found.groups) == [
        f"wait joined {DAYS[2]}: upstream `clean` has no partition yet",
        f"stay joined {DAYS[0]} {DAYS[1]}: ",
    ]
    assert told(found.because) == [
        f"wait clean {DAYS[2]} 2013-03-09: upstream `raw` has no partition yet",
        f"wait raw {DAYS[2]}: one of its source files can't be read",
    ]


def test_a_model_that_is_outdated_but_not_due(case: Case) -> None:
    case.world.feed("raw", f"{DAYS[2]}.csv", DAYS[2])
    found = case.why("guess")
    assert found.model is not None
    assert found.model.outdated == (f"upstream `joined` will rerun ({DAYS[2]})",)
    assert told(found.groups) == ["stay guess all: "]
    assert (
        told(found.because)
        == [
            # The live model is scored on the new day as well.
            "evaluate scores live: upstream `joined` will rerun",
            f"run joined {DAYS[2]}: new partition",
            f"run clean {DAYS[2]}: new partition",
            f"run raw {DAYS[2]}: new partition; {DAYS[2]}.csv is new",
        ][1:]
    )


def test_a_model_that_is_asked_for(case: Case) -> None:
    case.world.versions["guess"] = 1
    plan = case.world.plan(stage="guess", train=frozenset(["guess"]))
    found = case.why("guess", plan)
    assert told(found.groups) == [
        "train guess all: training requested",
        "gate guess all: 1 gate judges the candidate",
    ]
    assert found.because[0].stage == "scores"


def test_a_delivery_that_waits_for_its_model() -> None:
    case = Case()
    case.world.mae = {}
    plan = replace(case.world.plan(stage="table"), steps=())
    waits = (
        Waiting(
            stage="guess",
            partition=WHOLE,
            reason="upstream `joined` has no partition in the window yet",
        ),
        Waiting(stage="table", partition="", reason="model `guess` has no approved version yet"),
    )
    found = case.why("table", replace(plan, waiting=waits))
    assert told(found.groups) == ["wait table : model `guess` has no approved version yet"]
    assert told(found.because) == [
        "wait guess all: upstream `joined` has no partition in the window yet"
    ]


def step(partition: str, *reasons: str, **known: object) -> Step:
    return Step(
        stage="joined",
        partition=partition,
        action=Action.RUN,
        reasons=reasons,
        **known,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("reason", "shared"),
    [
        ("upstream `clean` will rerun (2013-03-01, ...)", "upstream `clean` will rerun"),
        (f"column `x` of `clean` changed in {DAYS[0]}", "column `x` of `clean` changed"),
        # Another partition than its own says something.
        (
            f"column `x` of `clean` changed in {DAYS[1]}",
            f"column `x` of `clean` changed in {DAYS[1]}",
        ),
        ("its code changed", "its code changed"),
    ],
)
def test_common(reason: str, shared: str) -> None:
    assert reasons_without_partition(step(DAYS[0], reason)) == (shared,)


def test_only_if() -> None:
    unlikely = step(
        DAYS[0], "", reads={"clean": (DAYS[0],), "rates": (WHOLE,), "raw": ()}, unlikely=True
    )
    both = frozenset({("clean", DAYS[0]), ("rates", WHOLE)})
    assert unlikely_condition(unlikely, both) == "only if the output of `clean` or `rates` changes"
    assert (
        unlikely_condition(unlikely, both - {("rates", WHOLE)})
        == "only if the output of `clean` changes"
    )


def test_an_unlikely_step(case: Case) -> None:
    plan = case.world.plan()
    clean = Step(stage="clean", partition=DAYS[0], action=Action.RUN, reasons=("its code changed",))
    joined = step(
        DAYS[0],
        f"upstream `clean` will rerun ({DAYS[0]})",
        reads={"clean": (DAYS[0],)},
        unlikely=True,
    )
    found = case.why("joined", replace(plan, steps=(clean, joined)))
    assert told(found.groups)[0] == f"run joined {DAYS[0]}: only if the output of `clean` changes"
    assert found.groups[0].unlikely
    assert told(found.because) == [f"run clean {DAYS[0]}: its code changed"]
    assert planned_partitions(replace(plan, steps=(clean, joined))) == {
        ("clean", DAYS[0]),
        ("joined", DAYS[0]),
    }


def test_files_of_an_earlier_run_that_failed(case: Case) -> None:
    """What the last run saw already is no longer new: then only the plan's reason is there."""
    case.world.feed("raw", f"{DAYS[1]}.csv", DAYS[1], digest="two")
    case.sources["raw"][f"{DAYS[1]}.csv"] = file_of(f"{DAYS[1]}.csv", "two", {DAYS[1]: 10})
    assert told(case.why("raw").groups)[0] == f"run raw {DAYS[1]}: files changed"
