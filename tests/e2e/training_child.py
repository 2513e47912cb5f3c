"""A training in a process of its own that kills itself: `training_child.py ROOT POINT before|after NTH WHAT`.

WHAT is "search" for a hyperparameter search, or "warm" for a training that continues the live version.

POINT is the call that it dies at: load (fetching an input), call (the user's function), dump (exporting the
model), fill (writing an object's bytes), move (giving it its name), append (recording what happened).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.behaviour.test_models import Sea
from tests.behaviour.test_search import SEARCH
from tests.behaviour.test_warm_start import WARM
from tests.e2e.child import deadly
from tests.support.constant import ConstantFormat
from tidemill.adapters.files import artifacts as files
from tidemill.adapters.sqlite.ledger import SqliteLedger
from tidemill.steps.io import model_step
from tidemill.store.frames import FrameStore

POINTS: dict[str, tuple[Any, str]] = {
    "load": (FrameStore, "load"),
    "call": (model_step, "call_stage"),
    "dump": (ConstantFormat, "dump"),
    "fill": (files, "_write_all"),
    "move": (files, "_move_into_place"),
    "append": (SqliteLedger, "append"),
}


TEXTS = {"search": SEARCH, "warm": WARM}


def main(root: str, point: str, when: str, nth: str, what: str) -> None:
    owner, name = POINTS[point]
    setattr(owner, name, deadly(getattr(owner, name), when, int(nth)))
    Sea(Path(root), TEXTS[what]).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
