"""Every resource of the console, page by page."""

from __future__ import annotations

from tidemill.console.resource import Action, Resource

_VIEWS = "tidemill.console.views"

NOW = (
    Resource(
        name="now",
        path="/now",
        view=f"{_VIEWS}.now:show_now",
        template="now.html",
        needs_workflow=False,
    ),
)
RUNS = (
    Resource(
        name="runs",
        path="/runs",
        view=f"{_VIEWS}.runs:list_runs",
        template="runs.html",
        needs_workflow=False,
    ),
    Resource(
        name="run",
        path="/runs/{run}",
        view=f"{_VIEWS}.runs:show_run",
        template="run.html",
        needs_workflow=False,
    ),
    Resource(
        name="run-log",
        path="/runs/{run}/log",
        view=f"{_VIEWS}.runs:show_log",
        template="run_log.html",
        needs_workflow=False,
    ),
)
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
RESOURCES: tuple[Resource, ...] = (*NOW, *RUNS, *WORKFLOW, *PLAN, *LINEAGE)
ACTIONS: tuple[Action, ...] = (*PLAN_ACTIONS,)
# What every page shows around its own.
SHELL = Resource(
    name="shell", path="/shell", view=f"{_VIEWS}.shell:show_shell", needs_workflow=False
)
# The pages in the order in which they are listed: name, parts of the path, and words to find them by.
NAVIGATION: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Now", ("now",), "status wrong waiting due"),
    ("Workflow", ("workflow",), "graph stages"),
    ("Plan", ("plan",), "run what would run and why"),
    ("Runs", ("runs",), "history logs"),
    ("Data", ("stages",), "stages partitions contracts quarantine"),
    ("Reviews", ("reviews",), "approve reject decide"),
    ("Models", ("models",), "versions rollback"),
    ("Endpoints", ("endpoints",), "serving traffic canary"),
    ("Incidents", ("incidents",), "alerts silence"),
    ("Costs", ("costs",), "money budget"),
    ("Scorecard", ("scorecard",), "four numbers"),
    ("Lineage", ("lineage",), "who reads what column"),
    ("Audit", ("audit",), "who did what"),
    ("Settings", ("settings",), "people tokens rules schedules"),
)
