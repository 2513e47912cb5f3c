"""Execute single steps without publishing them, to debug a stage or to check that it is repeatable."""

from __future__ import annotations

from pathlib import Path

from tidemill.governance.permissions import Permission
from tidemill.project.workspace import Workspace
from tidemill.reuse.recipe import all_input_columns
from tidemill.runs.io.repeatability_worker import run_sample
from tidemill.steps.io.debug import DebugOutput as DebugOutput
from tidemill.steps.io.debug import debug_step


class Trials:
    """Executes steps in this process."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def debug(self, stage: str, partition: str) -> DebugOutput:
        """Execute one step and return its rows and findings; breakpoints work."""
        space = self._workspace
        space.require(Permission.RUN)
        subject = space.stage(stage)
        # A probe would stop at the stage's breakpoints before there are rows to look at.
        reads = all_input_columns(subject)
        return space.read_state(
            lambda state: debug_step(space.tools, space.flow, subject, state, partition, reads)
        )

    def rerun(self, question: Path, into: Path) -> None:
        """Execute the steps that the file `question` names, and write hashes of their output to `into`.

        The process that checks repeatability starts this in another process.
        """
        run_sample(self._workspace.tools, self._workspace.facts(), question, into)
