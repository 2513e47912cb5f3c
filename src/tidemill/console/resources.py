"""Every resource of the console, page by page."""

from __future__ import annotations

from tidemill.console.operations_resources import OPERATION_ACTIONS, OPERATIONS
from tidemill.console.resource import PageAction, Resource

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
_HELD = "/stages/{stage}/quarantine/partition?partition={partition}"
DATA_ACTIONS = (
    PageAction(
        name="forget-stage",
        path="/stages/{stage}/forget",
        view=f"{_VIEWS}.stage:forget_stage",
        then="/stages",
    ),
    PageAction(
        name="release-rows",
        path="/stages/{stage}/quarantine/release",
        view=f"{_VIEWS}.row_rulings:release_rows",
        then=_HELD,
        guards="quarantined-partition",
    ),
    PageAction(
        name="drop-rows",
        path="/stages/{stage}/quarantine/drop",
        view=f"{_VIEWS}.row_rulings:drop_rows",
        then=_HELD,
        guards="quarantined-partition",
    ),
    PageAction(
        name="undo-ruling",
        path="/stages/{stage}/quarantine/undo",
        view=f"{_VIEWS}.row_rulings:undo_ruling",
        then=_HELD,
        guards="quarantined-partition",
    ),
    PageAction(
        name="correct-row",
        path="/stages/{stage}/quarantine/rows/{row}",
        view=f"{_VIEWS}.row_rulings:correct_row",
        then=_HELD,
        guards="quarantined-row",
    ),
)
REVIEWS = (
    Resource(
        name="reviews",
        path="/reviews",
        view=f"{_VIEWS}.reviews:list_reviews",
        template="reviews.html",
        needs_workflow=False,
    ),
    Resource(
        name="review",
        path="/reviews/{review}",
        view=f"{_VIEWS}.reviews:show_review",
        template="review.html",
    ),
)
REVIEW_ACTIONS = (
    PageAction(
        name="vote",
        path="/reviews/{review}/votes",
        view=f"{_VIEWS}.reviews:vote_on_review",
        then="reviews/{review}",
        guards="review",
    ),
)
MODELS = (
    Resource(
        name="models", path="/models", view=f"{_VIEWS}.models:list_models", template="models.html"
    ),
    Resource(
        name="model",
        path="/models/{model}",
        view=f"{_VIEWS}.models:show_model",
        template="model.html",
    ),
    Resource(name="model-live", path="/models/{model}/live", view=f"{_VIEWS}.models:show_live"),
    Resource(
        name="model-comparison",
        path="/models/{model}/compare",
        view=f"{_VIEWS}.models:compare_models",
        template="model_comparison.html",
    ),
    Resource(
        name="model-version",
        path="/models/{model}/versions/{version}",
        view=f"{_VIEWS}.model_versions:show_version",
        template="model_version.html",
    ),
    Resource(
        name="model-bom",
        path="/models/{model}/versions/{version}/bom",
        view=f"{_VIEWS}.model_versions:show_bom",
    ),
)
MODEL_ACTIONS = (
    PageAction(
        name="deliver-version",
        path="/models/{model}/deliver",
        view=f"{_VIEWS}.models:deliver_version",
        then="models/{model}",
        guards="model-live",
    ),
    PageAction(
        name="roll-back-model",
        path="/models/{model}/rollback",
        view=f"{_VIEWS}.models:roll_back",
        then="models/{model}",
        guards="model-live",
    ),
)
ENDPOINTS = (
    Resource(
        name="endpoints",
        path="/endpoints",
        view=f"{_VIEWS}.endpoints:list_endpoints",
        template="endpoints.html",
    ),
    Resource(
        name="endpoint",
        path="/endpoints/{endpoint}",
        view=f"{_VIEWS}.endpoints:show_endpoint",
        template="endpoint.html",
    ),
    Resource(
        name="rollout",
        path="/endpoints/{endpoint}/rollout",
        view=f"{_VIEWS}.endpoints:show_rollout",
    ),
    Resource(
        name="row-form",
        path="/endpoints/{endpoint}/try",
        view=f"{_VIEWS}.tried_rows:show_row_form",
        template="endpoint_try.html",
    ),
)
ENDPOINT_ACTIONS = (
    PageAction(
        name="hold-rollout",
        path="/endpoints/{endpoint}/hold",
        view=f"{_VIEWS}.endpoints:hold_rollout",
        then="endpoints/{endpoint}",
        guards="rollout",
    ),
    PageAction(
        name="resume-rollout",
        path="/endpoints/{endpoint}/resume",
        view=f"{_VIEWS}.endpoints:resume_rollout",
        then="endpoints/{endpoint}",
        guards="rollout",
    ),
    PageAction(
        name="try-row",
        path="/endpoints/{endpoint}/try",
        view=f"{_VIEWS}.tried_rows:try_row",
        template="endpoint_try.html",
        then="endpoints/{endpoint}/try",
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
        path="/lineage/{stage}/{column:path}",
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
    PageAction(
        name="start-run",
        path="/plan/run",
        view=f"{_VIEWS}.plan:start_planned_run",
        then="runs/{run}",
    ),
    PageAction(
        name="start-promotion",
        path="/promote/{source}",
        view=f"{_VIEWS}.promotion:start_promotion",
        then="runs/{run}",
    ),
)
# What one can go to by name, beside pages.
PLACES = (Resource(name="places", path="/places", view=f"{_VIEWS}.places:list_places"),)
RESOURCES: tuple[Resource, ...] = (
    *NOW,
    *WORKFLOW,
    *PLAN,
    *RUNS,
    *DATA,
    *REVIEWS,
    *MODELS,
    *ENDPOINTS,
    *LINEAGE,
    *OPERATIONS,
    *PLACES,
)
ACTIONS: tuple[PageAction, ...] = (
    *PLAN_ACTIONS,
    *DATA_ACTIONS,
    *REVIEW_ACTIONS,
    *MODEL_ACTIONS,
    *ENDPOINT_ACTIONS,
    *OPERATION_ACTIONS,
)
# What every page shows around its own.
SHELL = Resource(
    name="shell",
    path="/shell",
    view=f"{_VIEWS}.shell:show_shell",
    needs_workflow=False,
    in_dropped=True,
)
# Whoever may follow what changes.
CALLER = Resource(
    name="caller", path="/caller", view=f"{_VIEWS}.shell:show_caller", needs_workflow=False
)
# The pages in the order in which they are listed: name, parts of the path, and words to find them by.
NAVIGATION: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Now", ("now",), "status wrong waiting due"),
    ("Workflow", ("workflow",), "graph stages"),
    ("Plan", ("plan",), "run what would run and why"),
    ("Runs", ("runs",), "history logs"),
    ("Data", ("stages",), "stages partitions contracts quarantine"),
    ("Reviews", ("reviews",), "approve reject decide"),
    ("Models", ("models",), "versions roll back"),
    ("Endpoints", ("endpoints",), "serving traffic canary"),
    ("Incidents", ("incidents",), "alerts silence"),
    ("Costs", ("costs",), "money spent budget"),
    ("Scorecard", ("scorecard",), "four numbers"),
    ("Lineage", ("lineage",), "who reads what column"),
    ("Audit", ("audit",), "who did what"),
    ("Settings", ("settings",), "people tokens rules schedules"),
)
