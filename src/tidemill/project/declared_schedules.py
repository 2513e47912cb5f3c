"""The schedules that the settings of a project declare."""

from __future__ import annotations

from dataclasses import replace

from tidemill.core.errors import Fault
from tidemill.operations.schedule_settings import (
    DeclaredSchedules,
    fitting_schedules,
    parse_schedules,
)
from tidemill.project.settings import Settings
from tidemill.workflow.stage import Flow, Kind


def declared_schedules(settings: Settings, flow: Flow | None = None) -> DeclaredSchedules:
    """The schedules in the settings of a project; those with faults are left out, and their faults listed.

    With the workflow, schedules that name stages which it doesn't have are such, too.
    """
    place = f"{settings.root / 'pyproject.toml'}: [tool.tidemill"
    found = parse_schedules(settings.schedules, f"{place}.schedules")
    if flow is not None:
        models = [stage.name for stage in flow.stages if stage.kind is Kind.MODEL]
        found = fitting_schedules(found, flow.names, models, f"{place}.schedules")
    if settings.up.on_data != "schedule" or found.schedules:
        return found
    idle = Fault(
        message='on_data = "schedule", but no schedule runs: new data would wait for ever',
        where=f"{place}.up]",
        hint="declare one in [tool.tidemill.schedules], or leave out on_data",
    )
    return replace(found, faults=(*found.faults, idle))
