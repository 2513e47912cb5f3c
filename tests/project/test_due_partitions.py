"""What is due, as a plan of a moment ago says."""

from __future__ import annotations

from pathlib import Path

from tests.support.tides import Tides
from tidemill.project.due_partitions import DueWork


def test_what_was_published_since_a_plan_is_no_longer_due(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    with tides.open() as project:
        work, space = DueWork(project.plans), project.workspace
        now = space.tools.clock()
        before = work.read(space.preview_state(), now)
        tides.run()
        # The plan is as old as before.
        after = work.read(space.preview_state(), now)
        # Much later it is made again.
        later = work.read(space.preview_state(), now + 1_000_000.0)
    assert before.counts is not None
    assert set(before.counts.values()) == {1}
    assert after.counts == dict.fromkeys(before.counts, 0)
    assert later.counts == {}
