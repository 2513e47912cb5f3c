"""Steps with equal reasons are one group, however many there are."""

from __future__ import annotations

from typing import Any

from tidemill.core.partition import WHOLE
from tidemill.ledger.run import Action
from tidemill.planning.plan import MissingRows, Plan, Removals, Step
from tidemill.planning.step_groups import StepGroup, planned_stages, step_groups
from tidemill.sources.missing import Missing

DAYS = ("2026-01-01", "2026-01-02", "2026-01-03")


def step(stage: str, partition: str, reason: str = "new", **known: Any) -> Step:
    action = known.pop("action", Action.RUN)
    return Step(stage=stage, partition=partition, action=action, reasons=(reason,), **known)


def plan_of(*steps: Step, **known: Any) -> Plan:
    return Plan(workflow="w", environment="prod", heads={}, recipes={}, steps=steps, **known)


def test_equal_reasons_are_one_group() -> None:
    plan = plan_of(
        *(step("daily", day, f"column `x` of `sales` changed in {day}", wall_s=2.0, cpu_s=1.0)
          for day in DAYS),
        step("model", WHOLE, "not trained yet", action=Action.TRAIN),
        current={"sales": 3},
    )  # fmt: skip
    assert planned_stages(plan) == ("sales", "daily", "model")
    assert step_groups(plan) == (
        StepGroup(
            stage="daily",
            action="run",
            steps=3,
            partitions="2026-01-01 .. 2026-01-03 (3)",
            reasons=("column `x` of `sales` changed",),
            wall_s=6.0,
        ),
        StepGroup(
            stage="model", action="train", steps=1, partitions="", reasons=("not trained yet",)
        ),
    )


def test_what_may_follow_and_what_is_reused_or_removed_are_groups_of_their_own() -> None:
    plan = plan_of(
        step("sales", DAYS[0]),
        step("daily", DAYS[0], unlikely=True, reads={"sales": (DAYS[0],)}),
        step("daily", DAYS[1], "known", action=Action.BIND),
        step("daily", DAYS[2], "its input is gone", action=Action.REMOVE),
    )
    _, may, reused, removed = step_groups(plan)
    assert may.may_follow
    assert may.reasons == ("only if the output of `sales` changes",)
    assert (reused.action, reused.may_follow) == ("reuse", False)
    assert (removed.action, removed.removed) == ("remove", 1)


def test_what_has_to_be_allowed_is_held() -> None:
    lost = Missing(paths=("a.csv",), removed=(DAYS[0],), shrunk=(DAYS[1],), lost=9, rows=99)
    plan = plan_of(
        current={"sales": 2, "totals": 1},
        missing=(MissingRows(stage="sales", policy="fail", missing=lost, held=frozenset(DAYS)),),
        removals=Removals(
            id="1a2b",
            removed={"sales": (DAYS[0],), "totals": (WHOLE,)},
            shrunk={"sales": (DAYS[1],)},
        ),
    )
    own, shrunk, other = step_groups(plan)
    assert (own.action, own.removed, own.reasons) == ("remove", 1, ("its source lost it",))
    assert (shrunk.action, shrunk.removed, shrunk.partitions) == ("run", 0, DAYS[1])
    assert (other.reasons, other.partitions) == (("its input would be removed",), "")
    assert own.is_held


def test_what_only_loses_rows_is_not_removed() -> None:
    held = Removals(id="1a2b", removed={}, shrunk={"sales": (DAYS[1],)})
    only_removed = Removals(id="1a2b", removed={"sales": (DAYS[1],)})
    actions = [
        [group.action for group in step_groups(plan_of(current={"sales": 2}, removals=each))]
        for each in (held, only_removed)
    ]
    assert actions == [["run"], ["remove"]]
