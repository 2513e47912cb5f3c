"""What `[tool.tidemill]` in pyproject.toml says: where the project is, and its workflow."""

from __future__ import annotations

import importlib
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from pathlib import Path
from typing import Any

from tidemill.domain.errors import UsageError, did_you_mean
from tidemill.domain.quantity import bytes_of
from tidemill.domain.workflow import Workflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`workflow` is `module:name`; `home` holds the state; a CPU hour costs `cpu_hour` of `currency`.

    Runs use up to `workers` processes at once (0: one a CPU), which end when they are idle for `idle`
    seconds, and `gpus` devices. The memory caps of stages that are at work add up to at most `memory`,
    such as "16GB". What memos gave is kept in the folder `memo` (default: in `home`), which others may share.
    """

    root: Path
    workflow: str
    home: str = ".tidemill"
    cpu_hour: float = 0.0
    currency: str = "USD"
    workers: int = 0
    idle: float = 2.0
    gpus: int = 0
    memory: str = ""
    memo: str = ""


def find_settings(start: Path, workflow: str | None = None) -> Settings:
    """The settings of the nearest pyproject.toml with a [tool.tidemill] table, from `start` upwards.

    `workflow` overrides its entry, and works without any. UsageError says what is missing.
    """
    for folder in (start, *start.parents):
        file = folder / "pyproject.toml"
        if file.is_file():
            table = _table(file)
            if table is not None:
                return _settings(folder, file, table, workflow)
    if workflow is None:
        raise UsageError(
            f"no project here: neither {start} nor a folder above has a pyproject.toml with "
            "[tool.tidemill]; start one with `tidemill init`, or name a workflow with -w module:name"
        )
    return Settings(root=start, workflow=workflow)


def _table(file: Path) -> Mapping[str, Any] | None:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} can't be read: {error}") from error
    tools = document.get("tool")
    table = tools.get("tidemill") if isinstance(tools, dict) else None
    return table if isinstance(table, dict) else None


def _check_type(file: Path, name: str, value: object) -> None:
    kinds = {
        "float": (isinstance(value, int | float) and isfinite(value), "a number, such as 0.04"),
        "int": (isinstance(value, int), "a whole number, such as 4"),
        "str": (isinstance(value, str), "text"),
    }
    kind = next(str(field.type) for field in fields(Settings) if field.name == name)
    fits, wanted = kinds[kind]
    if not fits or isinstance(value, bool):
        raise UsageError(f"{file}: [tool.tidemill] {name} = {value!r} is not {wanted}")
    if kind != "str" and isinstance(value, int | float) and value < 0:
        raise UsageError(f"{file}: [tool.tidemill] {name} = {value!r} is less than nothing")


def _settings(folder: Path, file: Path, table: Mapping[str, Any], workflow: str | None) -> Settings:
    known = {field.name for field in fields(Settings)} - {"root"}
    for name in table:
        if name not in known:
            raise UsageError(f"{file}: [tool.tidemill] {name}: {did_you_mean(name, known)}")
        _check_type(file, name, table[name])
    try:
        bytes_of(table.get("memory") or 1)
    except ValueError as error:
        raise UsageError(f"{file}: [tool.tidemill] memory = {error}") from error
    named = workflow or table.get("workflow")
    if not named:
        raise UsageError(f'{file}: [tool.tidemill] needs workflow = "module:name"')
    return Settings(**{**table, "root": folder, "workflow": named})


def load_workflow(settings: Settings) -> Workflow:
    """Import the module that the settings name, with the project's folder first on the path."""
    module, _, name = settings.workflow.partition(":")
    if not name:
        raise UsageError(f"workflow {settings.workflow!r} is not module:name, such as flights:flow")
    root = str(settings.root)
    if root not in sys.path:
        sys.path.insert(0, root)
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        # What the module itself imports is its own affair.
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"there is no module {module!r} in {root} or on the path") from error
    workflow = getattr(found, name, None)
    if not isinstance(workflow, Workflow):
        flows = [key for key, value in vars(found).items() if isinstance(value, Workflow)]
        raise UsageError(f"{module} has no workflow {name!r} ({did_you_mean(name, flows)})")
    return workflow
