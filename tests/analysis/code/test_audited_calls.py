"""Who caused an audit event, by the call stack."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType

import pytest

from tidemill.analysis.code.audited_calls import AUDITED, Caller, find_caller
from tidemill.memos.io import lookup
from tidemill.steps.io import invocation

LIBRARY = "/usr/lib/python/site-packages"
STANDARD = sys.modules["linecache"].__file__ or ""
# Modules by the name of their layer: name, file, and the name of the function.
LAYERS = {
    "stage": ("tides", "/home/ana/tides.py", "stage"),
    "helper": ("rates", "/home/ana/rates.py", "helper"),
    "package": ("pandas.io", f"{LIBRARY}/pandas/io.py", "read_it"),
    "parser": ("configparser", STANDARD.replace("linecache", "configparser"), "read"),
    "collections": ("collections", STANDARD.replace("linecache", "collections"), "get"),
    "pool": ("concurrent.futures.thread", STANDARD.replace("linecache", "concurrent"), "run"),
    "thread": ("threading", STANDARD.replace("linecache", "threading"), "_bootstrap"),
    "import": ("importlib._bootstrap", "<frozen importlib._bootstrap>", "_load"),
    "logging": ("logging", STANDARD.replace("linecache", "logging"), "emit"),
    "traceback": ("traceback", STANDARD.replace("linecache", "traceback"), "format"),
    "finalizer": ("rates", "/home/ana/rates.py", "__del__"),
    "polars": ("polars.lazyframe.frame", f"{LIBRARY}/polars/frame.py", "collect"),
    "tidemill": ("tidemill.steps.io.invocation", invocation.__file__, "call_stage"),
    "memo": ("tidemill.memos.io.lookup", lookup.__file__, "call"),
    "metadata": (
        "importlib.metadata",
        STANDARD.replace("linecache", "importlib/metadata"),
        "files",
    ),
    "made": ("pandas.core", "<string>", "made"),
}


def stack(layers: Sequence[str]) -> FrameType:
    """The innermost frame of calls through layers, from the outside in."""
    found: list[FrameType] = []
    inner: Callable[[], object] = lambda: found.append(sys._getframe(1))  # noqa: E731
    for layer in reversed(layers):
        module, file, name = LAYERS[layer]
        scope = {"__name__": module, "inner": inner}
        exec(compile(f"def {name}():\n    return inner()\n", file, "exec"), scope)
        inner = scope[name]  # type: ignore[assignment]
    inner()
    (frame,) = found
    return frame


@pytest.mark.parametrize(
    ("layers", "name", "where", "direct"),
    [
        # The project's own line
        (["stage"], "open", "tides.py:2", True),
        (["stage", "helper"], "open", "rates.py:2", True),
        (["stage", "parser"], "configparser.read", "tides.py:2", True),
        (["stage", "collections"], "open", "tides.py:2", True),
        (["thread", "pool", "helper", "parser"], "configparser.read", "rates.py:2", True),
        (["polars", "stage"], "open", "tides.py:2", True),
        # A function that a package calls is the project's again.
        (["stage", "package", "helper"], "open", "rates.py:2", True),
        # A package, for a line of the project or by itself
        (["stage", "package"], "pandas.io.read_it", "tides.py:2", False),
        (["stage", "package", "parser"], "pandas.io.read_it", "tides.py:2", False),
        (["thread", "package"], "pandas.io.read_it", "", False),
        (["stage", "made"], "pandas.core.made", "tides.py:2", False),
    ],
)
def test_callers(layers: list[str], name: str, where: str, direct: bool) -> None:
    # The test itself is the project's code: Tidemill's frame stands between.
    found = find_caller("open", stack(["tidemill", *layers]))
    assert found == Caller(name=name, where=where, direct=direct)


@pytest.mark.parametrize(
    "layers",
    [
        ["stage", "import"],
        ["stage", "import", "helper"],  # a module of the project that is imported
        ["stage", "logging"],
        ["stage", "package", "logging", "helper"],
        ["stage", "traceback"],
        ["stage", "package", "metadata"],
        ["stage", "finalizer"],
        ["stage", "polars"],
        ["stage", "polars", "parser"],
        ["stage", "tidemill"],
        ["stage", "memo"],
        ["memo", "helper"],
        ["memo", "helper", "package"],
        ["thread"],
        ["parser"],
    ],
)
def test_what_is_not_an_input(layers: list[str]) -> None:
    assert find_caller("open", stack(["tidemill", *layers])) is None


def test_a_stack_without_python_code_has_no_caller() -> None:
    assert find_caller("open", None) is None


def test_the_events_have_names_that_users_know() -> None:
    assert {kind for kind, _ in AUDITED.values()} == {"reads", "network", "environment"}
