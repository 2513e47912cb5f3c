"""Compare what a plan is expected to spend with what is left of budgets, before anything runs."""

from __future__ import annotations

from collections.abc import Iterable

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.budget import BudgetStatus, SpendingBudget
from tidemill.costs.spent import NOTHING_SPENT, Spent
from tidemill.ledger.price import Price

# A share of what is left that isn't worth a line.
_SMALL = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedStep:
    """A step, what it should use (None: not known), and whether a budget stops it.

    It `needs` so much to be left that it begins, which is more: estimates err, and a run has to end.
    """

    name: str
    expected: Spent | None
    needs: Spent = NOTHING_SPENT
    is_limited: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetForecast:
    """What a plan is expected to spend of a budget, in its unit; `misfits` are the steps that don't fit.

    `unknown` counts the steps without an estimate, which aren't in `expected`.
    """

    status: BudgetStatus
    expected: float
    unknown: int = 0
    misfits: tuple[str, ...] = ()

    @property
    def budget(self) -> SpendingBudget:
        """The budget."""
        return self.status.budget

    @property
    def is_exceeded(self) -> bool:
        """Whether not all fits."""
        return bool(self.misfits)

    @property
    def matters(self) -> bool:
        """Whether people should see it: not for a plan that takes next to nothing of a month's budget."""
        status = self.status
        is_small = not status.budget.environment and self.expected < _SMALL * status.left
        return self.is_exceeded or status.is_told or not is_small

    def document(self) -> dict[str, object]:
        """What commands print with `--json`; amounts are in the `unit`."""
        status, limit = self.status, self.status.budget.limit
        return {
            "setting": status.budget.setting,
            "environment": status.budget.environment,
            "period": str(status.budget.period),
            "unit": "CPU-hours" if limit.in_cpu_hours else status.currency,
            "limit": limit.amount,
            "spent": status.spent,
            "left": status.left,
            "expected": self.expected,
            "unknown": self.unknown,
            "misfits": list(self.misfits),
        }


def forecast(
    statuses: Iterable[BudgetStatus],
    steps: Iterable[ExpectedStep],
    price: Price,
    beside: Spent = NOTHING_SPENT,
) -> tuple[BudgetForecast, ...]:
    """For each budget, what the steps are expected to take, in their order, and their run `beside` them.

    Nothing fits in one that is used up.
    """
    some = tuple(steps)
    return tuple(_forecast(status, some, price, beside) for status in statuses)


def _forecast(
    status: BudgetStatus, steps: tuple[ExpectedStep, ...], price: Price, beside: Spent
) -> BudgetForecast:
    limit, unknown = status.budget.limit, 0
    # What the run uses beside its steps, for importing and planning, it uses before they begin.
    expected = taken = beside.share_of(limit, price)
    misfits = []
    for step in steps:
        amount = (step.expected or NOTHING_SPENT).share_of(limit, price)
        unknown += step.expected is None
        expected += amount
        needed = max(amount, step.needs.share_of(limit, price))
        if step.is_limited and (status.is_used_up or taken + needed > status.left):
            misfits.append(step.name)
        else:
            taken += amount
    return BudgetForecast(status=status, expected=expected, unknown=unknown, misfits=tuple(misfits))
