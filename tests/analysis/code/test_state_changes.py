"""Which values and variables functions change, through the calls that they make."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import Code, code_of
from tidemill.analysis.code.mutable_state import Variable

HELPER = """
import functools
from dataclasses import dataclass, field

import numpy as np
import polars as pl

N = 1
TEXT = "a"
LIST, TABLE, NESTED = [1], {"n": 1}, {"inner": {"n": [1]}, "pair": ([1], 2)}
ARRAY, FRAME, EXPRESSION = np.ones(2), pl.DataFrame({"a": [1]}), pl.col("a")


class Count:
    n = 1


@dataclass
class Config:
    n: int = 1
    seen: list = field(default_factory=list)

    def load(self, n):
        self._keep(n)

    def _keep(self, n):
        self.n = n

    @classmethod
    def count(cls):
        cls.made = 1

    @property
    def first(self):
        raise AssertionError("it must not run")


CONFIG, DEEP = Config(), {"config": Config()}


def fill(target, n):
    put(target, value=n)


def put(table, *, value):
    table["n"] = value


def put_inner(holder):
    holder.TABLE["n"] = 1


def loop(table, n=9):
    loop(table, n - 1) if n else table.clear()


def descend(config):
    config.n = 1
    descend(config.inner)


def first(table): second(table)
def second(table): third(table)
def third(table): fourth(table)
def fourth(table): fifth(table)
def fifth(table): sixth(table)
def sixth(table): seventh(table)
def seventh(table): fill(table, 1)


def set_n():
    global N
    N = 2


def value():
    return N


def noted(function):
    TABLE[function.__name__] = function
    return function


@noted
def marked():
    return 1


def wrap(function):
    @functools.wraps(function)
    def inner():
        LIST.append(1)
        return function()

    return inner


@wrap
def wrapped():
    return 1


def made():
    def inner():
        LIST.append(1)

    return inner
"""


def code(project: Project, body: str, imports: str = "") -> Code:
    project.write(h=HELPER)
    return code_of(project.function(f"import h\n{imports}\ndef stage(x):\n    {body}\n"))


def changed(project: Project, body: str, imports: str = "") -> set[str]:
    """The names in the module `h` of what the code changes."""

    found = code(project, body, imports)
    helper = vars(sys.modules["h"])
    names = {id(value): name for name, value in helper.items()}
    return {
        change.value.name if isinstance(change.value, Variable) else names.get(id(change.value), "")
        for change in found.changes
        if not isinstance(change.value, Variable) or change.value.namespace is helper
    }


@pytest.mark.parametrize(
    ("body", "names"),
    [
        ("h.N = 2", {"N"}),
        ("setattr(h, x, 2)", {"*"}),
        ("h.set_n()", {"N"}),
        ("h.TABLE['n'] = 2", {"TABLE"}),
        ("h.TABLE.update(n=2)", {"TABLE"}),
        ("h.LIST.append(2)", {"LIST"}),
        ("h.ARRAY.fill(2)", {"ARRAY"}),
        ("h.ARRAY[0] = 2", {"ARRAY"}),
        ("h.FRAME.insert_column(0, x)", {"FRAME"}),
        ("h.Count.n = 2", {"Count"}),
        ("h.value.n = 2", {"value"}),
        ("h.CONFIG.n = 2", {"CONFIG"}),
        ("h.CONFIG.seen.append(2)", {""}),  # a list that only the object has
        ("h.CONFIG.load(2)", {"CONFIG"}),
        ("h.CONFIG.count()", set()),  # of the class, which isn't the object
        ("h.Config.load(h.CONFIG, 2)", {"CONFIG"}),
        # Through calls
        ("h.fill(h.TABLE, 2)", {"TABLE"}),
        ("h.fill(target=h.TABLE, n=2)", {"TABLE"}),
        ("h.put_inner(h)", {"TABLE"}),
        ("h.loop(h.TABLE)", {"TABLE"}),
        ("h.first(h.TABLE)", {"TABLE"}),
        ("h.descend(h.CONFIG)", {"CONFIG"}),
        ("h.fill(1, 2, h.TABLE)", set()),  # it raises
        ("h.wrapped()", {"LIST"}),
        ("h.made()()", {"LIST"}),
        ("from h import TABLE as t\n    t['n'] = 2", {"TABLE"}),
        ("import h as g\n    g.N = 2", {"N"}),
        ("import h\n    h.N = 2", {"N"}),
        # What a value contains
        ("h.NESTED['inner']['n'] = 2", {"NESTED", ""}),
        ("h.DEEP['config'].n = 2", {"DEEP", ""}),
        ("h.NESTED['pair'][0].append(2)", {"NESTED", ""}),
        # Nothing from outside, or nothing that can change in place
        ("h.TABLE.get('n'), h.LIST.count(1), h.FRAME.sort('a')", set()),
        ("h.EXPRESSION.sort(), h.EXPRESSION.reverse()", set()),
        ("h.N += 0 if False else 0", {"N"}),
        ("n = h.N\n    n += 1", set()),
        ("t = h.TEXT\n    t += 'b'", set()),
        ("h.TEXT.update()", set()),
        ("h.value.update()", set()),
        ("t = dict(h.TABLE)\n    t['n'] = 2", set()),
        ("h.Config().load(2)", set()),
        ("h.marked()", set()),  # its decorator ran when it was imported
        ("x.load(h.TABLE), len(h.TABLE), h.fill", set()),
        ("h.CONFIG.first.append(1)", set()),
        ("h.CONFIG.none.append(1)", set()),
        (
            "try:\n        import nowhere\n        nowhere.N = 1\n    except ImportError: pass",
            set(),
        ),
        ("try:\n        from . import n\n        n.N = 1\n    except ImportError: pass", set()),
    ],
)
def test_changes(project: Project, body: str, names: set[str]) -> None:
    assert changed(project, body) == names


def test_variables_are_refused_and_values_are_not(project: Project) -> None:
    found = code(project, "h.N = 2\n    h.TABLE['n'] = 2")
    assert [(item.name, item.reason, item.where) for item in found.unresolved] == [
        ("h.N", "it assigns a variable of a module", "main.py:4")
    ]
    (one, other) = found.changes
    assert (one.name, one.where, other.name, other.where) == (
        *("h.N", "main.py:4", "h.TABLE", "main.py:5"),
    )
    found = code(project, "h.set_n()")
    assert [item.reason for item in found.unresolved] == ["it assigns a global variable"]


def test_the_state_that_code_uses(project: Project) -> None:
    found = code(project, "return h.TABLE, h.value(), h.NESTED")
    variables = {item.name for item in found.state.values() if isinstance(item.value, Variable)}
    assert variables >= {"h", "h.TABLE", "h.value", "h.NESTED", "N"}
    values: list[Any] = [i.value for i in found.state.values() if not isinstance(i.value, Variable)]
    assert any(value is sys.modules["h"].TABLE for value in values)
    assert {"n": [1]} in values  # inside of another
    assert [1] in values


def test_closures_and_packages(project: Project) -> None:
    """A variable of another function's call is no module's; constants of packages are."""
    found = code(project, "return sys.maxsize, math.pi", "import math, sys")
    assert {item.name for item in found.state.values() if isinstance(item.value, Variable)} == {
        *("sys", "sys.maxsize", "math", "math.pi"),
    }
