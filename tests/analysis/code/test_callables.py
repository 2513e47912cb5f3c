"""Callables, wrappers and descriptors count by what they call."""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import code_of


def test_a_mark_of_a_function_says_nothing(project: Project) -> None:
    source = "import tidemill as tm\ndef low(x): return x\n{}\ndef stage(x): return low(x)"
    assert project.digest(source.format("tm.impure(low)")) == project.digest(source.format(""))


def test_what_a_property_has_cached_does_not_count(project: Project) -> None:
    main = project.load(
        main="from dataclasses import dataclass\nfrom functools import cached_property\n"
        "@dataclass\nclass A:\n    n: int = 1\n    @cached_property\n"
        "    def twice(self): return self.n * 2\nVALUE = A()\ndef stage(): return VALUE.twice\n"
    )
    before = code_of(main.stage).digest
    assert main.stage() == 2
    assert code_of(main.stage).digest == before


def test_builtins_of_the_projects_own_extensions_have_no_source(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    module = types.ModuleType("extension")
    module.__file__ = "/project/extension.so"
    monkeypatch.setitem(sys.modules, "extension", module)

    class Builtin:
        __self__ = module
        __module__ = "extension"
        __qualname__ = __name__ = "fast"

    from tidemill.analysis.code.callables import CALLABLES

    said: list[str] = []

    class Walk:
        def refuse(self, reason: str) -> str:
            said.append(reason)
            return ""

    handler: Any = CALLABLES["builtins.builtin_function_or_method"]
    handler(Builtin(), Walk())
    assert said == ["it has no Python source"]


def test_a_method_of_a_module_is_no_function_of_it(project: Project) -> None:
    source = "import helper\ndef stage(): return helper.__getattribute__('FACTOR')"
    project.write(helper="FACTOR = 2\n")
    [item] = project.code(source).unresolved
    assert item.reason.startswith("a module of the project is used as a value")
