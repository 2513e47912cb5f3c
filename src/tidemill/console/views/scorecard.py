"""The four numbers in full, what they were made of, the note of the week, and the hand-off."""

from __future__ import annotations

from tidemill.console.views.action_right import ActionRight, action_right
from tidemill.console.views.number_cards import NumberCard, number_card
from tidemill.core.counts import money_text, plural
from tidemill.core.errors import SendError, UsageError
from tidemill.core.lazy_dataclass import dataclass
from tidemill.core.units import parse_seconds
from tidemill.governance.page_values import PageTable, ReviewPage
from tidemill.governance.permissions import Permission
from tidemill.project.project import Project
from tidemill.scorecard.change_record import ChangesReport
from tidemill.scorecard.delivery_number import CHANGE_HEADERS, change_rows
from tidemill.scorecard.freshness_report import FreshnessReport
from tidemill.scorecard.inference_report import InferenceCost, InferenceReport
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.number_plot import NumberPlot, number_plot
from tidemill.scorecard.recovery_report import RecoveryReport
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.wording import duration_text, moment_text, share_text

_WINDOWS = (("7d", "7 days"), ("28d", "28 days"), ("90d", "90 days"))
# A page shows so many rows of each table, the newest or the worst.
_MOST = 100
_NOTHING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberDetail:
    """A number in words, its last weeks as they are drawn (None without any), and what it was made of."""

    card: NumberCard
    plot: NumberPlot | None
    table: PageTable
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorecardView:
    """The four numbers from the day `first_day` of the time zone `zone` until `now` (Unix seconds).

    `window` is the length that was asked for, "" for that of the settings.
    """

    window: str
    windows: tuple[tuple[str, str], ...]
    first_day: str
    zone: str
    now: float
    numbers: tuple[NumberDetail, ...]
    changes: ChangesReport
    costs: InferenceReport
    recoveries: RecoveryReport
    freshness: FreshnessReport


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekNoteView:
    """The note of a week, such as "2026-W48", as of now; and who may send it."""

    period: str
    page: ReviewPage
    right: ActionRight


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOffView:
    """What whoever takes over has to know, as of now."""

    page: ReviewPage


@dataclass(frozen=True, slots=True, kw_only=True)
class SentNote:
    """The note of a week, which all channels accepted and the home keeps; `told` says so."""

    period: str
    told: str


def show_scorecard(project: Project, window: str = "") -> ScorecardView:
    """Show the four numbers: time to deliver changes, cost per inference, time to recover, data freshness.

    `window` is a length such as 7d (default: as the settings say), and begins with a whole day.
    """
    card = project.scorecards.make(_length(window))
    tables = (_changes(card), _costs(card), _recoveries(card), _freshness(card))
    return ScorecardView(
        window=window,
        windows=_WINDOWS,
        first_day=card.first_day,
        zone=card.zone,
        now=card.now,
        numbers=tuple(map(_detail, card.numbers, tables)),
        changes=card.changes,
        costs=card.costs,
        recoveries=card.recoveries,
        freshness=card.freshness,
    )


def show_week(project: Project) -> WeekNoteView:
    """Show the note of the week: the four numbers, what changed, one decision for each, experiments."""
    note = project.weekly_notes.write()
    return WeekNoteView(
        period=note.period,
        page=note.page,
        right=action_right(project, Permission.MANAGE_INCIDENTS),
    )


def show_hand_off(project: Project) -> HandOffView:
    """Show what whoever takes over has to know.

    These are the open incidents, silenced alerts, reviews, failing stages, what runs and is due next, paused
    schedules, and the last deliveries.
    """
    return HandOffView(page=project.hand_off())


def send_week(project: Project) -> SentNote:
    """Send the note of the week by the channels of the settings, and keep it in the home."""
    notes = project.weekly_notes
    note = notes.write()
    failures = notes.send(note)
    notes.keep(note)
    if failures:
        raise SendError("; ".join(failures))
    return SentNote(period=note.period, told=f"The note of {note.period} was sent.")


def _length(text: str) -> float | None:
    if not text:
        return None
    try:
        return parse_seconds(text)
    except ValueError as error:
        raise UsageError(f"window {error}") from error


def _detail(number: ScoreNumber, table: PageTable) -> NumberDetail:
    return NumberDetail(
        card=number_card(number),
        plot=number_plot(number),
        table=PageTable(headers=table.headers, rows=table.rows[:_MOST], caption=table.caption),
        left_out=max(len(table.rows) - _MOST, 0),
    )


def _changes(card: Scorecard) -> PageTable:
    rows = tuple(change_rows(card.changes, card.zone))
    return PageTable(headers=CHANGE_HEADERS, rows=rows, caption="Changes: those that wait first")


def _costs(card: Scorecard) -> PageTable:
    found, currency = card.costs, card.costs.currency
    headers = (
        *("model", ">predictions", ">requests", ">idle", ">scoring", ">training", ">data"),
        *(">storage", ">together", ">of 1,000"),
    )

    def row(name: str, cost: InferenceCost) -> tuple[str, ...]:
        parts = (cost.serving, cost.idle, cost.scoring, cost.training, cost.data, cost.storage)
        each = cost.per_1000
        return (
            name,
            f"{cost.predictions:,}",
            *(money_text(part, currency) if part else _NOTHING for part in (*parts, cost.total)),
            _NOTHING if each is None else money_text(each, currency),
        )

    rows = [row(model.model, model) for model in found.models]
    if len(rows) > 1:
        rows.append(row("all", found.total))
    return PageTable(headers=headers, rows=tuple(rows), caption="What predictions cost, by model")


def _recoveries(card: Scorecard) -> PageTable:
    headers = ("what", "stage", ">began", ">noticed after", ">lasted", "state", "incident")
    found = card.recoveries
    rows = (
        (
            each.kind,
            each.stage or _NOTHING,
            moment_text(each.first, card.zone),
            _NOTHING if each.noticed_after is None else duration_text(each.noticed_after),
            ("" if each.over else "> ") + duration_text(each.lasted),
            ("recovered" if each.over else "lasts")
            + (", after a delivery" if each.by_delivery else ""),
            each.incident or _NOTHING,
        )
        for each in (*reversed(found.lasting), *reversed(found.recovered))
    )
    return PageTable(headers=headers, rows=tuple(rows), caption="Errors: those that last first")


def _freshness(card: Scorecard) -> PageTable:
    headers = ("what", ">age now", ">may be", ">too old for", ">of the time within")
    stages = (
        (
            each.stage,
            _NOTHING if each.age is None else duration_text(each.age),
            _NOTHING if each.within is None else duration_text(each.within),
            duration_text(each.missed_s) if each.missed_s else _NOTHING,
            _NOTHING if each.share is None else share_text(each.share),
        )
        for each in card.freshness.stages
    )
    reads = (
        (
            f"read by {each.endpoint} ({plural(each.requests, 'request')}, p95)",
            _NOTHING if each.p95 is None else duration_text(each.p95),
            *(_NOTHING,) * 3,
        )
        for each in card.freshness.reads
    )
    caption = "Data of stages: those that were too old for longest first"
    return PageTable(headers=headers, rows=(*stages, *reads), caption=caption)
