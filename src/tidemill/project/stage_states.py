"""The states of all stages as of a moment ago, for whoever looks at them often."""

from __future__ import annotations

from tidemill.operations.stage_states import StageGraph
from tidemill.project.graph import StageGraphs
from tidemill.project.metrics import Metrics
from tidemill.project.plans import Plans
from tidemill.project.workspace import Workspace

# What is due is planned, which takes seconds with hundreds of stages. Sources that change are seen so late.
_KEPT_S = 30.0


class StageStates:
    """Reads the graph of stages again when something was recorded, or after half a minute."""

    def __init__(self, workspace: Workspace, plans: Plans, metrics: Metrics) -> None:
        self._workspace = workspace
        self._graphs = StageGraphs(workspace, plans, metrics)
        self._known: tuple[int, float, StageGraph] | None = None

    def read(self) -> StageGraph:
        """The graph of all stages; AccessError if the actor may not read."""
        seq, now = self._workspace.preview_state().seq, self._workspace.tools.clock()
        known = self._known
        if known is None or known[0] != seq or not 0 <= now - known[1] < _KEPT_S:
            known = self._known = seq, now, self._graphs.read()
        return known[2]
