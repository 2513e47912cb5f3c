"""The place in the user's code where something was declared."""

from __future__ import annotations

import sys
from types import CodeType


def caller(depth: int = 1) -> str:
    """Locate the frame `depth` calls above the calling one: `file.py:12`, without the folder."""
    frame = sys._getframe(depth + 1)
    return f"{file_name(frame.f_code)}:{frame.f_lineno}"


def file_name(code: CodeType) -> str:
    """The name of the file that defines `code`, without the folder, on any platform."""
    return code.co_filename.replace("\\", "/").rpartition("/")[2]
