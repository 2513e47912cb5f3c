"""The place in the user's code where something was declared."""

from __future__ import annotations

import sys


def caller(depth: int = 1) -> str:
    """Locate the frame `depth` calls above the calling one: `file.py:12`, without the folder."""
    frame = sys._getframe(depth + 1)
    name = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{frame.f_lineno}"
