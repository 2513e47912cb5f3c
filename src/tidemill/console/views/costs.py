"""What work costs: by stage, model, endpoint, environment and day; budgets; the prices in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import chain

from tidemill.core.counts import money_text
from tidemill.core.errors import UsageError, did_you_mean
from tidemill.core.figures import seconds
from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.budget import BudgetPeriod, BudgetStatus
from tidemill.costs.cost_line import CostLine, total_line
from tidemill.costs.day_range import DayRange
from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.costs.io.sums_reader import SpendingReader
from tidemill.costs.month_pace import month_pace
from tidemill.costs.report import CostReport, CostRow, GroupBy, sum_days
from tidemill.operations.cost_wording import (
    COST_HEADERS,
    cost_cells,
    cost_notes,
    days_text,
    price_lines,
)
from tidemill.operations.status_report import Fact
from tidemill.project.budget_status import open_spending, read_budgets
from tidemill.project.project import Project
from tidemill.project.status import budget_facts, waiting_works
from tidemill.workflow.environment import Environment

# A page shows so many rows; the others are added up.
_MOST = 200
# The page draws so many of them by day.
_MOST_DRAWN = 5
_CPU = "CPU time"
# The days that are offered, with their names.
PERIODS = (
    ("today", "today"),
    ("7d", "7 days"),
    ("30d", "30 days"),
    ("this-month", "this month"),
    ("last-month", "last month"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostShare:
    """An amount of a currency, or of CPU time where nothing has a price, and how it is written.

    `share` is its part of the total in that unit, `of_largest` that of the largest amount of any row.
    """

    unit: str
    amount: float
    text: str
    share: float
    of_largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CostItem:
    """What something costs: an amount for each currency; and what it used, as texts by their names."""

    key: str
    parts: tuple[CostShare, ...]
    figures: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyCosts:
    """What one of the rows costs, in a `unit` as its parts have it, on each of the `dates` of the view."""

    key: str
    unit: str
    amounts: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetLine:
    """A budget: what was spent of its limit and is left, in words, and what will be spent by its end.

    `expected` is "" where that isn't known yet.
    """

    about: str
    setting: str
    period: BudgetPeriod
    limit: str
    spent: str
    left: str
    share: float
    expected: str
    is_used_up: bool
    is_warning: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceInForce:
    """The prices of what, and how much, from a time on (Unix seconds; None: from the beginning)."""

    since: float | None
    currency: str
    is_now: bool
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CostsView:
    """The costs of some `days` of the time zone `zone`, and what belongs beside them.

    `all_total` is what all environments cost. `period` says which days in words. `figures` are the names of
    what rows may have. `by_day` has a row for each day on which something was used, and `daily` the costs of
    the first rows on all `dates` from the first to the last of these days. What `waits` does so for a cheaper
    time or another budget.
    """

    by: GroupBy
    since: str
    everywhere: bool
    groups: tuple[GroupBy, ...]
    periods: tuple[tuple[str, str], ...]
    days: DayRange
    period: str
    zone: str
    environments: tuple[str, ...]
    figures: tuple[str, ...]
    rows: tuple[CostItem, ...]
    left_out: int
    total: CostItem
    all_total: CostItem
    by_day: tuple[CostItem, ...]
    dates: tuple[str, ...]
    daily: tuple[DailyCosts, ...]
    notes: tuple[str, ...]
    estimates: EstimateErrors
    budgets: tuple[BudgetLine, ...]
    waits: tuple[Fact, ...]
    prices: tuple[PriceInForce, ...]


def show_costs(
    project: Project, by: str = "stage", since: str = "30d", everywhere: bool = False
) -> CostsView:
    """Show what work costs by stage, model, endpoint, environment, day or month, from the ledger.

    `since` names the days: `today`, `this-month`, `last-month`, a month such as `2026-11`, or the last ones,
    such as `30d`. With `everywhere` in all environments; those of `environment` always are.
    """
    if by not in [*GroupBy]:
        raise UsageError(f"by {by!r}: {did_you_mean(by, map(str, GroupBy))}")
    group = GroupBy(by)
    everywhere = everywhere or group is GroupBy.ENVIRONMENT
    service = project.costs
    found = service.report(group, since=since, everywhere=everywhere)
    if not (found.rows or everywhere):
        # What a dropped environment did cost is known.
        project.environments.require(project.environment)
    of_all = service.daily(since=since)
    of_days = _sums_by_day(of_all if everywhere else {"": of_all.get(project.environment, {})})
    rows = _items(found.rows, found.total)
    used = {header for row in rows for header, text in row.figures.items() if text != "-"}
    is_dated = group in (GroupBy.DAY, GroupBy.MONTH)
    shown = rows[-_MOST:] if group is GroupBy.DAY else rows[:_MOST]
    drawn = [] if is_dated else [row.key for row in rows[:_MOST_DRAWN]]
    dates = _dates([row.key for row in of_days])
    return CostsView(
        by=group,
        since=since,
        everywhere=everywhere,
        groups=tuple(GroupBy),
        periods=PERIODS,
        days=found.days,
        period=days_text(found),
        zone=found.zone,
        environments=found.environments,
        figures=tuple(name for name in _HEADERS if name in used),
        rows=shown,
        left_out=len(rows) - len(shown),
        total=_total(found.total),
        all_total=_total(total_line(chain(*(days.values() for days in of_all.values())))),
        by_day=_items(of_days, found.total),
        dates=dates,
        daily=tuple(_daily(found, drawn, dates)),
        notes=tuple(cost_notes(found)),
        estimates=found.estimates,
        budgets=tuple(_budgets(project)),
        waits=tuple(_waits(project)),
        prices=tuple(_prices(project, found)),
    )


_HEADERS = tuple(header.removeprefix(">") for header in COST_HEADERS[:-1])


def _total(line: CostLine) -> CostItem:
    return _items([CostRow(key="total", line=line)], line)[0]


def _sums_by_day(groups: Mapping[str, Mapping[str, CostLine]]) -> list[CostRow]:
    """A row for each day, with what all groups cost on it."""
    days = sorted({day for each in groups.values() for day in each})
    return [
        CostRow(key=day, line=total_line(each[day] for each in groups.values() if day in each))
        for day in days
    ]


def _items(rows: Iterable[CostRow], total: CostLine) -> tuple[CostItem, ...]:
    """The rows with their amounts beside the largest one, and beside the total, of the same unit."""
    every = [(row, _amounts(row.line, total)) for row in rows]
    whole = _amounts(total, total)
    largest: dict[str, float] = {}
    for _, amounts in every:
        for unit, amount in amounts.items():
            largest[unit] = max(largest.get(unit, 0.0), amount)
    return tuple(
        CostItem(
            key=row.key,
            parts=tuple(
                CostShare(
                    unit=unit,
                    amount=amount,
                    text=seconds(amount) if unit == _CPU else money_text(amount, unit),
                    share=amount / whole[unit],
                    of_largest=amount / largest[unit],
                )
                for unit, amount in sorted(amounts.items())
            ),
            figures=dict(zip(_HEADERS, cost_cells(row.line)[:-1], strict=True)),
        )
        for row, amounts in every
    )


def _amounts(line: CostLine, total: CostLine) -> dict[str, float]:
    """The amounts of a line by currency; its CPU time if nothing of the total has a price."""
    if any(total.amounts.values()):
        return {name: amount for name, amount in line.amounts.items() if amount > 0}
    return {_CPU: line.used.cpu_s} if line.used.cpu_s else {}


def _dates(days: Sequence[str]) -> tuple[str, ...]:
    """All days from the first to the last of some."""
    if not days:
        return ()
    first = date.fromisoformat(days[0])
    length = DayRange(first=days[0], last=days[-1]).days
    return tuple((first + timedelta(days=number)).isoformat() for number in range(length))


def _daily(found: CostReport, keys: Sequence[str], dates: Sequence[str]) -> Iterator[DailyCosts]:
    for key in keys:
        by_day = sum_days(found.lines[key])
        amounts = [_amounts(by_day.get(day, CostLine()), found.total) for day in dates]
        for unit in sorted({unit for each in amounts for unit in each}):
            yield DailyCosts(
                key=key, unit=unit, amounts=tuple(each.get(unit, 0.0) for each in amounts)
            )


def _budgets(project: Project) -> Iterator[BudgetLine]:
    space = project.workspace
    now = space.tools.clock()
    here = _environment(project)
    for each in read_budgets(space.settings, _open_spending(project), here, now):
        yield BudgetLine(
            about=each.budget.about,
            setting=each.budget.setting,
            period=each.budget.period,
            limit=each.limit,
            spent=each.show(each.spent),
            left=each.show(each.left),
            share=each.share,
            expected=_expected(each, now, space.settings.metrics.zone),
            is_used_up=each.is_used_up,
            is_warning=each.is_warning,
            text=str(each),
        )


def _expected(status: BudgetStatus, now: float, zone: str) -> str:
    """What will be spent of a month's budget, if it goes on as it did."""
    if status.budget.period is not BudgetPeriod.MONTH:
        return ""
    expected = month_pace(status.spent, now, zone)
    return "" if expected is None else status.show(expected)


def _waits(project: Project) -> Iterator[Fact]:
    space = project.workspace
    ledger, now = space.tools.ledger, space.tools.clock()
    state = ledger.state(space.environment)
    yield from waiting_works(space.settings, ledger, space.environment, now, late=False)
    yield from budget_facts(space.settings, state, _open_spending(project), now)


def _open_spending(project: Project) -> SpendingReader:
    space = project.workspace
    return open_spending(space.settings, space.tools.ledger, space.declared.name)


def _environment(project: Project) -> Environment:
    known = project.tools.ledger.state(project.environment).environments
    return known.get(project.environment, Environment(name=project.environment))


def _prices(project: Project, found: CostReport) -> Iterator[PriceInForce]:
    """The prices of the last book of the environment, the newest first."""
    book = project.costs.prices().books[-1][1]
    current = book.at(found.now)
    for price in reversed(book.prices):
        lines = tuple(price_lines(price))
        if lines:
            yield PriceInForce(
                since=price.since, currency=price.currency, is_now=price == current, lines=lines
            )
