"""What settings of retention say about a stage."""

from __future__ import annotations

from tidemill.ledger.retention_settings import RetentionSettings, StageRetention

DAY = 86_400.0


def test_a_stage_differs_from_the_others() -> None:
    stages = {
        "raw": StageRetention(keeps_forever=True),
        "brief": StageRetention(keep_for=3_600.0, keep_last=3),
        "kept": StageRetention(hold=True),
    }
    found = RetentionSettings(grace=7_200.0, stages=stages)
    assert (found.span("raw"), found.span("brief"), found.span("kept")) == (None, 3_600.0, 7 * DAY)
    assert (found.last("raw"), found.last("brief"), found.most_last) == (0, 3, 3)
    assert [found.is_held(name) for name in ("kept", "raw", "other")] == [True, False, False]
    # Readers may still hold what was superseded within the grace time.
    assert found.least_span == 7_200.0


def test_what_is_kept_for_ever() -> None:
    assert RetentionSettings(hold=True).is_held("any")
    assert RetentionSettings(keep_for=None).least_span is None
    assert RetentionSettings().automatic
