"""Let no environment begin with results that don't count in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import chain

from tidemill.core.errors import AccessError, ConflictError
from tidemill.ports.ledger import State
from tidemill.project.workflow_ledger import shared_ledger
from tidemill.project.workspace import Workspace
from tidemill.runs.io.run_starters import RunStarters, makers_of


def require_trusted_branch(space: Workspace, name: str, parent: str) -> None:
    """AccessError if the results of the environment `parent` don't all count in its new branch `name`."""
    if not parent or name not in space.settings.trusted:
        return
    ledger = space.tools.ledger
    starters = RunStarters(shared_ledger(ledger))
    try:
        makers = _makers(ledger.state(parent))
    except ConflictError:
        # A run published meanwhile.
        makers = _makers(ledger.state(parent, whole=True))
    for stage, runs in sorted(makers.items()):
        for run in runs:
            person = starters.of(run)
            if not space.trusts(person, name):
                raise AccessError(
                    f"{name} can't begin as a branch of {parent}, where {stage} is the work of "
                    f"{person or 'somebody unknown'}: only results of "
                    f"{', '.join(space.settings.trusted[name])} count in {name} ({space.settings.file}: "
                    f"[tool.tidemill.trusted]); begin with nothing: `tidemill env create {name} --empty`"
                )


def _makers(state: State) -> Mapping[str, Collection[str]]:
    """The runs whose work the partitions of each stage are."""
    return {
        stage: dict.fromkeys(chain.from_iterable(makers_of(head.partitions)))
        for stage, head in state.heads.items()
    }
