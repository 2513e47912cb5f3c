"""Find the name of a project's workflow without importing it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from tidemill.core.errors import UsageError
from tidemill.ledger.workflow_scope import split_name
from tidemill.operations.up_report import UpReport, workflow_place
from tidemill.ports.ledger import Ledger
from tidemill.project.settings import Settings, load_workflow
from tidemill.workflow.environment import PRODUCTION


class UnknownWorkflowName(UsageError):
    """Nothing but the workflow itself tells its name."""


def find_workflow_name(settings: Settings, shared: Ledger, reports: Iterable[UpReport]) -> str:
    """The name of the workflow; it is imported where nothing else tells it."""
    try:
        return recorded_workflow_name(settings, shared, reports)
    except UnknownWorkflowName:
        return load_workflow(settings).name


def recorded_workflow_name(settings: Settings, shared: Ledger, reports: Iterable[UpReport]) -> str:
    """The name of the workflow, as its supervisor, its module or the ledger tells it.

    Raises UnknownWorkflowName if these don't, as before the first run of a workflow whose name isn't
    written in one plain line.
    """
    place = workflow_place(str(settings.root), settings.workflow)
    told = (report.workflow for report in reports if report.place == place)
    if name := next(filter(None, told), "") or _written_name(settings):
        return name
    known = {split_name(name)[0] for name in shared.state(PRODUCTION).environments} - {""}
    if len(known) == 1:
        return unquote(known.pop().rstrip("/"))
    raise UnknownWorkflowName(
        f"what {settings.workflow} is named isn't known before its first run: write the name where the "
        'workflow is made, as in Workflow("shop")'
    )


def written_times(settings: Settings) -> tuple[int | None, ...]:
    """When the files were written in which the module may be; None for one that isn't there."""
    return tuple(map(_written_at, _module_files(settings)))


def _written_at(file: Path) -> int | None:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return None


def _module_files(settings: Settings) -> tuple[Path, ...]:
    path = settings.root.joinpath(*settings.workflow.partition(":")[0].split("."))
    return path.with_suffix(".py"), path / "__init__.py"


def _written_name(settings: Settings) -> str:
    """The name that the module says where it makes the workflow; "" unless that is in one plain line."""
    variable = settings.workflow.partition(":")[2]
    for file in _module_files(settings):
        try:
            tree = ast.parse(file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        bindings = [*_bindings(tree, variable)]
        return _name_in(bindings[0]) if len(bindings) == 1 else ""
    return ""


def _bindings(tree: ast.Module, variable: str) -> Iterator[ast.expr | None]:
    """What is bound to a variable anywhere in a module: a value, or None for what isn't looked into."""
    assigned: dict[int, ast.expr] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            assigned[id(node.targets[0])] = node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            assigned[id(node.target)] = node.value
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == variable and isinstance(node.ctx, ast.Store):
            yield assigned.get(id(node))
        elif isinstance(node, ast.alias) and (node.asname or node.name) in (variable, "*"):
            yield None


def _name_in(value: ast.expr | None) -> str:
    if not isinstance(value, ast.Call) or ast.unparse(value.func).split(".")[-1] != "Workflow":
        return ""
    given = [*value.args[:1], *(each.value for each in value.keywords if each.arg == "name")]
    name = given[0].value if given and isinstance(given[0], ast.Constant) else ""
    return name if isinstance(name, str) else ""
