"""What a worker does: open the project that it is told of, and make what steps of it give.

The composition root of worker processes, as `project` is that of the user's. What steps say here is kept
with their run and goes nowhere else: the terminal is the run's own.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from tidemill.history.io.log_recorder import Recorder
from tidemill.project.project import Project
from tidemill.project.settings import Settings, load_workflow
from tidemill.steps.io.step_runner import Workshop
from tidemill.steps.io.task_codec import answer_of, read_context, read_errand


class Mine(threading.local):
    """The workshop of a thread, for a context, and what is open for it."""

    def __init__(self) -> None:
        self.shop: tuple[bytes, Workshop] | None = None
        self.opened = ExitStack()


_mine = Mine()


def make(params: bytes, inputs: tuple[str, ...], output: str) -> bytes:
    """Do one errand; what it made is in the store when this returns. `inputs` and `output` aren't used."""
    errand = read_errand(params)
    return answer_of(_shop(errand.context).store(errand.work))


def _shop(context: bytes) -> Workshop:
    """The workshop of this thread; another context takes the place of the one before."""
    known = _mine.shop
    if known is None or known[0] != context:
        _mine.opened.close()
        known = _mine.shop = context, _opened(context)
    return known[1]


def _opened(context: bytes) -> Workshop:
    found = read_context(context)
    sys.path[:] = dict.fromkeys([*found.path, *sys.path])
    sys.argv[:] = found.argv
    settings = Settings(
        root=Path(found.root),
        workflow=found.workflow,
        home=found.home,
        memo=found.memo,
        # What the file says by now may be something else than what was planned with.
        profiles=found.profiles,
    )
    project = Project(settings, load_workflow(settings), found.environment)
    recipes = project.recipes
    # Not before: a module that holds a stand-in for a stream would be another than that which was planned.
    recorder = Recorder(project.tools.logs / found.run, quiet=True)
    _mine.opened.enter_context(recorder)
    return Workshop(project.tools, project.flow, recipes, project.environment, recorder)
