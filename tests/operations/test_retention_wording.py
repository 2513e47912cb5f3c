"""Sweeps and lengths of time in words."""

from __future__ import annotations

from tidemill.ledger.retention_settings import RetentionSettings, StageRetention
from tidemill.operations.retention_wording import (
    SWEEP_HEADERS,
    kept_lines,
    sweep_lines,
    sweep_rows,
)
from tidemill.operations.swept import SweepReport, SweptStage


def test_what_goes_stands_with_why_and_how_much() -> None:
    report = SweepReport(
        stages=(
            SweptStage(stage="sales", reason="superseded", results=1_200, objects=3, bytes=4_000),
            SweptStage(stage="", reason="superseded", results=1, objects=0, bytes=0),
        ),
        orphans=2,
        orphan_bytes=500,
        files={"logs": 10, "memos": 0, "others": 20},
    )
    rows = [*sweep_rows(report)]
    assert rows == [
        ("sales", "superseded", "1,200", "3", "4.0 kB"),
        ("(earlier sweep)", "superseded", "1", "0", "-"),
        ("", "never recorded", "", "2", "500 B"),
        ("", "logs of old runs", "", "", "10 B"),
        ("", "others", "", "", "20 B"),
    ]
    assert {len(row) for row in rows} == {len(SWEEP_HEADERS)}
    assert [*sweep_lines(report)] == ["removed 5 objects, 4.5 kB"]


def test_a_preview_says_what_would_go() -> None:
    report = SweepReport(
        dry_run=True, environments_dropped=("trial",), stages_removed=("old",), ledger=2_000,
        stages=(SweptStage(stage="sales", reason="superseded", results=2),), waits=("run-1",),
        notes=("a note",), failed={str(n): f"why {n}" for n in range(7)},
    )  # fmt: skip
    assert [*sweep_lines(report)] == [
        "would remove expired environments: trial",
        "would remove stages that aren't declared any more: old",
        "would remove 2 results, and no object: others need theirs",
        "the ledger would be 2.0 kB smaller",
        "marked objects wait until run-1 has ended; the next sweep deletes them",
        "a note",
        *(f"not deleted: why {n}" for n in range(5)),
        "and 2 more",
    ]
    assert [*sweep_lines(SweepReport(ledger=1))] == [
        "nothing to remove",
        "the ledger is 1 B smaller",
    ]


def test_lengths_of_time_are_said() -> None:
    assert [*kept_lines(RetentionSettings(hold=True))] == [("everything", "for ever: hold is set")]
    found = dict(
        kept_lines(
            RetentionSettings(
                keep_last=2,
                models=1,
                automatic=False,
                stages={
                    "a": StageRetention(hold=True),
                    "b": StageRetention(keeps_forever=True),
                    "c": StageRetention(keep_for=2 * 86_400.0),
                    "d": StageRetention(keep_last=3),
                },
            )
        )
    )
    assert found == {
        "superseded results": "7 d, and the last 2 of each partition",
        "what readers may still read": "1 h",
        "earlier versions of delivered tables": "30 d",
        "models that were live before": "1 version",
        "pages of closed reviews": "for ever",
        "logs of runs": "90 d",
        "memos, since they were used last": "180 d",
        "results of a": "for ever: hold is set",
        "superseded results of b": "for ever",
        "superseded results of c": "2 d",
        "sweeps": "only by commands",
    }
