"""A run that pulls, in a process of its own that kills itself: `puller.py ROOT POINT before|after NTH`.

POINT is the call that it dies at, as `child.py` names them. The workflow is the one in ROOT.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.child import POINTS, deadly
from tests.support.tides import Tides


def main(root: str, point: str, when: str, nth: str) -> None:
    owner, name = POINTS[point]
    setattr(owner, name, deadly(getattr(owner, name), when, int(nth)))
    Tides(Path(root), (Path(root) / "tides.py").read_text(encoding="utf-8")).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
