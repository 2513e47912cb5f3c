"""Execute steps in a worker process: open the project that a task names, run its step, store the output.

What steps print and log here is kept with their run and isn't shown: the terminal belongs to the run.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tidemill.adapters.clusters.node_variables import CODE_VARIABLE, HOME_VARIABLE
from tidemill.history.io.log_recorder import LogRecorder
from tidemill.project.composition import open_tools
from tidemill.project.settings import Settings, load_workflow
from tidemill.project.workspace import Workspace
from tidemill.steps.io.step_runner import StepRunner
from tidemill.steps.io.task_codec import (
    decode_context,
    decode_gate,
    decode_payload,
    encode_gate_result,
    encode_result,
)
from tidemill.steps.project_context import ProjectContext


class WorkerContext(threading.local):
    """The step runner of a thread with the context that it is for, and what is open for it."""

    def __init__(self) -> None:
        self.runner: tuple[bytes, StepRunner] | None = None
        self.opened = ExitStack()


_worker = WorkerContext()


def make(params: bytes, inputs: tuple[str, ...], output: str) -> bytes:
    """Execute one task; its output is stored when this returns. `inputs` and `output` aren't used."""
    errand = decode_payload(params)
    return encode_result(_runner(errand.context).run_and_store(errand.work))


def judge(params: bytes, inputs: tuple[str, ...], output: str) -> bytes:
    """Evaluate one gate on a candidate. `inputs` and `output` aren't used."""
    errand = decode_gate(params)
    return encode_gate_result(_runner(errand.context).judge(errand.work))


def _runner(context: bytes) -> StepRunner:
    """The step runner of this thread; a new context replaces the one before."""
    known = _worker.runner
    if known is None or known[0] != context:
        _worker.opened.close()
        known = _worker.runner = context, _open_runner(context)
    return known[1]


def _relocate(found: ProjectContext) -> ProjectContext:
    """The context on this machine: another one has the code, and its home, in other folders."""
    code, home = os.environ.get(CODE_VARIABLE), os.environ.get(HOME_VARIABLE)
    if not code or not home:
        return found
    root = Path(found.root)
    path = (
        Path(code) / p.relative_to(root) for p in map(Path, found.path) if p.is_relative_to(root)
    )
    return replace(found, root=code, home=home, path=tuple(map(str, path)))


def _open_runner(context: bytes) -> StepRunner:
    found = _relocate(decode_context(context))
    sys.path[:] = dict.fromkeys([*found.path, *sys.path])
    sys.argv[:] = found.argv
    settings = Settings(
        root=Path(found.root),
        workflow=found.workflow,
        home=found.home,
        home_url=found.home_url,
        memo=found.memo,
        # The file may have changed since the plan was made.
        profiles=found.profiles,
        model_formats=found.model_formats,
        allow_pickle=found.allow_pickle,
        artifacts=found.artifacts,
        artifacts_cache=found.artifacts_cache,
    )
    flow = load_workflow(settings)
    space = Workspace(settings, flow, found.environment, secrets=found.secrets, params=found.params)
    space.tools = open_tools(settings, space.declared, space.redactor, when_used=True)
    recipes = space.recipes
    # Not before: a module that keeps a replaced stream would have another recipe than was planned.
    recorder = LogRecorder(space.tools.logs / found.run, quiet=True, redactor=space.redactor)
    _worker.opened.enter_context(recorder)
    return StepRunner(space.tools, space.flow, recipes, space.environment, recorder)
