"""Where in the user's code something was declared."""

from __future__ import annotations

import sys


def caller(depth: int = 1) -> str:
    """`file.py:12` of the frame `depth` calls above the one that asks; only the file's own name."""
    frame = sys._getframe(depth + 1)
    name = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame.f_lineno}"
