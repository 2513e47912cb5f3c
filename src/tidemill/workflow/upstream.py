"""All stages that a stage depends on."""

from __future__ import annotations

from tidemill.workflow.seal import dependencies
from tidemill.workflow.stage import Flow, Stage


def upstream_names(flow: Flow, stage: Stage) -> tuple[str, ...]:
    """The names of all stages that must be up to date before a stage, in the order of the workflow."""
    wanted, found = [stage], set[str]()
    while wanted:
        fresh = dependencies(wanted.pop()) - found
        found |= fresh
        wanted += (flow[name] for name in fresh)
    return tuple(name for name in flow.names if name in found)
