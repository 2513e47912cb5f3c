"""What another process needs to know to open the same project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from tidemill.core.lazy_dataclass import dataclass
from tidemill.workflow.environment import RunProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectContext:
    """The settings with which another process opens the same project.

    `path` and `argv` are `sys.path` and `sys.argv` of the run: modules of the user may read both. The
    values `secrets` are masked in what steps print. `params` are parameters of models for this run.
    """

    root: str = ""
    workflow: str = ""
    home: str = ""
    home_url: str = ""
    memo: str = ""
    environment: str = ""
    run: str = ""
    path: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    profiles: Mapping[str, RunProfile] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model_formats: tuple[str, ...] = ()
    allow_pickle: bool = False
    artifacts: str = ""
    artifacts_cache: str = ""
