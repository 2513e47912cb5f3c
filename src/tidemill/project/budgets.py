"""The budgets of a project's environments: what was spent and is left, and what a run may spend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tidemill.core.counts import plural
from tidemill.core.errors import BudgetError
from tidemill.costs.budget import (
    BudgetPeriod,
    BudgetStatus,
    how_to_go_on,
)
from tidemill.costs.forecast import BudgetForecast, ExpectedStep, forecast
from tidemill.costs.spent import NOTHING_SPENT, Spent, spent_of
from tidemill.ledger.price import Price
from tidemill.ledger.run import Action
from tidemill.planning.cost_estimate import UsualWork
from tidemill.planning.deferrable import Deferral, computes
from tidemill.planning.io.past_work import read_past_work
from tidemill.planning.plan import Plan, Step
from tidemill.ports.ledger import State
from tidemill.project.budget_status import open_spending, read_budgets
from tidemill.project.workspace import Workspace
from tidemill.runs.io.run_budget import RunBudget, expected_use, needed_to_begin
from tidemill.workflow.environment import PRODUCTION

_SHOWN = 4
# A step that takes an hour, or ten times as long as all steps should, is one that nobody expects.
_MUCH_S, _TIMES = 3_600.0, 10.0


def statuses_of(space: Workspace, state: State) -> tuple[BudgetStatus, ...]:
    """How far the budgets of a workspace's environment are used up, which may not have been created yet."""
    here = replace(space.options.resolve_environment(state), name=space.environment)
    tools = space.tools
    spending = open_spending(space.settings, tools.ledger, space.declared.name)
    found = read_budgets(space.settings, spending, here, tools.clock())
    if space.environment in state.environments:
        return found
    # A branch begins with nothing spent, whatever one of its name spent before.
    return tuple(
        replace(status, spent=0.0, uncounted=())
        if status.budget.period is BudgetPeriod.TOTAL
        else status
        for status in found
    )


def run_budget(space: Workspace, state: State, plan: Plan) -> RunBudget | None:
    """What a run of a plan may spend, None without limit; BudgetError if nothing of it could begin.

    What computes nothing needs no money: results that are known are published, and rows are removed.
    """
    statuses = statuses_of(space, state)
    if not statuses:
        return None
    price = space.price
    deferral = Deferral(space.flow, space.environment, plan.steps, state.heads)
    work = [step for step in plan.steps if computes(step)]
    usual = _usual_work(space, work)
    needs = [needed_to_begin(step, _usual_use(usual, step, price)) for step in work]
    least = {
        each: min((need.share_of(each.budget.limit, price) for need in needs), default=0.0)
        for each in statuses
    }
    full = [each for each in statuses if each.is_used_up or least[each] > each.left]
    # A gate waits for the training and the evaluations that it judges.
    waits = {step.stage for step in work}
    is_all_limited = all(
        deferral(step) or (step.action is Action.GATE and waits & {step.stage, *step.reads})
        for step in plan.steps
    )
    if work and full and is_all_limited:
        left = ", ".join(f"{stage} {number:,}" for stage, number in _counts(work).items())
        short = "; ".join(f"{each}, and {each.show(least[each])} have to be left" for each in full)
        raise BudgetError(
            f"nothing can begin: the budget of {short}; left to do: {left}; {how_to_go_on(full)}"
        )
    # That of an experiment is small: a single step that nobody expects may exceed it.
    is_own = space.environment != PRODUCTION and any(
        each.budget.period is BudgetPeriod.TOTAL for each in statuses
    )
    is_near = is_own or _is_near(statuses, work, price)
    return RunBudget(statuses, price, is_limited=deferral, usual=usual.of, is_near=is_near)


def _usual_work(space: Workspace, steps: list[Step]) -> UsualWork:
    """What steps should use, as the estimate of the plan's cost has it."""
    return UsualWork(read_past_work(space.tools.ledger, {step.stage for step in steps}))


def _usual_use(usual: UsualWork, step: Step, price: Price) -> Spent:
    used = usual.of(step)
    return NOTHING_SPENT if used is None else spent_of(used, price)


def _is_near(statuses: tuple[BudgetStatus, ...], work: list[Step], price: Price) -> bool:
    """Whether a step that takes far longer than expected may exceed what is left of a budget."""
    much = Spent(cpu_s=_MUCH_S + _TIMES * sum(expected_use(step).cpu_s for step in work))
    return any(
        each.left < max(each.budget.limit.amount / 2, much.share_of(each.budget.limit, price))
        for each in statuses
    )


def plan_forecast(space: Workspace, state: State, plan: Plan) -> tuple[BudgetForecast, ...]:
    """What a plan is expected to spend of each budget, and which of its steps don't fit."""
    deferral, price = Deferral(space.flow, space.environment, plan.steps, state.heads), space.price
    work = [step for step in plan.steps if computes(step) and not step.unlikely]
    usual = _usual_work(space, work)
    steps = [
        ExpectedStep(
            name=step.id,
            expected=None if step.cpu_s is None else _usual_use(usual, step, price),
            needs=needed_to_begin(step, _usual_use(usual, step, price)),
            is_limited=deferral(step),
        )
        for step in work
    ]
    # As the estimate of the plan's cost has it: a run that reuses everything isn't for nothing either.
    certain = [step for step in plan.steps if not step.unlikely]
    beside = spent_of(usual.run_share(certain), price)
    return forecast(statuses_of(space, state), steps, price, beside)


def forecast_notes(forecasts: tuple[BudgetForecast, ...]) -> Iterator[str]:
    """Say what a plan takes of each budget, and what doesn't fit."""
    for each in forecasts:
        if not each.matters:
            continue
        status = each.status
        text = f"budget of {status}; {_expected(each)}"
        if each.misfits:
            names = ", ".join(each.misfits[:_SHOWN])
            more = len(each.misfits) - _SHOWN
            text += (
                f", and {status.show(status.left)} are left: {names}"
                f"{f' and {more:,} more' if more > 0 else ''} won't begin; {how_to_go_on([status])}"
            )
        yield text


def _expected(found: BudgetForecast) -> str:
    """What a plan takes of a budget, in words."""
    if found.unknown and not found.expected:
        return "what this plan takes isn't known yet"
    without = f" without {plural(found.unknown, 'step')} that never ran" if found.unknown else ""
    return f"this plan takes about {found.status.show(found.expected)}{without}"


def _counts(steps: list[Step]) -> dict[str, int]:
    found: dict[str, int] = {}
    for step in steps:
        found[step.stage] = found.get(step.stage, 0) + 1
    return found
