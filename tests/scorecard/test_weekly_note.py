"""The note about a week."""

from __future__ import annotations

import json
from dataclasses import replace

from tidemill.governance.page_text import markdown_page, text_page
from tidemill.ledger.off_peak import OffPeakSaving
from tidemill.notices.notice import webhook_body
from tidemill.scorecard.change_record import ChangesReport
from tidemill.scorecard.freshness_report import FreshnessReport
from tidemill.scorecard.inference_report import InferenceCost, InferenceReport
from tidemill.scorecard.number import NumberPoint, NumberUnit, ScoreNumber
from tidemill.scorecard.recovery_report import RecoveryReport
from tidemill.scorecard.scorecard import Scorecard
from tidemill.scorecard.scorecard_page import scorecard_page
from tidemill.scorecard.weekly_note import weekly_note, weekly_notice
from tidemill.workflow.environment import Environment

DAY = 86_400.0
NOW = 1_795_900_000.0
COSTS = InferenceReport(models=(), total=InferenceCost(), other=0.0, spent=0.0, currency="EUR")


def card(name: str = "bakery") -> Scorecard:
    """A scorecard with a number that has everything, and one that has nothing."""
    points = (NumberPoint(first="2026-11-15"), NumberPoint(first="2026-11-22", value=3.0, n=4))
    full = ScoreNumber(
        name="recover", title="Time to recover", unit=NumberUnit.SECONDS, counted="incident", n=4,
        value=7_200.0, high=9_000.0, previous=3_600.0, points=points, target=3_600.0,
        cause="stage <b>raw</b> failed", action="look at it", command="tidemill incidents",
        facts=("1 is open",),
    )  # fmt: skip
    empty = ScoreNumber(
        name="cost", title="Cost", unit=NumberUnit.MONEY, counted="prediction",
        missing="there were no predictions",
    )  # fmt: skip
    return Scorecard(
        workflow=name, environment="prod", zone="UTC", first_day="2026-11-01", now=NOW,
        numbers=(full, empty), costs=COSTS,
        changes=ChangesReport(), recoveries=RecoveryReport(), freshness=FreshnessReport(),
    )  # fmt: skip


def test_the_page_of_a_scorecard() -> None:
    assert text_page(scorecard_page(card())).splitlines() == [
        "bakery in prod: four numbers",
        "Since 2026-11-01; days are those of UTC.",
        "",
        "NUMBERS",
        "  number           value       beside it              n  before      target          last 8 weeks",
        "  Time to recover    2 h  p90 2 h 30 min    4 incidents  1 h, worse  <= 1 h, missed  ·█",
        "  Cost               n/a               -  0 predictions  -           -               -",
        "",
        "TIME TO RECOVER",
        "  1 is open",
        "  cause: stage <b>raw</b> failed",
        "  next: look at it",
        "    tidemill incidents",
        "",
        "COST",
        "  n/a: there were no predictions",
    ]
    assert "last 8 weeks" not in text_page(scorecard_page(card(), bars=False))


def test_the_note_of_a_week() -> None:
    environments = (
        Environment(name="prod", at=0.0),
        Environment(name="old", at=0.0, expires=NOW - 1),
        Environment(
            name="dev", at=NOW - 5 * DAY, expires=NOW + 9 * DAY, sample=0.05, profile="small"
        ),
        Environment(name="bare", at=NOW + 60),
    )
    found = weekly_note(card(), "2026-W48", environments)
    text = text_page(found.page)
    assert (
        "DECIDE\n  Time to recover: look at it (tidemill incidents)\n  Cost: nothing to decide\n"
        in text
    )
    assert "dev: 5 d old, expires in 9 d, works on 0.05 of the rows, profile small" in text
    assert "bare: 0 min old" in text
    assert "old:" not in text
    assert "There are none." in text_page(weekly_note(card(), "2026-W48", ()).page)
    assert r"stage \<b>raw\</b> failed" in markdown_page(found.page)


def test_what_budgets_and_cheaper_times_did() -> None:
    savings = (
        OffPeakSaving(stages=("m",), share=0.5, amount=2.0, unit="EUR"),
        OffPeakSaving(stages=("m", "n"), share=0.3, amount=1.5, unit="EUR", late=("n",)),
        OffPeakSaving(stages=("old",)),
    )
    environments = (Environment(name="prod", at=0.0), Environment(name="dev", at=NOW - DAY))
    budgets = {"": ["all environments this month: 4 EUR of 50 EUR spent (8%)"],
               "dev": ["dev: 1 EUR of 2 EUR spent (50%)"]}  # fmt: skip
    text = text_page(
        weekly_note(card(), "2026-W48", environments, budgets=budgets, savings=savings).page
    )
    assert "  dev: 24 h old, dev: 1 EUR of 2 EUR spent (50%)\n" in text
    assert text.endswith(
        "BUDGETS\n  all environments this month: 4 EUR of 50 EUR spent (8%)\n\n"
        "OFF-PEAK\n  3 runs waited for a cheaper time: m, n, old\n"
        "  Saved: 3.5 EUR\n  Late: n"
    )
    other = OffPeakSaving(stages=("m",), share=-0.5, amount=-2.0, unit="gCO2")
    text = text_page(weekly_note(card(), "2026-W48", (), savings=(*savings, other)).page)
    assert "  Saved: 3.5 EUR\n  Cost more than at once: 2 gCO2\n" in text
    text = text_page(weekly_note(card(), "2026-W48", (), savings=[other]).page)
    assert text.endswith("m\n  Cost more than at once: 2 gCO2")
    text = text_page(
        weekly_note(card(), "2026-W48", (), savings=[replace(other, amount=None)]).page
    )
    assert text.endswith("m\n  Saved: -50% of the price on average")
    unknown = text_page(weekly_note(card(), "2026-W48", (), savings=savings[2:]).page)
    assert unknown.endswith("1 run waited for a cheaper time: old\n  Saved: not known")


def test_the_notice() -> None:
    notice = weekly_notice(weekly_note(card("bak\x1bery"), "2026-W48", ()))
    assert notice.lines == (
        "Time to recover: 2 h; <= 1 h, missed; before 1 h, worse; 4 incidents",
        "Cause: stage <b>raw</b> failed",
        "Next: look at it",
        "Cost: n/a, there were no predictions; 0 predictions",
    )
    assert "\x1b" not in notice.title
    document = json.loads(webhook_body(notice))
    assert (document["schema"], document["period"]) == ("tidemill.note/1", "2026-W48")
    assert [number["value"] for number in document["numbers"]] == [7_200.0, None]
