"""The resources of pages about operation: incidents, costs, the scorecard, the audit, and settings."""

from __future__ import annotations

from tidemill.console.resource import Action, Resource

_VIEWS = "tidemill.console.views"

INCIDENTS = (
    Resource(
        name="incidents",
        path="/incidents",
        view=f"{_VIEWS}.incidents:list_incidents",
        template="incidents.html",
        needs_workflow=False,
    ),
    Resource(
        name="incident",
        path="/incidents/{incident}",
        view=f"{_VIEWS}.incidents:show_incident",
        template="incident.html",
        needs_workflow=False,
    ),
    Resource(
        name="silences",
        path="/silences",
        view=f"{_VIEWS}.incidents:list_silences",
        template="silences.html",
        needs_workflow=False,
    ),
)
INCIDENT_ACTIONS = (
    # Stages that patterns name have to be known.
    Action(
        name="report-incident",
        path="/incidents",
        view=f"{_VIEWS}.incident_actions:report_incident",
        then="/incidents/{incident}",
    ),
    Action(
        name="resolve-incident",
        path="/incidents/{incident}/resolve",
        view=f"{_VIEWS}.incident_actions:resolve_incident",
        then="/incidents/{incident}",
        needs_workflow=False,
    ),
    Action(
        name="silence-incident",
        path="/incidents/{incident}/silence",
        view=f"{_VIEWS}.incident_actions:silence_incident",
        then="/incidents/{incident}",
    ),
    Action(
        name="add-silence",
        path="/silences",
        view=f"{_VIEWS}.incident_actions:add_silence",
        then="/silences",
    ),
    Action(
        name="end-silence",
        path="/silences/{silence}/end",
        view=f"{_VIEWS}.incident_actions:end_silence",
        then="/silences",
        needs_workflow=False,
    ),
)
COSTS = (
    Resource(name="costs", path="/costs", view=f"{_VIEWS}.costs:show_costs", template="costs.html"),
)
OPERATIONS: tuple[Resource, ...] = (*INCIDENTS, *COSTS)
OPERATION_ACTIONS: tuple[Action, ...] = (*INCIDENT_ACTIONS,)
