"""Open what a project recorded, without importing its workflow: it may be what is wrong."""

from __future__ import annotations

from pathlib import Path

from tidemill.core.redaction import Redactor
from tidemill.operations.io.up_files import read_reports
from tidemill.project.composition import open_shared_ledger
from tidemill.project.project import Project
from tidemill.project.settings import Settings, configured_secrets, find_settings
from tidemill.project.workflow_name import recorded_workflow_name
from tidemill.workflow.environment import PRODUCTION, check_environment_name
from tidemill.workflow.stage import Flow


def open_recorded(
    start: Path, *, workflow: str | None = None, environment: str = PRODUCTION
) -> Project:
    """Open a project with a workflow that has its name and declares no stages.

    Its services tell what was recorded: runs, incidents, costs, the audit. Raises UsageError without a
    project, or if the name isn't known without the import (UnknownWorkflowName).
    """
    settings = find_settings(start.resolve(), workflow)
    flow = Flow(name=_name_of(settings, environment), owner="", stages=())
    return Project(settings, flow, check_environment_name(environment))


def _name_of(settings: Settings, environment: str) -> str:
    alive, dead = read_reports(settings.root / settings.home, environment)
    shared = open_shared_ledger(settings, Redactor(configured_secrets(settings)))
    try:
        return recorded_workflow_name(settings, shared, (*alive, *dead))
    finally:
        shared.close()
