"""Which steps can wait, by when they have to end, and what a plan holds back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.planning.test_placement import fresh, with_stage
from tests.support.planning import deliver, evaluate, flow_of, ingest, model, reads, transform
from tidemill.core.partition import WHOLE
from tidemill.ledger.off_peak import DeferredWork, held_partitions
from tidemill.ledger.run import Action
from tidemill.offpeak.deferral import DeferralFacts, deferrable_steps, place_works
from tidemill.offpeak.duration_quantile import StepDuration
from tidemill.offpeak.price_curve import PriceCurve, curve_from_starts
from tidemill.planning.plan import Plan, Step
from tidemill.workflow.stage import Flow
from tidemill.workflow.trigger import any_of, every, max_age, new_data

HOUR, DAY, NOW = 3_600.0, 86_400.0, 1_800_000.0 * 900
RAW = ingest("raw")
FEATURES = transform("features", "day", reads(RAW))
TOTAL = transform("total", "whole", reads(FEATURES))
MODEL = model("mod", reads(FEATURES))
SCORES = evaluate("scores", MODEL, reads(FEATURES))
OUT = deliver("out", MODEL, FEATURES)
FLOW = flow_of(RAW, FEATURES, TOTAL, MODEL, SCORES, OUT)
DAYS = tuple(f"2024-03-{number:02}" for number in range(1, 15))
PUBLISHED = dict.fromkeys(("raw", "features"), DAYS[-1]) | dict.fromkeys(("total", "mod"), WHOLE)
# The next hour is dear, the one after it cheap.
PRICES = curve_from_starts((NOW + hour * HOUR, 2.0 if hour != 2 else 1.0) for hour in range(48))


def step(stage: str, partition: str = WHOLE, action: Action = Action.RUN, **more: Any) -> Step:
    return Step(stage=stage, partition=partition, action=action, reasons=(), **more)


TRAIN = step("mod", action=Action.TRAIN, cpu_s=60.0)
JUDGE = step("scores", "candidate", Action.EVALUATE, subject="candidate")
LOOK = step("scores", "live", Action.EVALUATE, subject="live")
GATE = step("mod", action=Action.GATE)


def plan(*steps: Step) -> Plan:
    return Plan(workflow="flow", environment="prod", heads={}, recipes={}, steps=steps)


def facts(**more: Any) -> DeferralFacts:
    known: dict[str, Any] = {
        "now": NOW,
        "published": PUBLISHED,
        "durations": lambda _: StepDuration(seconds=600.0, reserve=100.0),
    }
    return DeferralFacts(**(known | more))


def days(stage: str, *numbers: int, source: str = "") -> list[Step]:
    """Steps of some days, which read the same day of a source."""
    return [step(stage, DAYS[n], reads={source: (DAYS[n],)} if source else {}) for n in numbers]


def can_wait(*steps: Step, flow: Flow = FLOW, **more: Any) -> dict[str, list[str]]:
    found = deferrable_steps(flow, plan(*steps), facts(**more))
    return {name: [one.partition for one in own] for name, own in found.items()}


def test_trainings_can_wait_and_new_rows_cant() -> None:
    new = [*days("raw", 13), *days("features", 13, source="raw")]
    assert can_wait(*new, TRAIN, JUDGE, LOOK, GATE) == {"mod": [WHOLE]}
    # What exists already costs nothing.
    assert can_wait(step("mod", action=Action.BIND)) == {}


def test_the_first_model_doesnt_wait_unless_somebody_says_so() -> None:
    first: dict[str, Any] = {"published": {}}
    assert can_wait(TRAIN, **first) == {}
    assert can_wait(TRAIN, **first, waits={"mod": HOUR}) == {"mod": [WHOLE]}
    assert can_wait(TRAIN, waits={"mod": None}) == {}


def test_old_partitions_can_wait_with_those_that_read_them() -> None:
    every_day = [*days("raw", *range(14)), *days("features", *range(14), source="raw")]
    old = [*DAYS[:7]]
    assert can_wait(*every_day) == {"raw": old, "features": old}
    assert can_wait(*every_day, old=12 * DAY) == {"raw": [*DAYS[:2]], "features": [*DAYS[:2]]}
    # Keys that are no days, and partitions that are removed.
    assert can_wait(step("raw", "elsewhere"), step("raw", WHOLE)) == {}
    assert can_wait(step("raw", DAYS[0], Action.REMOVE)) == {}
    assert can_wait(*days("raw", 0), published={"raw": "elsewhere"}) == {}


def test_what_urgent_work_reads_is_urgent() -> None:
    total = step("total", reads={"features": DAYS})
    every_day = [*days("raw", *range(14)), *days("features", *range(14), source="raw")]
    assert can_wait(*every_day, total) == {}
    # Unless somebody declared that it waits, or what reads it.
    assert can_wait(*every_day, total, waits={"raw": HOUR}) == {"raw": [*DAYS]}
    assert can_wait(*every_day, total, waits={"total": HOUR}) == {
        "raw": [*DAYS[:7]],
        "features": [*DAYS[:7]],
        "total": [WHOLE],
    }
    # A training that waits keeps nothing from waiting; the first one does.
    learns = replace(TRAIN, reads={"features": DAYS})
    assert can_wait(*every_day, learns) == {
        "raw": [*DAYS[:7]],
        "features": [*DAYS[:7]],
        "mod": [WHOLE],
    }
    assert can_wait(*every_day, learns, waits={"mod": None}) == {}
    assert can_wait(*every_day, replace(LOOK, reads={"features": DAYS})).keys() == {
        "raw",
        "features",
    }


def test_everything_of_a_deferrable_workflow_can_wait() -> None:
    flow = replace(FLOW, deferrable=True)
    assert can_wait(*days("raw", 13), TRAIN, flow=flow, published={}) == {
        "raw": [DAYS[13]],
        "mod": [WHOLE],
    }


def placed(*steps: Step, flow: Flow = FLOW, curve: PriceCurve = PRICES, **more: Any) -> Any:
    return {work.stage: work for work in place_works(flow, plan(*steps), facts(**more), curve)}


@pytest.mark.parametrize(
    ("flow", "more", "hours", "because"),
    [
        (FLOW, {}, 24, "`default_deadline`"),
        (FLOW, {"default_deadline": 8 * HOUR}, 8, "`default_deadline`"),
        (FLOW, {"waits": {"mod": 30 * HOUR}}, 30, "`defer` of mod"),
        (FLOW, {"ticks": {"mod": NOW + 5 * HOUR}}, 5, "its schedule has the next tick then"),
        # A tick that is over says nothing.
        (FLOW, {"ticks": {"mod": NOW - 5 * HOUR}}, 24, "`default_deadline`"),
        (with_stage(FLOW, fresh(RAW, "6h")), {}, 24, "`default_deadline`"),
        (
            with_stage(
                FLOW, model("mod", reads(FEATURES), retrain=any_of(every("12h"), new_data()))
            ),
            {},
            12,
            "it is due again then: every(12h)",
        ),
        (
            with_stage(FLOW, model("mod", reads(FEATURES), retrain=max_age("10h"))),
            {},
            10,
            "it is due again then: max_age(10h)",
        ),
    ],
)
def test_deadlines_are_the_earliest_of_what_asks_for_it(
    flow: Flow, more: dict[str, Any], hours: float, because: str
) -> None:
    work = placed(TRAIN, flow=flow, **more)["mod"]
    assert (work.deadline - NOW, work.because) == (hours * HOUR, because)


def test_a_stage_whose_table_has_to_be_fresh_waits_no_longer() -> None:
    flow = with_stage(FLOW, fresh(FEATURES, "4h"))
    work = placed(*days("raw", 0), flow=flow)["raw"]
    assert (work.deadline - NOW, work.because) == (4 * HOUR, "rows are to be at most 4 h old")


def test_a_training_takes_its_trials_and_evaluations_along() -> None:
    trials = [step("mod", f"trial-{n}", Action.TRIAL, cpu_s=6.0) for n in range(3)]
    work = placed(*trials, TRAIN, JUDGE, LOOK, GATE)["mod"]
    assert work.end - work.start == 5 * 600
    # Where the CPU time isn't known, it is taken to be as long.
    assert work.cpu_s == 3 * 6 + 60 + 600
    assert (work.start, work.price, work.price_at_once) == (NOW + 2 * HOUR, 1.0, 2.0)
    assert work.share == 0.5
    assert held_partitions([work]) == {"mod": {WHOLE}}


def test_partitions_are_computed_abreast() -> None:
    works = placed(*days("raw", *range(6)), *days("features", *range(6), source="raw"), cpus=3)
    raw, features = works["raw"], works["features"]
    assert raw.end - raw.start == 2 * 600
    # Upstream first.
    assert features.start >= raw.end
    assert held_partitions([raw, features]) == {"raw": {*DAYS[:6]}, "features": {*DAYS[:6]}}


def test_work_that_waits_already_keeps_its_deadline_and_price() -> None:
    before = placed(TRAIN)["mod"]
    waited = replace(before, since=NOW - 20 * HOUR, price_at_once=4.0)
    work = placed(TRAIN, known=[waited])["mod"]
    assert (work.since, work.deadline) == (NOW - 20 * HOUR, NOW + 4 * HOUR)
    assert work.price_at_once == 4.0
    # What wasn't known isn't replaced by what is, unless all prices are new.
    unknown = replace(waited, price_at_once=None)
    assert placed(TRAIN, known=[unknown])["mod"].price_at_once is None
    assert placed(TRAIN, known=[waited], repriced=True)["mod"].price_at_once == 2.0
    # Other partitions are due since now.
    other = replace(waited, partitions=("elsewhere",))
    assert placed(TRAIN, known=[other])["mod"] == before
    # A clock that was put back doesn't make it wait longer.
    work = placed(TRAIN, known=[replace(waited, since=NOW + 5 * DAY)])["mod"]
    assert (work.since, work.deadline) == (NOW, NOW + DAY)


def test_the_price_at_once_is_that_of_waiting_for_nothing() -> None:
    steps = [*days("raw", 0), *days("features", 0, source="raw")]
    raw, features = placed(*steps).values()
    # Both could run in the dear hour.
    assert (raw.start, features.start) == (NOW + 2 * HOUR, raw.end)
    assert (raw.price_at_once, features.price_at_once) == (2.0, 2.0)
    assert raw.share == features.share == 0.5


def test_late_work_begins_at_once_and_says_so() -> None:
    before = replace(placed(TRAIN)["mod"], since=NOW - 2 * DAY)
    work = placed(TRAIN, known=[before])["mod"]
    assert (work.start, work.late) == (NOW, True)


def test_without_prices_nothing_waits() -> None:
    work: DeferredWork = placed(TRAIN, curve=PriceCurve())["mod"]
    assert (work.start, work.share) == (NOW, None)
    assert work.at_once
