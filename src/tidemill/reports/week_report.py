"""The report on a week: the four numbers, what changed, what went wrong, what it cost, who decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tidemill.core.counts import money_text, plural
from tidemill.core.figures import seconds
from tidemill.core.lazy_dataclass import dataclass
from tidemill.costs.report import CostRow
from tidemill.drawing.chart import Chart
from tidemill.drawing.stacked_bars import StackedBars, draw_stacked_bars
from tidemill.drawing.status import DrawnStatus
from tidemill.governance.page_values import page_table
from tidemill.governance.review_page import question
from tidemill.governance.review_state import ReviewState
from tidemill.governance.review_vote import ended_by
from tidemill.operations.incident import IncidentState
from tidemill.reports.report import Report, ReportPart
from tidemill.scorecard.delivery_number import CHANGE_HEADERS, change_rows
from tidemill.scorecard.recovery_report import Recovery
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_html import number_cards
from tidemill.scorecard.wording import duration_text, moment_text
from tidemill.workflow.environment import environment_option


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekRecord:
    """What is recorded about a week of a workflow, called `period`, of which `card` is the scorecard.

    `costs` are those of stages, `incidents` and `reviews` those that were open or ended in it, the newest
    first. The report is of `now` (Unix seconds).
    """

    period: str
    card: Scorecard
    now: float
    costs: Sequence[CostRow] = ()
    incidents: Sequence[IncidentState] = ()
    reviews: Sequence[ReviewState] = ()


def week_report(found: WeekRecord) -> Report:
    """The report; of long lists the first rows, with how many are left out."""
    card = found.card
    missed = [number.title for number in card.numbers if number.is_met is False]
    is_open = [each for each in found.incidents if each.is_open]
    good = not missed and not is_open
    return Report(
        title=f"{card.workflow} in {card.environment}: {found.period}",
        about=f"{found.period} of {card.workflow} in {card.environment}",
        status=DrawnStatus.CURRENT if good else DrawnStatus.STALE,
        word="nothing missed" if good else "look at this",
        state=_state(found, missed, is_open),
        facts=(
            ("from", card.first_day),
            ("to", moment_text(card.now, card.zone)),
            ("days are those of", card.zone),
        ),
        parts=(
            ReportPart(title="Four numbers", html=number_cards(card)),
            _changes(card),
            _errors(card),
            _costs(found),
            _incidents(found),
            _reviews(found),
            ReportPart(title="See more", commands=tuple(_commands(card))),
        ),
        made=found.now,
    )


def _state(found: WeekRecord, missed: Sequence[str], is_open: Sequence[IncidentState]) -> str:
    changes = found.card.changes
    parts = [
        f"{plural(len(changes.delivered), 'change')} delivered, {len(changes.waiting):,} waiting",
        plural(len(found.card.recoveries.recovered), "error") + " recovered from",
        plural(len(is_open), "open incident"),
    ]
    parts += [f"target missed: {', '.join(missed)}"] if missed else []
    return "; ".join(parts)


def _changes(card: Scorecard) -> ReportPart:
    # Those that wait come first.
    rows, waiting = [*change_rows(card.changes, card.zone)], len(card.changes.waiting)
    splits = [
        (f"{name} (median)", duration_text(each.p50))
        for name, each in card.changes.splits.items()
        if each.p50 is not None
    ]
    return ReportPart(
        title="Changes",
        facts=splits,
        lines=() if rows else ("No change was delivered, and none waits.",),
        tables=[
            page_table(CHANGE_HEADERS, rows[waiting:], "Delivered, the newest first"),
            page_table(CHANGE_HEADERS, rows[:waiting], "Not delivered yet"),
        ],
    )


def _errors(card: Scorecard) -> ReportPart:
    report = card.recoveries
    rows = [
        *(_error(each, card.zone, "lasts") for each in reversed(report.lasting)),
        *(_error(each, card.zone, "recovered") for each in reversed(report.recovered)),
    ]
    headers = ("what", "stage", "began", ">lasted", ">noticed after", "state", "incident")
    return ReportPart(
        title="Errors",
        lines=() if rows else ("Nothing failed.",),
        tables=[page_table(headers, rows)],
    )


def _error(each: Recovery, zone: str, state: str) -> tuple[str, ...]:
    noticed = "-" if each.noticed_after is None else duration_text(each.noticed_after)
    began = moment_text(each.first, zone)
    kind = f"{each.kind}, after a delivery" if each.by_delivery else each.kind
    return kind, each.stage, began, duration_text(each.lasted), noticed, state, each.incident


def _costs(found: WeekRecord) -> ReportPart:
    rows = [
        (
            row.key,
            f"{row.line.events:,}",
            seconds(row.line.used.cpu_s),
            _money(row.line.failed),
            _money(row.line.amounts),
            "-" if row.share is None else f"{row.share:.1%}",
        )
        for row in found.costs
    ]
    headers = ("what", ">steps", ">CPU", ">failed", ">cost", ">share")
    return ReportPart(
        title="Costs by stage",
        charts=[*_cost_chart(found.costs)],
        lines=() if rows else ("Nothing ran.",),
        tables=[page_table(headers, rows)],
    )


def _cost_chart(costs: Sequence[CostRow]) -> Iterator[Chart]:
    """What each stage costs, of which failed attempts; without prices its CPU time."""
    currencies = {name for row in costs for name, amount in row.line.amounts.items() if amount}
    if len(currencies) > 1 or not costs:
        return
    currency = next(iter(currencies), "")
    amounts = {row.key: _parts(row, currency) for row in costs}
    write = (lambda amount: money_text(amount, currency)) if currency else seconds
    yield Chart(
        title="Cost by stage" if currency else "CPU time by stage",
        drawing=draw_stacked_bars(StackedBars(amounts=amounts, write=write)),
        description="The table below has the same amounts.",
    )


def _parts(row: CostRow, currency: str) -> Mapping[str, float]:
    if not currency:
        return {"CPU": row.line.used.cpu_s}
    failed = row.line.failed.get(currency, 0.0)
    return {
        "other attempts": row.line.amounts.get(currency, 0.0) - failed,
        "failed attempts": failed,
    }


def _money(amounts: Mapping[str, float]) -> str:
    return (
        " + ".join(money_text(value, name) for name, value in sorted(amounts.items()) if value)
        or "-"
    )


def _incidents(found: WeekRecord) -> ReportPart:
    zone = found.card.zone
    rows = [
        (
            each.id,
            each.severity,
            each.cause.title,
            ", ".join(each.stages),
            moment_text(each.bad_since, zone),
            each.status if each.closing is None else f"closed: {each.closing.how}",
            "-" if each.closed_at is None else moment_text(each.closed_at, zone),
        )
        for each in found.incidents
    ]
    headers = ("incident", "severity", "what", "stages", "since", "state", "closed")
    return ReportPart(
        title="Incidents",
        lines=() if rows else ("There were none.",),
        tables=[page_table(headers, rows)],
    )


def _reviews(found: WeekRecord) -> ReportPart:
    zone = found.card.zone
    decided = [each for each in found.reviews if not each.is_open]
    waiting = len(found.reviews) - len(decided)
    rows = [
        (
            each.review.id,
            question(each.review),
            str(each.outcome),
            ended_by(each) or "nobody",
            "-" if each.closed is None else moment_text(each.closed, zone),
            each.reason,
        )
        for each in decided
    ]
    lines = [] if rows else ["None was decided."]
    lines += [f"{plural(waiting, 'review')} open: `tidemill review list`"] if waiting else []
    headers = ("review", "question", "outcome", "by", "at", "reason")
    return ReportPart(title="Reviews decided", lines=lines, tables=[page_table(headers, rows)])


def _commands(card: Scorecard) -> Iterator[str]:
    place = environment_option(card.environment)
    yield f"tidemill scorecard{place} --changes"
    yield f"tidemill costs{place} --since 7d"
    yield f"tidemill incidents list{place}"
    yield f"tidemill runs{place}"
