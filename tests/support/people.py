"""Projects with roles, and the people who act in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.support.tides import Tides, flow_of
from tests.support.users import USER
from tidemill.governance.permissions import Actor
from tidemill.project.project import Project
from tidemill.project.settings import find_settings

ROLES = """
[tool.tidemill]
workflow = "tides:flow"

[tool.tidemill.roles]
adam = "admin"
rita = "reviewer"
otto = "operator"
vera = "viewer"
"""


def write_settings(root: Path, text: str = ROLES) -> None:
    """Give the project in a folder its settings."""
    (root / "pyproject.toml").write_text(text, encoding="utf-8")


def open_as(tides: Tides, person: str = USER, *, environment: str = "prod") -> Project:
    """The project with its settings, for a person who is authenticated elsewhere."""
    settings = replace(find_settings(tides.root), workflow="tides:flow")
    project = Project(settings, flow_of(tides.root, tides.text), environment)
    if person != USER:
        project.workspace = project.workspace.acting_as(Actor(name=person, is_local=False))
    return project
