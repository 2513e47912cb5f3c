"""Group what work costs by stage, model, endpoint, environment, day or month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import NamedTuple

from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.cost_line import CostLine, LineKind, total_line
from tidemill.costs.day_range import DayRange
from tidemill.costs.estimate_errors import EstimateErrors
from tidemill.costs.ledger_costs import BESIDE, LedgerCosts

# Rows for what belongs to nothing of the kind by which is grouped.
RUNS_ALONE = "(runs without steps)"
SHARED_STORAGE = "(stored for all)"
NO_MODEL = "(no model)"
NOT_SERVED = "(not served)"


class GroupBy(StrEnum):
    """By what costs are grouped."""

    STAGE = "stage"
    MODEL = "model"
    DAY = "day"
    MONTH = "month"
    ENVIRONMENT = "environment"
    ENDPOINT = "endpoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """What something costs; `share` is its part of the total, None if that is of several currencies or 0."""

    key: str
    line: CostLine
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """Costs of some `days` of the time zone `zone`, as of `now` (Unix seconds).

    Without a price there are only quantities. `unpriced` are the units that were used and have no price.
    `estimates` are those of the last runs. `lines` are what each row adds up.
    """

    by: GroupBy
    days: DayRange
    zone: str
    now: float
    environments: tuple[str, ...]
    rows: tuple[CostRow, ...]
    total: CostLine
    is_priced: bool
    unpriced: tuple[str, ...] = ()
    estimates: EstimateErrors = field(default_factory=EstimateErrors)
    lines: Mapping[str, Sequence[DatedLine]] = field(default_factory=dict)


class DatedLine(NamedTuple):
    """A line of a day in an environment; `name` is that of its stage, or of its endpoint and version."""

    environment: str
    day: str
    kind: LineKind
    name: str
    line: CostLine


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelNames:
    """The model that each stage and each endpoint belongs to, as far as they are known."""

    stages: Mapping[str, str] = field(default_factory=dict)
    endpoints: Mapping[str, str] = field(default_factory=dict)


def dated_lines(
    costs: LedgerCosts, within: DayRange, environment: str | None = None
) -> Iterator[DatedLine]:
    """The lines of some days, of one environment or all, in order."""
    for name, days in sorted(costs.days.items()):
        if environment not in (None, name):
            continue
        for day, kinds in sorted(days.items()):
            if not within.contains(day):
                continue
            for kind, lines in sorted(kinds.items()):
                found = LineKind(kind)
                for key, line in sorted(lines.items()):
                    yield DatedLine(name, day, found, key, line)


def group_lines(
    costs: LedgerCosts,
    by: GroupBy,
    within: DayRange,
    environment: str | None,
    names: ModelNames,
) -> tuple[tuple[CostRow, ...], CostLine]:
    """The rows of a report, and their total: days in order, else what costs most first."""
    return sum_groups(by, lines_by_group(costs, by, within, environment, names))


def lines_by_group(
    costs: LedgerCosts,
    by: GroupBy,
    within: DayRange,
    environment: str | None,
    names: ModelNames,
) -> Mapping[str, Sequence[DatedLine]]:
    """The lines that each row of a report adds up."""
    key = _keys(by, costs, names)
    groups: defaultdict[str, list[DatedLine]] = defaultdict(list)
    for each in dated_lines(costs, within, environment):
        groups[key(each)].append(each)
    return groups


def sum_groups(
    by: GroupBy, groups: Mapping[str, Iterable[DatedLine]]
) -> tuple[tuple[CostRow, ...], CostLine]:
    """The rows of a report, and their total: days in order, else what costs most first."""
    sums = {name: total_line(each.line for each in lines) for name, lines in groups.items()}
    total = total_line(sums.values())
    rows = [CostRow(key=name, line=line, share=_share(line, total)) for name, line in sums.items()]
    if by in (GroupBy.DAY, GroupBy.MONTH):
        rows.sort(key=lambda row: row.key)
    else:
        rows.sort(key=lambda row: (-sum(row.line.amounts.values()), -row.line.used.cpu_s, row.key))
    return tuple(rows), total


def sum_days(lines: Iterable[DatedLine]) -> Mapping[str, CostLine]:
    """What some lines cost together on each day."""
    found: defaultdict[str, CostLine] = defaultdict(CostLine)
    for each in lines:
        found[each.day].merge(each.line)
    return found


def endpoint_of(name: str) -> str:
    """The endpoint of a line; the version comes after the last sign."""
    return name.rpartition(BESIDE)[0]


def _keys(by: GroupBy, costs: LedgerCosts, names: ModelNames) -> Callable[[DatedLine], str]:
    match by:
        case GroupBy.DAY:
            return lambda each: each.day
        case GroupBy.MONTH:
            return lambda each: each.day[:7]
        case GroupBy.ENVIRONMENT:
            return lambda each: each.environment
        case GroupBy.ENDPOINT:
            return lambda each: each.name if each.kind is LineKind.ENDPOINT else NOT_SERVED
        case GroupBy.MODEL:
            trained = {name: name for name in costs.models}
            stages = {**trained, **names.stages}
            return lambda each: _model(each, stages, names.endpoints)
    return _stage


def _stage(each: DatedLine) -> str:
    match each.kind:
        case LineKind.ENDPOINT:
            return f"endpoint {endpoint_of(each.name)}"
        case LineKind.STORAGE if not each.name:
            return SHARED_STORAGE
        case LineKind.RUN:
            return RUNS_ALONE
    return each.name


def _model(each: DatedLine, stages: Mapping[str, str], endpoints: Mapping[str, str]) -> str:
    if each.kind is LineKind.ENDPOINT:
        endpoint = endpoint_of(each.name)
        return endpoints.get(endpoint, f"endpoint {endpoint}")
    return stages.get(each.name, NO_MODEL)


def _share(line: CostLine, total: CostLine) -> float | None:
    if len(total.amounts) != 1:
        return None
    ((currency, amount),) = total.amounts.items()
    return line.amounts.get(currency, 0.0) / amount if amount else None
