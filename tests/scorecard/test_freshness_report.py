"""The share of the time in which data were fresh, and the age of what was read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.scorecard.test_data_ages import DAY, END, published, read, report, served, trained
from tidemill.ledger.event import Event
from tidemill.scorecard.freshness_report import FreshnessReport, freshness_share
from tidemill.testing import records


def test_the_time_within_a_target_is_exact() -> None:
    facts = [(END + 10, published("a", END)), (END + 50, published("a", END + 40))]
    # Late from 30 until the publication at 50, and from 70 on; nothing is known before 10.
    found = report(facts, END + 100, 100.0, a=30.0)
    (stage,) = found.stages
    assert (stage.age, stage.known_s, stage.missed_s) == (60.0, 90.0, 50.0)
    assert stage.share == found.share == pytest.approx(4 / 9)
    # The same as of the past.
    (stage,) = report(facts, END + 45, 45.0, a=30.0).stages
    assert (stage.age, stage.known_s, stage.missed_s) == (45.0, 35.0, 15.0)


def test_a_stage_without_a_target_or_data_has_no_share() -> None:
    found = report([(END, published("a", END))], END + 10, 100.0, b=5.0)
    assert [(each.stage, each.age, each.share) for each in found.stages] == [
        ("a", 10.0, None), ("b", None, None),
    ]  # fmt: skip
    assert (found.share, found.age_at_read, found.reads) == (None, None, ())
    assert report([], END, DAY) == FreshnessReport()


def test_the_latest_stages_come_first() -> None:
    facts = [(END, published(name, END)) for name in "abc"]
    found = report(facts, END + 100, 100.0, a=90.0, c=10.0)
    assert [each.stage for each in found.stages] == ["c", "a", "b"]
    assert found.share == pytest.approx(0.5)
    within = {"a": 90.0, "c": 10.0, "later": 5.0}
    assert freshness_share(read(facts), END + 100, 100.0, within) == (found.share, 2)


def test_predictions_are_as_old_as_what_their_model_reads() -> None:
    bound = trained("v1", {"features": {"distance": "x"}, "labels": {"late": "y"}})
    facts: list[tuple[float, Event]] = [
        (END, published("features", END)),
        (END, published("labels", END - DAY)),
        (END + 5, records.published_event("", stage="m", bound=bound)),
        (END + 60, served(END, END + 60, requests=19)),
        (END + 100, published("features", END + 90)),
        # The middle of its period is before that.
        (END + 110, served(END + 60, END + 110, requests=1)),
        (END + 200, served(END + 100, END + 200, requests=0)),
        (END + 200, served(END + 100, END + 200, version="other", requests=3)),
        (END + 200, replace(served(END, END + 200), environment="dev")),
    ]
    found = report(facts, END + 300, 300.0)
    (reads,) = found.reads
    assert (reads.endpoint, reads.requests, reads.unknown, reads.p95) == ("e", 20, 3, 30.0)
    assert found.age_at_read == 30.0
    # Days are whole, and those before the window don't count.
    assert report(facts, END + 3 * DAY, DAY).reads == ()
