"""Compare the source text of two versions of a model, which was kept when they were trained."""

from __future__ import annotations

import json

from tidemill.core.errors import StorageError
from tidemill.governance.source_diff import source_diff
from tidemill.project.workspace import Workspace
from tidemill.workflow.model import Artifact


def source_changes(space: Workspace, old: Artifact, new: Artifact) -> tuple[tuple[str, ...], str]:
    """The lines of a unified diff from one version to another, and why it isn't known, if it isn't."""
    texts = []
    for artifact in (old, new):
        if not artifact.source:
            return (
                (),
                f"what changed in the code: {artifact.id} was trained before its source text was kept",
            )
        try:
            texts.append(json.loads(space.tools.artifacts.get(artifact.source)))
        except StorageError as error:
            return (
                (),
                f"what changed in the code: the source text of {artifact.id} can't be read: {error}",
            )
    before, after = texts
    return tuple(source_diff(before, after, old.id, new.id)), ""
