"""Everything that a function refers to is visited once, in its current state."""

from __future__ import annotations

import functools

import pytest

from tests.support.modules import Project
from tidemill.analysis.code.code_fingerprint import code_of

CYCLES = """
def stage(n):
    return stage(n - 1) + even(n)

def even(n): return n == 0 or odd(n - 1)
def odd(n): return n != 0 and even(n - {one})

class A:
    def other(self): return B()
    def call(self): return stage(1)

class B:
    kind = A
    def other(self): return A()

def user():
    return A().other(), LOOP

LOOP = [1]
LOOP.append(LOOP)
A.me = A
"""


@pytest.mark.parametrize("name", ["stage", "user"])
def test_cycles_end_and_are_seen_all_around(project: Project, name: str) -> None:
    source = CYCLES.format(one=1)
    before = project.digest(source, name)
    assert project.digest(source, name) == before
    assert project.digest(CYCLES.format(one=2), name) != before


def test_an_attribute_that_was_set_later_counts_as_it_is_now(project: Project) -> None:
    main = project.load(main="class A: n = 1\ndef stage(): return A.n")
    before = code_of(main.stage).digest
    main.A.n = 2
    assert code_of(main.stage).digest != before
    main.A.n = 1
    assert code_of(main.stage).digest == before


def test_a_callable_may_be_the_root(project: Project) -> None:
    main = project.load(main="class A:\n    n = 1\n    @classmethod\n    def call(cls): return 1\n")
    assert code_of(main.A.call).unresolved == ()
    assert code_of(main.A).digest != code_of(main.A.call).digest
    assert code_of(functools.partial(main.A, 1)).digest != code_of(main.A).digest
    assert code_of(len).digest != code_of(max).digest
