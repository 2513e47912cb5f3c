"""The counts of a sweep, by stage and reason."""

from __future__ import annotations

from tidemill.operations.swept import SweepReport, SweepTally, SweptStage


def test_removed_objects_are_counted_by_stage_and_reason() -> None:
    tally = SweepTally()
    tally.add("a", "superseded", results=2)
    tally.add("a", "superseded", sizes=(10, 0, 5))
    tally.add("b", "superseded", results=1, sizes=(100,))
    tally.add("b", "replaced delivery", results=1)
    assert tally.stages() == (
        SweptStage(stage="b", reason="superseded", results=1, objects=1, bytes=100),
        SweptStage(stage="a", reason="superseded", results=2, objects=2, bytes=15),
        SweptStage(stage="b", reason="replaced delivery", results=1),
    )
    assert tally.bytes_by_stage() == {"b": 100, "a": 15}
    report = SweepReport(
        stages=tally.stages(), orphans=1, orphan_bytes=7, files={"logs": 3, "memos": 0}
    )
    assert (report.objects, report.bytes) == (4, 125)
