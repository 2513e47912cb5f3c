"""The note about a week: the four numbers, what changed, and one decision for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from tidemill.core.counts import plural
from tidemill.core.lazy_dataclass import dataclass
from tidemill.governance.page_values import PageSection, ReviewPage
from tidemill.ledger.off_peak import OffPeakSaving
from tidemill.notices.notice import Notice, notice_text
from tidemill.planning.freshness import format_age
from tidemill.scorecard.number import ScoreNumber
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_page import number_sections
from tidemill.scorecard.wording import main_text, target_text, trend_text
from tidemill.workflow.environment import PRODUCTION, Environment

WEEKLY = "weekly"
COMMAND = "tidemill scorecard"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeeklyNote:
    """The note of a week: its `period`, such as "2026-W48", and the page that people read."""

    period: str
    card: Scorecard
    page: ReviewPage


def weekly_note(
    card: Scorecard,
    period: str,
    environments: Iterable[Environment],
    *,
    budgets: Mapping[str, Sequence[str]] = {},
    savings: Sequence[OffPeakSaving] = (),
) -> WeeklyNote:
    """The note of a week; `environments` are those of the workflow.

    `budgets` says by environment what was spent of each, "" those of the workflow. `savings` are what runs of
    the window saved by waiting.
    """
    experiments = tuple(_experiments(environments, card.now, budgets))
    common = (*budgets.get("", ()), *budgets.get(PRODUCTION, ()))
    page = ReviewPage(
        title=f"{card.workflow} in {card.environment}: week {period}",
        state=f"Numbers since {card.first_day}; days are those of {card.zone}.",
        sections=(
            PageSection(title="Decide", lines=tuple(_decisions(card.numbers))),
            *number_sections(card),
            PageSection(title="Experiments", lines=experiments or ("There are none.",)),
            *([PageSection(title="Budgets", lines=common)] if common else ()),
            *([PageSection(title="Off-peak", lines=tuple(_saved(savings)))] if savings else ()),
        ),
    )
    return WeeklyNote(period=period, card=card, page=page)


def weekly_notice(note: WeeklyNote) -> Notice:
    """What channels get: a line for each number, and a document for programs."""
    card = note.card
    lines = [notice_text(line) for number in card.numbers for line in _summary(number)]
    return Notice(
        id=f"{WEEKLY}-{card.workflow}-{card.environment}-{note.period}",
        title=notice_text(note.page.title),
        lines=tuple(lines),
        command=COMMAND,
        document={
            "schema": "tidemill.note/1",
            "kind": WEEKLY,
            "workflow": card.workflow,
            "environment": card.environment,
            "period": note.period,
            "numbers": [_values(number) for number in card.numbers],
        },
    )


def _decisions(numbers: Iterable[ScoreNumber]) -> Iterator[str]:
    for number in numbers:
        action = number.action or "nothing to decide"
        command = f" ({number.command})" if number.command else ""
        yield f"{number.title}: {action}{command}"


def _summary(number: ScoreNumber) -> Iterator[str]:
    value = number.missing and f"n/a, {number.missing}"
    parts = [value or main_text(number), target_text(number)]
    if trend := trend_text(number):
        parts.append(f"before {trend}")
    parts.append(number.cases)
    yield f"{number.title}: {'; '.join(part for part in parts if part)}"
    if number.cause:
        yield f"Cause: {number.cause}"
    if number.action:
        yield f"Next: {number.action}"


def _values(number: ScoreNumber) -> dict[str, object]:
    names = ("name", "value", "high", "n", "missing", "previous", "target", "is_met", "cause")
    return {"unit": str(number.unit), "currency": number.currency} | {
        name: getattr(number, name) for name in names
    }


def _saved(savings: Sequence[OffPeakSaving]) -> Iterator[str]:
    """What waiting for cheaper times saved: amounts by unit, and the mean share."""
    stages = dict.fromkeys(stage for saving in savings for stage in saving.stages)
    yield f"{plural(len(savings), 'run')} waited for a cheaper time: {', '.join(stages)}"
    amounts: dict[str, float] = {}
    for saving in savings:
        if saving.amount is not None:
            amounts[saving.unit] = amounts.get(saving.unit, 0.0) + saving.amount
    saved = [f"{amount:,.3g} {unit}".rstrip() for unit, amount in amounts.items() if amount >= 0]
    lost = [f"{-amount:,.3g} {unit}".rstrip() for unit, amount in amounts.items() if amount < 0]
    shares = [saving.share for saving in savings if saving.share is not None]
    if shares and not amounts:
        # Of prices in several units, or of runs of any length, a mean says little; it is all there is.
        saved = [f"{fmean(shares):.0%} of the price on average"]
    if saved or not lost:
        yield f"Saved: {', '.join(saved) or 'not known'}"
    if lost:
        yield f"Cost more than at once: {', '.join(lost)}"
    late = dict.fromkeys(stage for saving in savings for stage in saving.late)
    if late:
        yield f"Late: {', '.join(late)}"


def _experiments(
    environments: Iterable[Environment], now: float, budgets: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    for each in environments:
        if each.name == PRODUCTION or each.has_expired(now):
            continue
        parts = [f"{each.name}: {format_age(max(0.0, now - each.at))} old"]
        if each.expires is not None:
            parts.append(f"expires in {format_age(each.expires - now)}")
        if each.sample < 1:
            parts.append(f"works on {each.sample:.3g} of the rows")
        if each.profile:
            parts.append(f"profile {each.profile}")
        parts += budgets.get(each.name, ())
        yield ", ".join(parts)
