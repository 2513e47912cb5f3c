"""The states of all stages as of a moment ago, for whoever looks at them often."""

from __future__ import annotations

from tidemill.operations.stage_states import StageGraph, Surroundings, select_around
from tidemill.project.due_partitions import DueWork
from tidemill.project.graph import StageGraphs
from tidemill.project.metrics import Metrics
from tidemill.project.plans import Plans
from tidemill.project.workspace import Workspace

# Sources that change, and ages, are seen so late.
_KEPT_S = 30.0


class StageStates:
    """Reads the graph of stages again when something was recorded, or after half a minute."""

    def __init__(self, workspace: Workspace, plans: Plans, metrics: Metrics) -> None:
        self._workspace = workspace
        self._graphs = StageGraphs(workspace, plans, metrics)
        self._due = DueWork(plans)
        self._known: tuple[int, float, StageGraph] | None = None

    def read(self, around: Surroundings | None = None) -> StageGraph:
        """The graph of all stages, or around one.

        UsageError for an unknown stage, AccessError if the actor may not read.
        """
        if around is not None:
            self._workspace.stage(around.stage)
        seq, now = self._workspace.preview_state().seq, self._workspace.tools.clock()
        known = self._known
        if known is None or known[0] != seq or not 0 <= now - known[1] < _KEPT_S:
            known = self._known = seq, now, self._graphs.read(due_work=self._due)
        return known[2] if around is None else select_around(known[2], around)
