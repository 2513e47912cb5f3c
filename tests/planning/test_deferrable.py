"""Which steps can be put off when money is short."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.planning.test_placement import FEATURES, FLOW, MODEL, OUT, fresh, step, with_stage
from tidemill.core.partition import WHOLE
from tidemill.ledger.binding import Head
from tidemill.ledger.run import Action
from tidemill.planning.deferrable import Deferral, computes
from tidemill.planning.plan import Step
from tidemill.testing.records import binding
from tidemill.workflow.stage import Flow

DAYS = [step("features", f"2026-03-0{day}") for day in range(1, 6)]
TRAINING = step("mod", WHOLE, Action.TRAIN)
OTHERS = [
    TRAINING,
    step("mod", "trial 1", Action.TRIAL),
    step("scores", "candidate", Action.EVALUATE),
    step("total", WHOLE),
    step("mod", WHOLE, Action.GATE),
    step("features", "2026-02-01", Action.BIND),
    step("features", "2026-02-02", Action.REMOVE),
]


def put_off(flow: Flow, environment: str = "prod", *more: Step) -> list[str]:
    steps = [*DAYS, *OTHERS, *more]
    return [each.id for each in steps if Deferral(flow, environment, steps, {})(each)]


LEARNING = ["train mod", "trial mod[trial 1]", "evaluate scores[candidate]"]


def test_without_freshness_rules_trainings_and_old_partitions() -> None:
    assert put_off(FLOW) == [f"run features[2026-03-0{day}]" for day in (1, 2, 3)] + LEARNING


def test_what_is_left_of_a_backfill_does_not_become_new() -> None:
    bindings = {f"2026-03-0{day}": binding() for day in (4, 5)}
    heads = {"features": Head(partitions=bindings)}
    waits = Deferral(FLOW, "prod", DAYS[:3], heads)
    assert [waits(each) for each in DAYS[:3]] == [True, True, True]
    assert not Deferral(FLOW, "prod", [DAYS[4]], heads)(DAYS[4])


def test_what_a_freshness_rule_needs_is_never_put_off() -> None:
    flow = with_stage(FLOW, fresh(FEATURES, "1d"))
    # Nothing that is fresh needs the total; a training waits whatever needs its model.
    assert put_off(flow) == [*LEARNING, "run total"]
    delivered = step("out", "2026-03-05", Action.DELIVER)
    assert "deliver out[2026-03-05]" not in put_off(flow, "prod", delivered)
    assert OUT.model == MODEL.name


@pytest.mark.parametrize(
    ("flow", "environment"),
    [
        (FLOW, "dev-ana"),
        (with_stage(FLOW, fresh(FEATURES, "1d")), "dev-ana"),
        (replace(FLOW, deferrable=True), "prod"),
    ],
)
def test_experiments_and_deferrable_workflows(flow: Flow, environment: str) -> None:
    assert put_off(flow, environment) == [
        each.id for each in (*DAYS, *OTHERS) if each.action not in ("gate", "bind", "remove")
    ]


def test_what_computes() -> None:
    assert [each.action for each in OTHERS if not computes(each)] == ["gate", "bind", "remove"]
