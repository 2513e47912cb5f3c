"""Find the table of a dbt model by the files that dbt writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tidemill.core.errors import SourceError
from tidemill.sources.dbt_manifest import DbtModel, Json, model_of, refuse_unbuilt, with_upstream
from tidemill.workflow.loaders import Dbt


def find_model(source: Dbt[Any], root: Path) -> DbtModel:
    """Find a model in the dbt project; SourceError if its table isn't known to be that of its code."""
    project = root / source.project
    manifest = read_manifest(project, source.target)
    model = model_of(manifest, source.model)
    if source.built:
        results = _read(project / source.target / "run_results.json")
        refuse_unbuilt(results, manifest, model)
        for each in with_upstream(manifest, model):
            _refuse_edited(project, each, model)
    return model


def read_manifest(project: Path, target: str = "target") -> Json:
    """What dbt knows of a project; SourceError if it wrote nothing that can be read."""
    return _read(project / target / "manifest.json")


def _read(path: Path) -> Json:
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(
            f"{path} can't be read ({error.strerror}): `dbt build` writes it"
        ) from error
    except ValueError as error:
        raise SourceError(f"{path} isn't JSON ({error}): is dbt writing it?") from error
    if not isinstance(found, dict):
        raise SourceError(f"{path} holds no JSON object")
    return found


def _refuse_edited(project: Path, part: DbtModel, model: DbtModel) -> None:
    """Raise SourceError if a part of a model isn't in the file that dbt read; a copy of target has none."""
    if not (part.path and (project / "dbt_project.yml").is_file()):
        return
    path = project / part.path
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}, the file of {part.label}, can't be read: {error}") from error
    if not part.is_of_file(text):
        raise SourceError(
            f"{path} was edited after {model.label} was built: run `dbt build`, or declare built=False"
        )
