"""Which columns hold personal data by their contract, and whose values aren't for whoever looks."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.project.project import Project
from tidemill.workflow.stage import Stage

# Stands in place of a value.
HIDDEN = "(personal)"


def personal_columns(stage: Stage) -> Mapping[str, str]:
    """The columns of a stage that hold personal data, and which."""
    columns = stage.output.columns if stage.output is not None else ()
    return {column.name: column.pii for column in columns if column.pii}


def hidden_columns(project: Project, stage: Stage) -> frozenset[str]:
    """The columns whose values who looks may not see: those with personal data, below a role."""
    space = project.workspace
    least = space.settings.console.personal
    if space.grants.may(least, space.actor.name, space.declared.name):
        return frozenset()
    return frozenset(personal_columns(stage))
