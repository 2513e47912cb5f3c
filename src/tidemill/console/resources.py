"""Every resource of the console, page by page."""

from __future__ import annotations

from tidemill.console.resource import Action, Resource
from tidemill.console.workflow_resources import PLAN_ACTIONS, WORKFLOW_RESOURCES

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
DATA = (
    Resource(
        name="stages",
        path="/stages",
        view=f"{_VIEWS}.stages:list_stages",
        template="stages.html",
    ),
    Resource(
        name="stage",
        path="/stages/{stage}",
        view=f"{_VIEWS}.stage:show_stage",
        template="stage.html",
    ),
    Resource(
        name="stage-partitions",
        path="/stages/{stage}/partitions",
        view=f"{_VIEWS}.stage_partitions:list_partitions",
        template="stage_partitions.html",
    ),
    Resource(
        name="stage-rows",
        path="/stages/{stage}/rows",
        view=f"{_VIEWS}.stage_rows:show_rows",
        template="stage_rows.html",
    ),
    Resource(
        name="stage-profile",
        path="/stages/{stage}/profile",
        view=f"{_VIEWS}.stage_profile:show_profile",
        template="stage_profile.html",
    ),
    Resource(
        name="stage-drift",
        path="/stages/{stage}/drift",
        view=f"{_VIEWS}.stage_drift:show_drift",
        template="stage_drift.html",
    ),
    Resource(
        name="stage-contract",
        path="/stages/{stage}/contract",
        view=f"{_VIEWS}.stage_contract:show_contract",
        template="stage_contract.html",
    ),
    Resource(
        name="stage-quarantine",
        path="/stages/{stage}/quarantine",
        view=f"{_VIEWS}.stage_quarantine:list_quarantined",
        template="stage_quarantine.html",
    ),
    Resource(
        name="quarantined-partition",
        path="/stages/{stage}/quarantine/partition",
        view=f"{_VIEWS}.stage_quarantine:show_quarantined",
        template="quarantined_partition.html",
    ),
    Resource(
        name="quarantined-rows",
        path="/stages/{stage}/quarantine/rows",
        view=f"{_VIEWS}.stage_quarantine:list_quarantined_rows",
        template="quarantined_rows.html",
    ),
    Resource(
        name="quarantined-row",
        path="/stages/{stage}/quarantine/rows/{row}",
        view=f"{_VIEWS}.quarantined_row:show_quarantined_row",
        template="quarantined_row.html",
    ),
)
RESOURCES: tuple[Resource, ...] = (*NOW, *RUNS, *DATA, *WORKFLOW_RESOURCES)
_HELD = "/stages/{stage}/quarantine/partition?partition={partition}"
DATA_ACTIONS = (
    Action(
        name="release-rows",
        path="/stages/{stage}/quarantine/release",
        view=f"{_VIEWS}.row_rulings:release_rows",
        then=_HELD,
        guards="quarantined-partition",
    ),
    Action(
        name="drop-rows",
        path="/stages/{stage}/quarantine/drop",
        view=f"{_VIEWS}.row_rulings:drop_rows",
        then=_HELD,
        guards="quarantined-partition",
    ),
    Action(
        name="undo-ruling",
        path="/stages/{stage}/quarantine/undo",
        view=f"{_VIEWS}.row_rulings:undo_ruling",
        then=_HELD,
        guards="quarantined-partition",
    ),
    Action(
        name="correct-row",
        path="/stages/{stage}/quarantine/rows/{row}",
        view=f"{_VIEWS}.row_rulings:correct_row",
        then=_HELD,
        guards="quarantined-row",
    ),
)
ACTIONS: tuple[Action, ...] = (*DATA_ACTIONS, *PLAN_ACTIONS)
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
