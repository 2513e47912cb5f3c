"""What a worker does: open the project that it is told of, and make what steps of it give.

The composition root of worker processes, as `project` is that of the user's.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tidemill.act.errand import answer_of, contexts, lent, read_errand
from tidemill.act.workshop import Workshop
from tidemill.project import Project
from tidemill.settings import Settings, load_workflow

_mine = threading.local()


def make(params: bytes, inputs: tuple[str, ...], output: str) -> bytes:
    """Do one errand; what it made is in the store when this returns. `inputs` and `output` aren't used."""
    errand = read_errand(params)
    return answer_of(_shop(errand.context).store(errand.work))


def _shop(context: bytes) -> Workshop:
    """The workshop of this thread; another context takes the place of the one before."""
    known: tuple[bytes, Workshop] | None = getattr(_mine, "shop", None)
    if known is None or known[0] != context:
        known = _mine.shop = context, lent[context]() if context in lent else _opened(context)
    return known[1]


def _opened(context: bytes) -> Workshop:
    found = contexts.decode(context)
    sys.path[:] = dict.fromkeys([*found.path, *sys.path])
    settings = Settings(root=Path(found.root), workflow=found.workflow, home=found.home)
    project = Project(settings, load_workflow(settings), found.environment)
    return Workshop(project.tools, project.flow, project.recipes, project.environment)
