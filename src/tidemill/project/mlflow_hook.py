"""Mirror models to MLflow where something may have changed; a project that doesn't loads nothing of it."""

from __future__ import annotations

from importlib import import_module

from tidemill.project.workspace import Workspace


def catch_up_mlflow(space: Workspace) -> tuple[str, ...]:
    """Mirror what changed, if the settings say so; return what failed. Raises nothing."""
    if space.settings.mlflow is None:
        return ()
    found: tuple[str, ...] = import_module("tidemill.project.mlflow").Mlflow(space).catch_up()
    return found
