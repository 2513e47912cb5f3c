"""Attribute an audit event, such as an opened file, to the line of the project that caused it.

Python raises these events wherever its code opens a file, lists a folder or connects, in any thread. The
call stack shows for whom: the project's code, a package that it calls, or Python itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import FrameType

from tidemill.analysis.code.hidden_inputs import HiddenInputKind
from tidemill.analysis.code.responsible_line import Role, is_finalizer, line_of, role_of
from tidemill.analysis.code.runtime_calls import module_of, name_of
from tidemill.core.lazy_dataclass import dataclass

# Audit events by the hidden input that they stand for, and the name under which users know the call.
AUDITED: dict[str, tuple[HiddenInputKind, str]] = {
    "open": ("reads", "open"),
    "os.listdir": ("reads", "os.listdir"),
    "os.scandir": ("reads", "os.scandir"),
    "glob.glob": ("reads", "glob.glob"),
    "sqlite3.connect": ("reads", "sqlite3.connect"),
    "socket.connect": ("network", "socket.connect"),
    "socket.getaddrinfo": ("network", "socket.getaddrinfo"),
    "socket.gethostbyname": ("network", "socket.gethostbyname"),
    "subprocess.Popen": ("environment", "subprocess.Popen"),
    "os.system": ("environment", "os.system"),
    "os.posix_spawn": ("environment", "os.posix_spawn"),
}
# Modules of the standard library in whose frames work of the project or of a package goes on.
_THREADS = frozenset({"threading", "concurrent", "asyncio", "queue", "random", "selectors"})
# Packages look up each other's versions, which are in the recipe.
_LOOKUPS = "importlib.metadata"
_NAMELESS = frozenset({"collections"})
# A memo's function answers for what it reads: its results are kept until it is declared changed.
_MEMOS = "tidemill.memos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who caused an event: what was called, and the line; `direct` if no package is in between.

    Without a line of the project, a package did it in a thread of its own, and `where` is "".
    """

    name: str
    where: str
    direct: bool


def find_caller(name: str, frame: FrameType | None) -> Caller | None:
    """Find who caused an event that `frame` raised by calling `name`; None if it is nobody's input.

    Python, Polars and Tidemill open files for their own purposes: to import a module, to log a message, to
    show a traceback, to read what they have stored.
    """
    packaged = False
    project: FrameType | None = None
    for role, each in _roles(frame):
        if role == "apart" or is_finalizer(each) or module_of(each).startswith(_LOOKUPS):
            return None
        if role == "own" and not _is_in(each, _THREADS):
            if module_of(each).startswith(_MEMOS):
                return None
            break
        if role == "project":
            project = project or each
        elif project is None and role != "own":
            packaged |= role != "library"
            name = name_of(each) if not _is_in(each, _NAMELESS) else name
    if project is None and not packaged:
        return None
    return Caller(name=name, where="" if project is None else line_of(project), direct=not packaged)


def _roles(frame: FrameType | None) -> Iterator[tuple[Role, FrameType]]:
    while frame is not None:
        yield role_of(frame), frame
        frame = frame.f_back


def _is_in(frame: FrameType, tops: frozenset[str]) -> bool:
    return module_of(frame).partition(".")[0] in tops
