"""Attribute a call to the nearest line of the project on the call stack, or to no line at all.

Python and Polars read files, the clock and the environment for their own purposes, too: to import a
module, to log a message, to parse a date. Their results don't depend on what they read there.
"""

from __future__ import annotations

import gc
import linecache
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Literal, TypeAlias

from tidemill.analysis.code.module_origin import origin_of_file, origin_of_module
from tidemill.analysis.code.runtime_calls import END_METHODS, module_of, name_of, python_call
from tidemill.core.callsite import file_name

# `made`: code that was generated at run time, which has no line in a file. `own`: code whose calls are
# its own business. `apart`: nothing that happens below such code affects the result.
Role: TypeAlias = Literal["project", "package", "library", "made", "own", "apart"]

_APART = frozenset(("importlib", "logging", "warnings", "weakref", "zipimport"))
_NOT_APART = ("importlib.metadata", "importlib.resources")
_OWN = frozenset(
    {"polars", "random", "threading", "queue", "concurrent", "asyncio", "selectors", "_strptime"}
    | {"zoneinfo", "traceback", "linecache", "inspect", "gettext"}
)
# A package may look up other packages and the platform, which are in the recipe, and use scratch space.
_OF_PACKAGES = ("importlib.metadata.", "platform.", "tempfile.")
_roles: dict[str, Role] = {}  # a cache, by file


def find_responsible_line(
    name: str, frame: FrameType, base: FrameType | None
) -> tuple[str, str] | None:
    """Attribute a call of `name`: the name that the responsible line calls, and the line (`file.py:12`).

    `frame` makes the call, and `base` is the outermost frame that may be responsible. None if no line is,
    or if a call further out was reported already.
    """
    way = [(role_of(each), each) for each in _stack_frames(frame, base)]
    if any(role == "apart" or python_call(each) or is_finalizer(each) for role, each in way):
        return None
    if name.startswith("polars."):  # skip the frames of Polars between the caller and the call
        way = [(role, each) for role, each in way if not _is_in_package("polars", each)]
    answers = _responsible_frame(name, way)
    if answers is None:
        return None
    for role, each in way[:answers]:
        if role in ("package", "library") and not _is_in_package("collections", each):
            name = name_of(each)
    return name, line_of(way[answers][1])


def line_of(frame: FrameType) -> str:
    """The current line of a frame: `file.py:12`, without the folder."""
    return f"{file_name(frame.f_code)}:{frame.f_lineno}"


def _stack_frames(frame: FrameType | None, base: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = None if frame is base else frame.f_back


def is_finalizer(frame: FrameType) -> bool:
    """Whether the frame runs when memory is freed, which may happen at any time."""
    code = frame.f_code
    if code.co_name == "__del__":
        return True
    return any(getattr(callback, "__code__", None) is code for callback in gc.callbacks)


def _responsible_frame(name: str, way: Sequence[tuple[Role, FrameType]]) -> int | None:
    """The index of the responsible frame: the project's, or a package's that the project never called."""
    roles = [role for role, _ in way]
    nearest = next((place for place, role in enumerate(roles) if role != "library"), None)
    if nearest is None or roles[nearest] == "own":
        return None
    if any(frame.f_code.co_name in END_METHODS for _, frame in way[:nearest]):
        return None
    if roles[nearest] == "package" and name.startswith(_OF_PACKAGES):
        return None
    if "project" in roles:
        return roles.index("project")
    if "package" in roles:
        return len(roles) - 1 - roles[::-1].index("package")
    return nearest


def role_of(frame: FrameType) -> Role:
    """The role of a frame's code, by its file."""
    file = frame.f_code.co_filename
    if file.startswith("<"):  # many modules share the file name of generated code
        return _role(file, module_of(frame))
    if file not in _roles:
        _roles[file] = _role(file, module_of(frame))
    return _roles[file]


def _role(file: str, module: str) -> Role:
    top = module.partition(".")[0]
    made = file.startswith("<") and not file.startswith("<frozen ") and file not in linecache.cache
    origin = origin_of_module(module) if made and top else origin_of_file(file)
    if top == "tidemill" or (top in _OWN and origin in ("package", "standard")):
        return "own"
    if made:
        return "made"
    if origin == "package" and top == "numpy":
        return "apart" if module == "numpy.random._pickle" else "library"
    if origin == "package":
        return "package"
    if origin == "project":
        return "project"
    apart = file.startswith("<frozen importlib") or top in _APART
    return "apart" if apart and not module.startswith(_NOT_APART) else "library"


def _is_in_package(top: str, frame: FrameType) -> bool:
    return module_of(frame).partition(".")[0] == top
