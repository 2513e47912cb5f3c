"""The resources of pages about the workflow: its graph, plans and promotions, lineage."""

from __future__ import annotations

from tidemill.console.resource import Action, Resource

_VIEWS = "tidemill.console.views"

WORKFLOW = (
    Resource(
        name="workflow",
        path="/workflow",
        view=f"{_VIEWS}.workflow:show_workflow",
        template="workflow.html",
    ),
    Resource(
        name="stage-log",
        path="/stages/{stage}/log",
        view=f"{_VIEWS}.workflow:show_stage_log",
        template="run_log.html",
        needs_workflow=False,
    ),
)
PLAN = (
    Resource(
        name="plan",
        path="/plan",
        view=f"{_VIEWS}.plan:show_plan",
        template="plan.html",
    ),
    Resource(
        name="plan-reasons",
        path="/plan/{stage}",
        view=f"{_VIEWS}.plan:show_reasons",
        template="plan_reasons.html",
    ),
    Resource(
        name="promotion",
        path="/promote",
        view=f"{_VIEWS}.promotion:show_promotion",
        template="promotion.html",
    ),
)
LINEAGE = (
    Resource(
        name="lineage",
        path="/lineage",
        view=f"{_VIEWS}.lineage:show_lineage",
        template="lineage.html",
    ),
    Resource(
        name="column-lineage",
        path="/lineage/{stage}/{column}",
        view=f"{_VIEWS}.lineage:show_column_lineage",
        template="column_lineage.html",
    ),
    Resource(
        name="explain",
        path="/stages/{stage}/explain",
        view=f"{_VIEWS}.explain:explain_stage",
        template="explain.html",
    ),
)
PLAN_ACTIONS = (
    Action(
        name="start-run",
        path="/plan/run",
        view=f"{_VIEWS}.plan:start_planned_run",
        then="runs/{run}",
    ),
    Action(
        name="start-promotion",
        path="/promote/{source}",
        view=f"{_VIEWS}.promotion:start_promotion",
        then="runs/{run}",
    ),
)
WORKFLOW_RESOURCES: tuple[Resource, ...] = (*WORKFLOW, *PLAN, *LINEAGE)
