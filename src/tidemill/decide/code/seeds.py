"""Whether NumPy was given a seed when it asks the system for one all the same.

`RandomState(7)` makes an unseeded generator first, and seeds it unseen. Only the text of the call tells
it from one that stays unseeded.
"""

from __future__ import annotations

import ast
import linecache
import sys
from itertools import islice
from types import FrameType
from typing import Any

_UNKNOWN: Any = object()


def is_seeded_state(frame: FrameType | None) -> bool:
    """Does a frame call `RandomState` with a seed just now? Doubt means no."""
    made = getattr(sys.modules.get("numpy.random"), "RandomState", None)
    call = None if frame is None or made is None else written_call(frame)
    if frame is None or call is None or _value(call.func, frame) is not made:
        return False
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "seed")]
    seed = _value(given[0], frame) if given else None
    return seed is not None and seed is not _UNKNOWN


def written_call(frame: FrameType) -> ast.Call | None:
    """The call that a frame makes, as it is written; None if that can't be told."""
    code = frame.f_code
    first, last, start, end = next(islice(code.co_positions(), frame.f_lasti // 2, None))
    lines = linecache.getlines(code.co_filename, frame.f_globals)[(first or 1) - 1 : last]
    text = "".join(lines).encode()
    after = len(lines[-1].encode()) - (end or 0) if lines else 0
    try:
        tree = ast.parse(b"(" + text[start : len(text) - after] + b")", mode="eval").body
    except SyntaxError:  # the file isn't what it was when it was loaded
        return None
    return tree if isinstance(tree, ast.Call) else None


def _value(node: ast.expr, frame: FrameType) -> Any:
    """What an expression stands for, as far as that can be told without running it."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id, _UNKNOWN))
    if isinstance(node, ast.Attribute):
        owner = _value(node.value, frame)
        return getattr(owner, "__dict__", {}).get(node.attr, _UNKNOWN)
    return _UNKNOWN
