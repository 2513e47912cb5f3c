"""Where in the user's code something was declared."""

from __future__ import annotations

import sys
from pathlib import PurePath


def caller(depth: int = 1) -> str:
    """`file.py:12` of the frame `depth` calls above the one that asks; only the file's own name."""
    frame = sys._getframe(depth + 1)
    return f"{PurePath(frame.f_code.co_filename).name}:{frame.f_lineno}"
