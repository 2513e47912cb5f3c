"""Environment markers of requirements, written after the semicolon (PEP 508)."""

from __future__ import annotations

import ast
import operator
import platform
import re
import sys
from collections.abc import Callable, Collection
from typing import Any

_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_WORDS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda part, whole: part in whole,
    ast.NotIn: lambda part, whole: part not in whole,
}
_HERE = {
    "python_version": "{}.{}".format(*sys.version_info),
    "python_full_version": "{}.{}.{}".format(*sys.version_info),
    "sys_platform": sys.platform,
    "os_name": "nt" if sys.platform == "win32" else "posix",
    "platform_system": platform.system(),
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "implementation_name": sys.implementation.name,
}


def may_hold(marker: str, extras: Collection[str]) -> bool:
    """Whether a marker is true or can't be judged; `extras` are the requested ones, by normalized name."""
    try:
        return _evaluate(ast.parse(marker.strip(), mode="eval").body, extras) is not False
    except SyntaxError:  # the marker is empty, or has `~=`, which isn't Python
        return True


def normal_name(name: str) -> str:
    """Normalize the name of a distribution or of an extra (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def _evaluate(node: ast.expr, extras: Collection[str]) -> bool | None:
    """Evaluate a marker; None if it can't be judged."""
    if isinstance(node, ast.BoolOp):
        parts = [_evaluate(value, extras) for value in node.values]
        decisive = isinstance(node.op, ast.Or)
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _compare(node.left, type(node.ops[0]), node.comparators[0], extras)
    return None


def _compare(
    left: ast.expr, how: type[ast.cmpop], right: ast.expr, extras: Collection[str]
) -> bool | None:
    name = next((side.id for side in (left, right) if isinstance(side, ast.Name)), "")
    one, other = _text(left), _text(right)
    if name == "extra":
        asked = normal_name(one or other or "") in extras
        return {ast.Eq: asked, ast.NotEq: not asked}.get(how)
    if one is None or other is None:
        return None
    if name.endswith("version"):
        order, first, second = _ORDERS.get(how), _numbers(one), _numbers(other)
        return order(first, second) if order and first and second else None
    word = _WORDS.get(how)
    return word(one, other) if word else None


def _text(side: ast.expr) -> str | None:
    if isinstance(side, ast.Name):
        return _HERE.get(side.id)
    return side.value if isinstance(side, ast.Constant) and isinstance(side.value, str) else None


def _numbers(version: str) -> list[int]:
    """The numbers of a version, without trailing zeros; none for `3.*` and the like."""
    if not _VERSION.fullmatch(version):
        return []
    numbers = list(map(int, version.split(".")))
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
