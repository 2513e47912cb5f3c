"""Every resource of the console, page by page."""

from __future__ import annotations

from tidemill.console.operations_resources import OPERATION_ACTIONS, OPERATIONS
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
RESOURCES: tuple[Resource, ...] = (*NOW, *RUNS, *OPERATIONS)
ACTIONS: tuple[Action, ...] = (*OPERATION_ACTIONS,)
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
