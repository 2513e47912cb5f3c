"""The states of all stages as of a moment ago."""

from __future__ import annotations

from pathlib import Path

from tests.support.tides import Tides
from tidemill.operations.stage_states import StageState


def test_states_are_read_again_when_something_was_recorded(tmp_path: Path) -> None:
    tides = Tides(tmp_path / "project")
    tides.send(0)
    with tides.open() as project:
        before = project.stage_states.read()
        assert project.stage_states.read() is before
        tides.run()
        after = project.stage_states.read()
    assert {node.state for node in before.nodes} == {StageState.NEVER}
    assert {node.state for node in after.nodes} == {StageState.CURRENT}
